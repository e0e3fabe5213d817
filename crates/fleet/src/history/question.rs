//! What can be asked of the past, as people and programs write it, and what it means.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use runner_fleet_engine::{JobId, NoteKind, RunnerName, WorkerId};
use strum::VariantArray as _;

use super::event::{EVENTS_MAX, PastEvent};
use super::ring::{MINUTES, QUARTERS};

/// Rows of one answer: a day of minutes, with a little room.
pub const ROWS_MAX: i64 = 1_500;
/// Rows of an answer whose step nobody has named: what a plot can show.
const ROWS_USUAL: i64 = 400;
/// Seconds that are shown when nobody says how many.
const USUAL: i64 = 6 * 3600;
/// Events of one answer, and of one that does not say how many.
const LIMIT_MAX: usize = 1_000;
const LIMIT: usize = 100;
/// A job's name in a question, and anything else in one, is shorter than this.
const WORD_MAX: usize = 300;

/// A question that makes no sense; the text says what can be asked instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadQuestion(pub String);

/// Which rows. Times are RFC 3339, or how long ago (`6h`, `7d`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryQuestion {
    /// From then on; 6 hours before the end by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until then; now by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The time of one row: seconds, or `5m`; a whole number of minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Of this runner; of all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
}

/// Which events: all that fit every part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsQuestion {
    /// Of this runner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// Of this worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Of this job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Of these kinds, with commas between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// From then on: RFC 3339, or how long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// So many at most: the newest of them, or with `after` the oldest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// With a smaller id than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// With a larger id than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What a [`HistoryQuestion`] means: in seconds, both ends and the step whole multiples of the ring's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meant {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) step: i64,
    pub(super) runner: Option<RunnerName>,
}

impl HistoryQuestion {
    pub(super) fn span(&self, now: Timestamp) -> Result<Meant, BadQuestion> {
        let to = time("to", self.to.as_deref(), now)?.unwrap_or(now).as_second();
        let from = time("from", self.from.as_deref(), now)?.map_or(to.saturating_sub(USUAL), Timestamp::as_second);
        if from >= to {
            return Err(BadQuestion("`from` must lie before `to`".into()));
        }
        let duration = to - from;
        let step = match self.step.as_deref() {
            None => usual_step(duration),
            Some(text) => step(text)?,
        };
        if duration / step > ROWS_MAX {
            let least = up_to_whole(duration / ROWS_MAX + 1, MINUTES.step);
            let why = format!(
                "that would be {} rows, and {ROWS_MAX} are the most; a step of {least} s will do",
                duration / step
            );
            return Err(BadQuestion(why));
        }
        let runner = word("runner", self.runner.as_deref())?.map(RunnerName::new);
        Ok(Meant { from: from - from.rem_euclid(step), to, step, runner })
    }
}

/// The smallest step that people know and that gives few enough rows.
fn usual_step(duration: i64) -> i64 {
    const STEPS: [i64; 6] = [60, 5 * 60, 15 * 60, 3600, 6 * 3600, 24 * 3600];
    let few = STEPS.into_iter().find(|step| duration / step <= ROWS_USUAL);
    few.unwrap_or_else(|| up_to_whole(duration / ROWS_USUAL + 1, QUARTERS.step))
}

fn up_to_whole(number: i64, of: i64) -> i64 {
    (number + of - 1) / of * of
}

fn step(text: &str) -> Result<i64, BadQuestion> {
    let seconds = text.parse().ok().or_else(|| text.parse::<Span>().ok().and_then(seconds));
    let is_whole =
        |step: &i64| *step > 0 && *step % MINUTES.step == 0 && (*step < QUARTERS.step || *step % QUARTERS.step == 0);
    seconds.filter(is_whole).ok_or_else(|| {
        let why =
            "`step` is a number of seconds, or a time such as 5m: whole minutes, from 15m on whole quarters of an hour";
        BadQuestion(why.into())
    })
}

fn seconds(span: Span) -> Option<i64> {
    span.total((jiff::Unit::Second, jiff::SpanRelativeTo::days_are_24_hours())).ok().map(|seconds| seconds as i64)
}

/// A point in time; `None` where none is named.
fn time(key: &str, text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, BadQuestion> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || BadQuestion(format!("`{key}` is a time (2026-03-01T08:00:00Z), or how long ago (6h, 7d)"));
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Some(time));
    }
    let ago = text.parse::<Span>().map_err(|_| wrong())?;
    let here = now.to_zoned(TimeZone::UTC);
    here.checked_sub(ago.abs()).map(|time| Some(time.timestamp())).map_err(|_| wrong())
}

/// A name as it was given.
fn word<'t>(key: &str, text: Option<&'t str>) -> Result<Option<&'t str>, BadQuestion> {
    match text {
        Some(text) if text.is_empty() || text.len() > WORD_MAX => {
            Err(BadQuestion(format!("`{key}` has 1 to {WORD_MAX} bytes")))
        }
        text => Ok(text),
    }
}

fn number<N: std::str::FromStr>(key: &str, text: Option<&str>) -> Result<Option<N>, BadQuestion> {
    let read = |text: &str| text.parse().map_err(|_| BadQuestion(format!("`{key}` is a number")));
    text.map(read).transpose()
}

/// What an [`EventsQuestion`] means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    runner: Option<RunnerName>,
    worker: Option<WorkerId>,
    job: Option<JobId>,
    kinds: Option<Vec<&'static str>>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    before: Option<u64>,
    after: Option<u64>,
    pub(super) limit: usize,
}

impl EventsQuestion {
    pub(super) fn filter(&self, now: Timestamp) -> Result<Filter, BadQuestion> {
        let limit = number("limit", self.limit.as_deref())?.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(BadQuestion(format!(
                "`limit` is 1 to {LIMIT_MAX}; for more of the {EVENTS_MAX} that are kept, ask again with `before`"
            )));
        }
        Ok(Filter {
            runner: word("runner", self.runner.as_deref())?.map(RunnerName::new),
            worker: word("worker", self.worker.as_deref())?.map(WorkerId::new),
            job: number("job", self.job.as_deref())?.map(JobId),
            kinds: self.kind.as_deref().map(kinds).transpose()?,
            from: time("from", self.from.as_deref(), now)?,
            to: time("to", self.to.as_deref(), now)?,
            before: number("before", self.before.as_deref())?,
            after: number("after", self.after.as_deref())?,
            limit,
        })
    }
}

fn kinds(text: &str) -> Result<Vec<&'static str>, BadQuestion> {
    let known: Vec<&'static str> = NoteKind::VARIANTS.iter().map(|kind| kind.as_str()).collect();
    let read = |name: &str| {
        known.iter().copied().find(|known| *known == name).ok_or_else(|| {
            let name = name.chars().take(40).collect::<String>();
            BadQuestion(format!("no kind of event is named {name:?}; there are {}", known.join(", ")))
        })
    };
    text.split(',').map(|name| read(name.trim())).collect()
}

impl Filter {
    /// Whether the oldest are meant, not the newest.
    pub(super) fn goes_forward(&self) -> bool {
        self.after.is_some()
    }

    pub(super) fn fits(&self, event: &PastEvent) -> bool {
        fn is<T: PartialEq>(wanted: &Option<T>, there: &Option<T>) -> bool {
            wanted.is_none() || wanted == there
        }
        is(&self.runner, &event.runner)
            && is(&self.worker, &event.worker)
            && is(&self.job, &event.job)
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.event.as_str()))
            && self.from.is_none_or(|from| event.at >= from)
            && self.to.is_none_or(|to| event.at < to)
            && self.before.is_none_or(|before| event.id < before)
            && self.after.is_none_or(|after| event.id > after)
    }
}
