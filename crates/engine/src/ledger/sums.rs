//! The sums of a day or a month: every line, and of jobs and boots the largest payers with the rest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::account::{Amount, Label, Line};
use super::pairs;
use crate::ids::RunnerName;

/// Payers that are told one by one: more than anybody reads, and 30 KiB of a file.
const PAYERS: usize = 300;
/// So many are held before the smallest are put together: each time half of them go.
const PAYERS_MAX: usize = 2 * PAYERS;

/// Amounts by line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// All that was booked.
    #[serde(with = "pairs")]
    lines: BTreeMap<Line, Amount>,
    /// The same again for jobs and boots, by who pays: what is not here of a boot is the policy's.
    #[serde(with = "pairs")]
    payers: BTreeMap<(Line, Label), Amount>,
    /// When something was booked last, in ms since 1970.
    #[serde(default)]
    booked_at: i64,
}

impl Sums {
    /// Books an amount, and shares it evenly among its payers, each named as `label` says.
    pub(super) fn add(
        &mut self,
        line: &Line,
        amount: Amount,
        payers: &[Label],
        label: impl Fn(&Label) -> Label,
        now: i64,
    ) {
        self.booked_at = self.booked_at.max(now);
        match self.lines.get_mut(line) {
            Some(sum) => *sum += amount,
            None => {
                self.lines.insert(line.clone(), amount);
            }
        }
        for (index, payer) in payers.iter().enumerate() {
            *self.payers.entry((line.clone(), label(payer))).or_default() += amount.share(index, payers.len());
        }
        // Each line may have a rest, which stays.
        if self.payers.len() > PAYERS_MAX + self.lines.len() {
            self.put_together();
        }
    }

    /// Whether nothing was booked for so long.
    pub(super) fn is_older(&self, ms: i64, now: i64) -> bool {
        now.saturating_sub(self.booked_at) > ms
    }

    /// All that was booked.
    pub fn lines(&self) -> impl Iterator<Item = (&Line, &Amount)> {
        self.lines.iter()
    }

    /// Jobs and boots by who pays.
    pub fn payers(&self) -> impl Iterator<Item = (&Line, &Label, &Amount)> {
        self.payers.iter().map(|((line, label), amount)| (line, label, amount))
    }

    /// What one runner has cost.
    pub fn of_runner(&self, runner: &RunnerName) -> Amount {
        self.lines.iter().filter(|(line, _)| line.runner == *runner).map(|(_, amount)| *amount).sum()
    }

    /// Everything.
    pub fn total(&self) -> Amount {
        self.lines.values().copied().sum()
    }

    /// The smallest payers become the rest of their line.
    fn put_together(&mut self) {
        let mut sizes: Vec<(i64, i64)> = self.payers.values().map(size).collect();
        sizes.sort_unstable();
        let least = sizes.get(sizes.len().saturating_sub(PAYERS)).copied().unwrap_or_default();
        let mut rest: BTreeMap<Line, Amount> = BTreeMap::new();
        self.payers.retain(|(line, label), amount| {
            let stays = *label == Label::Rest || size(amount) > least;
            if !stays {
                *rest.entry(line.clone()).or_default() += *amount;
            }
            stays
        });
        for (line, amount) in rest {
            *self.payers.entry((line, Label::Rest)).or_default() += amount;
        }
    }
}

/// By money; where none is known, by time.
fn size(amount: &Amount) -> (i64, i64) {
    (amount.at_most(), amount.ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProjectId;
    use crate::ledger::Account;
    use crate::offering::Market;

    #[test]
    fn ten_thousand_names_are_the_largest_and_the_rest() {
        let mut sums = Sums::default();
        let line = Line { runner: RunnerName::new("spot"), market: Market::Spot, account: Account::Jobs };
        for job in 0..10_000_u32 {
            let amount = Amount { ms: 1_000, pico: i64::from(job % 1_000), ..Amount::default() };
            let label = Label::of(ProjectId(1), &format!("<b>job {job}"));
            sums.add(&line, amount, &[label], Label::clone, 0);
        }
        let large = Amount { ms: 1, pico: 1_000_000, ..Amount::default() };
        sums.add(&line, large, &[Label::of(ProjectId(2), "large")], Label::clone, 0);

        let told: Vec<_> = sums.payers().collect();
        assert!(told.len() <= PAYERS_MAX + 1, "{}", told.len());
        assert!(told.iter().any(|(_, label, _)| **label == Label::of(ProjectId(2), "large")));
        assert!(told.iter().any(|(_, label, _)| **label == Label::Rest));
        let together: Amount = told.iter().map(|(_, _, amount)| **amount).sum();
        assert_eq!(together, sums.total());
        assert_eq!(together.ms, 10_000_001);
    }
}
