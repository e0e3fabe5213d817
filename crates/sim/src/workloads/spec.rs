//! A generator's description, and everything that can be wrong with it.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

use super::DURATION_MAX;
use super::defect::{Defects, line_of};

/// A year: more is a slip of the pen.
const DAYS_MAX: u32 = 366;
/// Jobs that a description may make; a hundred times what the largest bundled one makes.
const JOBS_MAX: f64 = 10_000_000.0;

/// A description of some days of jobs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    /// The first day.
    #[serde(deserialize_with = "parsed")]
    pub(super) start: Date,
    /// How many days.
    pub(super) days: u32,
    /// Where these days are lived.
    #[serde(deserialize_with = "zone")]
    pub(super) timezone: TimeZone,
    /// Equal seeds give equal jobs.
    pub(super) seed: u64,
    /// Where pipelines come from.
    pub(super) stream: Vec<Stream>,
}

/// Pipelines of one project.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stream {
    pub(super) project: String,
    /// On a working day, on average.
    pub(super) pipelines_per_day: f64,
    /// Share of that on Saturdays and Sundays.
    #[serde(default = "one")]
    pub(super) weekend: f64,
    pub(super) pattern: Pattern,
    /// When a burst begins, local time; for `nightly` only.
    #[serde(default, deserialize_with = "parsed_if_given")]
    pub(super) at: Option<Time>,
    /// How long a burst's pipelines keep coming; for `nightly` only.
    #[serde(default, deserialize_with = "length_if_given")]
    pub(super) over: Option<Duration>,
    /// Pipelines that come together: the cars of a merge train.
    #[serde(default = "one_car")]
    pub(super) train: u32,
    /// Between two cars.
    #[serde(default, deserialize_with = "length_if_given")]
    pub(super) gap: Option<Duration>,
    /// One after the other.
    pub(super) stage: Vec<Stage>,
}

/// How pipelines are spread over a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Pattern {
    /// By people at work: little before eight, most before and after lunch.
    Office,
    /// Evenly.
    Flat,
    /// All at one time.
    Nightly,
}

/// Jobs that are queued together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage {
    pub(super) jobs: u32,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// Half of the jobs take no longer.
    #[serde(deserialize_with = "length")]
    pub(super) median: Duration,
    /// Standard deviation of the duration's logarithm: 0 is always the median, 0.5 varies by a factor of two or so.
    #[serde(default)]
    pub(super) spread: f64,
}

impl Spec {
    /// Reads and checks a description.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Defects> {
        let spec: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.as_bytes().get(..span.start)).unwrap_or_default();
            Defects::at(name, line_of(before), error.message().to_owned())
        })?;
        spec.check().map_err(|why| Defects::of_file(name, why))?;
        Ok(spec)
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=DAYS_MAX).contains(&self.days) {
            return Err(format!("days = {} must be from 1 to {DAYS_MAX}", self.days));
        }
        if self.stream.is_empty() {
            return Err("has no [[stream]]".into());
        }
        let mut jobs = 0.0;
        for stream in &self.stream {
            stream.check().map_err(|why| format!("stream \"{}\": {why}", stream.project))?;
            let each: u32 = stream.stage.iter().map(|stage| stage.jobs).fold(0, u32::saturating_add);
            jobs += stream.pipelines_per_day * f64::from(each) * f64::from(self.days);
        }
        if jobs > JOBS_MAX { Err(format!("would make about {jobs:.0} jobs; at most {JOBS_MAX:.0}")) } else { Ok(()) }
    }
}

impl Stream {
    fn check(&self) -> Result<(), String> {
        let Self { project, pipelines_per_day, weekend, pattern, at, over, train, gap, stage } = self;
        if project.is_empty() {
            return Err("project is empty".into());
        }
        for (key, number) in [("pipelines_per_day", *pipelines_per_day), ("weekend", *weekend)] {
            if !(0.0..=1_000_000.0).contains(&number) {
                return Err(format!("{key} = {number} must be 0 or more"));
            }
        }
        if *train == 0 {
            return Err("train = 0 must be 1 or more".into());
        }
        if gap.is_some() && *train == 1 {
            return Err("gap has a meaning only with train = 2 or more".into());
        }
        if (*pattern == Pattern::Nightly) != at.is_some() || (*pattern != Pattern::Nightly && over.is_some()) {
            return Err("pattern = \"nightly\" needs `at`, and only it has `at` and `over`".into());
        }
        if stage.is_empty() {
            return Err("has no [[stream.stage]]".into());
        }
        match stage.iter().find(|stage| stage.jobs == 0 || !(0.0..=3.0).contains(&stage.spread)) {
            Some(stage) if stage.jobs == 0 => Err("a stage has jobs = 0".into()),
            Some(stage) => Err(format!("spread = {} must be from 0 to 3", stage.spread)),
            None => Ok(()),
        }
    }
}

fn one() -> f64 {
    1.0
}

fn one_car() -> u32 {
    1
}

fn parsed<'de, D: Deserializer<'de>, T: std::str::FromStr<Err: std::fmt::Display>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|error| serde::de::Error::custom(format!("\"{text}\": {error}")))
}

fn parsed_if_given<'de, D: Deserializer<'de>, T: std::str::FromStr<Err: std::fmt::Display>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    parsed(from).map(Some)
}

fn zone<'de, D: Deserializer<'de>>(from: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(from)?;
    TimeZone::get(&name).map_err(|_| serde::de::Error::custom(format!("\"{name}\" is no time zone")))
}

/// `"90s"`, `"5m"`, `"1h30m"`.
fn length<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let signed: Result<jiff::SignedDuration, _> = text.parse();
    match signed.map(Duration::try_from) {
        Ok(Ok(duration)) if duration <= DURATION_MAX => Ok(duration),
        Ok(_) | Err(_) => Err(serde::de::Error::custom(format!(
            "\"{text}\" is no length of time; write \"90s\", \"5m\" or \"1h30m\""
        ))),
    }
}

fn length_if_given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    length(from).map(Some)
}
