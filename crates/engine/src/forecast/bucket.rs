//! What one time of the day or of the week has brought: how often each depth, and, of a depth that comes there once, when.
//!
//! A pipeline that a schedule starts every night is no stream: when it has come it does not come again that night, and it
//! comes at its minute. A stream of single jobs has no memory. The two are told apart by what the days brought: a depth that
//! came on most of them, and hardly ever twice within its quarter of an hour, is *regular* there.

/// Length of a bucket.
pub(super) const BUCKET_SECONDS: i64 = 900;
/// Deeper bursts are counted as of this depth: no fleet keeps more slots than this ready for what might come.
pub(super) const DEPTH_MAX: usize = 256;
/// Of a regular depth no more than this share of the jobs came a second time within the quarter of an hour.
const AGAIN_MAX: f32 = 0.1;
/// Around the earliest and the latest minute at which a regular depth came, in seconds: a clock is read to the minute.
const MARGIN: f32 = 60.0;
/// A minute that was the earliest, or the latest, and is so no more is forgotten by this share with each time it comes.
const SPAN_FORGOTTEN: f32 = 0.15;
/// Of that many jobs nothing is left to remember.
const NEXT_TO_NOTHING: f32 = 0.001;

/// How often each depth occurred within some hours; index 0 are jobs that needed nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bucket {
    pub(super) hours: f64,
    depths: Vec<Seen>,
}

/// How a depth has occurred.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    jobs: f32,
    /// Of these, those that were not the first of their quarter of an hour.
    again: f32,
    /// Seconds since the quarter's begin.
    earliest: f32,
    latest: f32,
}

/// Seconds of a quarter of an hour within which something is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) from: f64,
    pub(super) until: f64,
}

impl Bucket {
    /// What was never watched.
    pub(super) const EMPTY: Self = Self { hours: 0.0, depths: Vec::new() };

    /// A job of that depth came, so many seconds after the quarter of an hour began.
    pub(super) fn count(&mut self, depth: usize, offset: f32) {
        let depth = depth.min(DEPTH_MAX);
        if self.depths.len() <= depth {
            self.depths.resize(depth + 1, Seen::default());
        }
        if let Some(seen) = self.depths.get_mut(depth) {
            seen.came(offset);
        }
    }

    /// Depths that occurred, and one.
    pub(super) fn len(&self) -> usize {
        self.depths.len()
    }

    pub(super) fn jobs(&self, depth: usize) -> f64 {
        self.depths.get(depth).map_or(0.0, |seen| f64::from(seen.jobs))
    }

    pub(super) fn total(&self) -> f64 {
        self.depths.iter().map(|seen| f64::from(seen.jobs)).sum()
    }

    /// When this depth comes, if it comes once and has come so often.
    pub(super) fn window(&self, depth: usize, often: f64) -> Option<Window> {
        let seen = self.depths.get(depth)?;
        let is_regular = f64::from(seen.jobs) >= often && seen.again <= AGAIN_MAX * seen.jobs;
        let margin = MARGIN + (seen.latest - seen.earliest) / 2.0;
        is_regular.then(|| Window { from: f64::from(seen.earliest - margin), until: f64::from(seen.latest + margin) })
    }

    pub(super) fn fade(&mut self, kept: f64) {
        self.hours *= kept;
        for seen in &mut self.depths {
            seen.jobs *= kept as f32;
            seen.again *= kept as f32;
        }
        // The memory shrinks again.
        while self.depths.last().is_some_and(|seen| seen.jobs < NEXT_TO_NOTHING) {
            self.depths.pop();
        }
    }

    /// The same time has come again: what it brought counts in full, and what was known fades.
    pub(super) fn add(&mut self, other: &Self, kept: f64) {
        self.fade(kept);
        self.hours += other.hours;
        if self.depths.len() < other.depths.len() {
            self.depths.resize(other.depths.len(), Seen::default());
        }
        for (seen, more) in self.depths.iter_mut().zip(&other.depths).filter(|(_, more)| more.jobs > 0.0) {
            seen.add(*more);
        }
    }
}

impl Seen {
    fn came(&mut self, offset: f32) {
        if self.jobs > 0.0 {
            self.again += 1.0;
        }
        self.span(offset, offset);
        self.jobs += 1.0;
    }

    fn add(&mut self, more: Self) {
        if self.jobs >= NEXT_TO_NOTHING {
            self.earliest += (more.earliest - self.earliest).max(0.0) * SPAN_FORGOTTEN;
            self.latest -= (self.latest - more.latest).max(0.0) * SPAN_FORGOTTEN;
        } else {
            self.jobs = 0.0;
        }
        self.span(more.earliest, more.latest);
        self.jobs += more.jobs;
        self.again += more.again;
    }

    fn span(&mut self, earliest: f32, latest: f32) {
        let is_first = self.jobs <= 0.0;
        self.earliest = if is_first { earliest } else { self.earliest.min(earliest) };
        self.latest = if is_first { latest } else { self.latest.max(latest) };
    }
}

impl Window {
    /// What comes once within the quarter of an hour comes within the window: how much more often there, and nothing elsewhere.
    pub(super) fn density(self, offset: f64) -> f64 {
        let Self { from, until } = self;
        if (from..until).contains(&offset) { BUCKET_SECONDS as f64 / (until - from) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days on which depth 2 came at these seconds.
    fn days(offsets: &[&[f32]]) -> Bucket {
        let mut bucket = Bucket::default();
        for offsets in offsets {
            let mut day = Bucket { hours: 0.25, ..Bucket::default() };
            offsets.iter().for_each(|offset| day.count(2, *offset));
            bucket.add(&day, 0.85);
        }
        bucket
    }

    #[test]
    fn what_comes_once_a_day_has_its_minute() {
        let nights = days(&[&[300.0], &[320.0], &[310.0], &[305.0]]);
        let window = nights.window(2, 2.5).unwrap();
        assert!((230.0..300.0).contains(&window.from) && (320.0..390.0).contains(&window.until), "{window:?}");
        assert_eq!((nights.window(1, 2.5), nights.window(2, 4.0)), (None, None));
    }

    #[test]
    fn a_stream_has_none() {
        let stream = days(&[&[10.0, 500.0], &[120.0], &[700.0, 710.0], &[30.0]]);
        assert_eq!(stream.window(2, 2.5), None);
    }

    #[test]
    fn a_minute_that_has_moved_is_followed() {
        let old = [300.0_f32];
        let new = [600.0_f32];
        let mut all: Vec<&[f32]> = vec![&old; 5];
        all.extend(vec![new.as_slice(); 12]);
        let window = days(&all).window(2, 2.5).unwrap();
        assert!(window.from > 400.0 && window.until < 720.0, "{window:?}");
    }
}
