//! The promise and how it was kept: of the jobs of the last week whose wait is known, those that waited no longer than
//! `target_wait`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::reason::Brief;
use super::snapshot::Promise;

/// A week: jobs come by the week as well as by the day.
const HOURS: i64 = 7 * 24;
const SECONDS_PER_HOUR: i64 = 3600;

/// The jobs of one runner, by the hour in which they began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    hours: BTreeMap<i64, Hour>,
    since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Hour {
    jobs: u64,
    kept: u64,
}

impl Kept {
    /// A job has begun. What lies more than a week before or after is forgotten: the clock may be set.
    pub(crate) fn began(&mut self, is_kept: bool, now: Timestamp) {
        let this = hour(now);
        self.hours.retain(|hour, _| (this - *hour).abs() < HOURS);
        self.since = self.since.map_or(Some(now), |since| Some(since.min(now)));
        let hour = self.hours.entry(this).or_default();
        hour.jobs += 1;
        hour.kept += u64::from(is_kept);
    }

    /// What there is to tell now.
    pub(crate) fn told(&self, target_wait: std::time::Duration, now: Timestamp) -> Promise {
        let this = hour(now);
        let recent = self.hours.range(this - HOURS + 1..).map(|(_, hour)| *hour);
        let sum =
            recent.fold(Hour::default(), |sum, hour| Hour { jobs: sum.jobs + hour.jobs, kept: sum.kept + hour.kept });
        Promise { target_wait, jobs: sum.jobs, kept: sum.kept, since: self.since }
    }
}

impl Promise {
    /// What came of the promise, as the end of a sentence; `None` before the first job.
    pub fn reached(&self) -> Option<String> {
        let percent = (self.kept.saturating_mul(1000).checked_div(self.jobs)?) as f64 / 10.0;
        let (jobs, target) = (self.jobs, Brief(self.target_wait));
        Some(format!("of the last week's {jobs} jobs {percent} % waited no longer than {target}"))
    }
}

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(SECONDS_PER_HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_job_counts_for_a_week() {
        let at = |hours: i64| Timestamp::from_second(1_800_000_000 + hours * SECONDS_PER_HOUR).unwrap();
        let mut kept = Kept::default();
        let told = |kept: &Kept, hours| {
            let promise = kept.told(Duration::from_secs(30), at(hours));
            (promise.jobs, promise.kept, promise.since)
        };
        assert_eq!(told(&kept, 0), (0, 0, None));
        assert_eq!(kept.told(Duration::from_secs(30), at(0)).reached(), None);
        kept.began(true, at(0));
        kept.began(false, at(100));
        assert_eq!(told(&kept, 100), (2, 1, Some(at(0))));
        let said = kept.told(Duration::from_secs(30), at(100)).reached();
        assert_eq!(said.unwrap(), "of the last week's 2 jobs 50 % waited no longer than 30s");
        assert_eq!(told(&kept, 168), (1, 0, Some(at(0))));
        kept.began(true, at(500));
        assert_eq!((told(&kept, 500), kept.hours.len()), ((1, 1, Some(at(0))), 1));
        // The clock is set back by two years: nothing of a future is kept.
        kept.began(true, at(-20_000));
        assert_eq!(told(&kept, -20_000), (1, 1, Some(at(-20_000))));
    }
}
