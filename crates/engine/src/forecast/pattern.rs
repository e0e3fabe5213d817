//! What times of the week bring: how many jobs an hour, and how deep their bursts reach.
//!
//! A job's *depth* says how many free slots would have had to stand ready for it to start at once: the first job of a burst
//! has depth 1, the next one 2, until workers launched for them have booted (see [`super::bursts`]). A job that finds a
//! slot that others left behind has depth 0. Kept are not rates but how often each depth occurs, because pipelines come in
//! bursts and a rate alone, taken for a Poisson process, promises too much.
//!
//! Three memories: the last hour, each quarter of an hour of the day, each quarter of an hour of the week. Where the week is
//! not known yet, the day stands for it; where the day is not, the last hour. What is old fades. The whole of it is the
//! recent past's deviation: a holiday is noticed within the hour.
//!
//! What comes once a day at its minute, as a pipeline does that a schedule starts, is expected around that minute, and not
//! again when it has come (see [`super::bucket`]).
//!
//! Times are UTC: daylight-saving time moves an office's day by an hour, which fades in like any other change.

use std::time::Duration;

use jiff::Timestamp;

use crate::time::since;

use super::bucket::{BUCKET_SECONDS, Bucket};
use super::quarter::Quarter;

/// The memory of the last hour fades with this time constant.
const RECENT_HOURS: f64 = 1.0;
const BUCKET_HOURS: f64 = 0.25;
const BUCKETS_OF_DAY: usize = 96;
const BUCKETS_OF_WEEK: usize = 7 * BUCKETS_OF_DAY;
/// Each new day counts as much as all before it fade: about a week of days counts.
const DAY_KEPT: f64 = 0.85;
/// About a month of weeks counts.
const WEEK_KEPT: f64 = 0.75;
/// How many jobs more or less than expected within the last hour are chance.
const CHANCE_JOBS: f64 = 3.0;
/// The present may be this much busier or quieter than the past.
const TREND: std::ops::RangeInclusive<f64> = 0.02..=4.0;
/// Time that has been watched is reckoned in portions of this, for speed.
const PORTION: Duration = Duration::from_secs(30);
/// Between two moments further apart than this nobody has watched.
const GAP_MAX: Duration = Duration::from_secs(60);

/// The three memories.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    recent: Bucket,
    day: Vec<Bucket>,
    week: Vec<Bucket>,
    /// What the present quarter of an hour has brought so far.
    now: Bucket,
    /// What the quarter of an hour before it brought.
    last: Bucket,
    /// The quarter of an hour that `now` is of, counted from 1970.
    quarter: Option<i64>,
    /// Watched until then.
    until: Option<Timestamp>,
    /// Of that, not reckoned with yet.
    portion: Duration,
    /// Jobs that were expected of the last hour, fading as those that came.
    expected: f64,
    /// Hours watched in all.
    watched_hours: f64,
}

/// What is expected of a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Depths {
    /// Jobs an hour at each depth; index 0 is depth 0.
    jobs: Vec<f64>,
    /// Of these, those of a stream, which may come again at once.
    stream: Vec<f64>,
    /// Jobs of a burst that has begun: they have their slots, and only the rest of it is still to come.
    begun: usize,
}

impl Depths {
    /// Jobs an hour that the `depth`-th slot serves, or one that cannot serve without it, if that serves more.
    pub(crate) fn worth(&self, depth: usize) -> f64 {
        self.jobs.iter().skip(depth.max(1)).copied().fold(0.0, f64::max)
    }

    /// Free slots that are worth this price each.
    pub(crate) fn slots(&self, price: f64) -> u32 {
        let deepest = |jobs: &[f64]| jobs.iter().skip(1).rposition(|jobs| *jobs >= price).map_or(0, |index| index + 1);
        let slots = deepest(&self.jobs).saturating_sub(self.begun).max(deepest(&self.stream));
        u32::try_from(slots).unwrap_or(u32::MAX)
    }
}

impl Default for Pattern {
    fn default() -> Self {
        Self {
            recent: Bucket::default(),
            day: vec![Bucket::default(); BUCKETS_OF_DAY],
            week: vec![Bucket::default(); BUCKETS_OF_WEEK],
            now: Bucket::default(),
            last: Bucket::default(),
            quarter: None,
            until: None,
            portion: Duration::ZERO,
            expected: 0.0,
            watched_hours: 0.0,
        }
    }
}

impl Pattern {
    /// Time has passed, and what it brought has been seen.
    pub(crate) fn watched(&mut self, now: Timestamp) {
        let gap = self.until.map_or(Duration::MAX, |until| since(now, until));
        self.until = Some(self.until.map_or(now, |until| until.max(now)));
        if gap <= GAP_MAX {
            self.portion += gap;
        }
        let quarter = number(now);
        let is_next = self.quarter != Some(quarter);
        if is_next || self.portion >= PORTION {
            self.reckon();
        }
        if is_next {
            self.close(quarter);
        }
    }

    /// What was watched since the last time counts, and what is old fades.
    fn reckon(&mut self) {
        let hours = std::mem::take(&mut self.portion).as_secs_f64() / 3600.0;
        let fades = (-hours / RECENT_HOURS).exp();
        let rate = self.quarter.map_or(0.0, |number| self.quarter(number).jobs_per_hour());
        self.expected = self.expected * fades + rate * hours;
        self.recent.fade(fades);
        self.recent.hours += hours;
        self.now.hours += hours;
        self.watched_hours += hours;
    }

    /// A job came that would have needed `depth` slots.
    pub(crate) fn came(&mut self, depth: usize, at: Timestamp) {
        self.recent.count(depth, 0.0);
        self.now.count(depth, at.as_second().rem_euclid(BUCKET_SECONDS) as f32);
    }

    /// What that time brings, as the past and the present say.
    pub(crate) fn at(&self, time: Timestamp) -> Depths {
        let (trend, present) = (self.trend(), number(time));
        let own = self.quarter(present);
        let stream_of = |depth| {
            let (typical, is_stream) = (own.typical(depth), own.window(depth).is_none());
            (typical.lately + if is_stream { typical.past } else { 0.0 }) * trend
        };
        let stream: Vec<f64> = (0..own.len()).map(stream_of).collect();
        let (mut jobs, mut begun) = (stream.clone(), 0);
        // What is regular comes around its minute, which may reach over into the neighbouring quarters of an hour.
        for number in [present, present - 1, present + 1] {
            let (quarter, offset) = (self.quarter(number), (time.as_second() - number * BUCKET_SECONDS) as f64);
            for depth in 1..quarter.len() {
                let Some(density) = quarter.window(depth).map(|window| window.density(offset)) else { continue };
                if quarter.has_come(depth) {
                    begun += usize::from(number == present || density > 0.0);
                } else if density > 0.0 {
                    if jobs.len() <= depth {
                        jobs.resize(depth + 1, 0.0);
                    }
                    if let Some(jobs) = jobs.get_mut(depth) {
                        *jobs += quarter.typical(depth).past * density * trend;
                    }
                }
            }
        }
        Depths { jobs, stream, begun }
    }

    /// Jobs an hour in all that such a quarter of an hour brings, as the past and the present say.
    pub(crate) fn jobs_per_hour(&self, time: Timestamp) -> f64 {
        self.quarter(number(time)).jobs_per_hour() * self.trend()
    }

    /// How the last hour compares with what was expected of it.
    pub(crate) fn trend(&self) -> f64 {
        let came = self.recent.total();
        ((came + CHANCE_JOBS) / (self.expected + CHANCE_JOBS)).clamp(*TREND.start(), *TREND.end())
    }

    /// Jobs within the last hour, faded.
    #[cfg(test)]
    pub(crate) fn came_lately(&self) -> f64 {
        self.recent.total().round()
    }

    /// Hours of this time of the week that were watched, faded: 0 where it is new.
    pub(crate) fn hours_of_week(&self, time: Timestamp) -> f64 {
        self.week.get(of_week(number(time))).map_or(0.0, |bucket| bucket.hours)
    }

    /// Hours watched in all.
    pub(crate) fn watched_hours(&self) -> f64 {
        self.watched_hours
    }

    /// What is known of the quarter of an hour of this number.
    fn quarter(&self, number: i64) -> Quarter<'_> {
        static NONE: Bucket = Bucket::EMPTY;
        Quarter {
            day: self.day.get(of_day(number)).unwrap_or(&NONE),
            week: self.week.get(of_week(number)).unwrap_or(&NONE),
            recent: &self.recent,
            // The last hour fades into nothing while nothing was watched; its own length then is what it has seen.
            recent_hours: self.recent.hours.max(BUCKET_HOURS),
            brought: match self.quarter.map(|present| present - number) {
                Some(0) => Some(&self.now),
                Some(1) => Some(&self.last),
                Some(_) | None => None,
            },
        }
    }

    /// A quarter of an hour is over: what it brought goes into the memories.
    fn close(&mut self, next: i64) {
        let over = std::mem::take(&mut self.now);
        let closed = self.quarter.replace(next);
        if let Some(quarter) = closed
            && over.hours > 0.0
        {
            if let Some(day) = self.day.get_mut(of_day(quarter)) {
                day.add(&over, DAY_KEPT);
            }
            if let Some(week) = self.week.get_mut(of_week(quarter)) {
                week.add(&over, WEEK_KEPT);
            }
        }
        self.last = if closed == Some(next - 1) { over } else { Bucket::default() };
    }
}

/// The quarter of an hour that a time lies in, counted from 1970.
fn number(time: Timestamp) -> i64 {
    time.as_second().div_euclid(BUCKET_SECONDS)
}

fn of_day(quarter: i64) -> usize {
    quarter.rem_euclid(BUCKETS_OF_DAY as i64) as usize
}

fn of_week(quarter: i64) -> usize {
    quarter.rem_euclid(BUCKETS_OF_WEEK as i64) as usize
}
