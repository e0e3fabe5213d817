//! docs/contract.md and the program say the same: no field, metric or event is exported that the page does not name, and
//! none is promised that there is not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use runner_fleet::control::{Held, LeftOut, Plan};
use runner_fleet::history::Number;
use runner_fleet_engine::ledger::{Account, Cost, CostCounter, Label, Line, ProjectCosts, RunnerCosts};
use runner_fleet_engine::prices::Limit;
use runner_fleet_engine::snapshot::{
    Decision, DecisionKind, JobSnapshot, Outlook, Promise, RunnerSnapshot, WorkerSnapshot, WorkerState,
};
use runner_fleet_engine::{
    EcrError, Engine, Explained, Failure, FailureClass, FleetSnapshot, HeldBack, InstanceType, JobId, JobReason,
    Knowledge, LedgerSnapshot, Market, NoteKind, Offering, OverPriceCap, Phase, ProjectId, ProjectPath, RunnerName,
    Severity, SubnetId, TokenEnd, TokenKind, Trouble, TroubleReason, Verdict, WorkerId, WorkerReason, Zone,
};
use serde_json::Value;
use strum::VariantArray as _;

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
pub(crate) fn full() -> FleetSnapshot {
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
        slots: 1,
        max_workers: 4,
        held_back: Some(Explained::at(NOW, HeldBack::Paused)),
        paused: true,
        forecast: Some("wants 2".into()),
        over_price_cap: vec![Explained::at(NOW, too_dear())],
        outlook: Outlook { breaker_open_until: Some(NOW), offerings: 2, offerings_cooling: 1, forecast_slots: Some(2) },
        promise: Promise { target_wait: Duration::from_secs(30), jobs: 4, kept: 3, since: Some(NOW) },
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
    let reason = TroubleReason::JobsWait {
        jobs: 2,
        oldest: JobId(1),
        longest: Duration::from_secs(61),
        limit: Duration::from_secs(30),
        mostly: Box::new(JobReason::NextStep),
        of_those: 1,
    };
    let runner = Some(RunnerName::new("spot"));
    snapshot.verdict = Verdict::of(vec![Trouble::at(NOW, Severity::Critical, runner, NOW, Some(2), reason)]);
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
        today_total: Some(cost),
        month_total: Some(cost),
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
        project_path: ProjectPath::new("acme/tools/build"),
        url: Some("https://gitlab.example.com/acme/tools/build/-/jobs/7231000001".into()),
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
fn the_page_has_every_number_of_the_past() {
    let page = page();
    let rows = table(&page, "each null where it is not known:");
    let promised: BTreeSet<String> = rows.iter().flat_map(|row| names(&row[0])).collect();
    let exported: BTreeSet<String> = Number::VARIANTS.iter().map(|number| number.as_str().to_owned()).collect();
    assert_eq!(promised, exported);
}

#[test]
fn the_largest_state_fits_a_mebibyte() {
    let mut state = full();
    let number = |index: usize, prefix: &str| format!("{prefix}{index:017x}");
    let worker = |index: usize| WorkerSnapshot { id: WorkerId::new(number(index, "i-")), ..state.workers[0].clone() };
    state.workers = (0..1000).map(worker).collect();
    let text = "waits for i-0123456789abcdef0, which boots for 25 s: docker: pulling images";
    let reason = JobReason::Booting {
        worker: WorkerId::new("i-0123456789abcdef0"),
        since: NOW,
        step: "docker: pulling images".into(),
        failure: None,
    };
    let waits = JobSnapshot {
        name: "integration tests 3/12".into(),
        runner: Some(RunnerName::new("spot")),
        reason: Explained { reason, text: text.into() },
        ..job()
    };
    state.jobs = vec![waits; FleetSnapshot::JOBS_MAX];
    state.decisions = vec![state.decisions[0].clone(); FleetSnapshot::DECISIONS_MAX];
    let bytes = serde_json::to_vec(&state).unwrap().len();
    assert!(bytes <= 1024 * 1024, "{bytes} bytes");
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
        ("verdict", &state["verdict"]),
        ("verdict.troubles[]", &state["verdict"]["troubles"][0]),
        ("runners[].outlook", &state["runners"][0]["outlook"]),
        ("runners[].promise", &state["runners"][0]["promise"]),
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
fn every_kind_of_trouble_is_explained() {
    let (page, kinds) = (page(), <TroubleReason as strum::VariantNames>::VARIANTS);
    let reasons = table(&page, "**A reason** has a `kind`");
    let row = reasons.iter().find(|row| row[0] == "`verdict.troubles[].reason`").unwrap();
    let operations = std::fs::read_to_string(runner_fleet_testing::repository().join("docs/operations.md")).unwrap();
    let explained: BTreeSet<String> =
        table(&operations, "### Troubles").iter().flat_map(|row| names(&row[0])).collect();
    let kinds: BTreeSet<String> = kinds.iter().map(|&kind| kind.to_owned()).collect();
    assert_eq!(
        (names(&row[1]), &explained - &set(&["target_wait", "boot_timeout", "max_workers", "limit", "concurrent"])),
        (kinds.clone(), kinds)
    );
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
