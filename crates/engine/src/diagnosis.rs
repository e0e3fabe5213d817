//! Looks at all that is known for what is wrong with it. Nothing here decides.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::demand::Demand;
use super::failure::FailureClass;
use super::held_back::HeldBack;
use super::ids::RunnerName;
use super::job::Knowledge;
use super::note::{Note, NoteKind};
use super::runner::Runner;
use super::settings::{RunnerSettings, Settings};
use super::state::Engine;
use super::time::since;
use super::troubles::{Change, Look, Sign};
use super::verdict::{CeilingKey, Severity, Trouble, TroubleReason};
use super::waits::JobReason;
use super::why;
use super::workers::WorkerStatus;

/// From when on a silent worker is more than one that restarts.
const SILENT_FOR: Duration = Duration::from_secs(5 * 60);
/// So many at once, if they are half of all, are no bad hosts: the way to them is cut, or what they were made from is bad.
const MANY: u32 = 3;

impl Engine {
    /// Looks for what is wrong, if it is time, and tells the log what is new of it.
    pub(super) fn look_for_troubles(&mut self, now: Timestamp) {
        if !self.troubles.is_due(now) {
            return;
        }
        let look = look(self, now);
        for change in self.troubles.take(now, look) {
            self.journal.tell(told(change));
        }
    }
}

fn told(change: Change) -> Note {
    let (kind, trouble) = match change {
        Change::Began(trouble) => (NoteKind::TroubleBegan, trouble),
        Change::Worse(trouble) => (NoteKind::TroubleWorse, trouble),
        Change::Over(trouble) => (NoteKind::TroubleOver, trouble),
    };
    let text = if kind == NoteKind::TroubleOver {
        format!("no trouble any more: {trouble}")
    } else {
        format!("{}: {trouble}; {}", trouble.severity.as_str(), trouble.advice)
    };
    let Trouble { severity, runner, reason, .. } = trouble;
    Note { runner, trouble: Some((severity, reason.reason.kind())), ..Note::new(kind, text) }
}

/// All that is wrong now.
fn look(engine: &Engine, now: Timestamp) -> Look {
    let mut look = Look::default();
    let Some(settings) = &engine.settings else { return look };
    let ec2 = engine.listing.knowledge(now);
    of_all(engine, settings, &ec2, now, &mut look);
    for section in &settings.runners {
        let known = engine.runners.get(&section.name);
        let (Some(known), Some(demand)) = (known, engine.assessment.demands.get(&section.name)) else { continue };
        if !demand.queue.is_known() || !ec2.is_known() {
            look.unsure.insert(section.name.clone());
        }
        One { engine, section, known, demand, now }.look(&mut look);
    }
    waits(engine, settings, &mut look);
    workers(engine, now, &mut look);
    look
}

/// What concerns all runners, or a whole server.
fn of_all(engine: &Engine, settings: &Settings, ec2: &Knowledge, now: Timestamp, look: &mut Look) {
    let demands =
        settings.runners.iter().map(|section| engine.assessment.demands.get(&section.name)?.jobs_waiting(section));
    let jobs_waiting: Option<u32> = demands.sum();
    let mut add =
        |severity, jobs_waiting, reason| look.signs.push(Sign { severity, runner: None, jobs_waiting, reason });
    if !ec2.is_known() {
        add(Severity::Critical, jobs_waiting, TroubleReason::Ec2Unlisted { ec2: ec2.clone() });
    }
    if let Some((rival, is_elder)) = engine.rivals.present(&engine.mint, now) {
        let reason = TroubleReason::AnotherManager { started_at: rival.started_at, is_elder };
        add(Severity::Critical, jobs_waiting, reason);
    }
    if let Some(last) = engine.troubles.broken_law(now) {
        let reason = TroubleReason::LawsBroken { times: engine.journal.totals.laws_broken, last: last.to_owned() };
        add(Severity::Warning, jobs_waiting, reason);
    }
    let mut servers: Vec<_> = settings.runners.iter().filter(|r| r.sees_queue).collect();
    servers.sort_by_key(|section| &section.server);
    servers.dedup_by_key(|section| &section.server);
    for section in servers {
        let Some(demand) = engine.assessment.demands.get(&section.name) else { continue };
        let server = section.server.clone();
        if !demand.queue.is_known() {
            let reason = TroubleReason::QueueUnreadable { server, queue: demand.queue.clone() };
            add(Severity::Critical, None, reason);
        } else if let Some(projects @ 1..) = engine.queues.get(&section.server).map(|queue| queue.blind()) {
            add(Severity::Warning, None, TroubleReason::ProjectsBlind { server, projects });
        }
    }
}

/// One runner.
struct One<'a> {
    engine: &'a Engine,
    section: &'a RunnerSettings,
    known: &'a Runner,
    demand: &'a Demand,
    now: Timestamp,
}

impl One<'_> {
    fn look(&self, look: &mut Look) {
        let mut add = |severity, reason| {
            let (runner, jobs_waiting) = (Some(self.section.name.clone()), self.demand.jobs_waiting(self.section));
            look.signs.push(Sign { severity, runner, jobs_waiting, reason });
        };
        for (severity, reason) in self.known_of_it() {
            add(severity, reason);
        }
        if let Some(reason) = self.breaker() {
            add(self.by_demand(), reason);
        }
        if let Some((severity, reason)) = self.held_back() {
            add(severity, reason);
        }
    }

    /// Critical if jobs wait for a worker; for idle slots alone nobody is to get up.
    fn by_demand(&self) -> Severity {
        if self.demand.missing_for_jobs() > 0 { Severity::Critical } else { Severity::Warning }
    }

    /// What GitLab and EC2 said of it.
    fn known_of_it(&self) -> Vec<(Severity, TroubleReason)> {
        let One { known, now, .. } = self;
        let mut found = Vec::new();
        let severity = |known: &Knowledge| match known {
            Knowledge::Unknown { .. } => Severity::Critical,
            Knowledge::Known | Knowledge::Stale { .. } => Severity::Warning,
        };
        let facts = known.facts.knowledge(*now);
        if let Some(failure) = known.facts.failed_with(FailureClass::TokenRefused) {
            found.push((Severity::Critical, TroubleReason::TokenRefused { failure: failure.clone() }));
        } else if !facts.is_known() {
            found.push((severity(&facts), TroubleReason::FactsUnknown { facts }));
        }
        let launch_plan = known.plan.knowledge(*now);
        if !launch_plan.is_known() {
            found.push((severity(&launch_plan), TroubleReason::LaunchPlanUnknown { launch_plan }));
        }
        let end = known.facts.known().and_then(|facts| facts.token_end).filter(|end| end.is_near(*now).is_some());
        if let Some(end) = end {
            found.push((Severity::Warning, TroubleReason::TokenEnds { until: end.at, token: end.token }));
        }
        found
    }

    /// From the breaker's opening until a worker is of use again, also while one is tried.
    fn breaker(&self) -> Option<TroubleReason> {
        let known = self.known;
        let until = known.breaker_open_until(self.now);
        let (in_a_row, last) = (known.of_no_use(), known.boot_failure.clone());
        known.on_probation().then(|| {
            if known.is_unfit_rather() {
                TroubleReason::WorkersUnfit { in_a_row, last, until }
            } else {
                TroubleReason::BootsFail { in_a_row, last, until }
            }
        })
    }

    /// Why it gets no worker, where that is more than a moment's matter and not told otherwise.
    fn held_back(&self) -> Option<(Severity, TroubleReason)> {
        let held_back = self.engine.held_back.get(&self.section.name);
        let jobs_wait = self.demand.missing_for_jobs() > 0;
        let ceiling = |key, value| (Severity::Warning, TroubleReason::Ceiling { key, value });
        match held_back {
            Some(HeldBack::NoOffering { until, said }) => {
                Some((self.by_demand(), TroubleReason::NoCapacity { until: *until, said: said.clone() }))
            }
            Some(HeldBack::OverPriceCap { cheapest }) => {
                Some((self.by_demand(), TroubleReason::OverPriceCap { cheapest: cheapest.clone() }))
            }
            Some(HeldBack::Refused { until, last }) => {
                Some((self.by_demand(), TroubleReason::LaunchesRefused { until: *until, last: last.clone() }))
            }
            Some(HeldBack::Slow { until }) => Some((self.by_demand(), TroubleReason::Throttled { until: *until })),
            Some(HeldBack::Budget { spent, limit, per, until }) if jobs_wait => {
                let (spent, limit, per, until) = (*spent, *limit, *per, *until);
                Some((Severity::Warning, TroubleReason::BudgetSpent { spent, limit, per, until }))
            }
            Some(HeldBack::Paused) if jobs_wait => Some((Severity::Warning, TroubleReason::Paused)),
            Some(HeldBack::MaxWorkers { max_workers }) if jobs_wait => {
                Some(ceiling(CeilingKey::MaxWorkers, *max_workers))
            }
            Some(HeldBack::Concurrent { concurrent }) if jobs_wait => {
                Some(ceiling(CeilingKey::Concurrent, *concurrent))
            }
            // The limit takes jobs out of the demand, so that nothing seems to hold them back.
            None if self.demand.is_limited => Some(ceiling(CeilingKey::Limit, self.section.limit)),
            Some(
                HeldBack::Paused
                | HeldBack::Budget { .. }
                | HeldBack::MaxWorkers { .. }
                | HeldBack::Concurrent { .. }
                | HeldBack::AnotherManager { .. }
                | HeldBack::MaxBooting { .. }
                | HeldBack::InFlight
                | HeldBack::NoFacts { .. }
                | HeldBack::NoLaunchPlan { .. }
                | HeldBack::NoListing { .. }
                | HeldBack::Breaker { .. }
                | HeldBack::Probation { .. }
                | HeldBack::PausedInGitlab
                | HeldBack::Removed,
            )
            | None => None,
        }
    }
}

/// Jobs that wait too long.
fn waits(engine: &Engine, settings: &Settings, look: &mut Look) {
    for (runner, overdue) in why::overdue(engine) {
        let (jobs, oldest, longest) = (overdue.jobs, overdue.oldest, overdue.longest);
        let Some(section) = runner.as_ref().and_then(|runner| settings.section(runner)) else {
            let reason = TroubleReason::JobsUnmatched { jobs, oldest, longest, mismatches: overdue.mismatches() };
            look.signs.push(Sign { severity: Severity::Warning, runner: None, jobs_waiting: Some(jobs), reason });
            continue;
        };
        let Some((mostly, of_those)) = overdue.mostly() else { continue };
        // What GitLab does not hand out, nobody here can bring to run.
        let severity = if mostly == JobReason::Unassignable { Severity::Warning } else { Severity::Critical };
        let jobs_waiting = engine.assessment.demands.get(&section.name).and_then(|demand| demand.jobs_waiting(section));
        let (mostly, limit) = (Box::new(mostly), why::wait_limit(section));
        let reason = TroubleReason::JobsWait { jobs, oldest, longest, limit, mostly, of_those };
        look.signs.push(Sign { severity, runner, jobs_waiting, reason });
    }
}

/// Workers that cannot be reached, of each runner; but for those that a person holds.
fn workers(engine: &Engine, now: Timestamp, look: &mut Look) {
    let mut totals: BTreeMap<&RunnerName, u32> = BTreeMap::new();
    let mut silent: BTreeMap<&RunnerName, (u32, Timestamp, &super::ids::WorkerId)> = BTreeMap::new();
    for (id, worker) in engine.fleet.workers.iter().filter(|(_, worker)| !worker.instance.hold) {
        let runner = &worker.instance.runner;
        *totals.entry(runner).or_default() += 1;
        let Some(silent_since) = worker.silent_since(now) else { continue };
        if since(now, silent_since) < SILENT_FOR || worker.status(now) != WorkerStatus::Unreachable {
            continue;
        }
        let (count, longest, which) = silent.entry(runner).or_insert((0, silent_since, id));
        *count += 1;
        if silent_since < *longest {
            (*longest, *which) = (silent_since, id);
        }
    }
    for (runner, (workers, _, worker)) in silent {
        let of = totals.get(runner).copied().unwrap_or(workers);
        let is_many = workers >= MANY && workers.saturating_mul(2) >= of;
        let severity = if is_many { Severity::Critical } else { Severity::Warning };
        let section = engine.settings.as_ref().and_then(|settings| settings.section(runner));
        let demand = engine.assessment.demands.get(runner);
        let jobs_waiting = section.zip(demand).and_then(|(section, demand)| demand.jobs_waiting(section));
        let reason = TroubleReason::WorkersUnreachable { workers, of, worker: worker.clone() };
        look.signs.push(Sign { severity, runner: Some(runner.clone()), jobs_waiting, reason });
    }
}
