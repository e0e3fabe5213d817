//! What is going to happen, by time; at equal times in the order in which it was put down.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use jiff::Timestamp;

use crate::engine::{Event, JobId, Launch, RunnerName, Server, SystemId, Termination, WorkerId};

use super::host::Stage;

/// Something that is going to happen.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Hear { incarnation: u32, event: Box<Event> },
    HearBeat { incarnation: u32, event: Box<Event> },
    JobArrives(usize),
    LookAtQueue { incarnation: u32, server: Server },
    ReadRunner { incarnation: u32, runner: RunnerName },
    Prepare { incarnation: u32, runner: RunnerName },
    HandOut,
    JobShows { worker: WorkerId, job: JobId, by_docker: bool },
    JobEnds { worker: WorkerId, job: JobId },
    Asks(WorkerId),
    RequestEnds { worker: WorkerId, request: u64 },
    ReadLaunch { incarnation: u32, launch: Box<Launch> },
    ReadListing { incarnation: u32, asked_at: Timestamp, with_health: bool },
    ReadTerminate { incarnation: u32, all: Vec<Termination> },
    ReadForget { incarnation: u32, worker: WorkerId, row: SystemId },
    ReadRetry(JobId),
    RetriesItself(JobId),
    Gone(WorkerId),
    PutAway(WorkerId),
    Boots { worker: WorkerId, stage: Stage },
    Serves { worker: WorkerId, incarnation: u32 },
    FenceRead { worker: WorkerId, link: u64, fence: bool },
    StopRead { worker: WorkerId, link: u64 },
    Stopped(WorkerId),
    LinkAttempt { worker: WorkerId, link: u64 },
    Reports { worker: WorkerId, link: u64 },
    LinkBreaks(WorkerId),
    OrphanCheck(WorkerId),
    SomeInterruption,
    Interrupts(WorkerId),
    Reclaims(WorkerId),
    HostDies(WorkerId),
    FallsSilent(WorkerId),
    SpeaksAgain(WorkerId),
    RunnerCrashes(WorkerId),
    SomeHold,
    HoldEnds(WorkerId),
    SomeCancel,
}

/// The future.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    entries: BinaryHeap<Reverse<Entry>>,
    /// Total order at equal times.
    next_turn: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    at: Timestamp,
    turn: u64,
    happening: Happening,
}

impl Agenda {
    pub(super) fn put(&mut self, at: Timestamp, happening: Happening) {
        self.entries.push(Reverse(Entry { at, turn: self.next_turn, happening }));
        self.next_turn += 1;
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.entries.peek().map(|Reverse(entry)| entry.at)
    }

    /// The next thing to happen, unless it lies after `until`.
    pub(super) fn take_until(&mut self, until: Timestamp) -> Option<(Timestamp, Happening)> {
        if self.next_at()? > until {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| (entry.at, entry.happening))
    }
}

impl Entry {
    fn key(&self) -> (Timestamp, u64) {
        (self.at, self.turn)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
