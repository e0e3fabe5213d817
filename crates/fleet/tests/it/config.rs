//! The configuration file: what is good is read as written, what is bad is told all at once, secrets stay secret.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use runner_fleet::cli::check::{self, CheckArgs};
use runner_fleet::cli::migrate::{self, MigrateArgs};
use runner_fleet_config as config;
use runner_fleet_config::{Loaded, Surroundings};
use runner_fleet_engine::IdleTime;
use runner_fleet_testing::golden;

const MINIMAL: &str = include_str!("../../../../config/minimal.toml");
const COMPLETE: &str = include_str!("../../../../config/complete.toml");

const CHECK: CheckArgs = CheckArgs { file: None, silent: false, json: false };

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config")
}

/// Neither this machine's environment nor its time zone.
fn nowhere() -> Surroundings {
    Surroundings::default()
}

fn parse(text: &str) -> Loaded {
    config::parse_in(text, "config.toml", &nowhere()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What a person sees of a file: problems, or warnings.
fn report(text: &str) -> String {
    let mut report = String::new();
    match config::parse_in(text, "config.toml", &nowhere()) {
        Err(problems) => writeln!(report, "{problems}").unwrap(),
        Ok(loaded) => {
            writeln!(report, "config.toml: good").unwrap();
            for warning in &loaded.warnings {
                writeln!(report, "  {warning}").unwrap();
            }
        }
    }
    report
}

/// Compares what is made of every `*.toml` of a directory with the `.txt` beside it; an orphan fails.
fn compare_with_golden(dir: &Path, count_min: usize, make: impl Fn(&str) -> String) {
    let mut count = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => {}
            Some("txt") if path.with_extension("toml").exists() => continue,
            None if path.is_dir() => continue,
            _ => panic!("{} belongs to no test", path.display()),
        }
        count += 1;
        let made = make(&fs::read_to_string(&path).unwrap());
        wrong.extend(golden::compare(&path.with_extension("txt"), &made).err());
    }
    assert!(count >= count_min, "the golden files are gone");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn reports_are_as_in_the_golden_files() {
    compare_with_golden(&golden_dir(), 6, report);
}

#[test]
fn migrated_files_are_as_in_the_golden_files() {
    compare_with_golden(&golden_dir().join("migrate"), 4, |text| match migrated(text) {
        Ok(text) => text,
        Err(problems) => format!("{problems}\n"),
    });
}

fn migrated(text: &str) -> Result<String, config::Problems> {
    config::migrate(text, "old.toml", "ci", &nowhere())
}

#[test]
fn a_migrated_file_says_the_same_as_the_old_one() {
    let old = fs::read_to_string(golden_dir().join("migrate/docker-machine.toml")).unwrap();
    let in_place = parse(&format!("{old}\n[fleet]\nmanager = \"ci\"\n"));

    let new = parse(&migrated(&old).unwrap());

    assert_eq!(new.config, in_place.config);
    assert!(in_place.warnings.len() > 5, "options that mean nothing here are told about");
    let fleet = &new.config.runners[0].fleet;
    let idle_count = fleet.idle_count.fixed();
    assert_eq!((idle_count, fleet.max_jobs, fleet.max_booting), (Some(2), 100, 5));
    assert_eq!(fleet.idle_time, IdleTime::Fixed(Duration::from_secs(600)));
    assert_eq!(fleet.spot_max_price.as_ref().map(ToString::to_string).as_deref(), Some("0.03"));
    assert_eq!(fleet.schedule[0].written, ["* 9-17 * * mon-fri Europe/Berlin"]);
    // What a section of docker+machine omits is 0, not inherited.
    assert_eq!(fleet.schedule[1].idle_time, Some(IdleTime::Fixed(Duration::ZERO)));
    assert_eq!(new.config.runners[0].section["executor"].as_str(), Some("docker"));
    assert!(new.config.runners[0].section["docker"].get("tls_verify").is_none());
}

#[test]
fn what_only_the_administrator_knows_is_asked_for_once() {
    let old = fs::read_to_string(golden_dir().join("migrate/docker-machine-bare.toml")).unwrap();

    let text = migrated(&old).unwrap();
    let report = report(&format!("{old}\n[fleet]\nmanager = \"ci\"\n"));

    assert_eq!(text.matches("# TO DO: write `").count(), 3, "{text}");
    assert_eq!(report.matches("subnets").count() + report.matches("security_groups").count(), 2, "{report}");
    let filled = format!(
        "{old}\n  [runners.fleet]\n  api_token = \"env:T\"\n  subnets = [\"subnet-1\"]\n  security_groups = [\"sg-1\"]\n  ssh_user = \"root\"\n[fleet]\nmanager = \"ci\"\n"
    );
    let fleet = parse(&filled).config.runners.remove(0).fleet;
    assert_eq!(fleet.ssh_user, "root", "what the user writes wins over the translation");
    assert_eq!(parse(&migrated(&filled).unwrap()).config.runners[0].fleet, fleet);
}

#[test]
fn keys_of_the_old_file_are_not_printed_by_migrate() {
    for name in ["docker-machine", "refused"] {
        let old = fs::read_to_string(golden_dir().join(format!("migrate/{name}.toml"))).unwrap();
        let text = migrated(&old).unwrap_or_else(|problems| problems.to_string());
        assert!(!text.contains("AKIAVERYSECRET") && !text.contains("verysecret"), "{text}");
    }
}

#[test]
fn defaults_come_from_the_old_services_environment() {
    let old = fs::read_to_string(golden_dir().join("migrate/docker-machine-bare.toml")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (file, env_file) = (dir.path().join("old.toml"), dir.path().join("env"));
    fs::write(&file, old).unwrap();
    fs::write(&env_file, "Environment=AWS_DEFAULT_REGION=eu-west-1\nexport AWS_SUBNET_ID=\"subnet-9\"\nAWS_SECRET_ACCESS_KEY=verysecret\n").unwrap();
    let args = MigrateArgs { file, manager: "ci".into(), env_file: Some(env_file), timezone: None };
    let (mut out, mut err) = (Vec::new(), Vec::new());

    let code = migrate::run(&args, &mut out, &mut err).unwrap();

    let text = String::from_utf8(out).unwrap();
    assert_eq!((code, err.len()), (0, 0));
    assert!(text.contains("region = \"eu-west-1\"") && text.contains("subnets = [\"subnet-9\"]"), "{text}");
    assert!(text.contains("comes from the environment: AWS_DEFAULT_REGION"), "{text}");
    assert!(!text.contains("verysecret"), "{text}");
}

/// `migrate old > new` with a file that cannot be translated: `new` is empty, and the person sees why.
#[test]
fn migrates_problems_are_told_on_standard_error() {
    let file = golden_dir().join("migrate/refused.toml");
    let args = MigrateArgs { file, manager: "ci".into(), env_file: None, timezone: None };
    let (mut out, mut err) = (Vec::new(), Vec::new());

    let code = migrate::run(&args, &mut out, &mut err).unwrap();

    assert_eq!((code, out.len()), (2, 0));
    assert!(String::from_utf8(err).unwrap().contains("refused.toml: "));
}

#[test]
fn the_summary_says_between_what_a_factor_keeps_idle() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let summary = |idle: &str| {
        fs::write(&path, MINIMAL.replace("  ami =", &format!("  {idle}\n  ami ="))).unwrap();
        let mut out = Vec::new();
        check::run(&CHECK, &path, false, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let with_factor = summary("idle_count = 5\n  idle_scale_factor = 1.0");
    assert!(with_factor.contains(", 0 to 5 idle for as long as a boot takes"), "{with_factor}");
    let with_floor = summary("idle_count = 8\n  idle_count_min = 2\n  idle_scale_factor = 0.5");
    assert!(with_floor.contains(", 2 to 8 idle for as long as a boot takes"), "{with_floor}");
    let without = summary("idle_count = 5");
    assert!(without.contains(", 5 idle for as long as a boot takes"), "{without}");
}

#[test]
fn the_examples_are_good() {
    parse(MINIMAL);
    parse(COMPLETE);
}

#[test]
fn gitlab_runners_keys_are_passed_on_as_written() {
    let text = r#"
concurrent = 1
sentry_dsn = "https://x@example.com/1"
[experimental]
session_timeout = 1800
[fleet]
manager = "ci"
[[runners]]
zebra = 1
name = "a"
Url = "https://gitlab.example.com"
token = "glrt-secret"
executor = "docker"
apple = [1, 2.50, true, "x", 2026-11-21T10:00:00Z, { b = 1, a = 2 }]
limit = 1
  [runners.docker]
  volumes = ["/cache"]
  image = "alpine"
  unknown_to_everybody = 0x10
  [runners.fleet]
  api_token = "glpat-secret"
  ami = "ami-1"
  instance_types = ["c8g.large"]
  subnets = ["subnet-1"]
  security_groups = ["sg-1"]
  [runners.feature_flags]
  FF_B = true
  FF_A = false
"#;

    let config = parse(text).config;

    let section = &config.runners[0].section;
    assert_eq!(
        section.keys().collect::<Vec<_>>(),
        ["zebra", "name", "url", "executor", "apple", "limit", "docker", "feature_flags"]
    );
    assert_eq!(section["apple"].to_string(), r#"[1, 2.5, true, "x", 2026-11-21T10:00:00Z, { b = 1, a = 2 }]"#);
    assert_eq!(
        section["docker"].as_table().unwrap().keys().collect::<Vec<_>>(),
        ["volumes", "image", "unknown_to_everybody"]
    );
    assert_eq!(section["feature_flags"].as_table().unwrap().keys().collect::<Vec<_>>(), ["FF_B", "FF_A"]);
    assert_eq!(config.global.keys().collect::<Vec<_>>(), ["sentry_dsn", "experimental"]);
}

#[test]
fn no_debug_output_holds_a_secret() {
    let text = MINIMAL
        .replace("ssm:/ci/runner-token", "glrt-verysecret")
        .replace("ssm:/ci/read-api-token", "glpat-verysecret")
        .replace("image =", "environment = [\"PASSWORD=verysecret\"]\n  image =")
        + "\n    [runners.fleet.docker_daemon.proxies]\n    http-proxy = \"http://u:verysecret@proxy\"\n";

    let loaded = parse(&text);

    let shown = format!("{loaded:?} {loaded:#?} {:?}", loaded.config.settings());
    assert!(!shown.contains("verysecret"), "{shown}");
    assert!(shown.contains("not shown"), "{shown}");
    let mut out = Vec::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &text).unwrap();
    assert_eq!(check::run(&CHECK, file.path(), false, &mut out).unwrap(), 0);
    assert!(!String::from_utf8(out).unwrap().contains("verysecret"));
}

#[test]
fn no_problem_report_repeats_a_secret() {
    let broken = [
        MINIMAL.replace("ssm:/ci/runner-token", "glrt verysecret"),
        MINIMAL.replace("\"ssm:/ci/runner-token\"", "[\"verysecret\"]"),
        MINIMAL.replace("ssm:/ci/read-api-token", "env:very-secret/verysecret"),
        MINIMAL.replace("\"ssm:/ci/runner-token\"", "\"glrt-verysecret"),
        MINIMAL.replace("https://gitlab.example.com", "https://user:verysecret@gitlab.example.com"),
        MINIMAL.replace("https://gitlab.example.com", "ftp://user:verysecret@gitlab.example.com"),
        MINIMAL.replace("https://gitlab.example.com", "user:verysecret@gitlab.example.com"),
        MINIMAL.replace("  ami =", "  registry_mirrors = [\"u:verysecret@mirror\"]\n  ami ="),
    ];
    for text in broken {
        let problems = config::parse_in(&text, "config.toml", &nowhere()).unwrap_err();
        assert!(!format!("{problems} {problems:?}").contains("verysecret"), "{problems}");
    }
}

#[test]
fn check_prints_problems_with_exit_code_2_and_a_summary_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let run = |text: &str| {
        fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        let code = check::run(&CHECK, &path, false, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap().replace(path.to_str().unwrap(), "config.toml"))
    };

    let (code, good) = run(MINIMAL);
    assert_eq!(code, 0, "{good}");
    assert!(
        good.starts_with("config.toml: good; manager ci, 1 runner, at most 10 jobs at one time\n  spot: "),
        "{good}"
    );

    let (code, bad) = run("concurrent = 1");
    assert_eq!(code, 2);
    assert!(bad.starts_with("config.toml: 2 problems\n"), "{bad}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem() {
    let missing = config::load(Path::new("/nonexistent/config.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/config.toml: 1 problem\n  cannot read the file: "), "{missing}");

    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large.toml");
    fs::write(&large, "#".repeat(2 * 1024 * 1024)).unwrap();
    let large = config::load(&large).unwrap_err().to_string();
    assert!(large.contains("the file is larger than 1048576 bytes"), "{large}");

    let binary = dir.path().join("binary.toml");
    fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    assert!(config::load(&binary).unwrap_err().to_string().contains("cannot read the file"));
}

#[test]
fn a_setup_script_is_read_beside_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(dir.path().join("setup.sh"), "#!/bin/sh\ntrue\n").unwrap();
    fs::write(&path, MINIMAL.replace("  ami =", "  setup_script = \"setup.sh\"\n  ami =")).unwrap();

    let loaded = config::load(&path).unwrap();

    assert_eq!(loaded.config.runners[0].fleet.setup_script.as_ref().unwrap().content, "#!/bin/sh\ntrue\n");
}

#[test]
fn deep_and_wide_nonsense_is_answered() {
    let deep_keys = format!("a{} = 1", ".a".repeat(200_000));
    let deep_arrays = format!("a = {}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_tables = format!("[{}a]", "a.".repeat(200_000));
    let long_key = format!("[fleet]\n{} = 1\n", "k".repeat(500_000));
    let many = format!("[fleet]\n{}", (0..50_000).map(|n| format!("k{n}=1\n")).collect::<String>());
    for text in [deep_keys, deep_arrays, deep_tables, long_key, many] {
        let problems = config::parse_in(&text, "config.toml", &nowhere()).unwrap_err();
        assert!(problems.to_string().len() < 200_000);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = config::parse_in(&text, "config.toml", &nowhere());
    }

    /// Values of any kind in the places where values are expected.
    #[test]
    fn no_value_panics(line in 0_usize..200, value in "[-0-9a-z\"'\\[\\]{}=., :/@*#éß]{0,40}") {
        let mut lines: Vec<String> = COMPLETE.lines().map(str::to_owned).collect();
        let index = line % lines.len();
        if let Some((key, _)) = lines[index].clone().split_once('=') {
            lines[index] = format!("{key}= {value}");
        }
        let _ = config::parse_in(&lines.join("\n"), "config.toml", &nowhere());
    }

    /// Options and periods of any kind in an old file.
    #[test]
    fn no_option_panics(option in "[a-z0-9=-]{0,30}", value in "\\PC{0,30}", period in "[-*/,0-9a-zLW#? ]{0,30}") {
        let value = toml::Value::String(format!("{option}={value}"));
        let known = toml::Value::String(format!("amazonec2-tags={value}"));
        let period = toml::Value::String(period);
        let text = format!(
            "concurrent = 1\n[[runners]]\nexecutor = \"docker+machine\"\n[runners.machine]\nMachineDriver = \"amazonec2\"\nMachineName = \"%s\"\nMachineOptions = [{value}, {known}]\n[[runners.machine.autoscaling]]\nPeriods = [{period}]\n"
        );
        let _ = migrated(&text);
    }

    #[test]
    fn no_string_value_panics(line in 0_usize..200, value in "\\PC{0,40}") {
        let mut lines: Vec<String> = COMPLETE.lines().map(str::to_owned).collect();
        let index = line % lines.len();
        if let Some((key, _)) = lines[index].clone().split_once('=') {
            lines[index] = format!("{key}= {}", toml::Value::String(value));
        }
        let _ = config::parse_in(&lines.join("\n"), "config.toml", &nowhere());
    }
}
