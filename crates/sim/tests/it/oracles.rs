//! Matching, demand and schedules against oracles: the slow, obvious rule, written from the specification, which never
//! calls the code under test.
//!
//! Sources: GitLab's `lib/gitlab/ci/matching/runner_matcher.rb` and `app/services/ci/register_job_service.rb` (matching);
//! docs/architecture.md, "Demand" and "Launching" (demand); crontab(5) (schedules).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use runner_fleet_engine::{
    Engine, Event, IdleCount, IdlePolicy, JobId, LaunchPlan, PendingJob, ProjectId, QueueSnapshot, RunnerFacts,
    RunnerName, RunnerSettings, ScheduleEntry, Scope, Server, Settings,
};

use super::bench::{SERVER, launches, plan, runner};

/// A runner as a person would write it down.
#[derive(Clone, Debug)]
struct Section {
    tags: BTreeSet<String>,
    run_untagged: bool,
    protected_only: bool,
    paused: bool,
    projects: Option<BTreeSet<u64>>,
    capacity: u32,
    max_workers: u32,
    limit: u32,
    idle: u32,
}

/// A job as a person would write it down.
#[derive(Clone, Debug)]
struct Waiting {
    tags: BTreeSet<String>,
    protected: Option<bool>,
    project: u64,
    /// The runners that GitLab itself names, by index.
    named: Option<BTreeSet<usize>>,
}

fn tags() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(prop::sample::select(vec!["arm", "Arm", "big", "docker"]), 0..3)
        .prop_map(|tags| tags.into_iter().map(str::to_owned).collect())
}

fn section() -> impl Strategy<Value = Section> {
    let who = (tags(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.1));
    let scope = prop::option::weighted(0.3, prop::collection::btree_set(1_u64..4, 0..3));
    (who, scope, 1_u32..4, 1_u32..8, 0_u32..6, 0_u32..4).prop_map(
        |((tags, run_untagged, protected_only, paused), projects, capacity, max_workers, limit, idle)| Section {
            tags,
            run_untagged,
            protected_only,
            paused,
            projects,
            capacity,
            max_workers,
            limit,
            idle: idle.min(max_workers * capacity),
        },
    )
}

fn waiting() -> impl Strategy<Value = Waiting> {
    let named = prop::option::weighted(0.2, prop::collection::btree_set(0_usize..3, 0..3));
    (tags(), any::<Option<bool>>(), 1_u64..4, named).prop_map(|(tags, protected, project, named)| Waiting {
        tags,
        protected,
        project,
        named,
    })
}

/// GitLab's rule, clause by clause.
fn gitlab_hands_out(index: usize, runner: &Section, job: &Waiting) -> bool {
    if runner.paused {
        return false;
    }
    if let Some(named) = &job.named {
        return named.contains(&index);
    }
    if job.tags.is_empty() && !runner.run_untagged {
        return false;
    }
    for tag in &job.tags {
        if !runner.tags.iter().any(|own| own == tag) {
            return false;
        }
    }
    // Protection that was not looked up counts as fitting: a worker too many costs less than a job that waits for ever.
    if runner.protected_only && job.protected == Some(false) {
        return false;
    }
    match &runner.projects {
        None => true,
        Some(projects) => projects.iter().any(|project| *project == job.project),
    }
}

#[test]
fn the_oracle_keeps_to_the_recorded_table() {
    let cases = runner_fleet_testing::matching::cases().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let runner = Section {
            tags: case.runner_tags.clone(),
            run_untagged: case.run_untagged,
            protected_only: case.protected_only,
            paused: case.paused,
            projects: case.projects.clone(),
            capacity: 1,
            max_workers: 1,
            limit: 0,
            idle: 0,
        };
        let (tags, protected, project) = (case.job_tags.clone(), case.protected, case.project);
        let job = Waiting { tags, protected, project, named: None };
        assert_eq!(gitlab_hands_out(0, &runner, &job), case.taken, "{case:#?}");
    }
}

/// How many workers each runner gets in an empty fleet.
fn expected(sections: &[Section], jobs: &[Waiting], concurrent: u32) -> Vec<u32> {
    let mut counted = vec![0_u32; sections.len()];
    for job in jobs {
        let able: Vec<usize> =
            (0..sections.len()).filter(|index| gitlab_hands_out(*index, &sections[*index], job)).collect();
        let roomy = able.iter().find(|index| {
            let section = &sections[**index];
            counted[**index] < section.max_workers * section.capacity
        });
        if let Some(index) = roomy.or(able.first()) {
            counted[*index] += 1;
        }
    }
    let within = |index: usize, slots: u32| match &sections[index] {
        section if section.paused => 0,
        section => slots.div_ceil(section.capacity).min(section.max_workers),
    };
    let limit = |index: usize| if sections[index].limit == 0 { u32::MAX } else { sections[index].limit };
    let jobs: Vec<u32> = (0..sections.len()).map(|index| counted[index].min(limit(index))).collect();
    let for_jobs: Vec<u32> = (0..sections.len()).map(|index| within(index, jobs[index])).collect();
    let for_all: Vec<u32> = (0..sections.len())
        .map(|index| within(index, jobs[index] + sections[index].idle.min(limit(index) - jobs[index])))
        .collect();
    let nobody = vec![0; sections.len()];
    let fair = level(sections, concurrent, &nobody, &for_jobs, &[]);
    let due: Vec<usize> = (0..sections.len()).filter(|index| fair[*index] > 0).collect();
    let workers = level(sections, concurrent, &nobody, &for_jobs, &due);
    if workers != for_jobs {
        return workers;
    }
    level(sections, concurrent, &workers, &for_all, &[])
}

/// Shares `concurrent` out, a worker at a time: to the runner with the fewest slots of those that want one; among those
/// that have none, to the one that needs the largest worker; then in file order. Room that is too small for a runner in
/// `due` is kept for it.
fn level(sections: &[Section], concurrent: u32, has: &[u32], wanted: &[u32], due: &[usize]) -> Vec<u32> {
    let mut workers = has.to_vec();
    let mut out = BTreeSet::new();
    loop {
        let used: u32 = sections.iter().zip(&workers).map(|(section, workers)| section.capacity * workers).sum();
        let asking = (0..sections.len()).filter(|index| workers[*index] < wanted[*index] && !out.contains(index));
        let next = asking.min_by_key(|index| {
            let capacity = sections[*index].capacity;
            (workers[*index] * capacity, if workers[*index] == 0 { u32::MAX - capacity } else { 0 }, *index)
        });
        match next {
            None => return workers,
            Some(index) if used + sections[index].capacity <= concurrent => workers[index] += 1,
            Some(index) if due.contains(&index) => return workers,
            Some(index) => drop(out.insert(index)),
        }
    }
}

/// What the engine launches for the same, once it knows everything.
fn decided(sections: &[Section], jobs: &[Waiting], concurrent: u32) -> Vec<u32> {
    let start = Timestamp::from_second(1_000_000).unwrap();
    let later = start + Duration::from_secs(6);
    let name = |index: usize| RunnerName::new(format!("runner-{index}"));
    let runners = sections.iter().enumerate().map(|(index, section)| RunnerSettings {
        name: name(index),
        capacity: section.capacity,
        max_workers: section.max_workers,
        limit: section.limit,
        idle: IdlePolicy { count: IdleCount::Fixed(section.idle), ..runner().idle },
        ..runner()
    });
    let settings = Settings { concurrent, check_interval: Duration::from_secs(3), runners: runners.collect() };
    let mut events = vec![Event::Configured(settings)];
    for (index, section) in sections.iter().enumerate() {
        let scope = section.projects.as_ref().map_or(Scope::Everything, |projects| {
            Scope::Projects(projects.iter().map(|project| ProjectId(*project)).collect())
        });
        let facts = RunnerFacts {
            id: index as u64,
            tags: section.tags.clone(),
            run_untagged: section.run_untagged,
            protected_only: section.protected_only,
            paused: section.paused,
            scope,
            token_end: None,
        };
        events.push(Event::Runner { runner: name(index), facts: Ok(facts) });
        let plan = LaunchPlan { config: runner_fleet_engine::ConfigHash::new("c1"), ..plan() };
        events.push(Event::LaunchPlan { runner: name(index), plan: Ok(plan) });
    }
    let jobs = jobs.iter().enumerate().map(|(id, job)| PendingJob {
        id: JobId(id as u64 + 1),
        project: ProjectId(job.project),
        project_path: None,
        name: "job".into(),
        tags: job.tags.clone(),
        protected: job.protected,
        offered_to: job.named.as_ref().map(|named| named.iter().map(|index| name(*index)).collect()),
        queued_at: later,
        seen_at: later,
    });
    let snapshot = QueueSnapshot { as_of: later, jobs: jobs.collect(), complete: true, blind: 0 };
    let mut engine = Engine::new("ci", 7, start);
    let listed = |at| Event::Instances { asked_at: at, listing: Ok(Vec::new()) };
    events.push(listed(start));
    assert_eq!(launches(&engine.step(start, events)), [], "nothing before a second listing");
    let commands =
        engine.step(later, vec![Event::Queue { server: Server::new(SERVER), snapshot: Ok(snapshot) }, listed(later)]);
    let mut workers = vec![0; sections.len()];
    for launch in launches(&commands) {
        let index = (0..sections.len()).find(|index| name(*index) == launch.runner).unwrap();
        workers[index] += launch.count;
    }
    workers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn a_job_gets_a_worker_where_gitlab_would_hand_it_out(
        section in section(),
        job in waiting(),
    ) {
        let section = Section { idle: 0, ..section };
        let expected = u32::from(gitlab_hands_out(0, &section, &job));
        prop_assert_eq!(decided(&[section], &[job], 100), vec![expected]);
    }

    #[test]
    fn an_empty_fleet_grows_as_the_specification_says(
        sections in prop::collection::vec(section(), 1..4),
        jobs in prop::collection::vec(waiting(), 0..16),
        concurrent in 1_u32..30,
    ) {
        prop_assert_eq!(decided(&sections, &jobs, concurrent), expected(&sections, &jobs, concurrent));
    }
}

/// One field of a crontab: `*`, a number, a range, a step, or a list of these.
fn field(least: u32, most: u32) -> impl Strategy<Value = String> {
    let number = least..=most;
    let range = (least..=most, least..=most).prop_map(|(one, other)| format!("{}-{}", one.min(other), one.max(other)));
    let step = (2_u32..6).prop_map(|step| format!("*/{step}"));
    let one = prop_oneof![number.prop_map(|number| number.to_string()), range, step];
    prop_oneof![2 => Just("*".to_owned()), 3 => prop::collection::vec(one, 1..3).prop_map(|parts| parts.join(","))]
}

/// The numbers that a field names.
fn numbers(field: &str, least: u32, most: u32) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, 1), |(range, step)| (range, step.parse().unwrap()));
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
            None if range == "*" => (least, most),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        numbers.extend((from..=to).step_by(step));
    }
    numbers
}

/// crontab(5), by the wall clock of a zone. Where both days are restricted, either may match.
fn cron_matches(fields: &[String; 5], zone: &str, at: Timestamp) -> bool {
    let local = at.to_zoned(TimeZone::get(zone).unwrap());
    let [minute, hour, day, month, weekday] = fields;
    let hits = |field: &str, least, most, value: i8| numbers(field, least, most).contains(&(value as u32));
    let on_day = hits(day, 1, 31, local.day());
    let on_weekday = hits(weekday, 0, 6, local.weekday().to_sunday_zero_offset());
    let on_the_day =
        if day.starts_with('*') || weekday.starts_with('*') { on_day && on_weekday } else { on_day || on_weekday };
    hits(minute, 0, 59, local.minute())
        && hits(hour, 0, 23, local.hour())
        && hits(month, 1, 12, local.month())
        && on_the_day
}

fn idle_wanted(schedule: Vec<ScheduleEntry>, at: Timestamp) -> u32 {
    let settings =
        RunnerSettings { schedule, idle: IdlePolicy { count: IdleCount::Fixed(0), ..runner().idle }, ..runner() };
    let mut engine = Engine::new("ci", 7, at);
    engine.step(at, vec![Event::Configured(super::bench::settings(vec![settings]))]);
    engine.snapshot().runners[0].idle_wanted
}

fn entry(period: &str, idle_count: u32) -> ScheduleEntry {
    ScheduleEntry {
        periods: vec![cronexpr::parse_crontab(period).unwrap()],
        written: vec![period.to_owned()],
        idle_count: Some(IdleCount::Fixed(idle_count)),
        idle_count_min: None,
        idle_scale_factor: None,
        idle_time: None,
        max_workers: None,
    }
}

/// Moments around changes of daylight-saving time in both hemispheres, and any others.
fn moment() -> impl Strategy<Value = Timestamp> {
    let changes = ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z", "2026-04-04T16:00:00Z"];
    let around = (prop::sample::select(changes.to_vec()), -14_400_i64..14_400)
        .prop_map(|(change, seconds)| change.parse::<Timestamp>().unwrap().as_second() + seconds);
    prop_oneof![around, 1_700_000_000_i64..1_900_000_000].prop_map(|second| Timestamp::from_second(second).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn a_schedule_holds_by_crontab_and_wall_clock(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31), month in field(1, 12), weekday in field(0, 6),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
        at in moment(),
    ) {
        let fields = [minute, hour, day, month, weekday];
        let period = format!("{} {zone}", fields.join(" "));
        let expected = if cron_matches(&fields, zone, at) { 3 } else { 0 };
        prop_assert_eq!(idle_wanted(vec![entry(&period, 3)], at), expected, "{} at {}", period, at);
    }

    #[test]
    fn the_last_entry_that_holds_wins(
        hours in prop::collection::vec((0_u32..24, 0_u32..24), 1..5),
        at in moment(),
    ) {
        let now = at.to_zoned(TimeZone::UTC).hour() as u32;
        let mut expected = 0;
        let mut schedule = Vec::new();
        for (count, (one, other)) in hours.into_iter().enumerate() {
            let (from, to) = (one.min(other), one.max(other));
            schedule.push(entry(&format!("* {from}-{to} * * * UTC"), count as u32 + 1));
            if from <= now && now <= to {
                expected = count as u32 + 1;
            }
        }
        prop_assert_eq!(idle_wanted(schedule, at), expected);
    }
}

#[test]
fn the_oracle_itself_knows_the_examples_of_crontab() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let fields = |text: &str| {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        <[String; 5]>::try_from(words).unwrap()
    };
    // "30 4 1,15 * 5": at 4:30 on the 1st and 15th, and on every Friday.
    let table: BTreeMap<&str, bool> = [
        ("2026-05-01T04:30:00Z", true),
        ("2026-05-08T04:30:00Z", true),
        ("2026-05-15T04:30:59Z", true),
        ("2026-05-16T04:30:00Z", false),
        ("2026-05-15T04:31:00Z", false),
    ]
    .into();
    for (time, expected) in table {
        assert_eq!(cron_matches(&fields("30 4 1,15 * 5"), "UTC", at(time)), expected, "{time}");
    }
}
