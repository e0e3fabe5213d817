//! The manager's clock, which somebody may set: what it reads at each moment of the world's time.

use jiff::{SignedDuration, Timestamp};

use runner_fleet_engine::Event;

/// The clock of the manager's host.
#[derive(Clone, Debug, Default)]
pub(super) struct HostClock {
    /// From when on it is ahead (or behind) by so much; in order of time.
    settings: Vec<(Timestamp, SignedDuration)>,
}

impl HostClock {
    /// Somebody sets it: from now on it differs from the true time by this.
    pub(super) fn set(&mut self, now: Timestamp, ahead: SignedDuration) {
        self.settings.push((now, ahead));
    }

    /// What it reads at a true time.
    pub(super) fn reads(&self, at: Timestamp) -> Timestamp {
        let setting = self.settings.iter().rev().find(|(since, _)| *since <= at);
        setting.map_or(at, |(_, ahead)| at.saturating_add(*ahead).unwrap_or(at))
    }

    /// An event as the manager's adapters would tell it: the times that they read from their own clock are that clock's.
    pub(super) fn told(&self, mut event: Event) -> Event {
        if self.settings.is_empty() {
            return event;
        }
        match &mut event {
            Event::Instances { asked_at, .. } | Event::JobsSeen { asked_at, .. } => *asked_at = self.reads(*asked_at),
            Event::Prices(snapshot) => snapshot.asked_at = self.reads(snapshot.asked_at),
            Event::Queue { snapshot: Ok(snapshot), .. } => {
                snapshot.as_of = self.reads(snapshot.as_of);
                for job in &mut snapshot.jobs {
                    // GitLab says for how long a job has waited; the answer's time less that is when it was queued.
                    let waited = job.seen_at.duration_since(job.queued_at);
                    job.seen_at = self.reads(job.seen_at);
                    job.queued_at = job.seen_at.saturating_sub(waited).unwrap_or(job.seen_at);
                }
            }
            Event::Queue { .. }
            | Event::Configured(_)
            | Event::Runner { .. }
            | Event::LaunchPlan { .. }
            | Event::Launched { .. }
            | Event::TerminateFailed { .. }
            | Event::Worker { .. }
            | Event::Forgotten { .. }
            | Event::Retried { .. }
            | Event::Operator(_) => {}
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_keeps_the_time_of_its_asking() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut clock = HostClock::default();
        clock.set(at(100), SignedDuration::from_secs(-50));
        assert_eq!([at(99), at(100), at(160)].map(|time| clock.reads(time)), [at(99), at(50), at(110)]);
        let listed = |second| Event::Instances { asked_at: at(second), listing: Ok(Vec::new()) };
        assert_eq!(clock.told(listed(99)), listed(99));
        assert_eq!(clock.told(listed(101)), listed(51));
    }
}
