//! What can happen in a world.

use jiff::Timestamp;

use runner_fleet_engine::{
    Event, Goal, Inventory, JobId, Launch, RunnerName, Server, SystemId, TemplateName, Termination, WorkerId,
};

/// Something that is going to happen.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Hear { incarnation: u32, event: Box<Event> },
    HearBeat { incarnation: u32, event: Box<Event> },
    JobArrives(usize),
    LookAtQueue { incarnation: u32, server: Server },
    ReadRunner { incarnation: u32, runner: RunnerName },
    Prepare { round: u32, runner: RunnerName },
    Make { round: u32, runner: RunnerName, seen: Box<Inventory> },
    CollectGarbage { round: u32, runner: RunnerName, template: TemplateName },
    SomeDeletion,
    ReadConfiguration { incarnation: u32 },
    LookAtPrices { incarnation: u32 },
    HandOut,
    JobShows { worker: WorkerId, job: JobId, by_docker: bool },
    JobEnds { worker: WorkerId, job: JobId },
    Asks(WorkerId),
    RequestEnds { worker: WorkerId, request: u64 },
    ReadLaunch { incarnation: u32, launch: Box<Launch> },
    ReadListing { incarnation: u32, asked_at: Timestamp, with_health: bool },
    ReadTerminate { incarnation: u32, all: Vec<Termination> },
    ReadForget { incarnation: u32, worker: WorkerId, row: SystemId },
    ReadJobs { incarnation: u32, asked_at: Timestamp, worker: WorkerId, row: SystemId },
    ReadRetry { incarnation: u32, worker: WorkerId, server: Server, job: JobId },
    RetriesItself(JobId),
    Gone(WorkerId),
    PutAway(WorkerId),
    Boots { worker: WorkerId, stage: Stage },
    Serves { worker: WorkerId, incarnation: u32 },
    Told { worker: WorkerId, connection: u64, goal: Goal },
    Stopped(WorkerId),
    LinkAttempt { worker: WorkerId, connection: u64 },
    Reports { worker: WorkerId, connection: u64 },
    LinkBreaks(WorkerId),
    OrphanCheck(WorkerId),
    SomeInterruption,
    Interrupts(WorkerId),
    Reclaims(WorkerId),
    HostDies(WorkerId),
    FallsSick(WorkerId),
    FindsItselfUnfit(WorkerId),
    FallsSilent(WorkerId),
    SpeaksAgain(WorkerId),
    RunnerCrashes(WorkerId),
    SomeHold,
    HoldEnds(WorkerId),
    SomeCancel,
    SomeDrain,
    SomePause,
    PauseEnds(RunnerName),
    SomeReconfiguration,
    SomeDrift,
}

/// The stages of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The kernel runs; EC2 says `running`.
    Running,
    /// sshd answers.
    Sshd,
    /// A step of the bootstrap.
    Step(&'static str),
    /// The bootstrap is done.
    Ready,
    /// The bootstrap has failed.
    Failed,
    /// Power-off after a failure.
    PowerOff,
}
