//! One step: fold the events into what is known, look at everything, decide.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::attempt::Attempt;
use super::boots::dead_end;
use super::command::{Command, Want};
use super::demand::{Assessment, Scene, assess};
use super::doubts;
use super::event::Event;
use super::ids::JobId;
use super::job::Knowledge;
use super::journal::Entry;
use super::launching::Launching;
use super::measuring::boot_failed;
use super::queue::Queue;
use super::retirement::Retirement;
use super::settings::Settings;
use super::snapshot::{DecisionKind, FleetSnapshot, JobStatus};
use super::state::Engine;
use super::status;
use super::time::since;
use super::why;
use super::workers::{Connection, WorkerStatus};

/// A connection that was asked for and of which nothing was heard is asked for again.
const CONNECT_AGAIN: Duration = Duration::from_secs(120);
/// Deletions of runner-manager rows on their way at one time: a thousand workers that end together must not use up
/// GitLab's patience with this runner's token.
const FORGETTING_MAX: usize = 5;
/// When a deletion without an answer is asked for again, and a failed one tried again.
pub(super) const FORGET_AGAIN: Duration = Duration::from_secs(60);

/// The driver steps every second or so; more than this between two steps is a clock that was set, or a host that slept.
const GAP_MAX: SignedDuration = SignedDuration::from_secs(20);

impl Engine {
    /// Takes in what happened, and says what is to be done now.
    pub fn step(&mut self, now: Timestamp, events: impl IntoIterator<Item = Event>) -> Vec<Command> {
        self.mind_the_clock(now);
        self.now = now;
        self.ledger.begin(now);
        self.journal.begin();
        let mut commands = Vec::new();
        for event in events {
            commands.extend(self.observe(event));
        }
        self.keep_books();
        self.measure_boots();
        let Some(settings) = self.settings.take() else { return commands };
        self.forecasts.tick(&settings, now);
        commands.extend(self.list(now));
        commands.extend(self.end_the_lost(&settings, now));
        commands.extend(self.reach_out(now));
        commands.extend(self.balance(&settings, now));
        commands.extend(self.forget(&settings, now));
        commands.extend(self.retries.due(&settings, &self.runners, &self.fleet, now));
        commands.extend(doubts::due(&settings, &self.runners, &mut self.fleet, now));
        self.settings = Some(settings);
        for command in &commands {
            self.journal.command(now, command, &self.fleet);
        }
        self.tell_breakers(now);
        self.look_for_troubles(now);
        commands
    }

    /// Between two steps somebody may set the clock, or the host may stand still. Workers have not been silent for as long
    /// as it seems then: what is told of them ages in time in which somebody listened.
    fn mind_the_clock(&mut self, now: Timestamp) {
        let gap = now.duration_since(self.now);
        if gap.is_negative() {
            self.listing.clock_set_back();
        }
        if gap.is_negative() || gap > GAP_MAX {
            self.fleet.workers.values_mut().for_each(|worker| worker.was_not_listened_to(gap));
            self.troubles.was_not_looked_at(gap);
            self.queues.values_mut().for_each(Queue::clock_set);
        }
    }

    /// The snapshot after the last step, for people. Built when asked for.
    pub fn snapshot(&self) -> FleetSnapshot {
        status::snapshot(self)
    }

    /// What is known of a job of this id, on each server that has runners here: at which worker it runs, or why it waits.
    pub fn job_statuses(&self, job: JobId) -> Vec<JobStatus> {
        why::job_statuses(self, job)
    }

    /// Notes a broken law, for the counters and for people.
    pub fn law_broken(&mut self, what: &str) {
        self.troubles.law_broken(self.now, what);
        self.journal.totals.laws_broken += 1;
        self.journal.note(self.now, Entry::new(DecisionKind::LawBroken, format!("LAW BROKEN: {what}")));
    }

    /// Asks EC2 again when it is time.
    fn list(&mut self, now: Timestamp) -> Option<Command> {
        self.listing.due(&self.fleet, now).map(|with_health| Command::ListInstances { with_health })
    }

    /// Opens connections to workers that have an address and no connection.
    fn reach_out(&mut self, now: Timestamp) -> Vec<Command> {
        let mut commands = Vec::new();
        for (id, worker) in &mut self.fleet.workers {
            let Some(address) = worker.instance.address else { continue };
            if worker.status(now) == WorkerStatus::Ending {
                continue;
            }
            let Connection::None { asked_at } = worker.connection else { continue };
            if asked_at.is_none_or(|asked_at| since(now, asked_at) >= CONNECT_AGAIN) {
                worker.connection = Connection::None { asked_at: Some(now) };
                let (runner, want) = (worker.instance.runner.clone(), worker.wanted());
                commands.push(Command::Connect { worker: id.clone(), runner, address, want });
            }
        }
        commands
    }

    /// Ends workers whose boot failed or whose host is lost. One that was never ready loses its connection first: until EC2 has
    /// carried out the end, it may boot after all, and a connection would give it its configuration and thereby jobs.
    fn end_the_lost(&mut self, settings: &Settings, now: Timestamp) -> Vec<Command> {
        let mut commands = Vec::new();
        for (id, worker) in &mut self.fleet.workers {
            let Some(reason) = dead_end(worker, settings, now) else { continue };
            if worker.never_ready() {
                self.journal.tell(Self::boot_failed_note(&worker.instance, &reason));
                commands.push(Command::Disconnect { worker: id.clone() });
                // Of one that an earlier life launched nobody knows whether it has not served long ago, and lies.
                if worker.is_launched_here()
                    && let Some(runner) = self.runners.get_mut(&worker.instance.runner)
                {
                    runner.boot_failed(now, reason.to_string(), &mut self.jitter);
                    self.journal.totals.boots_failed += 1;
                    self.journal.measured(boot_failed(worker));
                }
            }
            worker.end(reason, now);
        }
        commands
    }

    /// Compares what is wanted with what there is: drains, ends and launches.
    fn balance(&mut self, settings: &Settings, now: Timestamp) -> Vec<Command> {
        let ec2 = self.listing.knowledge(now);
        self.retirement(settings, &ec2).drain_those_that_must_go();
        self.quarantine_unassignable_jobs(settings, now);
        let assessment = self.assess(settings, now);
        self.note_spare(settings, &assessment, now);
        let mut commands = self.retirement(settings, &ec2).decide(&assessment);
        let taken_back = commands.iter().any(|command| matches!(command, Command::Want { want: Want::Serve, .. }));
        self.assessment = if taken_back { self.assess(settings, now) } else { assessment };

        let mut launching = Launching {
            now,
            settings,
            runners: &self.runners,
            fleet: &mut self.fleet,
            cooldowns: &mut self.cooldowns,
            prices: &self.prices,
            mint: &mut self.mint,
            rivals: &self.rivals,
            ec2: &ec2,
            slow_until: self.slow.closed_until(now),
        };
        let (launches, held_back) = launching.decide(&self.assessment);
        self.held_back = held_back;
        launches.iter().for_each(|launch| self.note_causes(settings, launch));
        commands.extend(launches.into_iter().map(Command::Launch));
        commands
    }

    /// Notes since when runners have had slots for a whole worker too many.
    fn note_spare(&mut self, settings: &Settings, assessment: &Assessment, now: Timestamp) {
        for section in &settings.runners {
            let Some(known) = self.runners.get_mut(&section.name) else { continue };
            let demand = assessment.demands.get(&section.name);
            let is_spare = demand.is_some_and(|demand| demand.surplus() >= section.capacity);
            known.spare_since = is_spare.then(|| known.spare_since.unwrap_or(now));
        }
    }

    fn retirement<'a>(&'a mut self, settings: &'a Settings, ec2: &'a Knowledge) -> Retirement<'a> {
        let Self { now, runners, fleet, held_back, journal, .. } = self;
        Retirement { now: *now, settings, runners, fleet, journal, ec2, held_back }
    }

    fn assess(&self, settings: &Settings, now: Timestamp) -> Assessment {
        let Self { runners, queues, fleet, quarantine, cooldowns, prices, forecasts, .. } = self;
        assess(Scene { settings, runners, queues, fleet, quarantine, cooldowns, prices, forecasts }, now)
    }

    /// Deletes the runner-manager rows of workers that have ended, a few at a time.
    fn forget(&mut self, settings: &Settings, now: Timestamp) -> Vec<Command> {
        let on_the_way =
            self.fleet.ended.values().filter(|ended| ended.forget.is_on_its_way(now, FORGET_AGAIN)).count();
        let mut commands = Vec::new();
        for (id, ended) in &mut self.fleet.ended {
            if on_the_way + commands.len() >= FORGETTING_MAX {
                break;
            }
            if !ended.forget.is_due(now, FORGET_AGAIN)
                || settings.section(&ended.runner).is_none()
                || self.retries.concern(id)
            {
                continue;
            }
            ended.forget = Attempt::Asked(now);
            let system_id = super::ids::SystemId::of(id);
            commands.push(Command::Forget { worker: id.clone(), runner: ended.runner.clone(), system_id });
        }
        commands
    }
}
