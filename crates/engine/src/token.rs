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
    start: String,
    decisions: u64,
}

impl TokenMint {
    pub(crate) fn new(manager: &str, seed: u64, started_at: Timestamp) -> Self {
        Self { manager: manager.into(), start: format!("{seed:x} {}", started_at.as_nanosecond()), decisions: 0 }
    }

    /// The token of the next decision: 32 hexadecimal digits, of the 64 ASCII characters that EC2 allows.
    pub(crate) fn next(&mut self, runner: &RunnerName, market: Market, count: u32) -> LaunchToken {
        self.decisions += 1;
        let Self { manager, start, decisions } = self;
        let digest = Sha256::digest(format!("{manager}\n{start}\n{decisions}\n{runner}\n{market}\n{count}"));
        LaunchToken::new(short_hex(&digest, 32))
    }
}
