//! The forecast as a whole: what it keeps ready for a known stream of jobs, against a naive count, and its bounds.

use std::collections::BTreeSet;

use super::*;
use crate::{IdlePolicy, IdleTime, JobId, ProjectId};

/// A Monday, midnight.
const START: i64 = 1_772_409_600;
const BOOT: Duration = Duration::from_secs(87);

fn server() -> Server {
    Server::new("https://gitlab.example.com")
}

fn name() -> RunnerName {
    RunnerName::new("arm")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

fn settings(target_wait: Duration) -> Settings {
    let mut runner = RunnerSettings { max_workers: 100, ..RunnerSettings::new(name(), server()) };
    let (count, time) = (IdleCount::Auto, IdleTime::Fixed(Duration::from_secs(60)));
    runner.idle = IdlePolicy { count, time, target_wait, ..runner.idle };
    Settings { concurrent: 100, check_interval: Duration::from_secs(3), runners: vec![runner] }
}

fn job(id: u64, queued_at: Timestamp, seen_at: Timestamp) -> PendingJob {
    PendingJob {
        id: JobId(id),
        project: ProjectId(1),
        project_path: None,
        name: "test".into(),
        tags: BTreeSet::new(),
        protected: None,
        offered_to: None,
        queued_at,
        seen_at,
    }
}

fn poll(now: Timestamp, jobs: Vec<PendingJob>) -> QueueSnapshot {
    QueueSnapshot { as_of: now, jobs, complete: true, blind: 0 }
}

/// A fleet's manager that polls every three seconds; jobs leave the queue before the next poll.
struct Watch {
    forecasts: Forecasts,
    settings: Settings,
    second: i64,
    /// Seconds between two polls.
    every: i64,
    jobs: u64,
}

impl Watch {
    fn new(target_wait: Duration, boot: Duration) -> Self {
        let settings = settings(target_wait);
        let mut forecasts = Forecasts::default();
        forecasts.configured(&settings, at(0));
        forecasts.booted(&name(), boot);
        Self { forecasts, settings, second: 0, every: 3, jobs: 0 }
    }

    /// Looks until that second; `bursts` are jobs per moment, in order.
    fn until(&mut self, end: i64, bursts: impl Fn(i64) -> u64) {
        while self.second < end {
            self.second += self.every;
            let now = at(self.second);
            let came = bursts(self.second);
            let jobs = (0..came).map(|number| job(self.jobs + number, now, now)).collect();
            self.jobs += came;
            self.forecasts.polled(&server(), &poll(now, jobs), now, &[name()], |_| Some(name()));
            self.forecasts.tick(&self.settings, now);
        }
    }

    fn slots(&self) -> u32 {
        self.forecasts.slots(&name())
    }

    fn why(&self) -> String {
        self.forecasts.why(&name()).unwrap()
    }
}

const TARGET: Duration = Duration::from_secs(30);
const HOUR: i64 = 3600;

/// Bursts of `size` jobs every `every` seconds.
fn bursts(size: u64, every: i64) -> impl Fn(i64) -> u64 {
    move |second| if second % every == 0 { size } else { 0 }
}

#[test]
fn bursts_of_a_size_get_as_many_slots() {
    for size in 1..=8 {
        let mut watch = Watch::new(TARGET, BOOT);
        watch.until(4 * HOUR, bursts(size, 300));
        assert_eq!(u64::from(watch.slots()), size, "{}", watch.why());
    }
}

#[test]
fn bursts_within_one_boot_add_up() {
    // Boot and notice, less the target, are 60 s: the present burst and the one 30 s before it have no worker yet.
    let mut watch = Watch::new(TARGET, BOOT);
    watch.until(4 * HOUR, bursts(2, 30));
    assert_eq!(watch.slots(), 4, "{}", watch.why());
}

#[test]
fn a_boot_within_the_target_needs_no_slots() {
    let mut watch = Watch::new(Duration::from_secs(90), BOOT);
    watch.until(4 * HOUR, bursts(5, 300));
    assert_eq!(watch.slots(), 0);
    insta::assert_snapshot!(watch.why(), @"auto: keeps none ready: a worker boots within 1m 27s, and jobs may wait 1m 30s");
}

#[test]
fn few_large_bursts_among_many_jobs_are_let_wait() {
    let mut watch = Watch::new(TARGET, BOOT);
    // 12 single jobs an hour, and one burst of six every twelve hours: less than a job in 20 waits for its sake.
    watch.until(47 * HOUR, |second| if second % (12 * HOUR) == 0 { 6 } else { u64::from(second % 300 == 0) });
    assert_eq!(watch.slots(), 1, "{}", watch.why());
}

#[test]
fn what_yesterday_brought_is_ready_before_it_comes() {
    let mut watch = Watch::new(TARGET, BOOT);
    let nightly = |second: i64| if second % (24 * HOUR) == 2 * HOUR { 20 } else { 0 };
    watch.until(6 * 24 * HOUR + HOUR, nightly);
    assert_eq!(watch.slots(), 0, "{}", watch.why());
    watch.until(6 * 24 * HOUR + 2 * HOUR - 30, nightly);
    assert_eq!(watch.slots(), 20, "{}", watch.why());
    watch.until(6 * 24 * HOUR + 4 * HOUR, nightly);
    assert_eq!(watch.slots(), 0, "{}", watch.why());
}

/// Nights out of forty, the first ones left out, for which fewer slots than jobs were ready when the last moment to launch
/// them had come; and the most that were ready just after the burst, or a quarter of an hour before it.
fn nights(size: u64, background: impl Fn(i64) -> u64) -> (u32, u32) {
    const NIGHT: i64 = 24 * HOUR;
    const BURST: i64 = 2 * HOUR;
    let mut watch = Watch::new(TARGET, BOOT);
    let jobs = |second: i64| background(second) + if second % NIGHT == BURST { size } else { 0 };
    let (mut missed, mut wasted) = (0, 0);
    for night in 0..40 {
        // By day nobody looks closely, for speed.
        watch.every = 60;
        watch.until(night * NIGHT + BURST - 16 * 60, jobs);
        watch.every = 3;
        let before = watch.slots();
        watch.until(night * NIGHT + BURST - 60, jobs);
        let ready = watch.slots();
        watch.until(night * NIGHT + BURST + 12, jobs);
        if night >= 7 {
            missed += u32::from(u64::from(ready) < size);
            wasted = wasted.max(before).max(watch.slots());
        }
    }
    (missed, wasted)
}

#[test]
fn a_burst_every_night_and_nothing_else_is_kept_ready_for() {
    for size in [1, 30, 120] {
        assert_eq!(nights(size, |_| 0), (0, 0), "{size} jobs");
    }
}

#[test]
fn of_a_burst_that_has_begun_only_the_rest_is_expected() {
    const NIGHT: i64 = 24 * HOUR;
    const BURST: i64 = 2 * HOUR;
    let mut watch = Watch::new(TARGET, BOOT);
    // Four jobs every three seconds, forty in all.
    let jobs = |second: i64| if (BURST..BURST + 30).contains(&(second % NIGHT)) { 4 } else { 0 };
    for night in 0..20 {
        watch.every = 60;
        watch.until(night * NIGHT + BURST - 300, jobs);
        watch.every = 3;
        let mut slots = Vec::new();
        for second in [-60, 0, 12, 27, 40] {
            watch.until(night * NIGHT + BURST + second, jobs);
            slots.push(watch.slots());
        }
        if night >= 7 {
            assert_eq!(slots, [40, 36, 20, 0, 0], "night {night}");
        }
    }
}

#[test]
fn a_nightly_burst_beside_work_by_day_is_kept_ready_for() {
    let by_day = |every: i64| move |second: i64| bursts(1, every)(second) * u64::from(second % (24 * HOUR) > 7 * HOUR);
    for (size, every) in [(20, 900), (60, 180)] {
        assert_eq!(nights(size, by_day(every)), (0, 0), "{size} jobs, one every {every} s by day");
    }
}

#[test]
fn a_holiday_is_noticed() {
    let mut watch = Watch::new(TARGET, BOOT);
    let office = |second: i64| {
        let (day, second) = (second / (24 * HOUR), second % (24 * HOUR));
        if day < 7 && (8 * HOUR..16 * HOUR).contains(&second) { bursts(3, 180)(second) } else { 0 }
    };
    watch.until(7 * 24 * HOUR + 8 * HOUR - 30, office);
    assert_eq!(watch.slots(), 3, "{}", watch.why());
    watch.until(7 * 24 * HOUR + 12 * HOUR, office);
    assert_eq!(watch.slots(), 0, "{}", watch.why());
}

#[test]
fn harder_conditions_never_take_fewer_slots() {
    let slots = |target: u64, boot: u64, size: u64, every: i64| {
        let mut watch = Watch::new(Duration::from_secs(target), Duration::from_secs(boot));
        watch.until(3 * HOUR, bursts(size, every));
        watch.slots()
    };
    for size in 1..4 {
        for every in [15, 45, 90, 600] {
            let by_boot = [20, 40, 80, 160].map(|boot| slots(30, boot, size, every));
            assert!(by_boot.is_sorted(), "boot: {by_boot:?}");
            let by_target = [120, 60, 30, 0].map(|target| slots(target, 90, size, every));
            assert!(by_target.is_sorted(), "target: {by_target:?}");
            assert!(slots(30, 90, size, every) <= slots(30, 90, 2 * size, every), "{size} every {every} s");
            assert!(
                slots(30, 90, size, every) <= slots(30, 90, size, every.div_euclid(2) / 3 * 3 + 3),
                "{size} {every}"
            );
        }
    }
}

#[test]
fn with_nothing_learned_nothing_is_kept() {
    let mut watch = Watch::new(TARGET, BOOT);
    watch.until(600, |_| 0);
    assert_eq!(watch.slots(), 0);
    insta::assert_snapshot!(watch.why(), @"auto: keeps none ready: still learning (9m 30s watched), now next to no jobs, and those may be among the 5 % that wait longer than 30s");
}

#[test]
fn the_sentence_says_what_comes_and_why_it_is_enough() {
    let mut watch = Watch::new(TARGET, BOOT);
    watch.until(8 * 24 * HOUR + 9 * HOUR + 1800, bursts(3, 300));
    insta::assert_snapshot!(watch.why(), @"auto: keeps 3 slots ready: Tuesdays 9-10 UTC bring 37 jobs an hour, in bursts of 3 or more within the 1m that a worker comes too late (boots within 1m 27s, target 30s for 95 %)");
}

#[test]
fn a_flood_stays_within_bounds() {
    let mut watch = Watch::new(TARGET, BOOT);
    watch.until(300, |second| if second == 30 { 100_000 } else { 0 });
    assert!(watch.slots() as usize <= bucket::DEPTH_MAX);
}

#[test]
fn clocks_that_jump_do_no_harm() {
    let mut watch = Watch::new(TARGET, BOOT);
    watch.until(HOUR, bursts(2, 60));
    for second in [50 * 24 * HOUR, 10, 400 * 24 * HOUR, 400 * 24 * HOUR + 3] {
        watch.second = second;
        watch.until(second + 30, bursts(2, 6));
        assert!(watch.slots() < 100 && !watch.why().contains("NaN"), "{}", watch.why());
    }
}

/// The worker has taken one more job, beside `before` that run on.
fn took_one(forecasts: &mut Forecasts, before: u32, now: Timestamp) {
    forecasts.reported(&name(), before, 1, before + 1, now);
}

/// Jobs counted so far.
fn counted(forecasts: &Forecasts) -> f64 {
    forecasts.by_runner[&name()].pattern.came_lately()
}

#[test]
fn a_job_counts_once_by_queue_or_by_worker() {
    let mut forecasts = Watch::new(TARGET, BOOT).forecasts;
    let polled = |forecasts: &mut Forecasts, second, ids: &[u64]| {
        let jobs = ids.iter().map(|id| job(*id, at(second), at(second))).collect();
        forecasts.polled(&server(), &poll(at(second), jobs), at(second), &[name()], |_| Some(name()));
    };
    polled(&mut forecasts, 0, &[]);
    // Seen waiting, then started.
    polled(&mut forecasts, 3, &[1]);
    took_one(&mut forecasts, 0, at(4));
    polled(&mut forecasts, 6, &[]);
    assert_eq!(counted(&forecasts), 1.0);
    // Started before anybody looked.
    took_one(&mut forecasts, 1, at(7));
    assert_eq!(counted(&forecasts), 2.0);
    // Started while a poll was on its way that still shows it: asked at 9, reported at 10.
    took_one(&mut forecasts, 2, at(10));
    polled(&mut forecasts, 9, &[3]);
    assert_eq!(counted(&forecasts), 3.0);
    // Gone from the queue first, reported later.
    polled(&mut forecasts, 12, &[4]);
    polled(&mut forecasts, 15, &[]);
    took_one(&mut forecasts, 3, at(17));
    assert_eq!(counted(&forecasts), 4.0);
    // Cancelled: its start never comes, and later ones count.
    polled(&mut forecasts, 18, &[5]);
    polled(&mut forecasts, 21, &[]);
    polled(&mut forecasts, 90, &[]);
    took_one(&mut forecasts, 4, at(91));
    assert_eq!(counted(&forecasts), 6.0);
}

#[test]
fn what_waited_unseen_is_no_arrival() {
    let mut watch = Watch::new(TARGET, BOOT);
    let old = vec![job(1, at(-500), at(0)), job(2, at(-1), at(0))];
    watch.forecasts.polled(&server(), &poll(at(0), old), at(0), &[name()], |_| Some(name()));
    assert_eq!(counted(&watch.forecasts), 0.0);
    let meanwhile = vec![job(3, at(200), at(600))];
    watch.forecasts.polled(&server(), &poll(at(600), meanwhile), at(600), &[name()], |_| Some(name()));
    assert_eq!(counted(&watch.forecasts), 0.0);
}

#[test]
fn a_runner_without_auto_learns_nothing() {
    let mut settings = settings(TARGET);
    settings.runners[0].idle.count = IdleCount::Fixed(3);
    let mut forecasts = Forecasts::default();
    forecasts.configured(&settings, at(0));
    assert!(forecasts.is_empty());
    assert_eq!((forecasts.slots(&name()), forecasts.why(&name())), (0, None));
}

/// How deep each job lies, by counting: the jobs younger than the lead, itself included. Written from the definition,
/// without the code under test.
fn naive_depths(times: &[i64], lead: i64) -> Vec<u32> {
    let depth = |index: usize| times[..=index].iter().filter(|time| **time > times[index] - lead).count() as u32;
    (0..times.len()).map(depth).collect()
}

/// The fewest slots that would have served all but the allowed share.
fn naive_slots(depths: &[u32]) -> u32 {
    let late = |slots: u32| depths.iter().filter(|depth| **depth > slots).count() as f64;
    (0..).find(|slots| late(*slots) <= MAY_WAIT * depths.len() as f64).unwrap()
}

#[test]
fn an_irregular_stream_is_served_as_promised_without_waste() {
    // Irregular, but the same all day: gaps and bursts from a fixed little generator.
    for seed in 1_u64..12 {
        let mut state = seed * 0x9e37_79b9;
        let mut next = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        let mut times = Vec::new();
        let mut second = 0;
        while second < 30 * HOUR {
            second += 3 * (1 + next(60) as i64);
            times.extend(std::iter::repeat_n(second, 1 + next(1 + seed % 5) as usize));
        }
        let depths = naive_depths(&times, 60);
        let mut watch = Watch::new(TARGET, BOOT);
        let (mut late, mut jobs, mut kept, mut moments) = (0, 0, 0, 0);
        while watch.second < 30 * HOUR {
            let (ready, second) = (watch.slots(), watch.second + 3);
            let now: Vec<u32> =
                times.iter().zip(&depths).filter(|(time, _)| **time == second).map(|(_, d)| *d).collect();
            watch.until(second, |_| now.len() as u64);
            if second > 10 * HOUR {
                jobs += now.len();
                late += now.iter().filter(|depth| **depth > ready).count();
                kept += ready;
                moments += 1;
            }
        }
        let share = late as f64 / jobs as f64;
        let (mean, enough) = (f64::from(kept) / f64::from(moments), f64::from(naive_slots(&depths)));
        assert!(share <= MAY_WAIT + 0.01, "seed {seed}: {late} of {jobs} late with {mean} slots for {enough}");
        assert!(mean <= enough + 1.0, "seed {seed}: {mean} slots for {enough}, {late} of {jobs} late");
    }
}
