//! docker-autoscaler: gitlab-runner's executor with taskscaler and the fleeting plugin for an Auto Scaling group.
//!
//! An approximation: taskscaler's inner loops are followed in what they decide, not in how. Sources: gitlab-runner
//! `executors/internal/autoscaler/provider.go`, `common/config.go` and `docs/configuration/advanced-configuration.md`
//! (`idle_count` counts jobs, `idle_time` from the last job's end, `preemptive_mode` = `idle_count > 0` unless it is
//! written, `instance_acquire_timeout` 15 min), the inputs that its log line "required scaling change" names.
//!
//! The rules that matter: `Reserve` before every poll, so with a preemptive mode no job is asked for unless a slot is ready;
//! wanted instances = (slots acquired, reserved or waited for + `idle_count`) / capacity, whatever waits in GitLab. A
//! schedule counts as its periods.
//!
//! In its favour: scaling is looked at after every change at once; the group never lacks capacity and never rebalances; an
//! interrupted instance is noticed the moment it ends; idle instances go the second their time is over.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::assumptions::Assumptions;
use crate::configured::Setting;
use crate::recording::{JobOutcome, Recording};
use crate::rng::Stream;

use super::base::{Answer, BaseModel, MachineIndex, RunIndex};

/// How long a job that was taken waits for an instance.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Runs the jobs of a setting with one section.
pub fn docker_autoscaler(setting: &Setting, assumed: &Assumptions, seed: u64) -> Recording {
    let section = setting.scenario.settings.runners.first();
    let mut model = Model {
        capacity: section.map_or(1, |section| section.capacity.max(1)),
        max_instances: section.map_or(0, |section| section.max_workers),
        concurrent: setting.scenario.settings.concurrent,
        check_interval: setting.scenario.settings.check_interval,
        delay: assumed.group_delay,
        ready: assumed.group_ready,
        preemptive: assumed.preemptive,
        base: BaseModel::new(setting, assumed, seed),
        instances: Vec::new(),
        coming: 0,
        waiting: VecDeque::new(),
    };
    model.plan_arrival();
    model.base.soon(Duration::ZERO, What::Round);
    model.scale();
    while let Some(what) = model.base.next() {
        model.happen(what);
    }
    model.base.recording
}

enum What {
    Arrives,
    /// The feeder's round: the runner may ask once more.
    Round,
    /// A job has come: it may ask again at once.
    Feed,
    HandOut {
        poll: u64,
    },
    PollEnds {
        poll: u64,
    },
    Launches,
    Ready {
        instance: MachineIndex,
    },
    JobEnds {
        instance: MachineIndex,
        run: RunIndex,
    },
    IdleOver {
        instance: MachineIndex,
    },
    GivesUp {
        run: RunIndex,
    },
    Reclaimed {
        instance: MachineIndex,
    },
    Requeued {
        run: RunIndex,
    },
}

struct Instance {
    index: MachineIndex,
    ready: bool,
    runs: Vec<RunIndex>,
    idle_since: Timestamp,
}

struct Model<'a> {
    /// Jobs at one time on one instance.
    capacity: u32,
    /// Instances at most; 0: no limit.
    max_instances: u32,
    /// Jobs at one time.
    concurrent: u32,
    check_interval: Duration,
    /// `preemptive_mode`, where it is written.
    preemptive: Option<bool>,
    delay: (Duration, Duration),
    ready: (Duration, Duration),
    base: BaseModel<'a, What>,
    /// Those that EC2 has launched and not ended.
    instances: Vec<Instance>,
    /// Asked of the group and not launched yet.
    coming: u32,
    /// Jobs that were taken and have no slot yet.
    waiting: VecDeque<RunIndex>,
}

impl Model<'_> {
    fn happen(&mut self, what: What) {
        match what {
            What::Arrives => {
                self.base.arrive();
                self.plan_arrival();
                self.base.plan_answers(|poll| What::HandOut { poll });
            }
            What::Round => {
                self.feed();
                self.base.soon(self.check_interval, What::Round);
            }
            What::Feed => self.feed(),
            What::HandOut { poll } => self.hand_out(poll),
            What::PollEnds { poll } => {
                if self.base.ends_empty(poll) {
                    self.scale();
                }
            }
            What::Launches => self.launches(),
            What::Ready { instance } => {
                let now = self.base.now;
                if let Some(one) = self.instance_mut(instance) {
                    one.ready = true;
                    one.idle_since = now;
                    self.base.ready(instance);
                    self.slot_is_free(instance);
                }
            }
            What::JobEnds { instance, run } => self.job_ends(instance, run),
            What::IdleOver { instance } => self.shrink(instance),
            What::GivesUp { run } => {
                if let Some(at) = self.waiting.iter().position(|waiting| *waiting == run) {
                    self.waiting.remove(at);
                    self.over(run, JobOutcome::NoMachine);
                    self.scale();
                }
            }
            What::Reclaimed { instance } => self.reclaimed(instance),
            What::Requeued { run } => {
                self.base.requeue(run);
                self.base.plan_answers(|poll| What::HandOut { poll });
            }
        }
    }

    fn plan_arrival(&mut self) {
        if let Some(at) = self.base.next_arrival() {
            self.base.agenda.put(at, What::Arrives);
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
            .map(|one| self.capacity.saturating_sub(one.runs.len() as u32))
            .sum();
        slots.saturating_sub(self.waiting.len() as u32)
    }

    /// Slots to be kept idle now, and how long an instance above that stays.
    fn idle(&self) -> (u32, Duration) {
        self.base.idle(self.taken())
    }

    /// Whether a job is asked for only with a free slot: `preemptive_mode`, else as the idle count says.
    fn is_preemptive(&self) -> bool {
        self.preemptive.unwrap_or_else(|| self.idle().0 > 0)
    }

    /// Slots that open job requests hold.
    fn reserved(&self) -> u32 {
        if self.is_preemptive() { self.base.open_polls() } else { 0 }
    }

    fn feed(&mut self) {
        let full = self.taken() + self.base.open_polls() >= self.concurrent;
        let without_slot = self.is_preemptive() && self.free() <= self.reserved();
        if self.base.asks_enough() || full || without_slot {
            return;
        }
        self.base.ask(|poll| What::PollEnds { poll });
        self.base.plan_answers(|poll| What::HandOut { poll });
        if self.is_preemptive() {
            self.scale();
        }
    }

    fn hand_out(&mut self, poll: u64) {
        let run = match self.base.answer(poll) {
            Answer::Job(run) => run,
            Answer::Empty => return self.scale(),
            Answer::None => return,
        };
        self.waiting.push_back(run);
        self.base.soon(ACQUIRE_TIMEOUT, What::GivesUp { run });
        self.assign();
        self.scale();
        self.base.soon(Duration::ZERO, What::Feed);
    }

    /// Jobs that were taken go to the fullest instance with a free slot.
    fn assign(&mut self) {
        while let Some(run) = self.waiting.front().copied() {
            let capacity = self.capacity as usize;
            let open = self.instances.iter_mut().filter(|one| one.ready && one.runs.len() < capacity);
            let Some(one) = open.max_by_key(|one| one.runs.len()) else { return };
            one.runs.push(run);
            let instance = one.index;
            self.waiting.pop_front();
            let after = self.base.begin(run, instance, Duration::ZERO);
            self.base.soon(after, What::JobEnds { instance, run });
        }
    }

    fn slot_is_free(&mut self, instance: MachineIndex) {
        self.assign();
        if self.instance_mut(instance).is_some_and(|one| one.runs.is_empty()) {
            self.base.soon(self.idle().1, What::IdleOver { instance });
        }
        self.scale();
    }

    /// Instances wanted: for what is taken or reserved, and the idle slots.
    fn wanted(&self) -> u32 {
        let (idle_count, _) = self.idle();
        let wanted = (self.taken() + self.reserved() + idle_count).div_ceil(self.capacity);
        if self.max_instances > 0 { wanted.min(self.max_instances) } else { wanted }
    }

    /// Asks the group for what is missing.
    fn scale(&mut self) {
        let there = self.instances.len() as u32 + self.coming;
        let missing = self.wanted().saturating_sub(there);
        if missing > 0 {
            self.base.call("ec2 set desired capacity", 1);
        }
        for _ in 0..missing {
            self.coming += 1;
            let after = self.base.rng.between(Stream::Latency, self.delay.0, self.delay.1);
            self.base.soon(after, What::Launches);
        }
    }

    fn launches(&mut self) {
        self.coming = self.coming.saturating_sub(1);
        let Some(offering) = self.base.any_offering() else { return };
        let (instance, boot) = self.base.create(offering, self.capacity);
        let seen = self.base.rng.between(Stream::Latency, self.ready.0, self.ready.1);
        // The plugin asks twice every two seconds while it expects an instance; several share the answers.
        self.base.call("ec2 describe", (boot + seen).as_secs() / 4);
        let idle_since = self.base.now;
        self.instances.push(Instance { index: instance, ready: false, runs: Vec::new(), idle_since });
        self.base.soon(boot + seen, What::Ready { instance });
        if let Some(after) = self.base.interruption() {
            self.base.soon(after, What::Reclaimed { instance });
        }
    }

    fn job_ends(&mut self, instance: MachineIndex, run: RunIndex) {
        let now = self.base.now;
        let Some(one) = self.instance_mut(instance) else { return };
        let Some(at) = one.runs.iter().position(|running| *running == run) else { return };
        one.runs.remove(at);
        one.idle_since = now;
        self.over(run, JobOutcome::Done);
        self.slot_is_free(instance);
    }

    fn over(&mut self, run: RunIndex, outcome: JobOutcome) {
        if self.base.finish(run, outcome) {
            let after = BaseModel::<What>::retry_after();
            self.base.soon(after, What::Requeued { run });
        }
    }

    /// An instance that has been idle for its time goes, unless it is wanted; then it is looked at again.
    fn shrink(&mut self, instance: MachineIndex) {
        let (now, (_, idle_time)) = (self.base.now, self.idle());
        let spare = (self.instances.len() as u32 + self.coming) > self.wanted();
        let Some(one) = self.instance_mut(instance).filter(|one| one.ready && one.runs.is_empty()) else { return };
        let idle: Duration = now.duration_since(one.idle_since).try_into().unwrap_or_default();
        if idle < idle_time {
            return;
        }
        if spare {
            self.base.call("ec2 terminate", 1);
            self.base.ended(instance, false);
            self.instances.retain(|one| one.index != instance);
        } else {
            self.base.soon(Duration::from_secs(60), What::IdleOver { instance });
        }
    }

    fn reclaimed(&mut self, instance: MachineIndex) {
        let Some(at) = self.instances.iter().position(|one| one.index == instance) else { return };
        let gone = self.instances.remove(at);
        self.base.ended(instance, true);
        for run in gone.runs {
            self.over(run, JobOutcome::Lost);
        }
        self.scale();
    }
}
