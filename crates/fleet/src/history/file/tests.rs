use std::collections::BTreeMap;

use jiff::Timestamp;

use super::tables::SCHEMA;
use super::*;
use crate::history::event::EVENTS_MAX;
use crate::history::event::PastEvent;
use crate::history::number::Number;
use crate::history::ring::Rows;
use crate::history::{ring, row};
use runner_fleet_engine::RunnerName;

const BUDGET: u64 = 32 * 1024 * 1024;
/// As docs/contract.md says.
const SIZE_MAX: u64 = 24 * 1024 * 1024;

fn rows(runners: usize) -> Rows {
    let mut row = row::Row::unknown();
    row.seconds = 60.0;
    row.set(Number::SlotsPaid, 4.0);
    let scopes = (0..runners).map(|number| Some(RunnerName::new(format!("runner-{number}"))));
    scopes.chain([None]).map(|scope| (scope, row)).collect()
}

fn event(id: u64, text: String) -> PastEvent {
    let text = serde_json::json!({"id": id, "at": Timestamp::UNIX_EPOCH, "event": "launched", "level": "info", "text": text,
        "runner": "r".repeat(255), "worker": "i-0123456789abcdef0", "reason": "demand", "type": "c7g.large",
        "zone": "eu-central-1a", "market": "spot"});
    serde_json::from_value(text).unwrap()
}

fn batch(at: i64, runners: usize, events: impl IntoIterator<Item = PastEvent>) -> Batch {
    let new = Kept {
        minutes: vec![(at, rows(runners))],
        quarters: vec![(at, rows(runners))],
        events: events.into_iter().collect(),
    };
    Batch { new, ..Batch::default() }
}

fn opened(dir: &Path) -> (HistoryFile, Opened) {
    let mut file = HistoryFile::in_dir(dir);
    let opened = file.open().unwrap();
    (file, opened)
}

#[test]
fn what_was_written_is_read_again_and_what_is_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("state");
    let (mut file, first) = opened(&dir);
    assert!(first.kept.minutes.is_empty() && first.set_aside.is_none());
    file.write(&batch(0, 2, [event(1, "one".into())])).unwrap();
    let next = batch(60, 2, [event(2, "two".into())]);
    file.write(&Batch { oldest_minute: Some(60), oldest_event: Some(2), ..next }).unwrap();
    drop(file);

    let (_file, again) = opened(&dir);
    let spans = |spans: &[(i64, Rows)]| spans.iter().map(|(at, rows)| (*at, rows.len())).collect::<Vec<_>>();
    assert_eq!(spans(&again.kept.minutes), [(60, 3)]);
    assert_eq!(spans(&again.kept.quarters), [(0, 3), (60, 3)]);
    assert_eq!(again.kept.events.iter().map(|event| event.text.as_str()).collect::<Vec<_>>(), ["two"]);
    let (_, rows) = &again.kept.minutes[0];
    assert_eq!(rows[&Some(RunnerName::new("runner-1"))].get(Number::SlotsPaid), Some(4.0));
}

#[test]
fn a_file_of_another_version_is_set_aside() {
    for version in [0, VERSION + 1] {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = opened(folder.path());
        let transaction = file.open.as_mut().unwrap().database.begin_write().unwrap();
        transaction.open_table(SCHEMA).unwrap().insert("version", version).unwrap();
        transaction.commit().unwrap();
        drop(file);

        let (mut file, again) = opened(folder.path());
        let why = again.set_aside.unwrap().to_string();
        assert!(why.contains(&format!("is of version {version}")), "{why}");
        assert!(folder.path().join(ASIDE).exists());
        file.write(&batch(0, 1, [])).unwrap();
    }
}

#[test]
fn a_damaged_file_is_set_aside_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (mut file, _) = opened(folder.path());
    for at in 0..50 {
        file.write(&batch(at * 60, 3, [event(at.unsigned_abs(), "x".repeat(300))])).unwrap();
    }
    drop(file);
    let path = folder.path().join(NAME);
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for place in (0..whole.len()).step_by(whole.len() / 97) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x5a;
        fs::write(&path, &damaged).unwrap();
        let (mut file, again) = opened(folder.path());
        refused += usize::from(again.set_aside.is_some());
        file.write(&batch(0, 1, [])).unwrap();
    }
    assert!(refused > 10, "{refused} of 97 damages were seen");
    for nonsense in [Vec::new(), b"{}".to_vec(), vec![0; 10_000], whole[..whole.len() / 2].to_vec()] {
        fs::write(&path, &nonsense).unwrap();
        let (mut file, _) = opened(folder.path());
        file.write(&batch(0, 1, [])).unwrap();
    }
}

#[test]
fn a_place_that_cannot_be_used_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let no_directory = folder.path().join("file");
    fs::write(&no_directory, "").unwrap();
    let error = HistoryFile::in_dir(&no_directory.join("state")).open().unwrap_err();
    assert!(!error.is_content(), "{error}");
    fs::create_dir(folder.path().join(NAME)).unwrap();
    HistoryFile::in_dir(folder.path()).open().unwrap_err();
    let other = tempfile::tempdir().unwrap();
    let (_held, _) = opened(other.path());
    let twice = HistoryFile::in_dir(other.path()).open().unwrap_err();
    assert!(!twice.is_content(), "a file that another process has open is no damaged one: {twice}");
}

#[test]
fn a_file_that_is_taken_away_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = opened(folder.path());
    assert!(file.is_open());
    fs::remove_file(folder.path().join(NAME)).unwrap();
    assert!(!file.is_open());
}

#[test]
fn the_largest_past_fits_its_budget() {
    let folder = tempfile::tempdir().unwrap();
    let (mut file, _) = opened(folder.path());
    // As many rows as the rings hold, events as long as they get; and then the ring turns once more, as it does for ever.
    let text = |id: u64| event(id, "x".repeat(400));
    let (step, spans) = (ring::MINUTES.step, 400);
    for turn in 0..2 {
        let mut all = Kept::default();
        for (rings, size) in [(&mut all.minutes, ring::MINUTES), (&mut all.quarters, ring::QUARTERS)] {
            let runners = size.rows / size.spans - 1;
            let first = turn * size.spans as i64;
            rings.extend((0..size.spans as i64).map(|span| ((first + span) * size.step, rows(runners))));
        }
        let first = turn.unsigned_abs() * EVENTS_MAX as u64;
        all.events = (0..EVENTS_MAX as u64).map(|event| text(first + event)).collect();
        let (oldest_minute, oldest_quarter) = (all.minutes[0].0, all.quarters[0].0);
        let oldest_event = Some(all.events[0].id);
        for part in parts(all, spans) {
            let batch = Batch {
                new: part,
                oldest_minute: Some(oldest_minute - step),
                oldest_quarter: Some(oldest_quarter),
                oldest_event,
            };
            file.write(&batch).unwrap();
        }
        let size = fs::metadata(folder.path().join(NAME)).unwrap().len();
        assert!(size <= SIZE_MAX && SIZE_MAX + ASIDE_MAX <= BUDGET, "{} MiB", size / 1024 / 1024);
        println!("history: {} MiB", size / 1024 / 1024);
    }
}

/// In portions, as they are written in life.
fn parts(all: Kept, portion: usize) -> Vec<Kept> {
    let mut parts: BTreeMap<usize, Kept> = BTreeMap::new();
    for (index, span) in all.minutes.into_iter().enumerate() {
        parts.entry(index / portion).or_default().minutes.push(span);
    }
    for (index, span) in all.quarters.into_iter().enumerate() {
        parts.entry(index / portion).or_default().quarters.push(span);
    }
    for (index, event) in all.events.into_iter().enumerate() {
        parts.entry(index / 1500).or_default().events.push(event);
    }
    parts.into_values().collect()
}
