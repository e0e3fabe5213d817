//! What a slot must be worth to be kept ready: how many jobs an hour it would have to serve.
//!
//! Some of the jobs may wait. They had better be those that are dear to serve: the night's single job, the last one of the
//! month's largest burst. So one price holds for the whole week: a slot is kept ready when the pattern expects it to serve at
//! least so many jobs an hour. The price follows from the past: for every job that came, what the pattern had expected of
//! the slot that would have served it is kept, and the price is the value that all but the allowed share reach. What
//! counts is what the pattern said when a worker for the job had to be launched, so that its errors count too: a pattern that
//! expects badly lowers the price, and more slots are kept.

/// Bins an octave of jobs per hour.
const BINS_PER_OCTAVE: f64 = 4.0;
/// A slot that serves less than a job in eight hours is not kept: it would cost eight idle hours for one boot's wait.
const WORTH_MIN: f64 = 0.125;
/// Octaves from there to 1,024 jobs an hour.
const OCTAVES: f64 = 13.0;
const BINS: usize = (BINS_PER_OCTAVE * OCTAVES) as usize;
/// Jobs that must have been seen before the price is more than a guess.
const JOBS_MIN: f64 = 30.0;
/// The guess: a slot that serves a job in two hours.
const GUESS: f64 = 0.5;

/// The past's expectations.
#[derive(Clone, Debug)]
pub(crate) struct Worth {
    /// Jobs by the worth of the slot that would have served them; the first bin holds those below [`WORTH_MIN`].
    bins: Vec<f32>,
    /// Jobs that needed none.
    free: f32,
}

impl Default for Worth {
    fn default() -> Self {
        Self { bins: vec![0.0; BINS + 1], free: 0.0 }
    }
}

impl Worth {
    /// A job came of that depth, of whose slot so many jobs an hour were expected.
    pub(crate) fn came(&mut self, depth: usize, expected: f64) {
        if depth == 0 {
            self.free += 1.0;
        } else if let Some(jobs) = self.bins.get_mut(bin(expected)) {
            *jobs += 1.0;
        }
    }

    /// Time has passed.
    pub(crate) fn fade(&mut self, kept: f32) {
        self.free *= kept;
        self.bins.iter_mut().for_each(|jobs| *jobs *= kept);
    }

    /// Jobs an hour that a slot must serve so that no more than this share of all jobs is left to wait.
    pub(crate) fn price(&self, may_wait: f64) -> f64 {
        let served: f64 = self.bins.iter().copied().map(f64::from).sum();
        let all = served + f64::from(self.free);
        if all < JOBS_MIN {
            return GUESS;
        }
        let mut waiting = 0.0;
        for (index, jobs) in self.bins.iter().enumerate() {
            waiting += f64::from(*jobs);
            if waiting > may_wait * all {
                // One bin below: where all times bring the same, a hair's breadth would decide between all slots and none.
                return lower_edge(index.saturating_sub(1));
            }
        }
        // Even if every job that needs a slot waits, few enough do.
        f64::INFINITY
    }
}

fn bin(worth: f64) -> usize {
    if worth < WORTH_MIN {
        return 0;
    }
    // A cast saturates; a worth is at least the least one here.
    (((worth / WORTH_MIN).log2() * BINS_PER_OCTAVE) as usize + 1).min(BINS)
}

/// The least worth that falls into a bin; for the first one, the least that is ever paid.
fn lower_edge(index: usize) -> f64 {
    WORTH_MIN * 2_f64.powf(index.saturating_sub(1) as f64 / BINS_PER_OCTAVE)
}
