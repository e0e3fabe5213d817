//! What `/metrics` shows is what the catalogue says, and what docs/metrics.md says, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use runner_fleet::live::metrics;
use runner_fleet::metrics::{Calls, catalogue};
use runner_fleet_engine::{
    BootPhase, BootStep, Command, ConfigHash, FailureClass, InstanceType, JobBegan, JobId, JobWait, Launch,
    LaunchReason, LaunchToken, Market, Measure, RunnerName, RunnerSettings, Server, Settings, TemplateName, WorkerId,
};
use tokio::sync::watch;

use crate::contract;

const BEGIN: &str = "<!-- written from crates/fleet/src/metrics/catalogue.rs: make golden -->\n";
const END: &str = "<!-- end of what is written -->\n";

/// Name to type and labels, of a page or of the catalogue.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

/// The families of a page of OpenMetrics.
pub(crate) fn families(text: &str) -> Families {
    let mut found = Families::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let before = found.insert(format!("{name}{suffix}"), (kind.to_owned(), BTreeSet::new()));
        assert!(before.is_none(), "{name} stands there twice");
    }
    for (name, labels) in samples(text) {
        let family = ["", "_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix).filter(|name| found.contains_key(*name)));
        let (_, names) = found.get_mut(family.unwrap_or_else(|| panic!("{name} has no type"))).unwrap();
        names.extend(labels.into_iter().map(|(label, _)| label).filter(|label| label != "le"));
    }
    found
}

/// Name and labels of every sample, read as OpenMetrics says: `\\`, `\"` and `\n` are escapes, and nothing else is.
fn samples(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let sample = |line: &str| {
        let mut chars = line.chars().peekable();
        let name: String = std::iter::from_fn(|| chars.next_if(|char| !matches!(char, '{' | ' '))).collect();
        let mut labels = Vec::new();
        if chars.next() == Some('{') {
            while chars.next_if_eq(&'}').is_none() {
                chars.next_if_eq(&',');
                let label: String = std::iter::from_fn(|| chars.next_if(|char| *char != '=')).collect();
                assert_eq!((chars.next(), chars.next()), (Some('='), Some('"')), "{line}");
                let mut value = String::new();
                loop {
                    match chars.next().unwrap_or_else(|| panic!("{line} ends in a label")) {
                        '"' => break,
                        '\\' => value.push(match chars.next() {
                            Some('n') => '\n',
                            Some(char @ ('\\' | '"')) => char,
                            other => panic!("{line}: {other:?} is no escape"),
                        }),
                        char => value.push(char),
                    }
                }
                labels.push((label, value));
            }
        }
        let number: String = chars.collect();
        assert!(number.trim().parse::<f64>().is_ok(), "{line}: {number:?} is no number");
        (name, labels)
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

/// The families of the catalogue.
pub(crate) fn catalogued() -> Families {
    let all = catalogue::ALL.iter().flat_map(|(_, families)| *families);
    let entry = |family: &catalogue::Described| {
        let labels = family.labels.iter().map(|&label| label.to_owned()).collect();
        (family.full_name(), (<&str>::from(family.kind).to_owned(), labels))
    };
    all.map(entry).collect()
}

/// A registry in which each family has a sample, of this runner.
pub(crate) fn registry(runner: &RunnerName) -> Registry {
    let mut snapshot = contract::full();
    snapshot.runners[0].name = runner.clone();
    snapshot.ledger.totals.iter_mut().for_each(|counter| counter.line.runner = runner.clone());
    snapshot.verdict.troubles.iter_mut().for_each(|trouble| trouble.runner = Some(runner.clone()));
    let (_, receiver) = watch::channel(Arc::new(snapshot));
    let calls = Calls::default();
    calls.begin("ec2", "DescribeInstances").ended(Ok(()));
    calls.begin("gitlab", "GET /projects/:id/jobs").ended(Err(FailureClass::Throttled));
    let (registry, metrics) = metrics::registry(receiver, &calls);
    let section = RunnerSettings::new(runner.clone(), Server::new("https://gitlab.example.com"));
    metrics.configured(&Settings { concurrent: 1, check_interval: Duration::from_secs(3), runners: vec![section] });
    metrics.commanded(&launch(runner));
    each_measure(runner).iter().for_each(|measure| metrics.measured(measure));
    registry
}

/// Its page.
fn page(runner: &RunnerName) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry(runner)).unwrap();
    text
}

fn launch(runner: &RunnerName) -> Command {
    Command::Launch(Launch {
        token: LaunchToken::new("t"),
        runner: runner.clone(),
        count: 1,
        market: Market::Spot,
        offerings: Vec::new(),
        template: TemplateName::new("t"),
        config: ConfigHash::new("c"),
        spot_max_price: None,
        tags: BTreeMap::new(),
        reason: LaunchReason::LaunchUnanswered,
    })
}

fn each_measure(runner: &RunnerName) -> Vec<Measure> {
    let (runner, took) = (runner.clone(), Duration::from_secs(3));
    let (worker, job, at) = (WorkerId::new("i-1"), JobId(7), jiff::Timestamp::UNIX_EPOCH);
    let wait = Some(JobWait { time: took, is_kept: true });
    vec![
        Measure::JobsTaken { runner: runner.clone(), count: 2 },
        Measure::JobBegan(JobBegan { runner: runner.clone(), worker: worker.clone(), job, at, wait, boot: None }),
        Measure::JobEnded { worker, job, at },
        Measure::BootPhase { runner: runner.clone(), phase: BootPhase::Sshd, took },
        Measure::BootStep { runner: runner.clone(), step: BootStep::InstallingDocker, took },
        Measure::Booted { runner: runner.clone(), instance_type: InstanceType::new("m7g.large"), took },
        Measure::BootFailed { runner: runner.clone(), step: "sshd" },
        Measure::Interrupted { runner: runner.clone() },
        Measure::Ended { runner: runner.clone(), reason: "idle", jobs_lost: 1 },
        Measure::JobRetried { runner },
    ]
}

/// The tables of docs/metrics.md.
fn tables() -> String {
    let mut text = String::new();
    for (group, families) in catalogue::ALL {
        write!(text, "### {group}\n\n| name | type | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n")
            .unwrap();
        for family in *families {
            let (name, kind) = (family.full_name(), <&str>::from(family.kind));
            let (unit, labels) = (family.unit(), family.labels.join(", "));
            writeln!(text, "| `{name}` | {kind} | {unit} | {labels} | {} |", family.help).unwrap();
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_page_of_metrics_is_written_from_the_catalogue() {
    let path = runner_fleet_testing::repository().join("docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("docs/metrics.md has lost its first mark");
    let (_, after) = rest.split_once(END).expect("docs/metrics.md has lost its second mark");
    let made = format!("{before}{BEGIN}\n{}{END}{after}", tables());
    runner_fleet_testing::golden::compare(&path, &made).unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
fn every_family_that_is_exported_is_described_and_no_other() {
    assert_eq!(families(&page(&RunnerName::new("spot"))), catalogued());
}

#[test]
fn help_is_one_line_and_says_what_the_name_does_not() {
    for family in catalogue::ALL.iter().flat_map(|(_, families)| *families) {
        let name = family.full_name();
        assert!(!family.help.contains(['\n', '|', '"', '\\']), "{name}: {}", family.help);
        assert!(family.help.chars().next().is_some_and(|c| c.is_uppercase() || c.is_numeric()), "{name}");
    }
}

#[test]
fn hostile_names_are_escaped_and_stay_one_label() {
    let hostile = format!("{}\"}} 1\nrunner_fleet_evil{{x=\"\\", "ä".repeat(120));
    for name in [hostile, "r".repeat(255), "\\n\n\\".to_owned(), String::new()] {
        let text = page(&RunnerName::new(name.clone()));
        assert_eq!(families(&text), catalogued(), "{name:?}");
        let of_runner = |(_, labels): &(String, Vec<(String, String)>)| {
            labels.iter().find(|(label, _)| label == "runner").map(|(_, value)| value.clone())
        };
        let runners: BTreeSet<String> = samples(&text).iter().filter_map(of_runner).collect();
        assert_eq!(runners, BTreeSet::from([name]));
    }
}
