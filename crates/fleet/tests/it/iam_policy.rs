//! `iam-policy` as a person calls it: where a region is asked for, and the scripts of `--aws-cli`.
//!
//! Whether the scripts work is `make road`'s question, which runs them.

use std::process::{Command, Output};

const MINIMAL: &str = "config/minimal.toml";
const COMPLETE: &str = "config/complete.toml";

#[test]
fn a_region_is_asked_for_only_where_one_matters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let nowhere = std::fs::read_to_string(runner_fleet_testing::repository().join(COMPLETE))
        .unwrap()
        .replace("  region = \"eu-central-1\"\n", "");
    std::fs::write(&path, nowhere).unwrap();
    let nowhere = path.to_str().unwrap();

    for words in [&["--worker"][..], &["--worker", "--aws-cli"]] {
        let output = iam_policy(words, nowhere);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", said(&output));
    }
    for words in [&["--manager"][..], &["--manager", "--aws-cli"], &["--aws-cli"], &[]] {
        let output = iam_policy(words, nowhere);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert_eq!(
            said(&output),
            "runner-fleet: the region of the runner graviton-spot is not known; call with --region NAME, or write region \
             = \"NAME\" into its [runners.fleet]\n"
        );
    }
    let given = iam_policy(&["--manager", "--region", "us-gov-west-1"], nowhere);
    assert!(printed(&given).contains("arn:aws-us-gov:ec2:us-gov-west-1:*:instance/*"), "{}", said(&given));
}

#[test]
fn the_script_is_made_from_the_configuration() {
    let script = printed(&iam_policy(&["--aws-cli", "--account", "123456789012"], COMPLETE));
    // What stands above is make.sh as it is.
    insta::assert_snapshot!("aws_cli", script.split_once("manager=").unwrap().1);
    for (words, of) in [(["--manager"], "runner-fleet-ci-eu"), (["--worker"], "ci-worker")] {
        let policy = printed(&iam_policy(&[&words[..], &["--account", "123456789012"]].concat(), COMPLETE));
        assert!(
            script.contains(&format!("policy {of} <<'JSON'\n{policy}JSON\n")),
            "another policy in the script: {policy}"
        );
    }
}

#[test]
fn the_removal_names_what_the_script_makes() {
    let removal = printed(&iam_policy(&["--aws-cli", "--remove", "--manager-role", "ci+eu"], COMPLETE));
    let calls = removal.split_once("manager=").unwrap().1;
    let expected = [
        "ci-eu",
        "export AWS_REGION=eu-central-1 AWS_DEFAULT_REGION=eu-central-1",
        "",
        "profile ci+eu",
        "role ci+eu",
        "profile ci-worker",
        "role ci-worker",
        "parameter eu-central-1 /ci/runner-token",
        "parameter eu-central-1 /ci/manager-ssh-key",
    ];
    assert_eq!(calls.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_the_script_cannot_know_is_refused() {
    let cases = [
        (&["--aws-cli", "--worker"][..], MINIMAL, 1, "workers need no role: no runner names an instance_profile"),
        (
            &["--aws-cli", "--worker-role", "a", "--worker-role", "b"],
            COMPLETE,
            2,
            "which --worker-role belongs to which",
        ),
        (&["--aws-cli", "--manager-role", "a b"], COMPLETE, 2, "\"a b\" is no name for a role"),
        (&["--region", "Frankfurt"], COMPLETE, 2, "\"Frankfurt\" is no region; write its name, like eu-central-1"),
        (&["--remove"], COMPLETE, 2, "--aws-cli"),
    ];
    for (words, config, code, why) in cases {
        let output = iam_policy(words, config);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", said(&output));
        assert!(said(&output).contains(why) && output.stdout.is_empty(), "{words:?}: {}", said(&output));
    }
}

/// Runs it where nothing tells a region: no environment, no metadata service.
fn iam_policy(words: &[&str], config: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runner-fleet"))
        .args(["iam-policy", "--config", config])
        .args(words)
        .current_dir(runner_fleet_testing::repository())
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
