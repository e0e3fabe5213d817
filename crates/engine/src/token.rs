//! Launch tokens: EC2's idempotency key, one per decision.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::ids::{LaunchToken, RunnerName};
use super::offering::Market;
use super::text::short_hex;

/// Makes tokens that differ between decisions, starts and managers, and are the same when a run is replayed.
#[derive(Clone, Debug)]
pub(crate) struct TokenMint {
    manager: String,
    seed: u64,
    started_at: Timestamp,
    decisions: u64,
}

impl TokenMint {
    pub(crate) fn new(manager: &str, seed: u64, started_at: Timestamp) -> Self {
        Self { manager: manager.into(), seed, started_at, decisions: 0 }
    }

    /// The token of the next decision: 32 hexadecimal digits, and the second of our start; of the 64 ASCII characters that EC2
    /// allows.
    pub(crate) fn next(&mut self, runner: &RunnerName, market: Market, count: u32) -> LaunchToken {
        self.decisions += 1;
        let Self { manager, seed, started_at, decisions } = self;
        let start = format!("{seed:x} {}", started_at.as_nanosecond());
        let digest = Sha256::digest(format!("{manager}\n{start}\n{decisions}\n{runner}\n{market}\n{count}"));
        LaunchToken::new(format!("{}-{}", short_hex(&digest, 32), started_at.as_second()))
    }

    /// When this life of ours was started.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// When the manager was started that made this token; absent from the tokens of older releases.
    pub(crate) fn start_of(token: &LaunchToken) -> Option<Timestamp> {
        let (_, start) = token.as_str().rsplit_once('-')?;
        Timestamp::from_second(start.parse().ok()?).ok()
    }

    /// A time as a token tells it.
    pub(crate) fn whole_seconds(at: Timestamp) -> Timestamp {
        Timestamp::from_second(at.as_second()).unwrap_or(at)
    }
}
