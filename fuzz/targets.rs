//! One function for each target: any bytes go in, nothing may panic, and what is accepted must make sense.

use jiff::Timestamp;

use runner_fleet_config::{Surroundings, migrate, parse_in};
use runner_fleet_engine::{
    Engine, Event, IdleCount, ProjectId, RunnerName, RunnerSettings, ScheduleEntry, Server, Settings, WorkerId,
};
use runner_fleet_gitlab::queue;
use runner_fleet_worker::agent;

/// Texts beyond this are refused before they are read; a fuzzer gains nothing from them.
const TEXT_MAX: usize = 64 * 1024;

/// The configuration file: parsed or refused with problems, by `check` and by `migrate`.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A script is read from the disk of whoever fuzzes: that is not what is tested here.
    if text.len() > TEXT_MAX || text.contains("setup_script") {
        return;
    }
    let surroundings = Surroundings { zone: Some("Europe/Berlin".into()), ..Surroundings::default() };
    match parse_in(text, "config.toml", &surroundings) {
        Ok(loaded) => assert!(!format!("{:?}", loaded.config).is_empty()),
        Err(problems) => assert!(!problems.to_string().trim().is_empty(), "refused without a reason"),
    }
    match migrate(text, "config.toml", "ci", &surroundings) {
        // What is made from a legacy file may still lack what nobody can know; it must be TOML.
        Ok(migrated) => assert!(migrated.parse::<toml::Table>().is_ok(), "migrate wrote no TOML:\n{migrated}"),
        Err(problems) => assert!(!problems.to_string().trim().is_empty(), "refused without a reason"),
    }
}

/// A line of the worker's agent; the worker is not trusted.
pub fn agent(data: &[u8]) {
    match agent::parse_line(data, &WorkerId::new("i-0123456789abcdef0")) {
        Ok(report) => {
            assert!(report.jobs() >= report.jobs_by_metrics && report.jobs() >= report.jobs_by_docker);
            assert!(!report.is_empty() || report.jobs() == 0);
        }
        Err(error) => assert!(error.to_string().len() < 1_000, "an error as long as its line"),
    }
}

/// A page of jobs from GitLab.
pub fn gitlab(data: &[u8]) {
    let answered_at = Timestamp::from_second(1_800_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
    for job in queue::pending_jobs(data, ProjectId(1), answered_at).unwrap_or_default() {
        assert!(job.queued_at <= answered_at, "a job that waits since the future");
    }
}

/// The expression of a period, and the policy that follows from it at any time: the first eight bytes are the time.
pub fn periods(data: &[u8]) {
    let Some((time, text)) = data.split_at_checked(8) else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let seconds = time.iter().fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
    let now = Timestamp::from_second(seconds % 253_402_207_200).unwrap_or(Timestamp::UNIX_EPOCH);
    if text.len() > 1_024 {
        return;
    }
    // Quoted as in a file, so that everything that stands between a file and the engine has its say.
    let quoted = toml::Value::String(text.to_owned());
    let table = format!("periods = [{quoted}]\ntimezone = \"Europe/Berlin\"\nidle_count = 3\n");
    config(format!("[[runners]]\n[runners.fleet]\n[[runners.fleet.schedule]]\n{table}").as_bytes());
    let machine = "[[runners]]\nexecutor = \"docker+machine\"\n[runners.machine]\n[[runners.machine.autoscaling]]\n";
    config(format!("{machine}Periods = [{quoted}]\nTimezone = \"Local\"\nIdleCount = 3\n").as_bytes());
    if let Ok(period) = cronexpr::parse_crontab(text) {
        let wanted = idle_wanted(
            ScheduleEntry {
                periods: vec![period],
                written: vec![text.to_owned()],
                idle_count: Some(IdleCount::Fixed(3)),
                idle_count_min: None,
                idle_scale_factor: None,
                idle_time: None,
                max_workers: None,
            },
            now,
        );
        assert!(wanted == 0 || wanted == 3);
    }
}

fn idle_wanted(entry: ScheduleEntry, now: Timestamp) -> u32 {
    let minutes = |minutes: u64| std::time::Duration::from_secs(minutes * 60);
    let plain = RunnerSettings::new(RunnerName::new("r"), Server::new("https://gitlab.example.com"));
    let runner = RunnerSettings { schedule: vec![entry], ..plain };
    let settings = Settings { concurrent: 10, check_interval: minutes(1), runners: vec![runner] };
    let mut engine = Engine::new("ci", 1, now);
    engine.step(now, [Event::Configured(settings)]);
    engine.snapshot().runners.first().map_or(0, |runner| runner.idle_wanted)
}
