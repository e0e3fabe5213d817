//! What is to be done on a worker next. Pure: reports and goals come in, the next command comes out.
//!
//! Level-triggered: every decision looks at the latest report and the latest goal. A goal that a lost connection may
//! have swallowed is carried out again on the next one; the agent's commands are idempotent.

use tokio::time::Instant;

use super::timeouts::Timeouts;
use runner_fleet_engine::{Goal, Phase, Report, RunnerState};
use runner_fleet_worker::agent::AgentCommand;

/// What brings a runner to it.
fn command(goal: Goal) -> AgentCommand {
    match goal {
        Goal::Fence => AgentCommand::Fence,
        Goal::Serve => AgentCommand::Unfence,
        Goal::Stop => AgentCommand::Stop,
        Goal::HardStop => AgentCommand::HardStop,
    }
}

/// Whether the runner, as it reports itself, is still without what is wanted.
fn is_open(goal: Goal, runner: RunnerState) -> bool {
    match goal {
        Goal::Fence => runner == RunnerState::Serving,
        Goal::Serve => runner == RunnerState::Fenced,
        Goal::Stop => matches!(runner, RunnerState::Serving | RunnerState::Fenced),
        Goal::HardStop => !matches!(runner, RunnerState::Stopped | RunnerState::Failed),
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Run this.
    Run(PendingCommand),
    /// Nothing before this time.
    At(Instant),
    /// Nothing, until a report or goal arrives.
    Nothing,
}

/// A command, and which version of the goal or configuration it carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PendingCommand {
    pub(super) command: AgentCommand,
    version: u64,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Done, or never to be done: the worker is ending.
    Settled,
    /// Not now, which is nobody's fault (a job runs, the fence is not taken up yet).
    Later,
    /// It failed.
    Failed,
}

#[derive(Debug)]
pub(super) struct CommandQueue {
    goal: Option<Goal>,
    goal_version: u64,
    /// The version that was settled on this connection, and when.
    goal_settled: Option<(u64, Instant)>,
    config_version: u64,
    config_pushed: u64,
    configured_at: Option<Instant>,
    ready: bool,
    runner: Option<RunnerState>,
    failures: u32,
    later: u32,
    not_before: Option<Instant>,
}

impl CommandQueue {
    pub(super) fn new() -> Self {
        Self {
            goal: None,
            goal_version: 0,
            goal_settled: None,
            config_version: 0,
            config_pushed: 0,
            configured_at: None,
            ready: false,
            runner: None,
            failures: 0,
            later: 0,
            not_before: None,
        }
    }

    /// Something is wanted; only another goal than before is a change.
    pub(super) fn want(&mut self, goal: Goal) {
        if self.goal != Some(goal) {
            self.goal = Some(goal);
            self.goal_version += 1;
            self.not_before = None;
        }
    }

    pub(super) fn latest_goal(&self) -> Option<Goal> {
        self.goal
    }

    /// The configuration has changed.
    pub(super) fn reconfigure(&mut self) {
        self.config_version += 1;
        self.not_before = None;
    }

    /// The agent reported.
    pub(super) fn heard(&mut self, report: &Report) {
        self.ready = report.phase == Phase::Ready;
        self.runner = Some(report.runner);
        // An unfence is an event, not a state to be kept: a fence that the agent puts up later is its own affair.
        let settled = self.goal_settled.is_some_and(|(version, _)| version == self.goal_version);
        if self.goal == Some(Goal::Serve) && settled && report.runner != RunnerState::Fenced {
            self.goal = None;
        }
    }

    /// The connection is gone; what was done on it may not have arrived.
    pub(super) fn lost(&mut self) {
        self.goal_settled = None;
        self.configured_at = None;
        self.runner = None;
        self.ready = false;
        self.failures = 0;
        self.later = 0;
        self.not_before = None;
    }

    /// Commands that failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// What is to be done now. Nothing before the first report: until then there may be no agent.
    pub(super) fn next(&self, timeouts: &Timeouts, now: Instant) -> Next {
        let Some(runner) = self.runner else { return Next::Nothing };
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return Next::At(at);
        }
        let leaving = self.goal.is_some_and(|goal| goal != Goal::Serve);
        let unconfigured = self.ready && runner == RunnerState::Absent;
        let outdated = self.ready
            && self.config_pushed != self.config_version
            && matches!(runner, RunnerState::Serving | RunnerState::Fenced);

        // A runner that is to take no job is not started first. `configure` keeps a fence that is up.
        if !leaving && unconfigured {
            return self.push(timeouts, now);
        }
        match self.next_for_goal(runner, timeouts, now) {
            Next::Run(command) => Next::Run(command),
            Next::At(_) | Next::Nothing if !leaving && outdated => Next::Run(self.configure()),
            later => later,
        }
    }

    /// A command has ended.
    pub(super) fn finished(&mut self, command: PendingCommand, outcome: Outcome, timeouts: &Timeouts, now: Instant) {
        match outcome {
            Outcome::Settled => {
                (self.failures, self.later, self.not_before) = (0, 0, None);
                if command.command == AgentCommand::Configure {
                    self.config_pushed = command.version;
                    self.configured_at = Some(now);
                } else if command.version == self.goal_version {
                    self.goal_settled = Some((command.version, now));
                }
            }
            Outcome::Later => {
                self.failures = 0;
                self.later = self.later.saturating_add(1);
                self.not_before = Some(now + timeouts.command_retry.wait(self.later));
            }
            Outcome::Failed => {
                self.failures = self.failures.saturating_add(1);
                self.not_before = Some(now + timeouts.command_retry.wait(self.failures));
            }
        }
    }

    fn next_for_goal(&self, runner: RunnerState, timeouts: &Timeouts, now: Instant) -> Next {
        let Some(goal) = self.goal else { return Next::Nothing };
        let command = PendingCommand { command: command(goal), version: self.goal_version };
        match self.goal_settled {
            Some((version, at)) if version == self.goal_version => match is_open(goal, runner) {
                true if now < at + timeouts.command_effect => Next::At(at + timeouts.command_effect),
                true => Next::Run(command),
                false => Next::Nothing,
            },
            // There is no fence to take down.
            _ if goal == Goal::Serve && runner == RunnerState::Absent => Next::Nothing,
            _ => Next::Run(command),
        }
    }

    /// The runner is absent; but a report may be older than the push that has just ended.
    fn push(&self, timeouts: &Timeouts, now: Instant) -> Next {
        match self.configured_at.map(|at| at + timeouts.command_effect) {
            Some(at) if at > now => Next::At(at),
            _ => Next::Run(self.configure()),
        }
    }

    fn configure(&self) -> PendingCommand {
        PendingCommand { command: AgentCommand::Configure, version: self.config_version }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use AgentCommand::{Configure, Fence, HardStop, Stop, Unfence};
    use RunnerState::{Absent, Fenced, Serving, Stopped, Stopping};

    use super::*;

    pub(in super::super) fn report(runner: RunnerState) -> Report {
        Report {
            phase: Phase::Ready,
            runner,
            jobs_by_metrics: 0,
            jobs_by_docker: 0,
            job_ids: BTreeSet::new(),
            projects: std::collections::BTreeMap::new(),
            open_requests: 0,
            jobs_started: 0,
            idle_seconds: 0,
            queue_size: None,
            disk_free_mib: None,
            unfit: None,
            interruption: None,
            rebalance: false,
            ecr_error: None,
        }
    }

    struct Desk {
        commands: CommandQueue,
        timeouts: Timeouts,
        now: Instant,
    }

    impl Desk {
        fn new() -> Self {
            Self { commands: CommandQueue::new(), timeouts: Timeouts::default(), now: Instant::now() }
        }

        fn hears(&mut self, runner: RunnerState) {
            self.commands.heard(&report(runner));
        }

        fn passes(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        /// The command that is due, carried out with this outcome.
        fn runs(&mut self, outcome: Outcome) -> Option<AgentCommand> {
            match self.commands.next(&self.timeouts, self.now) {
                Next::Run(command) => {
                    self.commands.finished(command, outcome, &self.timeouts, self.now);
                    Some(command.command)
                }
                Next::At(_) | Next::Nothing => None,
            }
        }

        fn settles(&mut self) -> Option<AgentCommand> {
            self.runs(Outcome::Settled)
        }
    }

    #[test]
    fn a_ready_worker_without_configuration_gets_it_once() {
        let mut desk = Desk::new();
        assert_eq!(desk.settles(), None, "nothing is known yet");
        let mut booting = report(Absent);
        booting.phase = Phase::Booting { step: "installing docker".into() };
        desk.commands.heard(&booting);
        assert_eq!(desk.settles(), None);

        desk.hears(Absent);
        assert_eq!(desk.settles(), Some(Configure));
        desk.hears(Absent); // written before the push took effect
        assert_eq!(desk.settles(), None);
        desk.hears(Serving);
        assert_eq!(desk.settles(), None);
    }

    #[test]
    fn a_push_without_effect_is_repeated() {
        let mut desk = Desk::new();
        desk.hears(Absent);
        desk.settles();

        desk.passes(31);
        desk.hears(Absent);

        assert_eq!(desk.settles(), Some(Configure));
    }

    #[test]
    fn a_worker_that_is_to_leave_is_not_started_first() {
        let mut desk = Desk::new();
        desk.commands.want(Goal::Fence);
        desk.hears(Absent);

        assert_eq!((desk.settles(), desk.settles()), (Some(Fence), None));
        desk.commands.want(Goal::Serve);
        assert_eq!((desk.settles(), desk.settles()), (Some(Configure), None));
    }

    #[test]
    fn the_same_goal_again_is_no_change_and_another_one_is() {
        let mut desk = Desk::new();
        desk.hears(Serving);
        desk.commands.want(Goal::Fence);
        assert_eq!(desk.settles(), Some(Fence));
        desk.commands.want(Goal::Fence);
        assert_eq!(desk.settles(), None);
        desk.commands.want(Goal::Serve);
        assert_eq!(desk.settles(), Some(Unfence));
        desk.commands.want(Goal::Stop);
        assert_eq!(desk.settles(), Some(Stop));
        desk.hears(Stopped);
        desk.passes(100);
        assert_eq!(desk.settles(), None);
    }

    #[test]
    fn a_hard_stop_is_told_until_the_runner_is_gone() {
        let mut desk = Desk::new();
        desk.hears(Serving);
        desk.commands.want(Goal::HardStop);
        for _ in 0..3 {
            assert_eq!(desk.runs(Outcome::Later), Some(HardStop), "each call is one step of it");
            desk.hears(Stopping);
            desk.passes(10);
        }
        assert_eq!(desk.settles(), Some(HardStop));
        desk.hears(Stopped);
        desk.passes(100);
        assert_eq!(desk.settles(), None);
    }

    #[test]
    fn a_goal_that_changes_midway_is_carried_out_after() {
        let mut desk = Desk::new();
        desk.hears(Serving);
        desk.commands.want(Goal::Fence);
        let Next::Run(fence) = desk.commands.next(&desk.timeouts, desk.now) else { panic!("no fence") };

        desk.commands.want(Goal::Serve);
        desk.commands.finished(fence, Outcome::Settled, &desk.timeouts, desk.now);

        assert_eq!((desk.settles(), desk.settles()), (Some(Unfence), None));
    }

    #[test]
    fn a_settled_goal_that_the_reports_do_not_show_is_repeated() {
        let mut desk = Desk::new();
        desk.hears(Serving);
        desk.commands.want(Goal::Fence);
        desk.settles();

        desk.passes(29);
        assert_eq!(desk.settles(), None);
        desk.passes(1);
        assert_eq!(desk.settles(), Some(Fence));
        desk.hears(Fenced);
        desk.passes(100);
        assert_eq!(desk.settles(), None);
    }

    #[test]
    fn a_lost_connection_repeats_the_latest_goal() {
        let mut desk = Desk::new();
        desk.hears(Serving);
        desk.commands.want(Goal::Fence);
        desk.settles();

        desk.commands.lost();
        assert_eq!(desk.settles(), None, "not before the agent is heard again");
        desk.hears(Fenced);

        assert_eq!((desk.settles(), desk.settles()), (Some(Fence), None));
    }

    #[test]
    fn an_unfence_that_has_happened_is_forgotten() {
        let mut desk = Desk::new();
        desk.hears(Fenced);
        desk.commands.want(Goal::Serve);
        assert_eq!(desk.settles(), Some(Unfence));
        desk.hears(Serving);

        desk.commands.lost();
        desk.hears(Fenced); // by the agent itself: an interruption

        assert_eq!(desk.settles(), None);
    }

    #[test]
    fn a_changed_configuration_skips_leaving_workers() {
        let mut desk = Desk::new();
        desk.hears(Serving);
        assert_eq!(desk.settles(), None);
        desk.commands.reconfigure();
        assert_eq!((desk.settles(), desk.settles()), (Some(Configure), None));

        desk.commands.want(Goal::Fence);
        desk.settles();
        desk.hears(Fenced);
        desk.commands.reconfigure();
        assert_eq!(desk.settles(), None);
        desk.commands.want(Goal::Serve);
        assert_eq!((desk.settles(), desk.settles(), desk.settles()), (Some(Unfence), Some(Configure), None));
    }

    #[test]
    fn failures_back_off_and_patience_is_no_failure() {
        let mut desk = Desk::new();
        desk.hears(Fenced);
        desk.commands.want(Goal::Stop);
        let mut waits = Vec::new();
        for outcome in [Outcome::Failed, Outcome::Failed, Outcome::Later, Outcome::Later, Outcome::Failed] {
            assert_eq!(desk.runs(outcome), Some(Stop));
            let Next::At(at) = desk.commands.next(&desk.timeouts, desk.now) else { panic!("no wait") };
            waits.push((at - desk.now).as_secs());
            desk.now = at;
        }

        assert_eq!(waits, [1, 2, 1, 2, 1]);
        assert_eq!(desk.commands.failures(), 1);
        desk.commands.want(Goal::Serve);
        assert_eq!(desk.settles(), Some(Unfence), "another goal does not wait for the failed one");
    }
}
