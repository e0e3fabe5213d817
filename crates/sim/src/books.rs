//! The manager's books in its state directory, and what they say beside EC2's bill.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use runner_fleet_engine::Ledger;
use runner_fleet_engine::ledger::{Account, Amount, Day, Sums, usd};

use super::check::Violation;
use super::event_log::Ending;
use super::faults::CLOCK_OFF_MS;
use super::figures::between;
use super::world::{Machine, World, later};

/// As live: what was booked since is lost with a crash, and booked anew from what EC2 tells.
const KEPT_EVERY: Duration = Duration::from_secs(60);
/// EC2 tells an end to the second, the books count milliseconds.
const ROUNDING_MS: i64 = 1_001;
/// How late the end may be seen of a worker that EC2 took back unannounced, or while nobody listened: as long as the
/// manager may stand still or see no listing, and a clock that is off.
const UNTOLD_MS: i64 = 20 * 60_000;
/// EC2 bills at least that.
const LEAST: Duration = Duration::from_secs(60);

/// The state directory.
#[derive(Debug, Default)]
pub(super) struct Books {
    kept: Option<Ledger>,
    /// The days that are over, as they were kept last.
    days: BTreeMap<Day, Sums>,
    keep_at: Option<Timestamp>,
}

impl Books {
    /// A step was made: the books are written now and then.
    pub(super) fn keep(&mut self, now: Timestamp, ledger: &Ledger) {
        if self.keep_at.is_none_or(|at| at <= now) {
            self.keep_at = Some(later(now, KEPT_EVERY));
            self.days.extend(ledger.days().clone());
            self.kept = Some(ledger.clone());
        }
    }

    /// What the next manager finds.
    pub(super) fn kept(&self) -> Option<Ledger> {
        self.kept.clone()
    }

    /// What the books say, and what EC2 bills.
    pub(super) fn balance(&self, world: &World, balanced: &Ledger) -> Balance {
        let mut days: BTreeMap<&Day, &Sums> = self.days.iter().collect();
        days.extend(balanced.days());
        let mut booked = Amount::default();
        let mut overpaid = None;
        for sums in days.values() {
            for (line, amount) in sums.lines() {
                if line.account.is_instance_time() {
                    booked += *amount;
                }
                let payers = sums.payers().filter(|(paid, _, _)| *paid == line);
                let paid: Amount = payers.map(|(_, _, amount)| *amount).sum();
                if line.account == Account::Jobs && paid != *amount {
                    overpaid = Some(format!("{line:?} holds {amount:?}, and its payers have {paid:?}"));
                }
            }
        }
        Balance { booked, bill: Bill::of(world), overpaid, priced: world.scenario().price_seed.is_some() }
    }
}

/// The books of a whole run beside EC2's bill.
#[derive(Debug)]
pub struct Balance {
    booked: Amount,
    bill: Bill,
    /// A line whose payers do not make up what was booked.
    overpaid: Option<String>,
    /// Whether the manager knew any price.
    priced: bool,
}

impl Balance {
    /// What the books hold of instances, in USD.
    pub fn booked_usd(&self) -> f64 {
        usd(self.booked.pico)
    }

    /// What EC2 bills for them.
    pub fn billed_usd(&self) -> f64 {
        self.bill.usd
    }

    /// What the books lack, or have too much, beyond what nobody can know.
    pub(super) fn violation(&self) -> Option<Violation> {
        let Self { booked, bill, overpaid, priced } = self;
        let (booked_usd, off) = (self.booked_usd(), self.booked_usd() - bill.usd);
        let what = if (booked.ms - bill.ms).abs() > bill.unsure_ms {
            let (booked, billed) = (SignedDuration::from_millis(booked.ms), SignedDuration::from_millis(bill.ms));
            format!("{booked:#} are booked of workers that lived {billed:#}")
        } else if *priced && off.abs() > bill.unsure_usd {
            format!("{booked_usd:.4} USD are booked, where EC2 bills {:.4}", bill.usd)
        } else {
            overpaid.clone()?
        };
        Some(Violation::WrongBooks(what))
    }
}

/// What EC2 bills, and what of it nobody can know exactly.
#[derive(Debug)]
struct Bill {
    ms: i64,
    usd: f64,
    unsure_ms: i64,
    unsure_usd: f64,
}

impl Bill {
    fn of(world: &World) -> Self {
        let mut bill = Self { ms: 0, usd: 0.0, unsure_ms: ROUNDING_MS, unsure_usd: 0.01 };
        for (_, machine) in world.machines() {
            bill.add(world, machine);
        }
        bill
    }

    fn add(&mut self, world: &World, machine: &Machine) {
        let lived = between(machine.launched_at, machine.ended_at.unwrap_or(world.now())).max(LEAST);
        let (usd, _) = machine.cost(world.now(), world.scenario().price_seed);
        self.ms += i64::try_from(lived.as_millis()).unwrap_or(i64::MAX);
        self.usd += usd;
        let ending = if machine.ending == Some(Ending::Interrupted) { UNTOLD_MS } else { ROUNDING_MS };
        // Nobody can know how long it was between two looks at a clock that was set between them.
        let clock_is_set = world.scenario().faults.clock_set_per_hour > 0.0;
        let unsure = ending + if clock_is_set { CLOCK_OFF_MS as i64 } else { 0 };
        self.unsure_ms += unsure;
        // A price that changes is heard of at the next look.
        self.unsure_usd += usd * unsure as f64 / lived.as_millis() as f64 + usd * 0.01;
    }
}
