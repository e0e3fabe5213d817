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

#[test]
fn workers_get_the_rights_on_the_cache_that_they_sign_for() {
    let file = include_str!("../../../config/src/told/s3-cache-iam.toml");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let policy = |text: &str| -> serde_json::Value {
        std::fs::write(&path, text).unwrap();
        let output = iam_policy(&["--worker"], path.to_str().unwrap());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let expected = serde_json::json!([
        {
            "Sid": "Cache",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": ["arn:aws:s3:::ci-cache-example/*"],
        },
        {
            "Sid": "CacheBucket",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": ["arn:aws:s3:::ci-cache-example"],
        },
    ]);
    assert_eq!(policy(file)["Statement"], expected);
    let profile = file.replace("  region =", "  instance_profile = \"ci-worker\"\n  region =");
    assert_eq!(policy(&profile)["Statement"], expected, "with a profile as without");

    let china = file.replace("BucketLocation = \"eu-central-1\"", "BucketLocation = \"cn-north-1\"");
    assert!(policy(&china).to_string().contains("arn:aws-cn:s3:::ci-cache-example/*"));
    let role = "arn:aws:iam::123456789012:role/cache";
    let assumed = file
        .replace("    Insecure", "")
        .replace("    BucketName", &format!("    RoleARN = \"{role}\"\n    BucketName"));
    let statements = policy(&assumed)["Statement"].clone();
    assert_eq!((statements.as_array().unwrap().len(), &statements[0]["Action"]), (1, &"sts:AssumeRole".into()));
    assert_eq!(statements[0]["Resource"], serde_json::json!([role]));

    let keys = file.replace("AuthenticationType = \"iam\"", "AccessKey = \"AKIAX\"\nSecretKey = \"s\"");
    std::fs::write(&path, keys).unwrap();
    let output = iam_policy(&["--worker"], path.to_str().unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("or a cache in S3 that its role signs for"), "{}", said(&output));
}
