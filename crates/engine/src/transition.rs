//! What happens to a worker that others must hear of: what it, or its end, has to tell.

use std::collections::BTreeMap;

use super::ids::{JobId, ProjectId, WorkerId};
use super::reason::EndReason;
use super::worker::{Instance, Unfit};

/// Something about a worker that others must hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerTransition {
    /// It was ready for the first time.
    Ready(WorkerId),
    /// It told of an interruption for the first time.
    Interrupted(WorkerId),
    /// It told for the first time that EC2 may take it back soon.
    Endangered(WorkerId),
    /// It told for the first time that it is unfit.
    Unfit(WorkerId, Unfit),
    /// Its end was asked for, its connection was let go, and what the connection had still to tell shows that it serves after all.
    Returned(WorkerId),
    /// It has ended.
    Ended(Box<Terminated>),
}

/// What there is to tell of a worker that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terminated {
    /// As last seen.
    pub(crate) instance: Instance,
    /// Whether a terminate command of ours came first.
    pub(crate) asked: bool,
    /// Why we have asked for it.
    pub(crate) reason: Option<EndReason>,
    /// Jobs that it has taken in its life, by its own word.
    pub(crate) jobs_started: u64,
    /// Jobs that its last report showed.
    pub(crate) jobs: u32,
    /// Their ids and projects, where known.
    pub(crate) projects: BTreeMap<JobId, ProjectId>,
    /// Whether it was launched by this manager's own life, and its boot was not done.
    pub(crate) booting: bool,
    /// Where its boot stood, if that was watched.
    pub(crate) stood_at: &'static str,
    /// Whether it has served, and was fit to its end.
    pub(crate) proven: bool,
}
