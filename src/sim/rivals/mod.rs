//! Other autoscalers over the same workload: each modelled as its own source says, none of our code in their decisions.
//!
//! They share with our world what is not theirs: the queue's order, boot times, prices, interruptions, the time that a job
//! takes on its machine ([`ground`]). Where a source is silent, the model decides in the rival's favour, and says so.

pub mod docker_autoscaler;
pub mod docker_machine;
mod ground;
#[cfg(test)]
mod tests;

pub use docker_autoscaler::DockerAutoscaler;
pub use docker_machine::DockerMachine;
