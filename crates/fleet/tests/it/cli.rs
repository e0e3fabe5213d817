//! The program as people meet it: help that teaches, errors that say what to do, exit codes that scripts rely on.
//!
//! The real binary is run; its words are golden files.

use std::path::Path;
use std::process::{Command, Output};

use crate::config_file::ConfigFile;

const SUBCOMMANDS: [&str; 26] = [
    "run",
    "check",
    "plan",
    "status",
    "costs",
    "events",
    "doctor",
    "support-bundle",
    "trouble-test",
    "drain",
    "pause",
    "resume",
    "undrain",
    "retry",
    "reload",
    "ssh",
    "render",
    "migrate",
    "schema",
    "simulate",
    "record",
    "shadow",
    "demo",
    "iam-policy",
    "completions",
    "man",
];

#[test]
fn the_program_introduces_itself() {
    insta::assert_snapshot!(text(&run(&["--help"])));
}

#[test]
fn every_subcommand_explains_itself_with_an_example() {
    let mut all = String::new();
    for subcommand in SUBCOMMANDS {
        let help = text(&run(&[subcommand, "--help"]));
        assert!(help.contains("Example"), "{subcommand} shows no example:\n{help}");
        // The global options stand in the program's own help.
        let own = help.split("Global options:").next().unwrap();
        let examples = help.find("\nExample").map_or("", |at| help[at..].trim());
        let long = examples.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{subcommand}: wrapped where a terminal has 80 columns, it cannot be copied");
        all.push_str(&format!("==== {subcommand}\n{own}{examples}\n\n"));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn bad_usage_ends_with_2_and_says_what_is_wrong() {
    let cases: [&[&str]; 12] = [
        &["explode"],
        &["drain"],
        &["drain", "spot"],
        &["ssh", "spot"],
        &["drain", "--all", "--runner", "spot"],
        &["-v", "-q", "status"],
        &["render", "nobody", "--config", "config/minimal.toml"],
        &["iam-policy", "--account", "12", "--config", "config/minimal.toml"],
        &["iam-policy", "--worker", "--repositories", "123456789012.dkr.ecr.eu-central-1.amazonaws.com:x"],
        &["render"],
        &["render", "x", "--manager-docker-config"],
        &["doctor", "--runner", "nobody", "--config", "config/minimal.toml"],
    ];
    let mut all = String::new();
    for case in cases {
        let output = run(case);
        assert_eq!(output.status.code(), Some(2), "{case:?}");
        assert!(output.stdout.is_empty(), "{case:?} writes an error to stdout");
        all.push_str(&format!("==== {}\n{}\n", case.join(" "), text(&output)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_bad_configuration_ends_with_2_for_whoever_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, "concurrent = 0\n[fleet]\nmanger = 1\n").unwrap();
    for subcommand in ["run", "status", "plan", "iam-policy", "doctor"] {
        let output = run(&[subcommand, "--config", path.to_str().unwrap()]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{subcommand}: {said}");
        assert!(said.contains("problems") && said.contains("did you mean"), "{subcommand}: {said}");
    }
    assert_eq!(run(&["run", "--config", "/nonexistent/config.toml"]).status.code(), Some(2));
}

/// `check` of a file of this text, called with these words.
fn check(text: &str, words: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.toml"), text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_runner-fleet"))
        .arg("check")
        .args(words)
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap()
}

const MINIMAL: &str = include_str!("../../../../config/minimal.toml");

#[test]
fn check_writes_as_compilers_do() {
    let bad = MINIMAL.replace("concurrent = 10", "concurent = 10").replace("limit = 10", "limit = -1");
    let output = check(&bad, &["c.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "c.toml: 2 problems, 1 warning", "{said}");
    assert!(lines[1].starts_with("c.toml: error: concurrent: missing;"), "{said}");
    assert!(lines[2].starts_with("c.toml:14:1: error: runners[0].limit: -1 is not"), "{said}");
    assert!(lines[3].starts_with("c.toml:4:1: warning: concurent: ") && lines[3].contains("`concurrent`"), "{said}");

    let output = check(&MINIMAL.replace("[\"/cache\"]", "[\"/cache\""), &["c.toml"]);
    let said = text(&output);
    assert!(said.starts_with("c.toml: 1 problem\nc.toml:20:") && said.lines().count() == 5, "{said}");
    assert!(said.lines().last().unwrap().trim_start().starts_with("| "), "{said}");
}

#[test]
fn check_tells_of_secrets_that_are_not_here() {
    let text_of = MINIMAL.replace("ssm:/ci/runner-token", "env:NO_SUCH_VARIABLE_HERE");
    let output = check(&text_of, &["--config", "c.toml"]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output);
    assert!(said.starts_with("c.toml: good; manager ci"), "{said}");
    let warning = "c.toml:12:1: warning: runners[0].token: as seen from this shell: environment variable";
    assert!(said.lines().last().unwrap().starts_with(warning), "{said}");
    for words in [&["--silent", "c.toml"][..], &["-q", "c.toml"]] {
        let said = text(&check(&text_of, words));
        assert!(said.lines().count() == 1 && said.starts_with(warning), "{said}");
        assert_eq!(text(&check(MINIMAL, words)), "");
    }
}

#[test]
fn check_reports_to_programs() {
    let json = |text: &str, words: &[&str]| -> (Option<i32>, serde_json::Value) {
        let output = check(text, &[&["--json"], words].concat());
        assert!(output.stderr.is_empty());
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    };
    let good = serde_json::json!({ "version": 1, "file": "c.toml", "good": true, "problems": [], "warnings": [] });
    assert_eq!(json(MINIMAL, &["c.toml"]), (Some(0), good));

    let bad = MINIMAL.replace("concurrent = 10", "concurrent = 10\nlimt = 3").replace("limit = 10", "limit = -1");
    let (code, report) = json(&bad, &["c.toml", "-q"]);
    assert_eq!((code, &report["good"]), (Some(2), &false.into()));
    let problem = &report["problems"][0];
    assert_eq!((&problem["line"], &problem["column"]), (&15.into(), &1.into()), "{report}");
    assert_eq!((problem["path"].as_str(), &problem["excerpt"]), (Some("runners[0].limit"), &().into()));
    assert_eq!(report["warnings"][0]["path"], "limt");

    let (code, report) = json("a = = 1", &["c.toml"]);
    assert!(code == Some(2) && report["problems"][0]["excerpt"].as_str().unwrap().contains('^'), "{report}");
    let (code, report) = json("", &["missing.toml"]);
    assert_eq!((code, &report["good"], &report["problems"][0]["line"]), (Some(2), &false.into(), &().into()));
}

#[test]
fn a_missing_configuration_is_told_with_what_to_do() {
    for subcommand in ["check", "run", "status", "iam-policy"] {
        let output = run(&[subcommand, "--config", "/nonexistent/config.toml"]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{subcommand}");
        let said = text(&output);
        assert!(said.starts_with("runner-fleet: there is no file /nonexistent/config.toml; copy "), "{said}");
        assert!(said.contains("--config FILE") && !said.contains("os error"), "{said}");
    }
}

#[test]
fn a_service_that_does_not_run_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(folder.path());
    for subcommand in [&["status"][..], &["drain", "i-1"], &["pause", "spot"], &["resume", "spot"]] {
        let output = run(&[subcommand, &["--config", &path]].concat());
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot reach the running service at"), "{said}");
        assert!(said.contains("there is no such socket; is it running") && !said.contains("os error"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn render_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(folder.path());
    let output = run(&["render", "spot", "--config", &path]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("#cloud-config") && said.contains("[[runners]]"), "{said}");
    assert!(!said.contains("glrt-sesame"), "the token is shown");
    let json: serde_json::Value =
        serde_json::from_slice(&run(&["render", "spot", "--json", "--config", &path]).stdout).unwrap();
    assert_eq!(json["version"], 1);
}

/// Two spellings of one key would be one key for the worker's runner, and chance would choose between their values.
#[test]
fn a_worker_gets_each_key_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let file = include_str!("../../../config/src/told/ecr-docker-case.toml").replace(
        "Environment =",
        "Token_Expires_At = 2026-01-01T00:00:00Z\nLimit = 7\nRequest_Concurrency = 3\nEnvironment =",
    );
    std::fs::write(&path, file).unwrap();
    let output = run(&["render", "e", "--json", "--config", path.to_str().unwrap()]);
    let rendered: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let config: toml::Table = rendered["config_toml"].as_str().unwrap().parse().unwrap();
    let runner = config["runners"][0].as_table().unwrap();
    for table in [runner, runner["docker"].as_table().unwrap()] {
        let lower: std::collections::BTreeSet<_> = table.keys().map(|key| key.to_lowercase()).collect();
        assert!(lower.iter().all(|key| table.contains_key(key)) && lower.len() == table.len(), "{table}");
    }
    assert!(!runner.contains_key("token_expires_at"), "the worker would rotate the token");
    assert_eq!((runner["limit"].as_integer(), runner["request_concurrency"].as_integer()), (Some(1), Some(3)));
    let strings = |list: &toml::Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(strings(&runner["environment"]), ["A=1", "AWS_ECR_IGNORE_CREDS_STORAGE=true"]);
    let script = runner["pre_build_script"].as_str().unwrap();
    assert!(script.trim_end().ends_with("echo mine") && script.len() > 100, "{script}");
    let read_only = [
        "/usr/local/bin/docker-credential-ecr-login",
        "/usr/local/bin/docker-credential-runner-fleet-ecr",
        "/etc/runner-fleet/docker-config.json",
    ]
    .map(|path| format!("{path}:{path}:ro"));
    let [helper, ours, seed] = &read_only;
    assert_eq!(strings(&runner["docker"]["volumes"]), ["/cache", helper, ours, seed, "/certs/client"]);
}

#[test]
fn the_schema_is_printed_without_a_configuration() {
    let output = run(&["schema", "--config", "/nonexistent/config.toml"]);
    let committed = std::fs::read_to_string(runner_fleet_testing::repository().join("config/schema.json")).unwrap();
    assert_eq!((output.status.code(), text(&output)), (Some(0), committed));
}

#[test]
fn policies_are_made_from_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(folder.path());
    let printed = run(&["iam-policy", "--manager", "--account", "123456789012", "--config", &path]).stdout;
    let policy: serde_json::Value = serde_json::from_slice(&printed).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    assert!(policy.to_string().contains("eu-central-1"));
}

#[test]
fn policy_and_docker_config_name_the_registries() {
    let complete = "config/complete.toml";
    let worker = run(&["iam-policy", "--worker", "--repositories", "team", "--config", complete]);
    let pushing = run(&["iam-policy", "--worker", "--push", "--config", complete]);
    let manager = run(&["iam-policy", "--manager", "--doctor", "--config", complete]);
    let docker = run(&["render", "--manager-docker-config", "--config", complete]);
    let folder = tempfile::tempdir().unwrap();
    let none = run(&["render", "--manager-docker-config", "--config", &configuration(folder.path())]);

    assert!(text(&worker).contains(":repository/team/*\""), "{}", text(&worker));
    assert!(!text(&worker).contains("ecr:PutImage") && text(&pushing).contains("ecr:PutImage"));
    assert!(String::from_utf8_lossy(&manager.stderr).contains("--worker-role NAME"), "{}", text(&manager));
    assert!(text(&manager).contains("iam:SimulatePrincipalPolicy"));
    let config: serde_json::Value = serde_json::from_slice(&docker.stdout).unwrap();
    assert_eq!(config["credHelpers"]["public.ecr.aws"], "ecr-login");
    assert_eq!(config.as_object().unwrap().len(), 1, "no credsStore: {config}");
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none).contains("no registry is configured"), "{}", text(&none));
}

#[test]
fn the_managers_policy_has_the_ssh_keys_parameter() {
    let printed = run(&["iam-policy", "--manager", "--account", "123456789012", "--config", "config/complete.toml"]);
    let folder = tempfile::tempdir().unwrap();
    let without = run(&["iam-policy", "--manager", "--config", &configuration(folder.path())]);

    let policy: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let with = |sid: &str| statements.iter().find(|statement| statement["Sid"] == sid).unwrap();
    let arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/ci/manager-ssh-key";
    assert_eq!(with("KeepSshKey")["Action"], serde_json::json!(["ssm:GetParameter", "ssm:PutParameter"]));
    assert_eq!(with("KeepSshKey")["Resource"], arn);
    assert!(with("DecryptTokens").to_string().contains(arn));
    assert!(!text(&without).contains("KeepSshKey"), "{}", text(&without));
}

#[test]
fn completions_offer_the_runners_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(folder.path());
    let program = env!("CARGO_BIN_EXE_runner-fleet");
    let script = folder.path().join("completions");
    std::fs::write(&script, run(&["completions", "bash"]).stdout).unwrap();
    let offered = |words: &str| {
        let ask = format!(
            "source {}; COMP_WORDS=({program} {words} ''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _runner_fleet_live {program} '' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let output = Command::new("bash").args(["-c", &ask]).env("RUNNER_FLEET_CONFIG", &path).output().unwrap();
        text(&output)
    };
    for words in ["pause", "retry", "--log-format text render", "status --runner", "drain --runner"] {
        assert_eq!(offered(words), "spot\n", "{words}");
    }
    assert_eq!(offered("drain"), "\n", "the service does not run");
    assert!(offered("").contains("status"), "{}", offered(""));
    let zsh = text(&run(&["completions", "zsh"]));
    assert_eq!(zsh.matches("names workers").count(), 3, "{zsh}");
    assert!(zsh.matches("names runners").count() >= 6, "{zsh}");
    assert!(!text(&run(&["--help"])).contains("\n  names "), "it is for completions alone");
}

#[test]
fn a_support_bundle_has_all_but_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bundle) = (configuration(folder.path()), folder.path().join("bundle.json"));
    let args = ["support-bundle", "--without-doctor", "--config", &path, "--output", bundle.to_str().unwrap()];
    let first = run(&args);
    let said = text(&first);
    assert_eq!(first.status.code(), Some(0), "{said}");
    let written = std::fs::read_to_string(&bundle).unwrap();
    let json: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!((&json["version"], &json["doctor"]), (&1.into(), &serde_json::Value::Null));
    assert_eq!(json["configuration"]["runners"][0]["name"], "spot");
    assert!(json["state"]["error"].as_str().unwrap().contains("is it running"), "{written}");
    assert!(!written.contains("sesame"), "{written}");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&bundle).unwrap().permissions()) & 0o777,
        0o600
    );
    assert_eq!(run(&args).status.code(), Some(1), "a file that exists is not written over");
}

#[test]
fn completions_and_manual_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&run(&["completions", shell])).contains("runner-fleet"), "{shell}");
    }
    assert!(text(&run(&["man"])).contains(".TH runner-fleet 1"));
    let page = text(&run(&["man", "status"]));
    let title = concat!("\"runner-fleet ", env!("CARGO_PKG_VERSION"), "\"");
    assert!(page.contains(title), "the page says of which version it is: {page}");
    let usage = text(&run(&["man", "drain"]));
    assert!(usage.contains("\nrunner\\-fleet drain [OPTIONS] [WORKER]...\n"), "{usage}");
    for section in ["EXAMPLES", "\"EXIT STATUS\"", "FILES", "ENVIRONMENT", "\"SEE ALSO\""] {
        assert!(page.contains(&format!(".SH {section}\n")), "{section}: {page}");
    }
    assert!(page.contains("watch") && !page.contains("EXTRA"), "{page}");
    assert_eq!(run(&["man", "nonsense"]).status.code(), Some(2));
}

fn configuration(folder: &Path) -> String {
    let path = ConfigFile::new(folder).workers("api_token", "env:READ_API_TOKEN").write(folder);
    path.to_str().unwrap().to_owned()
}

/// Runs the program without anything of the environment that it reads.
fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runner-fleet"))
        .args(args)
        .current_dir(runner_fleet_testing::repository())
        .env_clear()
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(all).unwrap()
}
