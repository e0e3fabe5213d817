//! What is printed of an answer.

use super::*;
use runner_fleet_engine::ledger::{Account, CostRow};
use runner_fleet_engine::{JobName, Market, ProjectId};

fn cost(usd: f64) -> Cost {
    Cost {
        usd,
        usd_at_most: Some(usd),
        on_demand_usd: usd / 0.42,
        below_on_demand: Some(0.58),
        hours: 12.25,
        unpriced_hours: 0.0,
    }
}

fn report(by: By, rows: Vec<CostRow>) -> CostReport {
    let at = |text: &str| Some(text.parse().unwrap());
    let day = |text: &str| Day::on(text.parse().unwrap());
    CostReport {
        version: 1,
        query: CostQuery { from: day("2026-12-01"), to: day("2026-12-07"), by, runner: None },
        currency: "USD".into(),
        since: at("2026-12-03T08:00:00Z"),
        as_of: at("2026-12-07T09:00:00Z"),
        days_unreadable: Vec::new(),
        rows,
        rows_left_out: 0,
        total: Cost { usd_at_most: Some(5.5), unpriced_hours: 3.0, ..cost(4.1) },
    }
}

fn job(name: &str) -> Option<Label> {
    Some(Label::Job { project: Some(ProjectId(42)), name: Some(JobName::new(name)) })
}

#[test]
fn a_table_tells_what_is_known_and_what_is_not() {
    let row = |key, cost| CostRow { key, cost };
    let rows = vec![
        row(RowKey { payer: job("rspec\u{1b}[31m 1/8"), ..RowKey::default() }, cost(3.0)),
        row(RowKey { payer: Some(Label::UNKNOWN), ..RowKey::default() }, Cost { usd_at_most: None, ..cost(0.1) }),
        row(RowKey { payer: Some(Label::Rest), ..RowKey::default() }, cost(0.5)),
        row(
            RowKey { account: Some(Account::Idle), ..RowKey::default() },
            Cost { usd_at_most: Some(0.9), below_on_demand: None, ..cost(0.5) },
        ),
    ];
    let mut out = Vec::new();
    show(&report(By::Job, rows), OutputStyle::PLAIN, &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn csv_has_the_columns_of_focus_and_no_formula() {
    let key = RowKey {
        day: Some(Day::on("2026-12-06".parse().unwrap())),
        runner: Some(RunnerName::new("spot")),
        market: Some(Market::Spot),
        account: Some(Account::Jobs),
        payer: job("=HYPERLINK(\"http://evil.example\")"),
    };
    let disk = RowKey { account: Some(Account::Disks), payer: None, ..key.clone() };
    let rows = vec![CostRow { key, cost: cost(3.0) }, CostRow { key: disk, cost: cost(0.1) }];
    let mut out = Vec::new();
    let sink: &mut dyn Write = &mut out;
    let mut writer = focus::Writer::begin(sink).unwrap();
    writer.write(&report(By::Line, rows)).unwrap();
    writer.end().unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn days_are_read_as_people_write_them() {
    let now: Timestamp = "2026-12-07T23:30:00Z".parse().unwrap();
    for (text, day) in [
        ("2026-12-01", "2026-12-01"),
        ("today", "2026-12-07"),
        ("yesterday", "2026-12-06"),
        ("7d", "2026-11-30"),
        ("1mo", "2026-11-07"),
    ] {
        assert_eq!(day_at(text, now).unwrap().to_string(), day, "{text}");
    }
    assert!(day_at("soon", now).unwrap_err().contains("write a date"));
}
