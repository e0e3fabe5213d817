//! All that is remembered, and the row that is being written just now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use runner_fleet_engine::{FleetSnapshot, JobId, Note, NoteKind};

use super::answer::{EventsAnswer, HistoryAnswer};
use super::event::{EVENTS_MAX, PastEvent, is_kept};
use super::number::Number;
use super::question::{BadQuestion, EventsQuestion, HistoryQuestion};
use super::ring::{self, Rows};
use super::sample::{Scope, samples};
use super::track::Track;

/// One look stands for the time since the one before, but for no more than this: whatever lies between was not watched.
const STANDS_FOR_MAX: SignedDuration = SignedDuration::from_secs(60);
/// For so long after a job was last seen waiting, its beginning may still be heard of.
const BEGINS_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// The past; clones share it. Each look at it is short.
#[derive(Clone)]
pub struct History {
    past: Arc<Mutex<Past>>,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

#[derive(Debug)]
struct Past {
    minutes: Track,
    quarters: Track,
    events: VecDeque<PastEvent>,
    /// The file has all events before this id.
    unsaved_from: u64,
    looked_at: Option<Timestamp>,
    /// Since when the jobs wait that waited lately, and when they were last seen to.
    queued: BTreeMap<JobId, (Timestamp, Timestamp)>,
    /// Why the file does not have it, if it does not.
    not_kept: Option<String>,
}

/// What the file had.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub(super) minutes: Vec<(i64, Rows)>,
    pub(super) quarters: Vec<(i64, Rows)>,
    pub(super) events: Vec<PastEvent>,
}

/// What the file is to have from now on.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) new: Kept,
    /// What is older than this it need not have any more.
    pub(super) oldest_minute: Option<i64>,
    pub(super) oldest_quarter: Option<i64>,
    pub(super) oldest_event: Option<u64>,
}

impl Batch {
    /// Whether the file has everything already.
    pub fn is_empty(&self) -> bool {
        self.new.minutes.is_empty() && self.new.quarters.is_empty() && self.new.events.is_empty()
    }
}

impl Past {
    fn new() -> Self {
        Self {
            minutes: Track::new(ring::MINUTES),
            quarters: Track::new(ring::QUARTERS),
            events: VecDeque::new(),
            unsaved_from: 0,
            looked_at: None,
            queued: BTreeMap::new(),
            not_kept: None,
        }
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").finish_non_exhaustive()
    }
}

impl History {
    /// Without a past; questions are asked at this time.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { past: Arc::new(Mutex::new(Past::new())), now: Arc::new(now) }
    }

    /// What the file has of the time before.
    pub fn remember(&self, kept: Kept) {
        self.lock().remember(kept);
    }

    /// A look at the fleet.
    pub fn look(&self, snapshot: &FleetSnapshot) {
        self.lock().look(snapshot);
    }

    /// What has happened.
    pub fn note(&self, at: Timestamp, notes: &[Note]) {
        let mut past = self.lock();
        notes.iter().for_each(|note| past.note(at, note));
    }

    /// What the file lacks; it is asked to have it from now on.
    pub fn take_unsaved(&self) -> Batch {
        self.lock().take_unsaved()
    }

    /// The file has lost what it had, or never had anything.
    pub fn forget_saved(&self) {
        let mut past = self.lock();
        past.minutes.ring.forget_saved();
        past.quarters.ring.forget_saved();
        past.unsaved_from = 0;
    }

    /// Whether the file has it all, or why not.
    pub fn is_kept(&self, not_kept: Option<String>) {
        self.lock().not_kept = not_kept;
    }

    /// The rows that were asked for.
    ///
    /// # Errors
    /// The question makes no sense.
    pub fn rows(&self, question: &HistoryQuestion) -> Result<HistoryAnswer, BadQuestion> {
        let span = question.span((self.now)())?;
        let mut past = self.lock();
        let not_kept = past.not_kept.clone();
        let track = if span.step < ring::QUARTERS.step { &mut past.minutes } else { &mut past.quarters };
        track.settle();
        if let Some(runner) = &span.runner
            && !track.ring.knows(&span.runner)
        {
            return Err(BadQuestion(format!("nothing is known of a runner named {runner}")));
        }
        let (scope, since) = (span.runner.clone(), track.ring.oldest());
        let rows = track.ring.within(span.from, span.to);
        let rows = rows.filter_map(|(at, rows)| Some((at, *rows.get(&scope)?)));
        Ok(HistoryAnswer::of(&span, rows, since, not_kept))
    }

    /// The events that were asked for.
    ///
    /// # Errors
    /// The question makes no sense.
    pub fn events(&self, question: &EventsQuestion) -> Result<EventsAnswer, BadQuestion> {
        let wanted = question.filter((self.now)())?;
        let past = self.lock();
        let fits = |event: &&PastEvent| wanted.fits(event);
        let mut events: Vec<PastEvent> = if wanted.goes_forward() {
            past.events.iter().filter(fits).take(wanted.limit).cloned().collect()
        } else {
            past.events.iter().rev().filter(fits).take(wanted.limit).cloned().collect()
        };
        events.sort_by_key(|event| event.id);
        let since = past.events.front().map(|event| event.at);
        Ok(EventsAnswer { version: 1, since, not_kept: past.not_kept.clone(), events })
    }

    fn lock(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    fn remember(&mut self, kept: Kept) {
        for (track, rows) in [(&mut self.minutes, kept.minutes), (&mut self.quarters, kept.quarters)] {
            rows.into_iter().for_each(|(at, rows)| track.remember(at, rows));
        }
        let first = self.events.front().map_or(u64::MAX, |event| event.id);
        let mut events: VecDeque<PastEvent> = kept.events.into_iter().filter(|event| event.id < first).collect();
        // A file that was opened again, or late, lacks what was heard meanwhile.
        self.unsaved_from = events.back().map_or(0, |last| last.id + 1);
        events.append(&mut self.events);
        self.events = events;
        self.forget_old_events();
    }

    fn look(&mut self, snapshot: &FleetSnapshot) {
        let at = snapshot.at;
        let stood = self.looked_at.map_or(SignedDuration::ZERO, |before| at.duration_since(before));
        let seconds = stood.clamp(SignedDuration::ZERO, STANDS_FOR_MAX).as_secs_f64();
        self.looked_at = Some(at);
        for job in &snapshot.jobs {
            self.queued.insert(job.id, (at.saturating_sub(job.waited).unwrap_or(at), at));
        }
        let samples = samples(snapshot);
        let minute_is_over = self.minutes.roll_to(at);
        if self.quarters.roll_to(at) || minute_is_over {
            self.quarters.settle();
            self.queued.retain(|_, (_, seen)| at.duration_since(*seen).abs() < BEGINS_WITHIN);
        }
        for track in [&mut self.minutes, &mut self.quarters] {
            for (scope, sample) in &samples {
                track.tally(scope, |tally| tally.sample(sample, seconds));
            }
        }
    }

    fn note(&mut self, at: Timestamp, note: &Note) {
        let waited = match (note.event, note.job) {
            (NoteKind::JobStarted, Some(job)) => self.queued.remove(&job).map(|(since, _)| at.duration_since(since)),
            _ => None,
        };
        let waited = waited.and_then(|waited| waited.try_into().ok());
        self.minutes.roll_to(at);
        self.quarters.roll_to(at);
        let scopes: BTreeSet<Scope> = [None, note.runner.clone()].into();
        for track in [&mut self.minutes, &mut self.quarters] {
            for scope in &scopes {
                track.tally(scope, |tally| match (note.event, counted(note.event)) {
                    (NoteKind::JobStarted, _) => tally.began(waited),
                    (_, Some(number)) => tally.count(number),
                    (_, None) => {}
                });
            }
        }
        if is_kept(note) {
            self.events.push_back(PastEvent::of(self.next_id(at), at, note));
            self.forget_old_events();
        }
    }

    /// The id of an event of this time: the time itself, where that is later than all before. So ids grow over a restart
    /// whose file is lost, too.
    fn next_id(&self, at: Timestamp) -> u64 {
        let by_time = u64::try_from(at.as_millisecond()).unwrap_or_default();
        self.events.back().map_or(0, |last| last.id + 1).max(by_time)
    }

    fn forget_old_events(&mut self) {
        let surplus = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..surplus);
    }

    fn take_unsaved(&mut self) -> Batch {
        self.minutes.settle();
        self.quarters.settle();
        let unsaved = self.events.iter().filter(|event| event.id >= self.unsaved_from).cloned().collect();
        self.unsaved_from = self.events.back().map_or(0, |last| last.id + 1);
        let (minutes, quarters) = (&mut self.minutes.ring, &mut self.quarters.ring);
        Batch {
            oldest_minute: minutes.oldest(),
            oldest_quarter: quarters.oldest(),
            oldest_event: self.events.front().map(|event| event.id),
            new: Kept { minutes: minutes.take_unsaved(), quarters: quarters.take_unsaved(), events: unsaved },
        }
    }
}

/// The number that grows when this happens.
fn counted(kind: NoteKind) -> Option<Number> {
    match kind {
        NoteKind::Launched => Some(Number::WorkersLaunched),
        NoteKind::BootFailed => Some(Number::BootsFailed),
        NoteKind::Interrupted => Some(Number::Interruptions),
        NoteKind::Ended => Some(Number::WorkersEnded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn history() -> History {
        History::new(|| at(3600))
    }

    /// A look at one runner with `slots` slots, of which one works, and the jobs that wait.
    fn look(second: i64, slots: u32, waiting: &[u64]) -> FleetSnapshot {
        let engine = runner_fleet_engine::Engine::new("ci", 1, at(second));
        let mut value = serde_json::to_value(engine.snapshot()).unwrap();
        let known = json!({"state": "known"});
        value["at"] = json!(at(second));
        value["ec2"] = known.clone();
        value["runners"] = json!([{
            "name": "spot", "queue": known, "facts": known, "launch_plan": known, "running": 1, "waiting": waiting.len(),
            "idle_wanted": 0, "idle_ready": slots - 1, "workers": slots, "slots": slots, "max_workers": 10,
            "held_back": null, "paused": false, "forecast": null, "over_price_cap": []
        }]);
        let job = |id: &u64| {
            json!({"id": id, "project": 1, "name": "test", "waited_seconds": 30.0, "runner": "spot",
            "reason": {"kind": "next-step", "text": "soon"}})
        };
        value["jobs"] = waiting.iter().map(job).collect::<Value>();
        value["waiting"] = json!({"complete": true, "total": waiting.len(), "unmatched": 0, "longest_seconds": 30.0});
        serde_json::from_value(value).unwrap()
    }

    fn note(kind: NoteKind, worker: &str, job: Option<u64>) -> Note {
        Note {
            event: kind,
            level: runner_fleet_engine::NoteLevel::Info,
            runner: Some(runner_fleet_engine::RunnerName::new("spot")),
            worker: Some(runner_fleet_engine::WorkerId::new(worker)),
            instance_type: None,
            zone: None,
            market: None,
            job: job.map(JobId),
            lasted: None,
            jobs: None,
            usd: None,
            reason: None,
            text: format!("{worker} {}", kind.as_str()),
        }
    }

    fn rows(history: &History, runner: Option<&str>) -> Vec<crate::history::HistoryRow> {
        let text = |text: &str| Some(text.to_owned());
        let question = HistoryQuestion {
            from: Some(at(0).to_string()),
            to: Some(at(3600).to_string()),
            step: text("60"),
            runner: runner.map(str::to_owned),
        };
        history.rows(&question).unwrap().rows
    }

    #[test]
    fn a_minute_of_looks_becomes_a_row() {
        let history = history();
        for second in 0..=60 {
            history.look(&look(second, if second < 30 { 2 } else { 4 }, &[7]));
        }
        history.note(at(61), &[note(NoteKind::JobStarted, "i-1", Some(7)), note(NoteKind::Launched, "i-2", None)]);
        let rows = rows(&history, Some("spot"));
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].seconds, 59.0, "the first look stands for nothing, because nobody watched before");
        assert_eq!(rows[0].get(Number::SlotsPaid), Some(3.0));
        assert_eq!(rows[0].get(Number::LongestWaitSeconds), Some(30.0));
        assert_eq!(rows[0].get(Number::UsdPerHourSpot), Some(0.0), "no worker costs nothing");
        assert_eq!(rows[1].get(Number::WaitP50Seconds), Some(31.0), "30 s when it was seen last, and one more");
        assert_eq!((rows[1].get(Number::JobsBegun), rows[1].get(Number::WorkersLaunched)), (Some(1.0), Some(1.0)));
        assert_eq!(self::rows(&history, None)[1].get(Number::JobsBegun), Some(1.0));
    }

    #[test]
    fn unknown_is_never_zero() {
        let history = history();
        let mut blind = look(0, 2, &[]);
        blind.waiting.complete = false;
        blind.runners[0].waiting = None;
        blind.ec2 = runner_fleet_engine::Knowledge::Unknown { failure: runner_fleet_engine::Failure::awaited("it") };
        history.look(&blind);
        for row in rows(&history, None).iter().chain(&rows(&history, Some("spot"))) {
            for number in [Number::JobsWaiting, Number::LongestWaitSeconds, Number::SlotsPaid, Number::UsdPerHourSpot] {
                assert_eq!(row.get(number), None, "{}", number.as_str());
            }
        }
    }

    #[test]
    fn a_question_of_a_runner_that_nobody_knows_is_bad() {
        let history = history();
        history.look(&look(0, 2, &[]));
        let question = HistoryQuestion { runner: Some("spto".into()), ..HistoryQuestion::default() };
        assert_eq!(history.rows(&question).unwrap_err().0, "nothing is known of a runner named spto");
    }

    #[test]
    fn which_worker_ran_the_job_and_why_did_it_end() {
        let history = history();
        let happened = [
            note(NoteKind::Launched, "i-1", None),
            note(NoteKind::JobStarted, "i-2", Some(7002)),
            note(NoteKind::JobStarted, "i-1", Some(7003)),
            note(NoteKind::Ended, "i-1", None),
        ];
        for (second, note) in happened.into_iter().enumerate() {
            history.note(at(second as i64), &[note]);
        }
        let find = |question: EventsQuestion| -> Vec<String> {
            history.events(&question).unwrap().events.into_iter().map(|event| event.text).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(find(EventsQuestion { job: some("7003"), ..Default::default() }), ["i-1 job_started"]);
        let of_worker = EventsQuestion { worker: some("i-1"), kind: some("launched,ended"), ..Default::default() };
        assert_eq!(find(of_worker), ["i-1 launched", "i-1 ended"]);
        let newest = EventsQuestion { limit: some("2"), ..Default::default() };
        assert_eq!(find(newest), ["i-1 job_started", "i-1 ended"]);
        let oldest = EventsQuestion { limit: some("2"), after: some("0"), ..Default::default() };
        assert_eq!(find(oldest), ["i-1 launched", "i-2 job_started"]);
    }

    #[test]
    fn of_many_events_the_newest_stay() {
        let history = history();
        let notes: Vec<Note> =
            (0..EVENTS_MAX as u64 + 5).map(|job| note(NoteKind::JobStarted, "i-1", Some(job))).collect();
        history.note(at(0), &notes);
        let oldest = EventsQuestion { limit: Some("1".into()), after: Some("0".into()), ..Default::default() };
        assert_eq!(history.events(&oldest).unwrap().events[0].job, Some(JobId(5)));
        let ids: BTreeSet<u64> = history.lock().events.iter().map(|event| event.id).collect();
        assert_eq!(ids.len(), EVENTS_MAX, "each has its own id, though all are of one moment");
    }

    #[test]
    fn questions_that_make_no_sense_are_told_why() {
        let history = history();
        let some = |text: &str| Some(text.to_owned());
        let bad = [
            HistoryQuestion { from: some("soon"), ..Default::default() },
            HistoryQuestion { from: some("1h"), to: some("2h"), ..Default::default() },
            HistoryQuestion { step: some("0"), ..Default::default() },
            HistoryQuestion { step: some("61"), ..Default::default() },
            HistoryQuestion { step: some("-60"), ..Default::default() },
            HistoryQuestion { from: some("30d"), step: some("60"), ..Default::default() },
            HistoryQuestion {
                from: some("-9999-01-01T00:00:00Z"),
                to: some("9999-01-01T00:00:00Z"),
                step: some("60"),
                ..Default::default()
            },
            HistoryQuestion { runner: some(""), ..Default::default() },
        ];
        for question in bad {
            let why = history.rows(&question).unwrap_err().0;
            assert!(why.contains('`') || why.contains("rows"), "{question:?}: {why}");
        }
        for question in [
            EventsQuestion { limit: some("0"), ..Default::default() },
            EventsQuestion { limit: some("1001"), ..Default::default() },
            EventsQuestion { job: some("x"), ..Default::default() },
            EventsQuestion { kind: some("nope"), ..Default::default() },
        ] {
            assert!(history.events(&question).is_err(), "{question:?}");
        }
        let long = HistoryQuestion { from: some("31d"), ..Default::default() };
        assert_eq!(history.rows(&long).unwrap().step_seconds, 6 * 3600);
    }
}
