//! How long before a job a worker must have been launched for the job to start in time.

use std::collections::VecDeque;
use std::time::Duration;

/// As many boots as show the spread, and few enough to follow a new image within a day.
const BOOTS_KEPT: usize = 64;
/// Before any boot was measured: what a stock image needs to install Docker and the runner.
pub(super) const GUESS: Duration = Duration::from_secs(90);

/// The last boots, from EC2's launch time to the runner asking for jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Boots(VecDeque<Duration>);

impl Boots {
    /// A worker came up.
    pub(crate) fn took(&mut self, boot: Duration) {
        if self.0.len() == BOOTS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(boot);
    }

    /// 95 of 100 boots take no longer; a guess while there was none.
    pub(crate) fn p95(&self) -> Duration {
        self.quantile(95)
    }

    /// Half of the boots take no longer; a guess while there was none.
    pub(crate) fn median(&self) -> Duration {
        self.quantile(50)
    }

    fn quantile(&self, percent: usize) -> Duration {
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(rank).copied().unwrap_or(GUESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_a_real_boot_and_old_ones_are_forgotten() {
        let mut boots = Boots::default();
        assert_eq!((boots.median(), boots.p95()), (GUESS, GUESS));
        (1..=20).for_each(|seconds| boots.took(Duration::from_secs(seconds)));
        assert_eq!((boots.median().as_secs(), boots.p95().as_secs()), (10, 19));
        (0..BOOTS_KEPT).for_each(|_| boots.took(Duration::from_secs(40)));
        assert_eq!(boots.p95().as_secs(), 40);
    }
}
