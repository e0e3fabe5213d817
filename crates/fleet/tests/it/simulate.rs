//! What people may rely on when they ask what a configuration would have cost: a defective workload is refused with line
//! and reason, equal seeds give equal bytes, and no job is lost on the way to the report.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Output};

use runner_fleet_config as config;
use runner_fleet_sim::assumptions::Assumptions;
use runner_fleet_sim::comparison::{Comparison, Policy};
use runner_fleet_sim::report;
use runner_fleet_sim::workloads::{BUNDLED, Workload};

const CONFIG: &str = "config/workloads/runner.toml";
const HEADER: &str = "queued_at,duration_s,tags,project\n";

#[test]
fn a_defective_csv_is_refused_with_line_and_reason() {
    let good = "2026-03-02T08:00:00Z,60,,shop\n";
    let cases: [(&str, String, &str); 11] = [
        (
            "empty",
            String::new(),
            "1 defect\n  line 1: the first line must be \"queued_at,duration_s,tags,project\", and is \"\"",
        ),
        ("no job", HEADER.into(), "w.csv: holds no job"),
        (
            "other columns",
            "queued_at,duration\n".into(),
            "line 1: the first line must be \"queued_at,duration_s,tags,project\", and is \"queued_at,duration\"",
        ),
        (
            "a field too few",
            format!("{HEADER}{good}2026-03-02T08:00:00Z,60,shop\n"),
            "1 defect\n  line 3: has 3 fields instead of 4: queued_at,duration_s,tags,project",
        ),
        (
            "a field too many",
            format!("{HEADER}2026-03-02T08:00:00Z,60,a,shop,x\n"),
            "line 2: has 5 fields instead of 4",
        ),
        (
            "no time",
            format!("{HEADER}yesterday,60,,shop\n"),
            "line 2: queued_at \"yesterday\" is no time; write it with its offset, as 2026-03-02T08:00:00Z",
        ),
        (
            "a time without offset",
            format!("{HEADER}2026-03-02T08:00:00,60,,shop\n"),
            "line 2: queued_at \"2026-03-02T08:00:00\" is no time",
        ),
        (
            "no number",
            format!("{HEADER}2026-03-02T08:00:00Z,1m,,shop\n"),
            "line 2: duration_s \"1m\" is no number of seconds",
        ),
        (
            "three at once",
            format!(
                "{HEADER}2026-03-02T08:00:00Z,-1,,shop\n{good}2026-03-02T08:00:00Z,NaN,,shop\n2026-03-02T08:00:00Z,9e9,,shop\n"
            ),
            "3 defects\n  line 2: duration_s -1 is no length of time\n  line 4: duration_s NaN is no length of time\n  \
             line 5: duration_s 9000000000 is longer than 31 days",
        ),
        (
            "no project",
            format!("{HEADER}2026-03-02T08:00:00Z,60,, \n"),
            "line 2: project is empty; write an id or a path",
        ),
        (
            "many",
            format!("{HEADER}{}", "x,60,,shop\n".repeat(50)),
            "line 21: queued_at \"x\" is no time; write it with its offset, as 2026-03-02T08:00:00Z\n  and 30 more",
        ),
    ];
    for (what, text, expected) in cases {
        let said = refused("w.csv", text.as_bytes());
        assert!(said.contains(expected), "{what}:\n{said}\ninstead of\n{expected}");
    }
    let said = refused("w.csv", &[HEADER.as_bytes(), good.as_bytes(), &b"\xff\n"[..]].concat());
    assert_eq!(said, "w.csv: 1 defect\n  line 3: is not UTF-8 text");
}

#[test]
fn a_defective_job_listing_is_refused_with_line_and_reason() {
    let job = |fields: &str| {
        format!(
            "[\n{{\"id\":7,\"status\":\"success\",\"created_at\":\"2026-03-02T08:00:00Z\",\"tag_list\":[],\
             \"pipeline\":{{\"project_id\":1}}{fields}}}\n]"
        )
    };
    let ran = ",\"started_at\":\"2026-03-02T08:00:10Z\",\"finished_at\":\"2026-03-02T08:01:10Z\"";
    let cases = [
        ("cut off", job("").replace("}\n]", ""), "line 2: "),
        ("no array", "{}".into(), "line 1: invalid type: map, expected a sequence"),
        ("no id", "[\n{}\n]".into(), "line 2: missing field"),
        ("never ran", job(""), "w.json: holds no job that ran (1 jobs left out: never started (success))"),
        (
            "no queued_duration",
            job(ran),
            "line 2: job 7: queued_duration is missing, so nobody knows when it was queued",
        ),
        (
            "negative",
            job(&format!("{ran},\"queued_duration\":-3")),
            "line 2: job 7: queued_duration -3 is no length of time",
        ),
        (
            "ends before it starts",
            job(
                ",\"started_at\":\"2026-03-02T08:00:10Z\",\"finished_at\":\"2026-03-02T08:00:00Z\",\"queued_duration\":1",
            ),
            "line 2: job 7: finished_at lies before started_at",
        ),
        ("no time", job(",\"started_at\":\"soon\""), "line 2: job 7: started_at \"soon\" is no time"),
    ];
    for (what, text, expected) in cases {
        let said = refused("w.json", text.as_bytes());
        assert!(said.contains(expected), "{what}:\n{said}\ninstead of\n{expected}");
    }
}

#[test]
fn a_defective_description_is_refused_with_line_and_reason() {
    let good = BUNDLED[0].1;
    let cases = [
        ("not TOML", "start = ".to_owned(), "line 1: "),
        ("an unknown key", good.replace("weekend = 0.5", "weekends = 0.5"), "unknown field `weekends`"),
        ("no zone", good.replace("Europe/Berlin", "Europe/Bärlin"), "line 4: \"Europe/Bärlin\" is no time zone"),
        ("no days", good.replace("days = 7", "days = 0"), "days = 0 must be from 1 to 366"),
        (
            "no time",
            good.replace("\"90s\"", "\"90\""),
            "\"90\" is no length of time; write \"90s\", \"5m\" or \"1h30m\"",
        ),
        ("too many", good.replace("days = 7", "days = 366").replace("= 900", "= 900000"), "would make about"),
        ("no jobs", good.replace("jobs = 8", "jobs = 0"), "stream \"platform\": a stage has jobs = 0"),
        (
            "a burst without time",
            good.replace("\"flat\"", "\"nightly\""),
            "stream \"tools\": pattern = \"nightly\" needs `at`",
        ),
    ];
    for (what, text, expected) in cases {
        assert_ne!(text, good, "{what} changes nothing");
        let said = refused("w.toml", text.as_bytes());
        assert!(said.contains(expected), "{what}:\n{said}\ninstead of\n{expected}");
    }
    assert!(
        refused("w.txt", b"")
            .contains("not a workload: name a file that ends in .csv, .json or .toml, or a bundled one (office-hours,")
    );
}

#[test]
fn the_program_refuses_before_it_runs_anything() {
    let cases: [(&[&str], &str); 6] = [
        (&["--workload", "nothing.csv"], "nothing.csv: No such file"),
        (
            &["--workload", "office-hours", "--from", "2030-01-01T00:00:00Z"],
            "no job was queued between --from and --to; its jobs were queued from 20",
        ),
        (&["--workload", "office-hours", "--seed", "lucky"], "write a whole number, such as 1 or 42"),
        (&["--workload", "office-hours", "--tags", "nobody=a"], "no runner is named nobody"),
        (&["--workload", "office-hours", "--compare", "nothing.toml"], "nothing.toml"),
        (&["--workload", "office-hours", "--boot", "soon"], "write a time up to a day"),
    ];
    for (args, expected) in cases {
        let output = simulate(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?} writes an error to stdout");
    }
}

#[test]
fn what_gitlab_lists_is_replayed_and_what_never_ran_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorded.json");
    let row = |id: u64, times: &str| {
        format!(
            "{{\"id\":{id},\"status\":\"failed\",\"name\":\"x\",\"created_at\":\"2026-03-01T00:00:00.000Z\",{times}\
             \"tag_list\":[\"arm\"],\"pipeline\":{{\"project_id\":5,\"iid\":1}}}}"
        )
    };
    let ran = "\"started_at\":\"2026-03-02T08:00:10.500+01:00\",\"finished_at\":\"2026-03-02T08:01:10+01:00\",\
               \"duration\":59.5,\"queued_duration\":10.25,";
    std::fs::write(&path, format!("[{},\n{},\n{}]", row(9, ran), row(8, ""), row(9, ran))).unwrap();

    let workload = Workload::load(path.to_str().unwrap()).unwrap();

    assert_eq!(workload.jobs.len(), 1);
    let job = &workload.jobs[0];
    assert_eq!(job.queued_at, "2026-03-02T07:00:00.25Z".parse().unwrap());
    assert_eq!((job.takes.as_secs_f64(), job.project.as_str(), job.tags.len()), (59.5, "5", 1));
    assert_eq!(workload.notes, ["1 jobs left out: never started (failed)", "1 jobs left out: listed twice"]);
}

#[test]
fn every_job_is_in_the_report_and_equal_seeds_give_equal_bytes() {
    let (first, second, third) = (comparison(1), comparison(1), comparison(2));

    assert_eq!(first, second);
    assert_ne!(first, third);
    let report: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(report["version"], 1);
    for policy in report["policies"].as_array().unwrap() {
        let jobs = &policy["jobs"];
        let fates = ["done", "lost", "no_machine", "open"].map(|fate| jobs[fate].as_u64().unwrap());
        assert_eq!(jobs["queued"], 300, "{policy}");
        assert_eq!(fates.iter().sum::<u64>(), 300, "{policy}");
        assert!(fates[0] >= 295, "{policy}");
        let waited: u64 =
            policy["wait_seconds"]["histogram"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(waited, 300 - fates[2] - fates[3] + jobs["again"].as_u64().unwrap(), "{policy}");
    }
}

#[test]
fn bundled_workloads_are_as_large_as_they_say() {
    for (name, _) in BUNDLED {
        let (one, other) = (Workload::load(name).unwrap(), Workload::load(name).unwrap());
        assert_eq!(one, other);
        assert!(one.jobs.is_sorted_by_key(|job| job.queued_at), "{name}");
        assert!(one.jobs.len() > 5_000, "{name}: {} jobs", one.jobs.len());
    }
    let office = Workload::load("office-hours").unwrap().jobs.len();
    assert!((66_000..74_000).contains(&office), "office-hours is said to have 10,000 jobs a day: {office}");
}

#[test]
fn the_program_tells_numbers_and_draws_plots() {
    let folder = tempfile::tempdir().unwrap();
    let workload = folder.path().join("day.csv");
    std::fs::write(&workload, day(60)).unwrap();
    let html = folder.path().join("report.html");
    let args = [
        "--workload",
        workload.to_str().unwrap(),
        "--compare",
        "docker+machine",
        CONFIG,
        "--html",
        html.to_str().unwrap(),
    ];

    let output = simulate(&args);

    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for expected in
        ["runner-fleet: idle 0 for 5m", "docker+machine: idle 0 for 5m", "wait p95", "60 of 60", "Assumed were:"]
    {
        assert!(said.contains(expected), "{expected} is missing:\n{said}");
    }
    let page = std::fs::read_to_string(html).unwrap();
    assert_eq!(page.matches("<svg").count(), 5);
    assert!(page.contains("currentColor") && !page.contains("src=") && !page.contains("href="), "it needs other files");
}

#[test]
fn what_is_recommended_is_accepted_by_check() {
    let folder = tempfile::tempdir().unwrap();
    let workload = folder.path().join("day.csv");
    std::fs::write(&workload, day(60)).unwrap();
    let workload = workload.to_str().unwrap();

    let output = simulate(&["--workload", workload, "--recommend", "20s"]);

    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let whole = std::fs::read_to_string(runner_fleet_testing::repository().join(CONFIG)).unwrap();
    let (kept, _) = whole.split_once("  idle_count").unwrap();
    let merged = format!("{kept}{}", said.replace("  [runners.fleet]\n", ""));
    let settings = config::parse(&merged, "merged.toml").unwrap().config.settings();
    assert!(settings.runners[0].idle.count.fixed() != Some(0), "20 s are less than a boot: {said}");

    let two = "2026-03-02T08:00:00Z,60,,shop\n2026-03-02T08:01:00Z,60,,shop\n";
    std::fs::write(workload, format!("{HEADER}{two}")).unwrap();
    let output = simulate(&["--workload", workload, "--recommend", "0s"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nearest came"), "{output:?}");
}

/// The report of a small comparison, as JSON.
fn comparison(seed: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.csv");
    std::fs::write(&path, day(300)).unwrap();
    let config = config::load(&runner_fleet_testing::repository().join(CONFIG)).unwrap().config;
    let comparison = Comparison {
        workload: Workload::load(path.to_str().unwrap()).unwrap(),
        config: config.clone(),
        tags: BTreeMap::new(),
        assumed: Assumptions { interruptions_per_hour: 0.5, ..Assumptions::default() },
        seed,
        equal_wait: None,
        curve: false,
        count_from: None,
    };
    let ours = Policy::Fleet("runner-fleet".into(), Box::new(config));
    let (report, runs) = comparison.run_all(&[ours, Policy::DockerMachine, Policy::DockerAutoscaler], &|_, _, _| ());
    assert_eq!(runs.len(), 3);
    assert_eq!(report::charts(&report, &runs).unwrap().len(), 5);
    serde_json::to_string(&report).unwrap()
}

/// So many jobs within some hours, some of them with tags.
fn day(jobs: u32) -> String {
    let mut text = HEADER.to_owned();
    for job in 0..jobs {
        let (hour, minute) = (6 + job * 37 % 8, job * 13 % 60);
        let tags = if job % 3 == 0 { "arm docker" } else { "" };
        writeln!(text, "2026-03-02T{hour:02}:{minute:02}:{:02}Z,{},{tags},p{}", job % 60, 20 + job * 7 % 400, job % 5)
            .unwrap();
    }
    text
}

fn refused(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    match Workload::load(path.to_str().unwrap()) {
        Ok(workload) => panic!("{} jobs were read of {}", workload.jobs.len(), String::from_utf8_lossy(bytes)),
        Err(defects) => defects.to_string(),
    }
}

fn simulate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runner-fleet"))
        .args([&["simulate", "--config", CONFIG][..], args].concat())
        .current_dir(runner_fleet_testing::repository())
        .env_clear()
        .output()
        .unwrap()
}
