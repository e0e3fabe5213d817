//! How long before a job a worker must have been launched for the job to start in time.

use std::collections::VecDeque;
use std::time::Duration;

/// As many boots as show the spread, and few enough to follow a new image within a day.
const BOOTS_KEPT: usize = 64;
/// Before any boot was measured: what a stock image needs to install Docker and the runner.
const GUESS: Duration = Duration::from_secs(90);

/// The last boots, from EC2's launch time to the runner asking for jobs.
#[derive(Clone, Debug)]
pub(crate) struct Boots {
    last: VecDeque<Duration>,
    median: Duration,
    p95: Duration,
}

/// Where no worker came up so far.
static NONE: Boots = Boots { last: VecDeque::new(), median: GUESS, p95: GUESS };

impl Default for Boots {
    fn default() -> Self {
        NONE.clone()
    }
}

impl Boots {
    /// These, or none.
    pub(crate) fn or_none(these: Option<&Self>) -> &Self {
        these.unwrap_or(&NONE)
    }

    /// A worker came up.
    pub(crate) fn took(&mut self, boot: Duration) {
        if self.last.len() == BOOTS_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(boot);
        let mut sorted: Vec<Duration> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        let quantile = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(rank).copied().unwrap_or(GUESS)
        };
        (self.median, self.p95) = (quantile(50), quantile(95));
    }

    /// 95 of 100 boots take no longer; a guess while there was none.
    pub(crate) fn p95(&self) -> Duration {
        self.p95
    }

    /// Half of the boots take no longer; a guess while there was none.
    pub(crate) fn median(&self) -> Duration {
        self.median
    }

    /// Whether they are guesses.
    pub(crate) fn is_guess(&self) -> bool {
        self.last.is_empty()
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
