//! What keeps a map from growing without end.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Keeps the newest entries, at most so many.
pub(super) fn newest<K: Ord + Clone>(map: &mut BTreeMap<K, i64>, most: usize) {
    if map.len() <= most {
        return;
    }
    let mut times: Vec<i64> = map.values().copied().collect();
    times.sort_unstable_by_key(|time| Reverse(*time));
    let oldest = times.get(most.saturating_sub(1)).copied().unwrap_or(i64::MAX);
    map.retain(|_, time| *time >= oldest);
}
