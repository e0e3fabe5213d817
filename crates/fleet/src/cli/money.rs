//! Sums of the ledger, as people read them.

use runner_fleet_engine::ledger::Cost;

/// In USD: what is known, and what more it may be.
pub(super) fn money(cost: &Cost) -> String {
    let known = format!("{:.2}", cost.usd);
    match cost.usd_at_most {
        Some(at_most) if at_most > cost.usd => format!("{known} (at most {at_most:.2})"),
        Some(_) => known,
        None => format!("{known} and ?"),
    }
}

/// Beside what the same would have cost on demand, where that can be compared.
pub(super) fn beside(cost: &Cost) -> Option<String> {
    cost.below_on_demand.map(|share| {
        let side = if share >= 0.0 { "below" } else { "above" };
        format!("{} {side} on demand", percent(share.abs()))
    })
}

/// A share, in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
