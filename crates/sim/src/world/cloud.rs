//! EC2: launches, listings, terminations. What a listing shows is older than the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::event_log::{Ending, Fact, Killer, LaunchTruth};
use crate::prices;
use crate::rng::Stream;
use crate::scenario::boot_time;
use runner_fleet_engine::{
    ConfigHash, EndedBy, Event, Health, Instance, InstanceState, InstanceType, JobId, Launch, LaunchAnswer,
    LaunchError, LaunchErrorClass, LaunchReason, LaunchToken, LaunchedWorker, Leftover, Market, Offering, Phase,
    RunnerName, StateReason, Termination, WorkerId, Zone,
};

use super::agenda::{Happening, Stage};
use super::gitlab::may_take;
use super::host::Host;
use super::{World, failures, later};

/// A launch that got no answer is given up after this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// EC2 shows an ended instance for about an hour.
const SHOWN_AFTER_END: SignedDuration = SignedDuration::from_hours(1);
/// In a lean world for so long: the manager has seen the end by then, and learns nothing from the rest of the hour.
const SHOWN_AFTER_END_LEAN: Duration = Duration::from_secs(120);
/// How long after a host's death the status checks say `impaired`.
const IMPAIRED_AFTER: SignedDuration = SignedDuration::from_secs(120);
/// How far back a job counts as a reason for a launch: a decision may rest on an older poll of the queue.
const REASON_WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// How long a connection must have been up before its worker is known to serve.
const STEADY: SignedDuration = SignedDuration::from_secs(60);

/// EC2's state.
#[derive(Clone, Debug, Default)]
pub(super) struct Cloud {
    pub(super) machines: BTreeMap<WorkerId, Machine>,
    /// Put away: in a lean world those that no listing shows any more.
    pub(super) past: Vec<(WorkerId, Machine)>,
    /// What each token was used for, and what was answered.
    tokens: BTreeMap<LaunchToken, (Launch, LaunchAnswer)>,
    /// When the newest listing that the manager has heard was asked for.
    shown_since: Option<Timestamp>,
}

/// An instance, as EC2 knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// The tag `runner-fleet:runner`.
    pub runner: RunnerName,
    /// The tag `runner-fleet:config`.
    pub config: ConfigHash,
    /// The tag `runner-fleet:launch`.
    pub launch: LaunchToken,
    /// Which offering it is.
    pub offering: Offering,
    /// When it was created.
    pub launched_at: Timestamp,
    /// Since when it is `running`.
    pub running_at: Option<Timestamp>,
    /// Since when its runner takes jobs.
    pub served_at: Option<Timestamp>,
    /// Why it ended or is ending.
    pub ending: Option<Ending>,
    /// When it began to end.
    pub ended_at: Option<Timestamp>,
    /// Since when it is `terminated`.
    pub gone_at: Option<Timestamp>,
    /// When its host died.
    pub died_at: Option<Timestamp>,
    /// Whether a person holds it.
    pub hold: bool,
    /// Whether the manager has been shown that.
    pub hold_shown: bool,
    address: IpAddr,
}

impl Machine {
    /// Its state as of a time; `None` before it existed.
    fn state_at(&self, at: Timestamp) -> Option<InstanceState> {
        let since = |event: Option<Timestamp>| event.is_some_and(|event| event <= at);
        if at < self.launched_at {
            None
        } else if since(self.gone_at) {
            Some(InstanceState::Terminated)
        } else if since(self.ended_at) {
            Some(InstanceState::ShuttingDown)
        } else if since(self.running_at) {
            Some(InstanceState::Running)
        } else {
            Some(InstanceState::Pending)
        }
    }

    /// When it began to end, as EC2 tells it: to the second, and not of an interruption.
    fn end_told(&self) -> Option<Timestamp> {
        let told = matches!(self.ending, Some(Ending::Terminated | Ending::PoweredOff));
        self.ended_at.filter(|_| told).and_then(|at| Timestamp::from_second(at.as_second()).ok())
    }

    /// What it has cost until `now`, in USD: on its market, and what the same time would have cost on demand. `price_seed` as
    /// in [`super::Scenario::price_seed`].
    pub fn cost(&self, now: Timestamp, price_seed: Option<u64>) -> (f64, f64) {
        let until = self.ended_at.unwrap_or(now);
        let of =
            |market| prices::bill(price_seed, &Offering { market, ..self.offering.clone() }, self.launched_at, until);
        (of(self.offering.market), of(Market::OnDemand))
    }
}

impl Cloud {
    pub(super) fn state_changes(&mut self, worker: &WorkerId, now: Timestamp) {
        if let Some(machine) = self.machines.get_mut(worker) {
            machine.running_at.get_or_insert(now);
        }
    }

    pub(super) fn serves(&mut self, worker: &WorkerId, now: Timestamp) {
        if let Some(machine) = self.machines.get_mut(worker) {
            machine.served_at.get_or_insert(now);
        }
    }

    /// A listing that was asked for before another which has arrived shows nothing.
    pub(super) fn was_shown(&mut self, asked_at: Timestamp, instances: &[Instance]) {
        if self.shown_since.is_some_and(|since| asked_at < since) {
            return;
        }
        self.shown_since = Some(asked_at);
        for instance in instances {
            if let Some(machine) = self.machines.get_mut(&instance.id) {
                machine.hold_shown = instance.hold;
            }
        }
    }

    /// Nor does one that was asked for before somebody set the manager's clock, or that has arrived and was not yet looked
    /// at: nobody can say any more how old it is.
    pub(super) fn nothing_is_shown_before(&mut self, now: Timestamp) {
        self.forget_what_was_shown();
        self.shown_since = Some(now);
    }

    pub(super) fn forget_what_was_shown(&mut self) {
        self.shown_since = None;
        self.machines.values_mut().for_each(|machine| machine.hold_shown = false);
    }
}

impl World {
    pub(super) fn list(&mut self, with_health: bool) {
        let (incarnation, asked_at) = (self.incarnation, self.now);
        let after = self.rng.millis(Stream::Latency, 50, 400);
        self.soon(after, Happening::ReadListing { incarnation, asked_at, with_health });
    }

    pub(super) fn read_listing(&mut self, incarnation: u32, asked_at: Timestamp, with_health: bool) {
        self.log.call("ec2 list");
        let latency = self.rng.millis(Stream::Latency, 50, 400);
        let listing = if self.strikes(Stream::Answers, |faults| faults.listing_fails) {
            let failures = [failures::limit_exceeded, failures::cut_listing];
            let failure = failures.get(self.rng.pick(Stream::Answers, failures.len()));
            Err(failure.map_or_else(failures::limit_exceeded, |failure| failure()))
        } else {
            Ok(self.listing(with_health))
        };
        self.answer(incarnation, latency, Event::Instances { asked_at, listing });
    }

    fn listing(&mut self, with_health: bool) -> Vec<Instance> {
        let (now, consistency) = (self.now, self.scenario.consistency);
        let mut listing = Vec::new();
        for (id, machine) in &self.cloud.machines {
            if machine.gone_at.is_some_and(|gone| now.duration_since(gone) > SHOWN_AFTER_END) {
                continue;
            }
            let lag = self.rng.between(Stream::Latency, Duration::ZERO, consistency);
            let seen_at = now.saturating_sub(lag).unwrap_or(now);
            let Some(state) = machine.state_at(seen_at) else { continue };
            let impaired = machine.died_at.is_some_and(|died| now.duration_since(died) > IMPAIRED_AFTER);
            listing.push(Instance {
                id: id.clone(),
                runner: machine.runner.clone(),
                config: machine.config.clone(),
                launch: Some(machine.launch.clone()),
                state,
                state_reason: machine.ending.filter(|_| state.is_ending()).map(state_reason),
                launched_at: machine.launched_at,
                ended_at: machine.end_told().filter(|_| state.is_ending()),
                instance_type: machine.offering.instance_type.clone(),
                zone: machine.offering.zone.clone(),
                market: machine.offering.market,
                address: (state != InstanceState::Terminated).then_some(machine.address),
                hold: machine.hold,
                health: match (with_health, impaired) {
                    (false, _) => Health::Unknown,
                    (true, true) => Health::Impaired,
                    (true, false) => Health::Ok,
                },
            });
        }
        listing
    }

    pub(super) fn send_launch(&mut self, launch: Launch) {
        let incarnation = self.incarnation;
        let after = self.rng.millis(Stream::Latency, 50, 300);
        self.soon(after, Happening::ReadLaunch { incarnation, launch: Box::new(launch) });
    }

    /// EC2 reads a CreateFleet call.
    pub(super) fn read_launch(&mut self, incarnation: u32, launch: Launch) {
        self.log.call("ec2 launch");
        let (token, runner) = (launch.token.clone(), launch.runner.clone());
        let latency = self.rng.millis(Stream::Latency, 800, 3_000);
        let unanswered = self.strikes(Stream::Answers, |faults| faults.launch_unanswered);
        if unanswered && self.rng.chance(Stream::Answers, 0.5) {
            self.log.note(self.now, Fact::Fault("a launch is lost", None));
            return self.answer(incarnation, ANSWER_TIMEOUT, Event::Launched { token, answer: no_answer() });
        }
        let answer = if self.strikes(Stream::Admin, |faults| faults.launch_refused) {
            self.log.note(self.now, Fact::Fault("a launch is refused", None));
            if self.rng.chance(Stream::Admin, 0.5) {
                refusal(LaunchErrorClass::Denied, "UnauthorizedOperation", "You are not authorized.")
            } else {
                refusal(LaunchErrorClass::Invalid, "InvalidLaunchTemplateName.NotFoundException", "No such template.")
            }
        } else if self.strikes(Stream::Market, |faults| faults.throttled) {
            self.log.note(self.now, Fact::Fault("a launch is throttled", None));
            refusal(LaunchErrorClass::Slow, "RequestLimitExceeded", "Request limit exceeded.")
        } else {
            self.launch(launch)
        };
        if answer.errors.iter().any(|error| error.class == LaunchErrorClass::Invalid) {
            self.prepare_again(&runner);
        }
        if unanswered {
            self.log.note(self.now, Fact::Fault("the answer to a launch is lost", None));
            return self.answer(incarnation, ANSWER_TIMEOUT, Event::Launched { token, answer: no_answer() });
        }
        self.answer(incarnation, latency, Event::Launched { token, answer });
    }

    fn launch(&mut self, launch: Launch) -> LaunchAnswer {
        if let Some((earlier, answer)) = self.cloud.tokens.get(&launch.token) {
            if !is_same_request(earlier, &launch) {
                let message = "The request uses the same client token as a previous, but non-identical request.";
                return refusal(LaunchErrorClass::Invalid, "IdempotentParameterMismatch", message);
            }
            let answer = answer.clone();
            self.note_launch(&launch, 0);
            return answer;
        }
        if let Some((code, message)) = self.missing_for(&launch) {
            return refusal(LaunchErrorClass::Invalid, code, message);
        }
        let mut open = launch.offerings.clone();
        let mut answer = LaunchAnswer { launched: Vec::new(), errors: Vec::new(), leftover: Leftover::None };
        let refused: BTreeSet<Offering> =
            open.iter().filter(|_| self.strikes(Stream::Market, |faults| faults.no_capacity)).cloned().collect();
        open.retain(|offering| {
            let error = self.strikes(Stream::Admin, |faults| faults.offering_fails).then(|| self.other_error(offering));
            answer.errors.extend(error.iter().cloned());
            error.is_none()
        });
        while answer.launched.len() < launch.count as usize {
            open.retain(|offering| {
                let gives = !refused.contains(offering) && self.has_room(offering);
                if !gives {
                    answer.errors.push(no_capacity(offering));
                }
                gives
            });
            let Some(offering) = self.choose(&open, launch.market) else { break };
            answer.launched.push(self.create(&launch, offering));
        }
        self.cloud.tokens.insert(launch.token.clone(), (launch.clone(), answer.clone()));
        self.note_launch(&launch, answer.launched.len() as u32);
        answer
    }

    /// What may be wrong with an offering beside its capacity.
    fn other_error(&mut self, offering: &Offering) -> LaunchError {
        let (class, code) = if self.rng.chance(Stream::Admin, 0.5) {
            (LaunchErrorClass::Subnet, "InsufficientFreeAddressesInSubnet")
        } else {
            (LaunchErrorClass::Quota, "MaxSpotInstanceCountExceeded")
        };
        LaunchError { offering: Some(offering.clone()), class, code: code.into(), message: String::new() }
    }

    /// On demand: the first in order. Spot: some chance among the cheapest, as `price-capacity-optimized` has it.
    fn choose(&mut self, open: &[Offering], market: Market) -> Option<Offering> {
        match market {
            Market::OnDemand => open.first().cloned(),
            Market::Spot => {
                let mut ranked = prices::cheapest_first(self.scenario.price_seed, open, self.now);
                ranked.truncate(3);
                let index = self.rng.pick(Stream::Market, ranked.len());
                ranked.get(index).cloned()
            }
        }
    }

    fn has_room(&self, offering: &Offering) -> bool {
        let since = self.since_start();
        self.scenario.shortages.iter().filter(|shortage| shortage.from <= since && since < shortage.until).all(
            |shortage| {
                let concerns = |other: &Offering| {
                    shortage.market.is_none_or(|market| market == other.market)
                        && shortage.instance_type.as_ref().is_none_or(|wanted| *wanted == other.instance_type)
                        && shortage.zone.as_ref().is_none_or(|zone| *zone == other.zone)
                };
                let taken = self.live().filter(|(_, machine)| concerns(&machine.offering)).count();
                !concerns(offering) || taken < shortage.room as usize
            },
        )
    }

    fn create(&mut self, launch: &Launch, offering: Offering) -> LaunchedWorker {
        let number = (self.cloud.past.len() + self.cloud.machines.len()) as u32 + 1;
        let id = WorkerId::new(format!("i-{number:017x}"));
        let launched = LaunchedWorker {
            id: id.clone(),
            instance_type: InstanceType::new(offering.instance_type.as_str()),
            zone: Zone::new(offering.zone.as_str()),
            market: offering.market,
        };
        self.log.note(self.now, Fact::Launched(id.clone(), offering.market));
        let machine = Machine {
            runner: launch.runner.clone(),
            config: launch.config.clone(),
            launch: launch.token.clone(),
            offering,
            launched_at: self.now,
            running_at: None,
            served_at: None,
            ending: None,
            ended_at: None,
            gone_at: None,
            died_at: None,
            hold: false,
            hold_shown: false,
            address: IpAddr::V4(Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + number)),
        };
        let settings = self.scenario.settings.section(&launch.runner);
        let (max_jobs, capacity) = settings.map_or((0, 1), |runner| (runner.max_jobs, runner.capacity));
        self.cloud.machines.insert(id.clone(), machine);
        let mut host = Host::new(launch.runner.clone(), max_jobs, capacity, self.now);
        host.orphan_timeout = settings.map_or(host.orphan_timeout, |runner| runner.orphan_timeout);
        let orphan_timeout = host.orphan_timeout;
        self.hosts.insert(id.clone(), host);
        self.plan_boot(&id);
        self.plan_troubles(&id, launched.market);
        self.plan_lies(&id);
        self.soon(orphan_timeout, Happening::OrphanCheck(id));
        launched
    }

    fn plan_boot(&mut self, worker: &WorkerId) {
        let mut whole = boot_time(self.scenario.boot, self.rng.unit(Stream::Boot));
        if self.strikes(Stream::Boot, |faults| faults.boot_slow) {
            self.log.note(self.now, Fact::Fault("a boot is slow", Some(worker.clone())));
            whole = whole.mul_f64(3.0 + 3.0 * self.rng.unit(Stream::Boot));
        }
        let hangs = self.strikes(Stream::Boot, |faults| faults.boot_hangs);
        let fails = self.strikes(Stream::Boot, |faults| faults.boot_fails);
        if self.strikes(Stream::Boot, |faults| faults.wrong_host_key) {
            self.log.note(self.now, Fact::Fault("a wrong host key", Some(worker.clone())));
            if let Some(host) = self.hosts.get_mut(worker) {
                host.wrong_key = true;
            }
        }
        let mut stages = vec![
            (0.15, Stage::Running),
            (0.40, Stage::Sshd),
            (0.45, Stage::Step("installing docker")),
            (0.80, Stage::Step("installing gitlab-runner")),
            (1.00, if fails { Stage::Failed } else { Stage::Ready }),
        ];
        if hangs {
            self.log.note(self.now, Fact::Fault("a boot hangs", Some(worker.clone())));
            let reached = 1 + self.rng.pick(Stream::Boot, stages.len() - 1);
            stages.truncate(reached);
            // A machine whose system never comes up fails EC2's reachability check, as one whose host has died.
            if reached == 1
                && let Some(machine) = self.cloud.machines.get_mut(worker)
            {
                machine.died_at = Some(self.now);
            }
        } else if fails {
            self.log.note(self.now, Fact::Fault("a boot fails", Some(worker.clone())));
        }
        for (share, stage) in stages {
            self.soon(whole.mul_f64(share), Happening::Boots { worker: worker.clone(), stage });
        }
    }

    /// Notes how the launch stands to the jobs and limits of this moment.
    fn note_launch(&mut self, launch: &Launch, created: u32) {
        if self.scenario.lean {
            return;
        }
        let capacity = |name: &RunnerName| self.least_capacity(name);
        let live = self.live().filter(|(_, machine)| machine.runner == launch.runner).count() as u32;
        let slots = self.live().map(|(_, machine)| capacity(&machine.runner)).sum();
        let useful =
            self.live().filter(|(id, m)| m.runner == launch.runner && self.is_surely_useful(id, m)).count() as u32;
        // What was decided minutes ago is repeated for the sake of its answer: the jobs of that time explain it.
        let repeated =
            if launch.reason == LaunchReason::LaunchUnanswered { launch.count * capacity(&launch.runner) } else { 0 };
        let truth = LaunchTruth {
            runner: launch.runner.clone(),
            asked: launch.count,
            created,
            live,
            slots,
            useful_slots: useful * capacity(&launch.runner),
            jobs: self.jobs_for(&launch.runner)
                + repeated
                + self.successors(&launch.runner, live) * capacity(&launch.runner),
            bounds: self.bounds(&launch.runner),
        };
        self.log.note(self.now, Fact::LaunchRead(truth));
    }

    /// Workers that may stand beside those which they replace: one for each outdated one, a tenth of all at one time.
    fn successors(&self, runner: &RunnerName, live: u32) -> u32 {
        let wants = self.scenario.plans.get(runner).map(|plan| &plan.config);
        let section = self.scenario.settings.section(runner);
        let is_outdated = |machine: &Machine| {
            let too_old = section.is_some_and(|section| self.now >= later(machine.launched_at, section.max_age));
            too_old || wants.is_some_and(|wants| *wants != machine.config)
        };
        let outdated =
            self.live().filter(|(_, machine)| machine.runner == *runner && is_outdated(machine)).count() as u32;
        outdated.min((live / 10).max(1))
    }

    /// Whether the manager, had it looked at everything, would know that this one serves or is coming.
    fn is_surely_useful(&self, id: &WorkerId, machine: &Machine) -> bool {
        let Some(host) = self.hosts.get(id).filter(|host| host.is_useful() && host.is_counted_on() && !machine.hold)
        else {
            return false;
        };
        let settings = self.scenario.settings.section(&machine.runner);
        let patience = settings.map(|runner| runner.boot_timeout).unwrap_or_default();
        let is_young = self.now < later(machine.launched_at, patience);
        match host.phase {
            // One that has booted and not begun to serve by its deadline is being given up.
            Phase::Ready if host.runner_state == runner_fleet_engine::RunnerState::Absent && !is_young => false,
            Phase::Ready => host.connection.is_up_since(self.now.saturating_sub(STEADY).unwrap_or(self.now)),
            Phase::Booting { .. } => is_young && (host.connection.is_fresh() || host.connection.is_up()),
            Phase::Failed { .. } => false,
        }
    }

    /// The jobs that explain workers of this runner: those that it may take, and those that its workers make up.
    fn jobs_for(&self, runner: &RunnerName) -> u32 {
        let Some(facts) = self.scenario.facts.get(runner) else { return 0 };
        let counts = |(_, job): &(JobId, &super::Job)| {
            let recent = job.ended_at.is_none_or(|ended| self.now.duration_since(ended) < REASON_WINDOW);
            recent && may_take(facts, &job.spec)
        };
        let count = self.jobs().filter(counts).count() as u32;
        let liars = self.hosts.values().filter(|host| host.runner == *runner);
        liars.fold(count, |count, host| count.saturating_add(host.jobs_made_up(self.scenario.settings.concurrent)))
    }

    pub(super) fn send_terminate(&mut self, all: Vec<Termination>) {
        for one in &all {
            self.note_touch("terminate", &one.worker, Some(one.reason.clone().into()));
            self.tell_to_go(&one.worker, true);
        }
        let incarnation = self.incarnation;
        let after = self.rng.millis(Stream::Latency, 50, 300);
        self.soon(after, Happening::ReadTerminate { incarnation, all });
    }

    pub(super) fn read_terminate(&mut self, incarnation: u32, all: Vec<Termination>) {
        self.log.call("ec2 terminate");
        for Termination { worker, reason } in &all {
            if !self.scenario.lean {
                let truth = self.touch(worker, Some(reason.clone().into()));
                self.log.note(self.now, Fact::TerminateRead(truth));
            }
        }
        let workers: Vec<WorkerId> = all.into_iter().map(|one| one.worker).collect();
        if self.strikes(Stream::Market, |faults| faults.terminate_fails) {
            let latency = self.rng.millis(Stream::Latency, 100, 500);
            let failure = failures::limit_exceeded();
            return self.answer(incarnation, latency, Event::TerminateFailed { workers, failure });
        }
        for worker in workers {
            self.instance_ends(&worker, Ending::Terminated, Killer::Terminate);
        }
    }

    /// The instance begins to end, with all that runs on it.
    pub(super) fn instance_ends(&mut self, worker: &WorkerId, ending: Ending, killer: Killer) {
        let now = self.now;
        let Some(machine) = self.cloud.machines.get_mut(worker).filter(|machine| machine.ending.is_none()) else {
            return;
        };
        machine.ending = Some(ending);
        machine.ended_at = Some(now);
        self.log.note(now, Fact::Ended(worker.clone(), ending));
        self.host_ends(worker, killer);
        let after = self.rng.millis(Stream::Latency, 15_000, 60_000);
        self.soon(after, Happening::Gone(worker.clone()));
    }

    pub(super) fn instance_gone(&mut self, worker: &WorkerId) {
        let now = self.now;
        if let Some(machine) = self.cloud.machines.get_mut(worker) {
            machine.gone_at = Some(now);
        }
        if self.scenario.lean {
            self.soon(SHOWN_AFTER_END_LEAN, Happening::PutAway(worker.clone()));
        }
    }

    /// Nobody sees or asks for it any more.
    pub(super) fn put_away(&mut self, worker: &WorkerId) {
        self.hosts.remove(worker);
        if let Some((id, machine)) = self.cloud.machines.remove_entry(worker) {
            self.cloud.tokens.remove(&machine.launch);
            self.cloud.past.push((id, machine));
        }
    }

    /// It shuts itself down, which terminates it.
    pub(super) fn powers_off(&mut self, worker: &WorkerId) {
        self.instance_ends(worker, Ending::PoweredOff, Killer::RunnerCrash);
    }
}

/// Whether EC2 would take the second for a repetition of the first: the reason is no part of a request.
fn is_same_request(one: &Launch, other: &Launch) -> bool {
    Launch { reason: other.reason.clone(), ..one.clone() } == *other
}

fn state_reason(ending: Ending) -> StateReason {
    let (by, code) = match ending {
        Ending::Terminated => (EndedBy::Us, "Client.UserInitiatedShutdown"),
        Ending::Interrupted => (EndedBy::Ec2, "Server.SpotInstanceTermination"),
        Ending::PoweredOff => (EndedBy::Us, "Client.InstanceInitiatedShutdown"),
    };
    StateReason { by, code: code.to_owned() }
}

fn no_capacity(offering: &Offering) -> LaunchError {
    LaunchError {
        offering: Some(offering.clone()),
        class: LaunchErrorClass::Capacity,
        code: "InsufficientInstanceCapacity".into(),
        message: format!(
            "We currently do not have sufficient {} capacity in {}.",
            offering.instance_type, offering.zone
        ),
    }
}

fn refusal(class: LaunchErrorClass, code: &str, message: &str) -> LaunchAnswer {
    let error = LaunchError { offering: None, class, code: code.to_owned(), message: message.to_owned() };
    LaunchAnswer { launched: Vec::new(), errors: vec![error], leftover: Leftover::None }
}

fn no_answer() -> LaunchAnswer {
    let mut answer = refusal(LaunchErrorClass::Slow, "RequestTimeout", "no answer within 30 s");
    answer.leftover = Leftover::Possible;
    answer
}
