//! How far a worker's boot has come, and since when: each phase is measured when it is over, as this manager sees it.
//!
//! Level-triggered: every step looks how far the boot is by now. So a phase is as precise as what shows its end: EC2's
//! listings come every 3 s while a worker boots, reports at once.

use std::time::Duration;

use jiff::Timestamp;
use strum::VariantArray as _;

use super::measure::{BootPhase, BootStep};
use super::time::since;

/// The boot of a worker that this life of the manager has launched.
#[derive(Clone, Debug)]
pub(crate) struct BootCourse {
    decided_at: Timestamp,
    /// The phase under way, of which nothing is left when all are over; and since when it is.
    phases: &'static [BootPhase],
    since: Timestamp,
    step: Option<(BootStep, Timestamp)>,
    ready_at: Option<Timestamp>,
}

/// Something of a boot is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lap {
    Phase(BootPhase, Duration),
    Step(BootStep, Duration),
    /// The worker is ready, so long after the decision to launch it.
    Ready(Duration),
}

impl BootCourse {
    /// A launch that was decided then, and that EC2 has not answered yet.
    pub(crate) fn begun(decided_at: Timestamp) -> Self {
        Self { decided_at, phases: BootPhase::VARIANTS, since: decided_at, step: None, ready_at: None }
    }

    /// Whether nothing is left to be measured.
    pub(crate) fn is_over(&self) -> bool {
        self.phases.is_empty()
    }

    /// From the decision until the worker was ready.
    pub(crate) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.decided_at, self.ready_at?))
    }

    /// Where the boot stands: the step of the bootstrap, or the phase.
    pub(crate) fn stands_at(&self) -> &'static str {
        match (self.phases.first(), self.step) {
            (Some(BootPhase::Bootstrap), Some((step, _))) => step.as_str(),
            (Some(phase), _) => phase.as_str(),
            (None, _) => "over",
        }
    }

    /// What is over, now that `reached` is seen to be under way; nothing: all of it is over. A boot never goes back.
    pub(crate) fn look(&mut self, reached: Option<BootPhase>, step: Option<BootStep>, now: Timestamp) -> Vec<Lap> {
        let mut laps = Vec::new();
        while let Some((phase, later)) = self.phases.split_first()
            && reached.is_none_or(|reached| *phase < reached)
        {
            if *phase == BootPhase::Bootstrap {
                laps.extend(self.end_step(now));
            }
            laps.push(Lap::Phase(*phase, since(now, self.since)));
            if *phase == BootPhase::Configured {
                self.ready_at = Some(now);
                laps.push(Lap::Ready(since(now, self.decided_at)));
            }
            (self.phases, self.since) = (later, now);
        }
        if self.phases.first() == Some(&BootPhase::Bootstrap)
            && let Some(step) = step
            && self.step.is_none_or(|(before, _)| before != step)
        {
            laps.extend(self.end_step(now));
            self.step = Some((step, now));
        }
        laps
    }

    fn end_step(&mut self, now: Timestamp) -> Option<Lap> {
        self.step.take().map(|(step, begun_at)| Lap::Step(step, since(now, begun_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn every_phase_is_measured_once_and_in_order() {
        let mut course = BootCourse::begun(at(100));
        assert_eq!(course.look(Some(BootPhase::LaunchCall), None, at(101)), []);
        assert_eq!(
            course.look(Some(BootPhase::Running), None, at(102)),
            [Lap::Phase(BootPhase::LaunchCall, seconds(2))]
        );
        assert_eq!(course.look(Some(BootPhase::Sshd), None, at(110)), [Lap::Phase(BootPhase::Running, seconds(8))]);
        let docker = Some(BootStep::InstallingDocker);
        assert_eq!(
            course.look(Some(BootPhase::Bootstrap), docker, at(120)),
            [Lap::Phase(BootPhase::Sshd, seconds(10))]
        );
        assert_eq!(course.stands_at(), "installing-docker");
        let runner = Some(BootStep::InstallingGitlabRunner);
        let docker = Lap::Step(BootStep::InstallingDocker, seconds(5));
        assert_eq!(course.look(Some(BootPhase::Bootstrap), runner, at(125)), [docker]);
        let laps = [
            Lap::Step(BootStep::InstallingGitlabRunner, seconds(4)),
            Lap::Phase(BootPhase::Bootstrap, seconds(9)),
            Lap::Phase(BootPhase::Configured, Duration::ZERO),
            Lap::Ready(seconds(29)),
        ];
        assert_eq!(course.look(Some(BootPhase::FirstRequest), None, at(129)), laps);
        assert_eq!(course.look(Some(BootPhase::Sshd), runner, at(130)), [], "a boot never goes back");
        assert_eq!(course.look(None, None, at(131)), [Lap::Phase(BootPhase::FirstRequest, seconds(2))]);
        assert_eq!((course.is_over(), course.span()), (true, Some((at(100), at(129)))));
        assert_eq!(course.look(None, None, at(140)), []);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_time_negative() {
        let mut course = BootCourse::begun(at(100));
        assert_eq!(
            course.look(Some(BootPhase::Running), None, at(50)),
            [Lap::Phase(BootPhase::LaunchCall, Duration::ZERO)]
        );
    }
}
