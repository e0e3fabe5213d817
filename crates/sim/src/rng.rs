//! All chance of a world: one seed, a stream per purpose.
//!
//! One more launch must not reshuffle the jobs' fates, so every purpose draws from its own stream. A fault that is
//! switched off draws nothing, so that switching one on leaves the others as they were.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// What a draw is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// How long answers take.
    Latency,
    /// How long boots take, and how they go wrong.
    Boot,
    /// Which offering EC2 gives, and what it refuses.
    Market,
    /// Which of several waiting runners GitLab answers first, and how long jobs take to show.
    Jobs,
    /// Connections to workers: delays and breaks.
    Connection,
    /// Answers that are lost, late, doubled or overtaken.
    Answers,
    /// Interruptions, dying hosts, people.
    Fate,
    /// Administrators, operators, the manager's clock, lies.
    Admin,
    /// Launch templates and key pairs: calls that fail, listings that lag, people who delete.
    Resources,
}

const STREAMS: usize = 9;

/// The streams.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    streams: [SmallRng; STREAMS],
}

impl Rng {
    /// Equal seeds give equal worlds.
    pub(crate) fn new(seed: u64) -> Self {
        // The multiplier spreads neighbouring seeds and streams; `seed_from_u64` mixes the rest.
        let stream = |index: usize| {
            SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index as u64 + 1))
        };
        Self { streams: std::array::from_fn(stream) }
    }

    fn of(&mut self, stream: Stream) -> &mut SmallRng {
        let [latency, boot, market, jobs, connection, answers, fate, admin, resources] = &mut self.streams;
        match stream {
            Stream::Latency => latency,
            Stream::Boot => boot,
            Stream::Market => market,
            Stream::Jobs => jobs,
            Stream::Connection => connection,
            Stream::Answers => answers,
            Stream::Fate => fate,
            Stream::Admin => admin,
            Stream::Resources => resources,
        }
    }

    /// Evenly from 0 (included) to 1 (excluded).
    pub(crate) fn unit(&mut self, stream: Stream) -> f64 {
        self.of(stream).random()
    }

    /// Whether a fault of this rate (0 to 1) happens now; one that is switched off draws nothing.
    pub(crate) fn chance(&mut self, stream: Stream, rate: f64) -> bool {
        rate > 0.0 && self.unit(stream) < rate
    }

    /// Evenly between two durations, in milliseconds.
    pub(crate) fn between(&mut self, stream: Stream, least: Duration, most: Duration) -> Duration {
        least + Duration::from_millis((most.saturating_sub(least).as_millis() as f64 * self.unit(stream)) as u64)
    }

    /// Evenly between two numbers of milliseconds.
    pub(crate) fn millis(&mut self, stream: Stream, least: u64, most: u64) -> Duration {
        self.between(stream, Duration::from_millis(least), Duration::from_millis(most))
    }

    /// The time until something that happens `per_hour` times an hour on average; `None` where it never does.
    pub(crate) fn until_next(&mut self, stream: Stream, per_hour: f64) -> Option<Duration> {
        (per_hour > 0.0).then(|| {
            let hours = -(1.0 - self.unit(stream)).ln() / per_hour;
            Duration::from_millis((hours * 3_600_000.0).clamp(1.0, 1e12) as u64)
        })
    }

    /// One of `count` (at least 1).
    pub(crate) fn pick(&mut self, stream: Stream, count: usize) -> usize {
        self.of(stream).random_range(0..count.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_draw_equally_in_separate_streams() {
        let (mut one, mut two) = (Rng::new(7), Rng::new(7));
        for _ in 0..5 {
            two.unit(Stream::Boot);
        }
        assert_eq!(one.unit(Stream::Fate).to_bits(), two.unit(Stream::Fate).to_bits());
        assert_ne!(one.unit(Stream::Fate).to_bits(), Rng::new(8).unit(Stream::Fate).to_bits());
    }

    #[test]
    fn a_fault_that_is_off_draws_nothing() {
        let (mut one, mut two) = (Rng::new(7), Rng::new(7));
        assert!(!one.chance(Stream::Answers, 0.0));
        assert_eq!(one.unit(Stream::Answers).to_bits(), two.unit(Stream::Answers).to_bits());
    }
}
