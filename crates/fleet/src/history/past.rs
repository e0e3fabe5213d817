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
mod tests;
