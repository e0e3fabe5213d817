//! docs/contract.md and the program say the same: no field, metric or event is exported that the page does not name, and
//! none is promised that there is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use runner_fleet::control::{Held, LeftOut, Plan};
use runner_fleet::http::{CostCollector, FleetCollector};
use runner_fleet::live::metrics::LoopMetrics;
use runner_fleet_engine::ledger::{Account, Cost, CostCounter, Label, Line, ProjectCosts, RunnerCosts};
use runner_fleet_engine::prices::Limit;
use runner_fleet_engine::snapshot::{Decision, DecisionKind, JobSnapshot, RunnerSnapshot, WorkerSnapshot, WorkerState};
use runner_fleet_engine::{
    EcrError, Engine, Explained, Failure, FailureClass, FleetSnapshot, HeldBack, InstanceType, JobId, JobReason,
    Knowledge, LedgerSnapshot, Market, NoteKind, Offering, OverPriceCap, Phase, ProjectId, RunnerName, SubnetId,
    TokenEnd, TokenKind, WorkerId, WorkerReason, Zone,
};
use serde_json::Value;
use strum::VariantArray as _;
use tokio::sync::watch;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn page() -> String {
    std::fs::read_to_string(runner_fleet_testing::repository().join("docs/contract.md")).unwrap()
}

/// The rows of the table that follows these words: their cells.
fn table(page: &str, after: &str) -> Vec<Vec<String>> {
    let (_, rest) = page.split_once(after).unwrap_or_else(|| panic!("the page has no {after}"));
    let lines = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.skip(2).map(cells).collect()
}

/// What stands in backquotes, but for what a parenthesis explains.
fn names(cell: &str) -> BTreeSet<String> {
    let (mut depth, mut name, mut names) = (0, None::<String>, BTreeSet::new());
    for char in cell.chars() {
        match (char, &mut name) {
            ('`', Some(_)) => names.extend(name.take().filter(|_| depth == 0)),
            ('`', None) => name = Some(String::new()),
            (_, Some(name)) => name.push(char),
            ('(', None) => depth += 1,
            (')', None) => depth -= 1,
            _ => {}
        }
    }
    names
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object")).keys().cloned().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A state with one of each thing, and everything in it.
fn full() -> FleetSnapshot {
    let mut snapshot = Engine::new("ci", 1, NOW).snapshot();
    let failure = Failure::new(FailureClass::Denied, "denied");
    let stale = || Knowledge::Stale { age: Duration::from_secs(5), failure: failure.clone() };
    snapshot.ec2 = stale();
    snapshot.ledger = ledger();
    snapshot.prices = BTreeMap::from([("eu-central-1".to_owned(), stale())]);
    snapshot.runners.push(RunnerSnapshot {
        name: RunnerName::new("spot"),
        queue: stale(),
        projects_blind: 1,
        facts: stale(),
        token_end: Some(TokenEnd { at: NOW, token: TokenKind::ApiToken }),
        launch_plan: stale(),
        running: 1,
        waiting: Some(1),
        idle_wanted: 1,
        idle_ready: 1,
        workers: 1,
        max_workers: 4,
        held_back: Some(Explained::at(NOW, HeldBack::Paused)),
        paused: true,
        forecast: Some("wants 2".into()),
        over_price_cap: vec![Explained::at(NOW, too_dear())],
    });
    snapshot.workers.push(WorkerSnapshot {
        id: WorkerId::new("i-1"),
        runner: RunnerName::new("spot"),
        state: WorkerState::Busy,
        reason: Some(Explained::at(NOW, WorkerReason::Booting { since: NOW, step: "docker".into(), failure: None })),
        phase: Some(Phase::Ready),
        jobs: 1,
        job_ids: vec![JobId(1)],
        age: Duration::from_secs(61),
        idle: None,
        instance_type: InstanceType::new("m7g.large"),
        zone: Zone::new("eu-central-1a"),
        market: Market::Spot,
        usd_per_hour: Some(0.1),
        usd_estimated: Some(0.1),
        hold: false,
        ecr_error: Some(EcrError { at: None, text: "denied".into() }),
    });
    snapshot.jobs.push(job());
    snapshot.decisions.push(Decision {
        at: NOW,
        kind: DecisionKind::Launch,
        runner: None,
        worker: None,
        reason: None,
        text: "launched".into(),
    });
    snapshot
}

fn ledger() -> LedgerSnapshot {
    let (runner, cost) =
        (RunnerName::new("spot"), Cost { usd_at_most: Some(1.0), below_on_demand: Some(0.5), ..Cost::default() });
    let costs = || RunnerCosts { runner: runner.clone(), cost, markets: BTreeMap::new(), accounts: BTreeMap::new() };
    let line = Line { runner: runner.clone(), market: Market::Spot, account: Account::Jobs };
    LedgerSnapshot {
        since: Some(NOW),
        today: vec![costs()],
        month: vec![costs()],
        projects: vec![ProjectCosts { payer: Label::UNKNOWN, cost }],
        totals: vec![CostCounter { line, usd: 1.0, on_demand_usd: 2.0, seconds: 3.0, unpriced_seconds: 0.0 }],
    }
}

fn job() -> JobSnapshot {
    JobSnapshot {
        id: JobId(1),
        project: ProjectId(2),
        name: "test".into(),
        waited: Duration::from_secs(61),
        runner: None,
        reason: Explained::at(NOW, JobReason::NextStep),
    }
}

fn too_dear() -> OverPriceCap {
    let offering = Offering {
        market: Market::Spot,
        instance_type: InstanceType::new("m7g.large"),
        zone: Zone::new("eu-central-1a"),
        subnet: SubnetId::new("subnet-1"),
    };
    OverPriceCap { offering, usd_per_hour: 1.0, limit: Limit::Configured { usd_per_hour: 0.5 } }
}

#[test]
fn the_page_has_every_field_of_the_state() {
    let (page, state) = (page(), serde_json::to_value(full()).unwrap());
    let rows = table(&page, "**State**");
    let row = |key: &str| {
        let cell = format!("`{key}`");
        names(&rows.iter().find(|row| row[0] == cell).unwrap_or_else(|| panic!("the page has no row {cell}"))[1])
    };
    let top: BTreeSet<String> = rows
        .iter()
        .map(|row| row[0].trim_matches('`'))
        .filter(|key| !key.contains('.'))
        .map(|key| key.trim_end_matches("[]").to_owned())
        .collect();
    // It stands once, for all forms.
    assert_eq!(keys(&state), top.union(&set(&["version"])).cloned().collect());
    for (key, value) in [
        ("runners[]", &state["runners"][0]),
        ("runners[].over_price_cap[]", &state["runners"][0]["over_price_cap"][0]),
        ("workers[]", &state["workers"][0]),
        ("waiting", &state["waiting"]),
        ("jobs[]", &state["jobs"][0]),
        ("decisions[]", &state["decisions"][0]),
        ("totals", &state["totals"]),
        ("costs", &state["costs"]),
        ("ledger", &state["ledger"]),
        ("ledger.today[]", &state["ledger"]["today"][0]),
        ("ledger.month[]", &state["ledger"]["month"][0]),
        ("ledger.projects[]", &state["ledger"]["projects"][0]),
        ("ledger.totals[]", &state["ledger"]["totals"][0]),
    ] {
        // A list of lists is a row of its own.
        let named: BTreeSet<String> = row(key).iter().map(|name| name.trim_end_matches("[]").to_owned()).collect();
        assert_eq!(keys(value), named, "{key}");
    }
    let states: BTreeSet<String> = WorkerState::VARIANTS.iter().map(|state| state.as_str().to_owned()).collect();
    assert_eq!(row("workers[].state"), states);
}

#[test]
fn the_page_has_every_field_of_a_plan() {
    let plan = Plan {
        version: 1,
        at: NOW,
        actions: Vec::new(),
        held_back: vec![Held { runner: RunnerName::new("spot"), reason: Explained::at(NOW, JobReason::NextStep) }],
        left_out: vec![LeftOut { runner: RunnerName::new("spot"), offer: Explained::at(NOW, too_dear()) }],
        waiting: vec![job()],
    };
    let (page, plan) = (page(), serde_json::to_value(plan).unwrap());
    let (_, rest) = page.split_once("**Plan**").unwrap();
    let paragraph = rest.split("\n\n").next().unwrap();
    for key in keys(&plan).iter().chain(&keys(&plan["left_out"][0])).chain(&keys(&plan["held_back"][0])) {
        let named = paragraph.contains(&format!("`{key}`")) || paragraph.contains(&format!("`{key}[]`"));
        assert!(named || key == "version", "the page's plan has no {key}");
    }
}

#[test]
fn the_page_has_every_metric_with_its_labels() {
    let (_keep, receiver) = watch::channel(Arc::new(full()));
    let mut registry = Registry::with_prefix("runner_fleet");
    registry.register_collector(Box::new(FleetCollector::new(receiver.clone())));
    registry.register_collector(Box::new(CostCollector::new(receiver)));
    LoopMetrics::new(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();

    let mut exported: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        exported.insert(name, (kind.to_owned(), BTreeSet::new()));
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else { continue };
        if let Some((_, labels)) = exported.get_mut(name) {
            let pairs = rest.split_once('}').unwrap().0.split(',');
            labels.extend(pairs.filter_map(|pair| pair.split_once('=')).map(|(label, _)| label.to_owned()));
        }
    }
    let mut promised = BTreeMap::new();
    for row in table(&page(), "### Metrics") {
        let labels: BTreeSet<String> =
            row[2].split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect();
        for name in names(&row[0]) {
            promised.insert(name, (row[1].clone(), labels.clone()));
        }
    }
    assert_eq!(exported, promised);
}

#[test]
fn the_page_has_every_event_of_the_log() {
    let rows = table(&page(), "### Events");
    let promised: BTreeSet<String> = rows.iter().flat_map(|row| names(&row[0])).collect();
    let mut exported: BTreeSet<String> = NoteKind::VARIANTS.iter().map(|kind| kind.as_str().to_owned()).collect();
    // Told by the service itself.
    exported.extend(set(&["started", "reloaded", "ledger_lost"]));
    assert_eq!(exported, promised);
}
