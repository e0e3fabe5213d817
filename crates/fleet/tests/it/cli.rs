//! The program as people meet it: help that teaches, errors that say what to do, exit codes that scripts rely on.
//!
//! The real binary is run; its words are golden files.

use std::path::Path;
use std::process::{Command, Output};

use crate::config_file::ConfigFile;

const SUBCOMMANDS: [&str; 18] = [
    "run",
    "check",
    "plan",
    "status",
    "doctor",
    "drain",
    "pause",
    "resume",
    "ssh",
    "render",
    "migrate",
    "schema",
    "simulate",
    "record",
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
        all.push_str(&format!("==== {subcommand}\n{own}{examples}\n\n"));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn bad_usage_ends_with_2_and_says_what_is_wrong() {
    let cases: [&[&str]; 10] = [
        &["explode"],
        &["drain"],
        &["status", "--watch", "--json"],
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

#[test]
fn a_service_that_does_not_run_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(folder.path());
    for subcommand in [&["status"][..], &["drain", "i-1"], &["pause", "spot"], &["resume", "spot"]] {
        let output = run(&[subcommand, &["--config", &path]].concat());
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot reach the running service at"), "{said}");
        assert!(said.contains("is it running"), "{said}");
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
fn completions_and_manual_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&run(&["completions", shell])).contains("runner-fleet"), "{shell}");
    }
    assert!(text(&run(&["man"])).contains(".TH runner-fleet 1"));
    assert!(text(&run(&["man", "status"])).contains("watch"));
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
