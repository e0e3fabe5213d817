//! The books of single workers, and the law over whatever may happen to them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ids::ProjectId;

const START: i64 = 1_796_083_200_000; // 2026-12-01T00:00:00Z
const RATES: Rates = Rates { paid: Some(36_000_000_007), on_demand: Some(90_000_000_011) };

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(START + ms).unwrap()
}

fn id() -> WorkerId {
    WorkerId::new("i-1")
}

/// A ledger that was begun at the start, with one worker that was launched at that time.
fn with_worker(launched_ms: i64, boots: bool) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.begin(at(0));
    open(&mut ledger, launched_ms, boots);
    ledger
}

fn open(ledger: &mut Ledger, launched_ms: i64, boots: bool) {
    let (id, runner) = (id(), RunnerName::new("spot"));
    let launched_at = at(launched_ms);
    let seen = Seen { id: &id, runner: &runner, market: Market::Spot, launch: None, launched_at };
    ledger.open(seen, || Extras { disks: Rates::FREE, address: Rates::FREE }, boots, at(launched_ms.max(0)));
}

fn total(ledger: &Ledger) -> Amount {
    ledger.days.values().map(Sums::total).sum()
}

fn account(ledger: &Ledger, account: Account) -> Amount {
    let lines = ledger.days.values().flat_map(|sums| sums.lines());
    lines.filter(|(line, _)| line.account == account).map(|(_, amount)| *amount).sum()
}

fn label(project: u64, name: &str) -> Label {
    Label::of(ProjectId(project), name)
}

#[test]
fn a_worker_with_two_jobs_splits_its_time_and_no_unit_is_lost() {
    let mut ledger = with_worker(0, true);
    ledger.note(&id(), Use::Boot, Some(RATES), at(0));
    ledger.note(&id(), Use::Jobs(vec![label(1, "a"), label(2, "b")]), None, at(40_000));
    ledger.note(&id(), Use::Idle, None, at(100_001));
    ledger.is_listed(&id(), at(0), Some(at(200_000)));
    ledger.close(&id(), Some(at(150_000)), at(200_000));

    assert_eq!(account(&ledger, Account::Boot).ms, 40_000);
    assert_eq!(account(&ledger, Account::Jobs).ms, 60_001);
    assert_eq!(account(&ledger, Account::Idle).ms, 49_999);
    let whole = total(&ledger);
    assert_eq!((whole.ms, whole.pico), (150_000, 36_000_000_007 * 150_000 / 3_600_000));
    let sums = ledger.days.values().next().unwrap();
    let payers: BTreeMap<&Label, i64> = sums.payers().map(|(_, label, amount)| (label, amount.pico)).collect();
    assert_eq!(payers.values().sum::<i64>(), account(&ledger, Account::Jobs).pico);
    let times: Vec<i64> = sums.payers().map(|(_, _, amount)| amount.ms).collect();
    assert_eq!(times, [30_001, 30_000], "an odd sum leaves a unit for the first");
}

#[test]
fn a_price_holds_from_when_it_is_heard() {
    let mut ledger = with_worker(0, true);
    ledger.note(&id(), Use::Idle, Some(Rates::flat(3.6)), at(0));
    ledger.note(&id(), Use::Idle, Some(Rates::flat(7.2)), at(100_000));
    ledger.close(&id(), Some(at(200_000)), at(200_000));
    assert_eq!(total(&ledger).pico, pico(0.1 + 0.2));
}

#[test]
fn what_an_hour_of_unknown_price_costs_is_not_zero() {
    let mut ledger = with_worker(0, true);
    ledger.note(&id(), Use::Idle, Some(Rates { paid: None, on_demand: Some(pico(3.6)) }), at(0));
    ledger.close(&id(), Some(at(100_000)), at(100_000));
    let cost = report::Cost::of(&total(&ledger));
    assert_eq!((cost.usd, cost.usd_at_most, cost.below_on_demand), (0.0, Some(0.1), None));
    assert_eq!(ledger.spent(&RunnerName::new("spot"), Spending::Day, at(100_000)), pico(0.1));
}

#[test]
fn nothing_is_booked_that_no_listing_has_confirmed() {
    let mut ledger = with_worker(0, true);
    ledger.note(&id(), Use::Idle, Some(RATES), at(0));
    ledger.is_listed(&id(), at(0), Some(at(60_000)));
    ledger.settle(&id(), true, at(300_000));
    assert_eq!(total(&ledger).ms, 60_000 - LISTING_LAG);
    ledger.close(&id(), Some(at(70_000)), at(300_000));
    assert_eq!(total(&ledger).ms, 70_000);
}

#[test]
fn an_end_before_what_is_booked_is_taken_back() {
    let mut ledger = with_worker(0, true);
    ledger.note(&id(), Use::Idle, Some(RATES), at(0));
    ledger.is_listed(&id(), at(0), Some(at(500_000)));
    ledger.settle(&id(), true, at(500_000));
    let counted = ledger.snapshot(at(500_000)).totals[0].seconds;
    ledger.close(&id(), Some(at(300_000)), at(500_000));
    assert_eq!(total(&ledger).ms, 300_000);
    assert_eq!(ledger.snapshot(at(500_000)).totals[0].seconds.to_bits(), counted.to_bits(), "a counter never falls");
}

#[test]
fn a_minute_is_the_least_and_an_end_is_booked_once() {
    let mut ledger = with_worker(0, true);
    ledger.close(&id(), Some(at(5_000)), at(9_000));
    open(&mut ledger, 0, false);
    ledger.close(&id(), Some(at(5_000)), at(19_000));
    assert_eq!(total(&ledger).ms, 60_000);
}

#[test]
fn what_came_before_the_books_and_after_a_crash_is_told_as_that() {
    let mut ledger = with_worker(-100_000, false);
    ledger.note(&id(), Use::Idle, Some(RATES), at(50_000));
    ledger.tidy(at(80_000));
    // The manager dies; the next one reads what was kept, and hears of the worker at 120 s.
    let kept = serde_json::to_string(&ledger).unwrap();
    let mut next: Ledger = serde_json::from_str(&kept).unwrap();
    next.begin(at(110_000));
    next.note(&id(), Use::Idle, None, at(120_000));
    next.close(&id(), Some(at(150_000)), at(150_000));
    let of = |wanted| account(&next, wanted).ms;
    assert_eq!((of(Account::Before), of(Account::Unknown)), (100_000, 50_000 + 40_000));
    assert_eq!((of(Account::Idle), total(&next).ms), (30_000 + 30_000, 250_000));
}

#[test]
fn a_lost_ledger_books_nothing_that_a_day_before_holds() {
    let mut ledger = Ledger::after_loss(Some(at(-86_400_000 + 40_000)));
    ledger.begin(at(0));
    open(&mut ledger, -90_000_000, false);
    ledger.close(&id(), Some(at(10_000)), at(10_000));
    assert_eq!(total(&ledger).ms, 86_400_000 - 40_000 + 10_000);
}

#[test]
fn a_day_ends_at_midnight_and_goes_when_the_keeper_has_it() {
    let mut ledger = with_worker(86_400_000 - 10_000, true);
    ledger.note(&id(), Use::Idle, Some(RATES), at(86_400_000 - 10_000));
    ledger.close(&id(), Some(at(86_400_000 + 50_000)), at(86_400_000 + 60_000));
    let days: Vec<(String, i64)> = ledger.days.iter().map(|(day, sums)| (day.to_string(), sums.total().ms)).collect();
    assert_eq!(days, [("2026-12-01".to_owned(), 10_000), ("2026-12-02".to_owned(), 50_000)]);
    ledger.tidy(at(2 * 86_400_000));
    assert_eq!(ledger.days.len(), 2, "it was booked in less than a day ago");
    ledger.tidy(at(3 * 86_400_000));
    assert_eq!(ledger.days.len(), 1);
}

#[test]
fn every_worker_has_its_turn_in_each_round() {
    let mut ledger = Ledger::default();
    ledger.begin(at(0));
    for number in 0..25 {
        let (id, runner) = (WorkerId::new(format!("i-{number:02}")), RunnerName::new("spot"));
        let seen = Seen { id: &id, runner: &runner, market: Market::Spot, launch: None, launched_at: at(0) };
        ledger.open(seen, Extras::default, true, at(0));
    }
    let mut turns: BTreeMap<WorkerId, usize> = BTreeMap::new();
    for step in 1..=20 {
        let due = ledger.due(Duration::from_secs(10), at(step * 500));
        assert!(due.len() <= 2, "{due:?}");
        due.into_iter().for_each(|id| *turns.entry(id).or_default() += 1);
    }
    assert_eq!(turns.len(), 25);
    assert_eq!(ledger.due(Duration::from_secs(10), at(1_000_000)).len(), 25, "after a long sleep each comes once");
}

/// What may happen to a worker between two moments.
#[derive(Clone, Debug)]
enum Happens {
    Does(u8),
    Costs(Option<i64>),
    Listed,
    Settles,
    Crash,
    ClockOff(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        (0_u8..5).prop_map(Happens::Does),
        proptest::option::of(1_i64..PICO).prop_map(Happens::Costs),
        Just(Happens::Listed),
        Just(Happens::Settles),
        Just(Happens::Crash),
        (-120_000_i64..120_000).prop_map(Happens::ClockOff),
    ]
}

proptest! {
    /// The law: whatever happens, each millisecond of a worker's life is booked once, and money is time at its price.
    #[test]
    fn the_accounts_add_up_to_the_workers_life(
        steps in proptest::collection::vec((0_i64..1_500_000, happens()), 0..60), tail in 0_i64..200_000,
    ) {
        let (mut ledger, mut now, mut off) = (with_worker(0, true), 0, 0);
        let mut kept = ledger.clone();
        for (passes, what) in steps {
            now += passes;
            let clock = at(now + off);
            match what {
                Happens::Does(0) => ledger.note(&id(), Use::Idle, None, clock),
                Happens::Does(1) => ledger.note(&id(), Use::Drain, None, clock),
                Happens::Does(2) => ledger.note(&id(), Use::Unknown, None, clock),
                Happens::Does(jobs) => {
                    let labels = (0..jobs).map(|job| label(job.into(), "job")).collect();
                    ledger.note(&id(), Use::Jobs(labels), None, clock);
                }
                Happens::Costs(paid) => {
                    ledger.note(&id(), Use::Idle, Some(Rates { paid, on_demand: paid }), clock);
                }
                Happens::Listed => ledger.is_listed(&id(), at(0), Some(clock)),
                Happens::Settles => ledger.settle(&id(), true, clock),
                Happens::Crash => {
                    ledger = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
                    ledger.begin(clock);
                }
                Happens::ClockOff(by) => off = by,
            }
            ledger.tidy(at(now + off));
            if now % 3 == 0 {
                kept = ledger.clone();
            }
        }
        let end = now + tail;
        ledger.close(&id(), Some(at(end)), at(end + off));
        prop_assert_eq!(total(&ledger).ms, end.max(60_000));
        for sums in ledger.days.values() {
            for (line, amount) in sums.lines().filter(|(line, _)| line.account == Account::Jobs) {
                let payers = sums.payers().filter(|(paid, _, _)| *paid == line);
                prop_assert_eq!(payers.map(|(_, _, amount)| *amount).sum::<Amount>(), *amount);
            }
        }
    }
}

#[test]
fn totals_are_those_of_all_runners_and_of_one() {
    assert_eq!(Ledger::default().snapshot(at(0)).today_total, None, "nothing is known before there are books");
    let mut ledger = with_worker(0, false);
    ledger.note(&id(), Use::Idle, Some(RATES), at(0));
    ledger.is_listed(&id(), at(0), Some(at(7_200_000)));
    ledger.close(&id(), Some(at(3_600_000)), at(7_200_000));
    let books = ledger.snapshot(at(7_200_000));
    let total = books.today_total.unwrap();
    assert_eq!((total.usd, total.below_on_demand), (0.036, Some(0.6)));
    assert_eq!(books.month_total, books.today_total);
    assert_eq!(books.clone().of_runner(&RunnerName::new("spot")).today_total, books.today_total);
    let other = books.of_runner(&RunnerName::new("large"));
    assert_eq!(other.today_total.map(|cost| (cost.usd, cost.usd_at_most)), Some((0.0, Some(0.0))));
    assert!(other.today.is_empty() && other.totals.is_empty());
    let next_month = ledger.snapshot(at(32 * 86_400_000));
    assert_eq!(next_month.month_total.map(|cost| cost.usd), Some(0.0), "another month begins with nothing");
}
