//! Another manager of our name. Its launches show it: they carry the time of its start, which is not ours, and come long after
//! ours, so that no earlier life of our own can have made them. The younger of the two stops launching.

use std::time::Duration;

use jiff::Timestamp;

use super::time::{after, since};
use super::token::TokenMint;
use super::worker::Instance;

/// For so long after our start instances may come of calls that an earlier life of ours had under way; and clocks differ.
const OWN_PAST: Duration = Duration::from_secs(120);
/// For so long after its last launch another manager is taken to be there.
const PRESENT: Duration = Duration::from_secs(15 * 60);

/// What is known of another manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rival {
    /// When it was started, by its own clock.
    pub(crate) started_at: Timestamp,
    /// When its last launch was seen first.
    seen_at: Timestamp,
}

/// Whether there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rivals {
    newest: Option<Rival>,
}

impl Rivals {
    /// Takes in an instance that a listing shows for the first time; another manager, if it is the first sign of that one.
    pub(crate) fn see(&mut self, instance: &Instance, mint: &TokenMint, now: Timestamp) -> Option<Rival> {
        let (ours, theirs) = (mint.started_at(), TokenMint::start_of(instance.launch.as_ref()?)?);
        let threshold = after(ours, OWN_PAST);
        if theirs == TokenMint::whole_seconds(ours) || instance.launched_at < threshold || now < threshold {
            return None;
        }
        let rival = Rival { started_at: theirs, seen_at: now };
        let before = self.newest.replace(rival);
        before.is_none_or(|before| before.started_at != theirs).then_some(rival)
    }

    /// The one that launches beside us; whether it was there before us.
    pub(crate) fn present(&self, mint: &TokenMint, now: Timestamp) -> Option<(Rival, bool)> {
        let rival = self.newest.filter(|rival| since(now, rival.seen_at) < PRESENT)?;
        Some((rival, rival.started_at < TokenMint::whole_seconds(mint.started_at())))
    }

    /// The one that was there before us, and until when we leave launching to it.
    pub(crate) fn elder(&self, mint: &TokenMint, now: Timestamp) -> Option<(Rival, Timestamp)> {
        let (rival, is_elder) = self.present(mint, now)?;
        is_elder.then(|| (rival, after(rival.seen_at, PRESENT)))
    }
}
