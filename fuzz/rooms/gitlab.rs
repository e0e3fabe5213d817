//! GitLab's room, as far as a page of jobs is read.

#[path = "protected.rs"]
pub(crate) mod protected;
#[path = "queue.rs"]
pub mod queue;
