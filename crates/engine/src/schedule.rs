//! Which policy holds now: the runner's own, changed by the last schedule entry that is active.

use cronexpr::MakeTimestamp;
use jiff::Timestamp;

use super::settings::{IdleCount, IdlePolicy, RunnerSettings, ScheduleEntry};

/// The policy in force at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How many free slots, for how long.
    pub idle: IdlePolicy,
    /// Workers not yet terminated, at most.
    pub max_workers: u32,
}

/// The policy of `runner` at `now`. An entry is active in every minute that one of its periods matches; the last active
/// entry in file order wins; what it omits is inherited from the runner.
pub fn policy_at(runner: &RunnerSettings, now: Timestamp) -> Policy {
    let mut policy = Policy { idle: runner.idle.clone(), max_workers: runner.max_workers };
    let Some(entry) = runner.schedule.iter().rev().find(|entry| is_active(entry, now)) else {
        return policy;
    };
    let ScheduleEntry { periods: _, written: _, idle_count, idle_count_min, idle_scale_factor, idle_time, max_workers } =
        entry;
    let idle = &mut policy.idle;
    idle.count = idle_count.unwrap_or(idle.count);
    idle.count_min = idle_count_min.unwrap_or(idle.count_min);
    idle.scale_factor = idle_scale_factor.unwrap_or(idle.scale_factor);
    idle.time = idle_time.unwrap_or(idle.time);
    policy.max_workers = max_workers.unwrap_or(policy.max_workers);
    policy
}

/// A timestamp that the expression cannot judge (beyond the calendar's end) is not in it.
fn is_active(entry: &ScheduleEntry, now: Timestamp) -> bool {
    MakeTimestamp::from_second(now.as_second())
        .is_ok_and(|at| entry.periods.iter().any(|period| period.matches(at).unwrap_or(false)))
}

impl IdlePolicy {
    /// The free slots wanted while `in_use` slots run jobs; as docker+machine's IdleCount, IdleCountMin and
    /// IdleScaleFactor. `forecast` stands for the count where that is `"auto"`.
    pub fn wanted(&self, in_use: u32, forecast: u32) -> u32 {
        let count = match self.count {
            IdleCount::Fixed(count) => count,
            IdleCount::Auto => return forecast.min(self.count_max.unwrap_or(u32::MAX)).max(self.count_min),
        };
        if self.scale_factor <= 0.0 {
            return count;
        }
        // Casting saturates, and truncates as docker+machine does.
        let scaled = (f64::from(in_use) * self.scale_factor) as u32;
        scaled.max(self.count_min).min(count)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{IdleTime, RunnerName, Server};

    fn idle(count: IdleCount, count_min: u32, scale_factor: f64) -> IdlePolicy {
        let time = IdleTime::Fixed(Duration::from_secs(300));
        IdlePolicy { count, count_min, count_max: None, scale_factor, time, target_wait: Duration::from_secs(30) }
    }

    fn runner(schedule: Vec<ScheduleEntry>) -> RunnerSettings {
        let plain = RunnerSettings::new(RunnerName::new("r"), Server::new("https://gitlab.example.com"));
        RunnerSettings { idle: idle(IdleCount::Fixed(1), 0, 0.0), schedule, ..plain }
    }

    fn entry(period: &str, idle_count: Option<u32>, max_workers: Option<u32>) -> ScheduleEntry {
        ScheduleEntry {
            periods: vec![cronexpr::parse_crontab(period).unwrap()],
            written: vec![period.into()],
            idle_count: idle_count.map(IdleCount::Fixed),
            idle_count_min: None,
            idle_scale_factor: None,
            idle_time: None,
            max_workers,
        }
    }

    fn count_at(schedule: &[ScheduleEntry], at: &str) -> u32 {
        policy_at(&runner(schedule.to_vec()), at.parse().unwrap()).idle.count.fixed().unwrap()
    }

    #[test]
    fn an_entry_holds_through_the_whole_of_every_minute_it_names() {
        let office = [entry("* 8-17 * * mon-fri Europe/Berlin", Some(4), None)];
        // Berlin is two hours ahead of UTC in summer.
        let table = [
            ("2026-07-01T05:59:59Z", 1),
            ("2026-07-01T06:00:00Z", 4),
            ("2026-07-01T15:59:59Z", 4),
            ("2026-07-01T16:00:00Z", 1),
            ("2026-07-04T10:00:00Z", 1), // Saturday
        ];
        for (at, expected) in table {
            assert_eq!(count_at(&office, at), expected, "{at}");
        }
    }

    #[test]
    fn a_forecast_stays_between_its_floor_and_its_ceiling() {
        let auto = IdlePolicy { count_max: Some(6), ..idle(IdleCount::Auto, 2, 0.0) };
        assert_eq!([0, 4, 90].map(|forecast| auto.wanted(50, forecast)), [2, 4, 6]);
        let above = IdlePolicy { count_min: 8, ..auto };
        assert_eq!(above.wanted(0, 90), 8, "what must stand ready does");
    }

    #[test]
    fn office_hours_move_with_daylight_saving() {
        let office = [entry("* 8-17 * * * Europe/Berlin", Some(4), None)];
        // The clocks go back on 2026-10-25: eight o'clock is 06:00 UTC before and 07:00 UTC after.
        assert_eq!(count_at(&office, "2026-10-24T06:30:00Z"), 4);
        assert_eq!(count_at(&office, "2026-10-26T06:30:00Z"), 1);
    }

    #[test]
    fn a_skipped_hour_never_comes_and_a_repeated_one_twice() {
        let table = [
            // 2026-03-29: from 01:59 CET (00:59 UTC) to 03:00 CEST (01:00 UTC).
            ("* 2 * * * Europe/Berlin", "2026-03-29T00:59:59Z", 1),
            ("* 2 * * * Europe/Berlin", "2026-03-29T01:00:00Z", 1),
            ("* 3 * * * Europe/Berlin", "2026-03-29T01:00:00Z", 4),
            ("* 2 * * * Europe/Berlin", "2026-03-30T00:30:00Z", 4),
            // 2026-10-25: 02:00 to 02:59 in CEST (00:00 UTC), and again in CET (01:00 UTC).
            ("* 2 * * * Europe/Berlin", "2026-10-24T23:59:59Z", 1),
            ("* 2 * * * Europe/Berlin", "2026-10-25T00:00:00Z", 4),
            ("* 2 * * * Europe/Berlin", "2026-10-25T01:59:59Z", 4),
            ("* 2 * * * Europe/Berlin", "2026-10-25T02:00:00Z", 1),
        ];
        for (period, at, expected) in table {
            assert_eq!(count_at(&[entry(period, Some(4), None)], at), expected, "{period} at {at}");
        }
    }

    #[test]
    fn a_day_of_month_and_a_day_of_week_mean_either() {
        let period = [entry("* * 1 * mon UTC", Some(4), None)];
        for (at, expected) in [("2026-07-01T12:00:00Z", 4), ("2026-07-06T12:00:00Z", 4), ("2026-07-02T12:00:00Z", 1)] {
            assert_eq!(count_at(&period, at), expected, "{at}");
        }
    }

    #[test]
    fn the_last_active_entry_wins_over_the_runner_alone() {
        let schedule = [entry("* * * * * UTC", Some(2), Some(3)), entry("* 9 * * * UTC", Some(7), None)];
        let policy = policy_at(&runner(schedule.to_vec()), "2026-01-01T09:30:00Z".parse().unwrap());
        assert_eq!((policy.idle.count, policy.max_workers), (IdleCount::Fixed(7), 10));
        assert_eq!(policy.idle.time, IdleTime::Fixed(Duration::from_secs(300)));
    }

    #[test]
    fn a_factor_scales_between_floor_and_ceiling() {
        let scaled = idle(IdleCount::Fixed(10), 2, 0.5);
        let wanted: Vec<u32> = [0, 3, 5, 9, 30].into_iter().map(|in_use| scaled.wanted(in_use, 99)).collect();
        assert_eq!(wanted, [2, 2, 2, 4, 10]);
        assert_eq!(IdlePolicy { scale_factor: 0.0, ..scaled }.wanted(3, 99), 10);
    }

    #[test]
    fn the_forecast_stands_for_the_count_above_the_floor() {
        let auto = idle(IdleCount::Auto, 2, 0.0);
        assert_eq!([0, 2, 7].map(|forecast| auto.wanted(30, forecast)), [2, 2, 7]);
    }

    proptest::proptest! {
        /// docker+machine's own condition (GitLab Runner, `executors/docker/machine/idle_limit_strategy.go`), which says
        /// when there are enough: the smallest number that it calls enough is what is wanted. Its floor is at least 1;
        /// ours may be 0, which the translation writes out.
        #[test]
        fn idle_slots_are_the_fewest_that_docker_machine_accepts(
            count in 0_u32..40, count_min in 1_u32..40, factor in 0.0_f64..3.0, in_use in 0_u32..60,
        ) {
            let enough = |available: u32| {
                available >= count
                    || (factor > 0.0
                        && available >= count_min.max(1)
                        && f64::from(available) >= (f64::from(in_use) * factor).trunc())
            };
            let fewest = (0..).find(|available| enough(*available)).unwrap();
            proptest::prop_assert_eq!(idle(IdleCount::Fixed(count), count_min, factor).wanted(in_use, 0), fewest);
        }
    }
}
