//! Other autoscalers over the same workload: each modelled as its own source says, none of our code in their decisions.
//!
//! They share with our world what is not theirs: the queue's order, boot times, prices, interruptions, the time that a job
//! takes on its machine ([`base`]). Where a source is silent, the model decides in the baseline's favour, and says so.

mod base;
mod docker_autoscaler;
mod docker_machine;
mod sections;
#[cfg(test)]
mod tests;

pub use docker_autoscaler::docker_autoscaler;
pub use docker_machine::docker_machine;
pub use sections::section_by_section;
