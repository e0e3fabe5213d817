//! What was spent today and this month, in one line.

use jiff::Timestamp;

use runner_fleet_engine::LedgerSnapshot;
use runner_fleet_engine::ledger::{Cost, Day};

use super::super::money::{beside, money};

/// What today and this month have cost so far; a ledger that began within the month says so, and one without books that
/// nothing is known.
pub(super) fn spent(ledger: &LedgerSnapshot, now: Timestamp) -> String {
    let (Some(today), Some(month), Some(since)) = (&ledger.today_total, &ledger.month_total, ledger.since) else {
        return "What today and this month have cost is not known yet".to_owned();
    };
    let first = Day::on(Day::at(now).date().first_of_month());
    let doubt = if since > first.begins() { format!("; the ledger begins at {since:.0}") } else { String::new() };
    format!("Today (UTC) {}; this month {}{doubt}", sum(today), sum(month))
}

fn sum(cost: &Cost) -> String {
    let beside = beside(cost).map_or_else(String::new, |beside| format!(", {beside}"));
    format!("{} USD{beside}", money(cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(usd: f64, below_on_demand: Option<f64>) -> Option<Cost> {
        Some(Cost { usd, usd_at_most: Some(usd), below_on_demand, ..Cost::default() })
    }

    fn said(ledger: LedgerSnapshot) -> String {
        spent(&ledger, "2026-12-07T09:00:00Z".parse().unwrap())
    }

    #[test]
    fn today_and_the_month_are_told_beside_on_demand() {
        let since = Some("2026-11-30T08:00:00Z".parse().unwrap());
        let (today_total, month_total) = (cost(4.1, Some(0.58)), cost(31.204, Some(-0.02)));
        let told = said(LedgerSnapshot { since, today_total, month_total, ..LedgerSnapshot::default() });
        assert_eq!(told, "Today (UTC) 4.10 USD, 58 % below on demand; this month 31.20 USD, 2 % above on demand");
    }

    #[test]
    fn what_is_not_known_of_the_month_is_said() {
        assert_eq!(said(LedgerSnapshot::default()), "What today and this month have cost is not known yet");
        let since = Some("2026-12-03T08:00:00Z".parse().unwrap());
        let today_total = cost(0.0, None).map(|cost| Cost { usd_at_most: None, ..cost });
        let month_total = cost(3.0, None).map(|cost| Cost { usd_at_most: Some(5.0), ..cost });
        let told = said(LedgerSnapshot { since, today_total, month_total, ..LedgerSnapshot::default() });
        let sums = "Today (UTC) 0.00 and ? USD; this month 3.00 (at most 5.00) USD";
        assert_eq!(told, format!("{sums}; the ledger begins at 2026-12-03T08:00:00Z"));
    }
}
