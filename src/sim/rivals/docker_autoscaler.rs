//! docker-autoscaler: gitlab-runner's executor with taskscaler and the fleeting plugin for an Auto Scaling group.
//!
//! An approximation: taskscaler's inner loops are followed in what they decide, not in how. Sources: gitlab-runner
//! `executors/internal/autoscaler/provider.go`, `common/config.go` and `docs/configuration/advanced-configuration.md`
//! (`idle_count` counts jobs, `idle_time` from the last job's end, `preemptive_mode` = `idle_count > 0`,
//! `instance_acquire_timeout` 15 min), the inputs that its log line "required scaling change" names.
//!
//! The rules that matter: `Reserve` before every poll, so with a preemptive mode no job is asked for unless a slot is ready;
//! wanted instances = (slots acquired, reserved or waited for + `idle_count`) / capacity, whatever waits in GitLab.
//!
//! In its favour: scaling is looked at after every change at once; the group never lacks capacity and never rebalances; an
//! interrupted instance is noticed the moment it ends; idle instances go the second their time is over.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::sim::assumptions::Assumptions;
use crate::sim::configured::Setting;
use crate::sim::dice::Stream;
use crate::sim::tape::{Fate, Tape};

use super::ground::{Ground, MachineIndex, RunIndex};

/// GitLab holds a job request for so long.
const LONG_POLL: Duration = Duration::from_secs(50);
/// A job that was taken waits for an instance for so long.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// `[runners.autoscaler]`, as far as it decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DockerAutoscaler {
    /// Job slots kept idle.
    pub idle_count: u32,
    /// How long an instance above that stays.
    pub idle_time: Duration,
    /// Jobs at one time on one instance.
    pub capacity: u32,
    /// Instances at most; 0: no limit.
    pub max_instances: u32,
    /// Jobs at one time.
    pub concurrent: u32,
}

impl DockerAutoscaler {
    /// Runs the workload.
    pub fn run(&self, setting: &Setting, assumed: &Assumptions, seed: u64) -> Tape {
        let mut model = Model {
            policy: Self { capacity: self.capacity.max(1), ..*self },
            check_interval: setting.scenario.settings.check_interval,
            delay: assumed.group_delay,
            ready: assumed.group_ready,
            ground: Ground::new(setting, seed),
            instances: Vec::new(),
            coming: 0,
            poll: None,
            polls: 0,
            waiting: VecDeque::new(),
        };
        model.plan_arrival();
        model.ground.soon(Duration::ZERO, What::Feed);
        model.scale();
        while let Some(what) = model.ground.next() {
            model.happen(what);
        }
        model.ground.tape
    }
}

enum What {
    Arrives,
    Feed,
    HandOut { poll: u64 },
    PollEnds { poll: u64 },
    Launches,
    Ready { instance: MachineIndex },
    JobEnds { instance: MachineIndex, run: RunIndex },
    IdleOver { instance: MachineIndex },
    GivesUp { run: RunIndex },
    Reclaimed { instance: MachineIndex },
    Requeued { run: RunIndex },
}

struct Instance {
    index: MachineIndex,
    ready: bool,
    runs: Vec<RunIndex>,
    idle_since: Timestamp,
}

/// The open job request; it holds a reserved slot.
struct Poll {
    number: u64,
    answered: bool,
}

struct Model<'a> {
    policy: DockerAutoscaler,
    check_interval: Duration,
    delay: (Duration, Duration),
    ready: (Duration, Duration),
    ground: Ground<'a, What>,
    /// Those that EC2 has launched and not ended.
    instances: Vec<Instance>,
    /// Asked of the group and not launched yet.
    coming: u32,
    poll: Option<Poll>,
    polls: u64,
    /// Jobs that were taken and have no slot yet.
    waiting: VecDeque<RunIndex>,
}

impl Model<'_> {
    fn happen(&mut self, what: What) {
        match what {
            What::Arrives => {
                self.ground.arrive();
                self.plan_arrival();
                self.plan_hand_out();
            }
            What::Feed => self.feed(),
            What::HandOut { poll } => self.hand_out(poll),
            What::PollEnds { poll } => {
                if self.poll.as_ref().is_some_and(|open| open.number == poll && !open.answered) {
                    self.poll = None;
                    self.scale();
                    self.ground.soon(self.check_interval, What::Feed);
                }
            }
            What::Launches => self.launches(),
            What::Ready { instance } => {
                let now = self.ground.now;
                if let Some(one) = self.instance_mut(instance) {
                    one.ready = true;
                    one.idle_since = now;
                    self.ground.ready(instance);
                    self.slot_is_free(instance);
                }
            }
            What::JobEnds { instance, run } => self.job_ends(instance, run),
            What::IdleOver { instance } => self.shrink(instance),
            What::GivesUp { run } => {
                if let Some(at) = self.waiting.iter().position(|waiting| *waiting == run) {
                    self.waiting.remove(at);
                    self.over(run, Fate::NoMachine);
                    self.scale();
                }
            }
            What::Reclaimed { instance } => self.reclaimed(instance),
            What::Requeued { run } => {
                self.ground.requeue(run);
                self.plan_hand_out();
            }
        }
    }

    fn plan_arrival(&mut self) {
        if let Some(at) = self.ground.next_arrival() {
            self.ground.agenda.put(at, What::Arrives);
        }
    }

    fn instance_mut(&mut self, instance: MachineIndex) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|one| one.index == instance)
    }

    /// Jobs that run or wait for a slot.
    fn taken(&self) -> u32 {
        let running: usize = self.instances.iter().map(|one| one.runs.len()).sum();
        (running + self.waiting.len()) as u32
    }

    /// Slots that are ready and hold nothing.
    fn free(&self) -> u32 {
        let slots: u32 = self
            .instances
            .iter()
            .filter(|one| one.ready)
            .map(|one| self.policy.capacity.saturating_sub(one.runs.len() as u32))
            .sum();
        slots.saturating_sub(self.waiting.len() as u32)
    }

    fn is_preemptive(&self) -> bool {
        self.policy.idle_count > 0
    }

    fn feed(&mut self) {
        if self.poll.is_some() {
            return;
        }
        let full = self.taken() >= self.policy.concurrent;
        if full || (self.is_preemptive() && self.free() == 0) {
            return self.ground.soon(self.check_interval, What::Feed);
        }
        self.polls += 1;
        self.ground.call("gitlab request", 1);
        self.poll = Some(Poll { number: self.polls, answered: false });
        self.ground.soon(LONG_POLL, What::PollEnds { poll: self.polls });
        self.plan_hand_out();
        if self.is_preemptive() {
            self.scale();
        }
    }

    fn plan_hand_out(&mut self) {
        if self.ground.queue.is_empty() {
            return;
        }
        if let Some(poll) = self.poll.as_mut().filter(|poll| !poll.answered) {
            poll.answered = true;
            let number = poll.number;
            let after = self.ground.dice.millis(Stream::Jobs, 20, 400);
            self.ground.soon(after, What::HandOut { poll: number });
        }
    }

    fn hand_out(&mut self, number: u64) {
        if self.poll.as_ref().is_none_or(|poll| poll.number != number) {
            return;
        }
        self.poll = None;
        let Some(run) = self.ground.queue.pop_front() else { return };
        self.waiting.push_back(run);
        self.ground.soon(ACQUIRE_TIMEOUT, What::GivesUp { run });
        self.assign();
        self.scale();
        self.ground.soon(Duration::ZERO, What::Feed);
    }

    /// Jobs that were taken go to the fullest instance with a free slot.
    fn assign(&mut self) {
        while let Some(run) = self.waiting.front().copied() {
            let capacity = self.policy.capacity as usize;
            let open = self.instances.iter_mut().filter(|one| one.ready && one.runs.len() < capacity);
            let Some(one) = open.max_by_key(|one| one.runs.len()) else { return };
            one.runs.push(run);
            let instance = one.index;
            self.waiting.pop_front();
            let after = self.ground.begin(run, instance, Duration::ZERO);
            self.ground.soon(after, What::JobEnds { instance, run });
        }
    }

    fn slot_is_free(&mut self, instance: MachineIndex) {
        self.assign();
        if self.instance_mut(instance).is_some_and(|one| one.runs.is_empty()) {
            self.ground.soon(self.policy.idle_time, What::IdleOver { instance });
        }
        self.scale();
    }

    /// Instances wanted: for what is taken or reserved, and the idle slots.
    fn wanted(&self) -> u32 {
        let reserved = u32::from(self.poll.is_some() && self.is_preemptive());
        let wanted = (self.taken() + reserved + self.policy.idle_count).div_ceil(self.policy.capacity);
        if self.policy.max_instances > 0 { wanted.min(self.policy.max_instances) } else { wanted }
    }

    /// Asks the group for what is missing.
    fn scale(&mut self) {
        let there = self.instances.len() as u32 + self.coming;
        let missing = self.wanted().saturating_sub(there);
        if missing > 0 {
            self.ground.call("ec2 set desired capacity", 1);
        }
        for _ in 0..missing {
            self.coming += 1;
            let after = self.ground.dice.between(Stream::Latency, self.delay.0, self.delay.1);
            self.ground.soon(after, What::Launches);
        }
    }

    fn launches(&mut self) {
        self.coming = self.coming.saturating_sub(1);
        let Some(offering) = self.ground.any_offering() else { return };
        let (instance, boot) = self.ground.create(offering, self.policy.capacity);
        let seen = self.ground.dice.between(Stream::Latency, self.ready.0, self.ready.1);
        // The plugin asks twice every two seconds while it expects an instance; several share the answers.
        self.ground.call("ec2 describe", (boot + seen).as_secs() / 4);
        let idle_since = self.ground.now;
        self.instances.push(Instance { index: instance, ready: false, runs: Vec::new(), idle_since });
        self.ground.soon(boot + seen, What::Ready { instance });
        if let Some(after) = self.ground.interruption() {
            self.ground.soon(after, What::Reclaimed { instance });
        }
    }

    fn job_ends(&mut self, instance: MachineIndex, run: RunIndex) {
        let now = self.ground.now;
        let Some(one) = self.instance_mut(instance) else { return };
        let Some(at) = one.runs.iter().position(|running| *running == run) else { return };
        one.runs.remove(at);
        one.idle_since = now;
        self.over(run, Fate::Done);
        self.slot_is_free(instance);
    }

    fn over(&mut self, run: RunIndex, fate: Fate) {
        if self.ground.finish(run, fate) {
            let after = Ground::<What>::retry_after();
            self.ground.soon(after, What::Requeued { run });
        }
    }

    /// An instance that has been idle for its time goes, unless it is wanted; then it is looked at again.
    fn shrink(&mut self, instance: MachineIndex) {
        let (now, idle_time) = (self.ground.now, self.policy.idle_time);
        let spare = (self.instances.len() as u32 + self.coming) > self.wanted();
        let Some(one) = self.instance_mut(instance).filter(|one| one.ready && one.runs.is_empty()) else { return };
        let idle: Duration = now.duration_since(one.idle_since).try_into().unwrap_or_default();
        if idle < idle_time {
            return;
        }
        if spare {
            self.ground.call("ec2 terminate", 1);
            self.ground.ended(instance, false);
            self.instances.retain(|one| one.index != instance);
        } else {
            self.ground.soon(Duration::from_secs(60), What::IdleOver { instance });
        }
    }

    fn reclaimed(&mut self, instance: MachineIndex) {
        let Some(at) = self.instances.iter().position(|one| one.index == instance) else { return };
        let gone = self.instances.remove(at);
        self.ground.ended(instance, true);
        for run in gone.runs {
            self.over(run, Fate::Lost);
        }
        self.scale();
    }
}
