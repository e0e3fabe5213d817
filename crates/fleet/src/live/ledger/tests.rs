//! The ledger on disk, and what becomes of it.

use super::*;
use runner_fleet_engine::ledger::{By, CostQuery, Day};
use runner_fleet_engine::{
    ConfigHash, Event, Health, Instance, InstanceState, InstanceType, Market, RunnerName, Settings, WorkerId, Zone,
};

const NOON: &str = "2026-12-01T12:00:00Z";

/// An engine with one worker, a listing every minute, until so many hours after noon.
fn after(hours: i64, mut engine: Engine, from: i64) -> Engine {
    let noon: Timestamp = NOON.parse().unwrap();
    let at = |minutes: i64| noon + jiff::SignedDuration::from_mins(minutes);
    engine.step(
        at(from),
        [Event::Configured(Settings { concurrent: 1, check_interval: Duration::from_secs(3), runners: Vec::new() })],
    );
    for minute in from + 1..=hours * 60 {
        let listing = Ok(vec![worker(noon)]);
        engine.step(at(minute), [Event::Instances { asked_at: at(minute), listing }]);
    }
    engine
}

fn worker(launched_at: Timestamp) -> Instance {
    Instance {
        id: WorkerId::new("i-1"),
        runner: RunnerName::new("spot"),
        config: ConfigHash::new("c1"),
        launch: None,
        state: InstanceState::Running,
        state_reason: None,
        launched_at,
        ended_at: None,
        instance_type: InstanceType::new("c8g.large"),
        zone: Zone::new("eu-central-1a"),
        market: Market::Spot,
        address: None,
        hold: false,
        health: Health::Ok,
    }
}

fn engine() -> Engine {
    Engine::new("ci", 1, NOON.parse().unwrap())
}

fn day(text: &str) -> Day {
    Day::on(text.parse().unwrap())
}

async fn hours(dir: &Path, ledger: &Ledger) -> Result<f64, String> {
    let (_give, take) = watch::channel(Arc::new(ledger.clone()));
    let query = CostQuery { from: day("2026-11-01"), to: day("2026-12-31"), by: By::Day, runner: None };
    let report = CostsReader::new(dir.to_owned(), take).answer(query).await?;
    if report.days_unreadable.is_empty() {
        Ok(report.total.hours)
    } else {
        Err(format!("{:?}", report.days_unreadable))
    }
}

#[tokio::test]
async fn a_worker_that_outlives_services_and_days_is_booked_once() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("state");
    let mut days = Days::of(&dir);
    let first = after(20, engine(), 0);
    write(&dir, first.ledger(), &mut days).unwrap();
    // The second service starts an hour later, on another day.
    let mut second = engine();
    second.resume_ledger(load(&dir));
    let second = after(50, second, 21 * 60);
    let mut days = Days::of(&dir);
    write(&dir, second.ledger(), &mut days).unwrap();
    let second = after(70, second, 50 * 60);
    write(&dir, second.ledger(), &mut days).unwrap();
    assert!(!second.ledger().days().contains_key(&day("2026-12-01")), "the first day is its file's alone");
    let booked = hours(&dir, &load(&dir)).await.unwrap();
    assert!((booked - 70.0).abs() < 0.05, "{booked}");
}

#[tokio::test]
async fn a_lost_or_foreign_file_is_put_aside_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let kept = after(30, engine(), 0);
    write(dir, kept.ledger(), &mut Days::of(dir)).unwrap();
    for text in ["", "{}", "[1]", "{\"version\":2,\"ledger\":{}}", "{\"version\":1,\"ledger\":{}}", "\u{0}"] {
        std::fs::write(dir.join(NAME), text).unwrap();
        let mut next = engine();
        next.resume_ledger(load(dir));
        assert_eq!(std::fs::read_to_string(dir.join("ledger.json.unreadable")).unwrap(), text);
        // The first day has a file; of the second, EC2's launch time tells as much as was lost.
        let next = after(40, next, 31 * 60);
        let booked = hours(dir, next.ledger()).await.unwrap();
        assert!((booked - 40.0).abs() < 0.05, "{text}: {booked}");
    }
}

#[test]
fn a_full_disk_leaves_the_former_file() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let kept = after(1, engine(), 0);
    write(dir, kept.ledger(), &mut Days::of(dir)).unwrap();
    // Nothing can be made beside the file: its place is taken by a folder.
    std::fs::create_dir(dir.join("ledger.json.new")).unwrap();
    assert!(write(dir, after(2, engine(), 0).ledger(), &mut Days::of(dir)).is_err());
    let form = |ledger: &Ledger| serde_json::to_value(ledger).unwrap();
    assert_eq!(form(&load(dir)), form(kept.ledger()));
}

#[tokio::test]
async fn a_day_that_cannot_be_read_is_named_and_old_days_go() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let costs = dir.join("costs");
    std::fs::create_dir(&costs).unwrap();
    std::fs::write(costs.join("2026-11-15.json"), "{").unwrap();
    std::fs::write(costs.join("2025-01-01.json"), "{}").unwrap();
    std::fs::write(costs.join("notes.txt"), "mine").unwrap();
    let kept = after(30, engine(), 0);
    write(dir, kept.ledger(), &mut Days::of(dir)).unwrap();
    assert!(hours(dir, kept.ledger()).await.unwrap_err().contains("2026-11-15"));
    assert!(!costs.join("2025-01-01.json").exists() && costs.join("notes.txt").exists());
}
