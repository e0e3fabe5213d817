//! docker+machine: gitlab-runner's autoscaling executor, as its source defines it.
//!
//! Sources: gitlab-runner `executors/docker/machine/{provider,idle_limit_strategy,data,coordinator}.go`,
//! `commands/{multi,builds_helper}.go`. One `[[runners]]` section, `check_interval` as configured.
//! A schedule counts as its autoscaling periods.
//!
//! The rules that matter: scaling happens only in [`Model::acquire`], before a poll of GitLab; the queue's length is no
//! input; with `IdleCount` above 0 no job is asked for unless an idle machine is in hand, and while that machine's poll
//! hangs (50 s) nothing scales; removal looks at the machines listed before; jobs go to the newest idle machine.
//!
//! In its favour: `config` checks and the global lock cost no time; no SDK throttling; no machine fails to be removed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::assumptions::Assumptions;
use crate::configured::Setting;
use crate::recording::{JobOutcome, Recording};

use super::base::{Answer, BaseModel, MachineIndex, RunIndex};

/// `inspect`, a `stop` that fails on spot, `rm`: until the terminate call.
const REMOVAL: Duration = Duration::from_secs(5);
/// A job without a machine is tried so often (three preparations of three tries), and fails then.
const CREATES_MAX: u32 = 9;
/// Between two of these tries.
const CREATE_AGAIN: Duration = Duration::from_secs(3);

/// Runs the jobs of a setting with one section.
pub fn docker_machine(setting: &Setting, assumed: &Assumptions, seed: u64) -> Recording {
    let section = setting.scenario.settings.runners.first();
    let mut model = Model {
        limit: section.map_or(0, |section| section.limit),
        max_builds: section.map_or(0, |section| section.max_jobs),
        concurrent: setting.scenario.settings.concurrent,
        check_interval: setting.scenario.settings.check_interval,
        provisioning: assumed.machine_provisioning,
        use_time: assumed.machine_use,
        base: BaseModel::new(setting, assumed, seed),
        machines: Vec::new(),
        in_hand: BTreeMap::new(),
        preparing: Vec::new(),
    };
    model.plan_arrival();
    model.base.soon(Duration::ZERO, What::Round);
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
    Created {
        machine: MachineIndex,
    },
    CreateFailed {
        machine: MachineIndex,
    },
    CreateAgain {
        run: RunIndex,
    },
    JobEnds {
        machine: MachineIndex,
        run: RunIndex,
    },
    Reclaimed {
        machine: MachineIndex,
    },
    Removed {
        machine: MachineIndex,
    },
    Requeued {
        run: RunIndex,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Creating,
    Idle,
    Acquired,
    Used(RunIndex),
    Removing,
}

struct Machine {
    index: MachineIndex,
    state: State,
    used_at: Timestamp,
    builds: u32,
    /// EC2 has taken it back; docker+machine learns that when it talks to it.
    dead: bool,
}

/// A job that was taken and has no machine yet.
struct Preparing {
    run: RunIndex,
    creates: u32,
}

struct Model<'a> {
    /// Machines at most, and jobs; 0: no limit.
    limit: u32,
    /// Jobs of one machine, one after the other; 0: any number.
    max_builds: u32,
    /// Jobs at one time.
    concurrent: u32,
    check_interval: Duration,
    provisioning: Duration,
    use_time: Duration,
    base: BaseModel<'a, What>,
    /// Those that are not gone, the oldest first.
    machines: Vec<Machine>,
    /// The machines that open job requests have in hand, by the requests' numbers.
    in_hand: BTreeMap<u64, MachineIndex>,
    preparing: Vec<Preparing>,
}

/// What a pass has counted so far.
#[derive(Clone, Copy, Default)]
struct Counts {
    creating: u32,
    idle: u32,
    acquired: u32,
    used: u32,
    removing: u32,
}

impl Counts {
    fn add(&mut self, state: State) {
        match state {
            State::Creating => self.creating += 1,
            State::Idle => self.idle += 1,
            State::Acquired => self.acquired += 1,
            State::Used(_) => self.used += 1,
            State::Removing => self.removing += 1,
        }
    }

    fn available(self) -> u32 {
        self.acquired + self.creating + self.idle
    }

    fn total(self) -> u32 {
        self.available() + self.used + self.removing
    }
}

/// What a pass gives the runner.
enum Acquired {
    /// Ask GitLab for a job, with this machine in hand.
    Machine(MachineIndex),
    /// Ask GitLab for a job, and make a machine for it.
    OnDemand,
    /// Do not ask.
    NoFreeExecutor,
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
                    self.release(poll);
                }
            }
            What::Created { machine } => self.created(machine),
            What::CreateFailed { machine } => {
                self.base.ended(machine, false);
                self.machines.retain(|one| one.index != machine);
                if let Some(waiting) = self.preparing.first() {
                    let run = waiting.run;
                    self.base.soon(CREATE_AGAIN, What::CreateAgain { run });
                }
            }
            What::CreateAgain { run } => self.create_again(run),
            What::JobEnds { machine, run } => self.job_ends(machine, run),
            What::Reclaimed { machine } => self.reclaimed(machine),
            What::Removed { machine } => {
                self.base.ended(machine, false);
                self.machines.retain(|one| one.index != machine);
            }
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

    /// `multi.go`: the feeder gives the runner to a free worker, which acquires and asks.
    fn feed(&mut self) {
        if self.base.asks_enough() {
            return;
        }
        let running =
            self.machines.iter().filter(|one| matches!(one.state, State::Used(_))).count() + self.preparing.len();
        let most = if self.limit > 0 { self.limit.min(self.concurrent) } else { self.concurrent };
        if running + self.base.open_polls() as usize >= most as usize {
            return;
        }
        let machine = match self.acquire() {
            Acquired::Machine(machine) => Some(machine),
            Acquired::OnDemand => None,
            Acquired::NoFreeExecutor => return,
        };
        let poll = self.base.ask(|poll| What::PollEnds { poll });
        self.in_hand.extend(machine.map(|machine| (poll, machine)));
        self.base.plan_answers(|poll| What::HandOut { poll });
    }

    fn hand_out(&mut self, poll: u64) {
        let run = match self.base.answer(poll) {
            Answer::Job(run) => run,
            Answer::Empty => return self.release(poll),
            Answer::None => return,
        };
        match self.in_hand.remove(&poll) {
            Some(machine) => self.use_machine(machine, run),
            None => {
                self.preparing.push(Preparing { run, creates: 0 });
                match self.newest_idle() {
                    Some(machine) => self.serve_the_preparing(machine),
                    None => self.create_again(run),
                }
            }
        }
        self.base.soon(Duration::ZERO, What::Feed);
    }

    /// An empty poll gives its machine back, and leaves the machine's idle time as it was.
    fn release(&mut self, poll: u64) {
        if let Some(machine) = self.in_hand.remove(&poll)
            && let Some(one) = self.machine_mut(machine)
        {
            one.state = State::Idle;
        }
    }

    /// `provider.go`: the only place where scaling is decided.
    fn acquire(&mut self) -> Acquired {
        let limits = self.limits();
        let mut counts = Counts::default();
        let mut removals = Vec::new();
        for one in &mut self.machines {
            if one.state == State::Idle && limits.should_remove(one, counts, self.base.now) {
                one.state = State::Removing;
                removals.push(one.index);
            }
            counts.add(one.state);
        }
        for machine in removals {
            self.base.soon(REMOVAL, What::Removed { machine });
            self.base.call("ec2 remove", 4);
        }
        while limits.can_create(counts, false) {
            self.create();
            counts.creating += 1;
        }
        while let Some(machine) = self.newest_idle() {
            let Some(one) = self.machine_mut(machine) else { break };
            if one.dead {
                one.state = State::Removing;
                self.base.soon(REMOVAL, What::Removed { machine });
                continue;
            }
            one.state = State::Acquired;
            return Acquired::Machine(machine);
        }
        if limits.idle_count == 0 && limits.can_create(counts, true) {
            Acquired::OnDemand
        } else {
            Acquired::NoFreeExecutor
        }
    }

    /// `idle_limit_strategy.go`, read anew in every pass, because periods begin and end.
    fn limits(&self) -> Limits {
        let used = self.machines.iter().filter(|one| matches!(one.state, State::Used(_))).count();
        let (idle_count, idle_time) = self.base.idle(used as u32);
        Limits { idle_count, idle_time, limit: self.limit, max_builds: self.max_builds }
    }

    fn newest_idle(&self) -> Option<MachineIndex> {
        self.machines.iter().rev().find(|one| one.state == State::Idle).map(|one| one.index)
    }

    fn machine_mut(&mut self, machine: MachineIndex) -> Option<&mut Machine> {
        self.machines.iter_mut().find(|one| one.index == machine)
    }

    fn create(&mut self) {
        let Some(offering) = self.base.first_offering() else { return };
        let refused = self.base.is_refused();
        self.base.call("ec2 create", if refused { 10 } else { 15 });
        let (machine, boot) = self.base.create(offering, 1);
        let used_at = self.base.now;
        self.machines.push(Machine { index: machine, state: State::Creating, used_at, builds: 0, dead: false });
        if refused {
            // Nothing was launched, so nothing is paid for.
            self.base.ended(machine, false);
            return self.base.soon(Duration::from_secs(10), What::CreateFailed { machine });
        }
        self.base.soon(boot + self.provisioning, What::Created { machine });
        if let Some(after) = self.base.interruption() {
            self.base.soon(after, What::Reclaimed { machine });
        }
    }

    /// A job that was taken gets a machine made for it, which looks at no limit.
    fn create_again(&mut self, run: RunIndex) {
        let Some(at) = self.preparing.iter().position(|waiting| waiting.run == run) else { return };
        let Some(waiting) = self.preparing.get_mut(at) else { return };
        waiting.creates += 1;
        if waiting.creates > CREATES_MAX {
            self.preparing.remove(at);
            if self.base.finish(run, JobOutcome::NoMachine) {
                let after = BaseModel::<What>::retry_after();
                self.base.soon(after, What::Requeued { run });
            }
            return;
        }
        self.create();
    }

    fn created(&mut self, machine: MachineIndex) {
        let now = self.base.now;
        self.base.ready(machine);
        if let Some(one) = self.machine_mut(machine) {
            one.state = State::Idle;
            one.used_at = now;
            self.serve_the_preparing(machine);
        }
    }

    /// A machine has become free: jobs that were taken already come first.
    fn serve_the_preparing(&mut self, machine: MachineIndex) {
        if !self.preparing.is_empty() {
            let run = self.preparing.remove(0).run;
            self.use_machine(machine, run);
        }
    }

    fn use_machine(&mut self, machine: MachineIndex, run: RunIndex) {
        let now = self.base.now;
        self.base.call("ec2 use", 3);
        let overhead = self.use_time;
        let after = self.base.begin(run, machine, overhead);
        let Some(one) = self.machine_mut(machine) else { return };
        one.state = State::Used(run);
        one.used_at = now;
        one.builds += 1;
        if one.dead {
            // The dial fails; the job is lost as one whose machine died.
            return self.base.soon(overhead, What::JobEnds { machine, run });
        }
        self.base.soon(after, What::JobEnds { machine, run });
    }

    fn job_ends(&mut self, machine: MachineIndex, run: RunIndex) {
        let (now, max_builds) = (self.base.now, self.max_builds);
        let Some(one) = self.machine_mut(machine).filter(|one| one.state == State::Used(run)) else { return };
        one.used_at = now;
        let dead = one.dead;
        let spent = dead || (max_builds > 0 && one.builds >= max_builds);
        one.state = if spent { State::Removing } else { State::Idle };
        if self.base.finish(run, if dead { JobOutcome::Lost } else { JobOutcome::Done }) {
            let after = BaseModel::<What>::retry_after();
            self.base.soon(after, What::Requeued { run });
        }
        if spent {
            self.base.call("ec2 remove", 4);
            self.base.soon(REMOVAL, What::Removed { machine });
        } else {
            self.serve_the_preparing(machine);
        }
    }

    /// Nobody has read EC2's notice: a job that runs is lost, and a free machine goes on counting as idle.
    fn reclaimed(&mut self, machine: MachineIndex) {
        let Some(one) = self.machine_mut(machine).filter(|one| one.state != State::Removing) else { return };
        one.dead = true;
        let state = one.state;
        self.base.ended(machine, true);
        match state {
            State::Used(run) => self.job_ends(machine, run),
            State::Creating => self.base.soon(Duration::ZERO, What::CreateFailed { machine }),
            State::Idle | State::Acquired | State::Removing => {}
        }
    }
}

/// What `provider.go` compares its counts with.
#[derive(Clone, Copy)]
struct Limits {
    idle_count: u32,
    idle_time: Duration,
    limit: u32,
    max_builds: u32,
}

impl Limits {
    fn can_create(self, counts: Counts, on_demand: bool) -> bool {
        if self.limit > 0 && counts.total() >= self.limit {
            return false;
        }
        (on_demand && self.idle_count == 0) || counts.available() < self.idle_count
    }

    /// `counts` holds only the machines listed before this one.
    fn should_remove(self, machine: &Machine, counts: Counts, now: Timestamp) -> bool {
        let idle: Duration = now.duration_since(machine.used_at).try_into().unwrap_or_default();
        (self.max_builds > 0 && machine.builds >= self.max_builds)
            || (self.limit > 0 && counts.total() >= self.limit)
            || (idle > self.idle_time && counts.available() >= self.idle_count)
    }
}
