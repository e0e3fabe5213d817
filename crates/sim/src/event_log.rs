//! What truly happened in a world, in order: the material of checks, sums and transcripts.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use runner_fleet_engine::{
    Command, JobId, Market, Reason, ResourceAction, RunnerName, RunnerState, SystemId, Want, WorkerId,
};

/// Everything that happened, in order, and counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventLog {
    /// In order of time.
    pub facts: Vec<(Timestamp, Fact)>,
    /// Calls that reached the world, by kind.
    pub calls: BTreeMap<&'static str, u64>,
    /// Whether facts are left out.
    pub(super) counts_only: bool,
}

impl EventLog {
    pub(crate) fn note(&mut self, at: Timestamp, fact: Fact) {
        if !self.counts_only {
            self.facts.push((at, fact));
        }
    }

    pub(crate) fn call(&mut self, kind: &'static str) {
        self.calls(kind, 1);
    }

    pub(crate) fn calls(&mut self, kind: &'static str, times: u64) {
        *self.calls.entry(kind).or_default() += times;
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The manager started (again).
    ManagerUp,
    /// The manager crashed: connections broke, answers on their way were lost.
    ManagerDown,
    /// The manager gave a command.
    Commanded(Box<Command>),
    /// A job became pending.
    JobQueued(JobId),
    /// A worker's runner took a job.
    JobTaken(JobId, WorkerId),
    /// A job ran to its end.
    JobEnded {
        /// Which.
        job: JobId,
        /// Whether its script succeeded.
        succeeded: bool,
    },
    /// A job was ended before its end.
    JobKilled {
        /// Which.
        job: JobId,
        /// On which worker; none where it still waited.
        worker: Option<WorkerId>,
        /// By what.
        by: Killer,
    },
    /// A failed job was queued again under a new id.
    JobRetried {
        /// The failed one.
        old: JobId,
        /// The new one; none where GitLab refused.
        new: Option<JobId>,
    },
    /// EC2 carried out a launch (or repeated its answer).
    LaunchRead(LaunchTruth),
    /// EC2 created an instance.
    Launched(WorkerId, Market),
    /// EC2 read a terminate call for one worker.
    TerminateRead(TouchTruth),
    /// The manager sent a worker one of: fence, unfence, stop, terminate.
    Touched(&'static str, TouchTruth),
    /// An instance began to end.
    Ended(WorkerId, Ending),
    /// GitLab made a runner-manager row.
    RowMade(SystemId),
    /// GitLab deleted a runner-manager row.
    RowDeleted(SystemId),
    /// The manager deleted a launch template or a key pair.
    Tidied {
        /// Which.
        action: ResourceAction,
        /// Whether the next launch of some runner would have needed it.
        needed: bool,
    },
    /// Something went wrong by plan.
    Fault(&'static str, Option<WorkerId>),
    /// A person set the hold tag, or took it away.
    Hold(WorkerId, bool),
    /// An administrator or operator did this.
    Administered(String),
}

/// What ended a job before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Killer {
    /// Our TerminateInstances call.
    Terminate,
    /// EC2 took the spot instance back.
    Interruption,
    /// Its host died.
    HostDeath,
    /// gitlab-runner crashed.
    RunnerCrash,
    /// Its worker's disk was full, or its Docker dead.
    SickWorker,
    /// A person cancelled it.
    Person,
}

/// Why an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Our TerminateInstances call.
    Terminated,
    /// EC2 took it back.
    Interrupted,
    /// It powered itself off: its boot had failed, or it had heard no manager for too long.
    PoweredOff,
}

/// The truth at the moment of a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchTruth {
    /// Whose.
    pub runner: RunnerName,
    /// Asked for.
    pub asked: u32,
    /// Created by this call; 0 when it only repeated an earlier answer.
    pub created: u32,
    /// Instances of this runner that have not begun to end, afterwards.
    pub live: u32,
    /// Job slots of all instances that have not begun to end, afterwards.
    pub slots: u32,
    /// Slots of this runner that serve, or are coming, afterwards.
    pub useful_slots: u32,
    /// Jobs that this runner may take and that waited or ran in the last minutes.
    pub jobs: u32,
    /// The ceilings by which it is judged.
    pub bounds: Bounds,
}

/// The most generous limits that were configured in the last minutes: a launch may have been decided under any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// `max_workers`.
    pub max_workers: u32,
    /// `concurrent`.
    pub concurrent: u32,
    /// Idle slots wanted.
    pub idle: u32,
    /// Jobs on one worker.
    pub capacity: u32,
}

/// The truth about a worker at the moment when it was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TouchTruth {
    /// Which.
    pub worker: WorkerId,
    /// The command's reason; none where a worker is to serve again.
    pub reason: Option<Reason>,
    /// Whether it is one of ours at all.
    pub ours: bool,
    /// Whether it had begun to end already: then nothing more can happen to it.
    pub ended: bool,
    /// Jobs that it ran.
    pub jobs: Vec<JobId>,
    /// Whether a job request was open.
    pub request_open: bool,
    /// What its runner process did.
    pub runner_state: RunnerState,
    /// Whether the manager had been shown a hold tag on it.
    pub hold_shown: bool,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManagerUp => f.write_str("manager up"),
            Self::ManagerDown => f.write_str("manager down"),
            Self::Commanded(command) => command_line(f, command),
            Self::JobQueued(job) => write!(f, "job {job} waits"),
            Self::JobTaken(job, worker) => write!(f, "job {job} taken by {worker}"),
            Self::JobEnded { job, succeeded } => {
                write!(f, "job {job} {}", if *succeeded { "succeeded" } else { "failed by its script" })
            }
            Self::JobKilled { job, worker: Some(worker), by } => write!(f, "job {job} on {worker} killed by {by:?}"),
            Self::JobKilled { job, worker: None, by } => write!(f, "job {job} ended while waiting by {by:?}"),
            Self::JobRetried { old, new: Some(new) } => write!(f, "job {old} retried as {new}"),
            Self::JobRetried { old, new: None } => write!(f, "retry of job {old} refused"),
            Self::LaunchRead(t) => write!(
                f,
                "EC2: {} of {} launched for {}; now {} live, {} useful slots for {} jobs, {} slots in all",
                t.created, t.asked, t.runner, t.live, t.useful_slots, t.jobs, t.slots
            ),
            Self::Launched(worker, market) => write!(f, "EC2: {worker} launched ({market})"),
            Self::TerminateRead(touch) => write!(f, "EC2: told to terminate {touch}"),
            Self::Touched(what, touch) => write!(f, "sent {what} to {touch}"),
            Self::Ended(worker, how) => write!(f, "{worker} ends: {how:?}"),
            Self::RowMade(row) => write!(f, "GitLab: runner manager {row} appears"),
            Self::RowDeleted(row) => write!(f, "GitLab: runner manager {row} deleted"),
            Self::Fault(what, Some(worker)) => write!(f, "FAULT {what}: {worker}"),
            Self::Fault(what, None) => write!(f, "FAULT {what}"),
            Self::Hold(worker, true) => write!(f, "a person holds {worker}"),
            Self::Hold(worker, false) => write!(f, "a person releases {worker}"),
            Self::Tidied { action, .. } => write!(f, "> {action}"),
            Self::Administered(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for TouchTruth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, reason, ours, ended, jobs, request_open, runner_state, hold_shown } = self;
        let because = reason.as_ref().map_or_else(|| "the demand came back".to_owned(), ToString::to_string);
        write!(f, "{worker} because \"{because}\" (runner {runner_state:?}, {} jobs", jobs.len())?;
        for (told, word) in
            [(*request_open, "request open"), (*hold_shown, "held"), (*ended, "ended"), (!*ours, "NOT OURS")]
        {
            if told {
                write!(f, ", {word}")?;
            }
        }
        f.write_str(")")
    }
}

fn command_line(f: &mut fmt::Formatter<'_>, command: &Command) -> fmt::Result {
    match command {
        Command::ListInstances { with_health } => {
            write!(f, "> list instances{}", if *with_health { " with health" } else { "" })
        }
        Command::Launch(launch) => {
            let (count, runner, market, token) = (launch.count, &launch.runner, launch.market, &launch.token);
            write!(f, "> launch {count} {market} for {runner}, token {token}: {}", launch.reason)
        }
        Command::Connect { worker, .. } => write!(f, "> connect {worker}"),
        Command::Disconnect { worker } => write!(f, "> disconnect {worker}"),
        Command::Want { worker, want: Want::Serve } => write!(f, "> unfence {worker}"),
        Command::Want { worker, want: Want::Fence { reason } } => write!(f, "> fence {worker}: {reason}"),
        Command::Want { worker, want: Want::Stop { reason } } => write!(f, "> stop {worker}: {reason}"),
        Command::Want { worker, want: Want::HardStop { reason } } => write!(f, "> hard-stop {worker}: {reason}"),
        Command::Terminate(all) => {
            f.write_str("> terminate")?;
            all.iter().try_for_each(|one| write!(f, " {} ({})", one.worker, one.reason))
        }
        Command::Forget { worker, system_id, .. } => write!(f, "> forget {worker} ({system_id})"),
        Command::LookForJobs { worker, .. } => write!(f, "> look for jobs of {worker}"),
        Command::Retry { job, .. } => write!(f, "> retry job {job}"),
    }
}
