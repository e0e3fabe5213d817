//! `doctor` finds what is wrong, says what to do, and ends with 1 for it: the real binary against a GitLab and an AWS over
//! HTTP and a worker over SSH, all of them well but for one thing.
//!
//! If this broke, an administrator would look for a fault in the wrong place, or trust an environment that is not well.

mod env;

use env::{API_TOKEN, HELPER_SECRET, RUNNER_TOKEN, TestEnv, json_error};

#[tokio::test]
async fn a_healthy_environment_is_well() {
    let env = TestEnv::new().await;

    let seen = env.doctor(&[]).await;

    assert_eq!(seen.code, 0, "{seen}");
    assert_eq!(seen.with("failed"), Vec::<String>::new(), "{seen}");
    assert_eq!(seen.with("not-checked"), Vec::<String>::new(), "{seen}");
    // The service does not run, which is no fault before its first start.
    assert_eq!(seen.with("warning").len(), 1, "{seen}");
    for step in [
        "configuration",
        "ssh-key",
        "secrets",
        "runner-token",
        "api-token",
        "queue",
        "credentials",
        "image",
        "subnets",
        "security-groups",
        "key-pair",
        "launch",
        "quota",
        "worker-role",
        "ecr-rights",
        "cache-rights",
        "worker",
        "ecr-helper",
        "ecr-login",
    ] {
        assert!(seen.says(step, "ok", ""), "{step} is not ok: {seen}");
    }
    assert!(seen.says("queue", "ok", "waiting job"), "{seen}");
    assert!(env.launched_nothing().await, "doctor changes nothing");
}

#[tokio::test]
async fn no_secret_is_shown_in_text_or_json() {
    let env = TestEnv::new().await;
    for args in [&[][..], &["--json"]] {
        let output = env.run(args).await;
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        for secret in [RUNNER_TOKEN, API_TOKEN, HELPER_SECRET, "wJalrXUtnFEMI"] {
            assert!(!said.contains(secret), "{secret} is shown:\n{said}");
        }
        assert!(!said.contains('\u{1b}'), "colours in a pipe:\n{said}");
        assert!(said.contains("spot"), "{said}");
    }
}

#[tokio::test]
async fn where_the_ssh_key_lies_is_told_and_whether_it_can_be_read() {
    let env = TestEnv::new().await;
    env.key_in_ssm(Some(&env.key()));
    let seen = env.doctor(&[]).await;
    assert!(seen.says("ssh-key", "ok", "the SSM parameter /ci/key in eu-central-1, fingerprint "), "{seen}");
    assert!(seen.says("worker", "ok", ""), "{seen}");

    env.key_in_ssm(Some("no key"));
    let seen = env.doctor(&[]).await;
    assert!(seen.says("ssh-key", "failed", "is not an ed25519 private key") && seen.code == 1, "{seen}");

    env.key_in_ssm(None);
    let seen = env.doctor(&[]).await;
    assert!(seen.says("ssh-key", "warning", "the next start puts the key of this host there"), "{seen}");

    env.aws("GetParameter", 400, &json_error("AccessDeniedException"));
    let seen = env.doctor(&[]).await;
    assert!(seen.says("ssh-key", "failed", "ssm:GetParameter is denied; attach the policy"), "{seen}");
    // What else there is to see is still looked at with the key of this host.
    assert!(seen.says("worker", "ok", ""), "{seen}");
    assert!(env.launched_nothing().await, "doctor changes nothing");
}

#[tokio::test]
async fn a_key_in_ssm_alone_reaches_the_worker_unseen() {
    let env = TestEnv::new().await;
    env.key_in_ssm(Some(&env.key()));
    let middle = env.key().lines().nth(2).unwrap().to_owned();
    env.lose_key();

    let seen = env.doctor(&[]).await;

    assert!(seen.says("ssh-key", "ok", "not in ") && seen.says("worker", "ok", ""), "{seen}");
    assert!(!env.has_key(), "doctor has written a key");
    assert!(!seen.to_string().contains(&middle), "the key is shown");
}

#[tokio::test]
async fn what_is_wrong_with_gitlab_is_found() {
    let forbidden = r#"{"message":"403 Forbidden"}"#;
    let cases: [(&str, u16, &str, &str, &str, &str); 5] = [
        ("verify", 403, forbidden, "runner-token", "failed", "write the token that GitLab showed"),
        ("self", 200, r#"{"scopes":["read_user"],"expires_at":null}"#, "api-token", "failed", "scope read_user"),
        (
            "self",
            200,
            r#"{"scopes":["read_api"],"expires_at":"2026-01-01"}"#,
            "api-token",
            "warning",
            "until 2026-01-01",
        ),
        ("runner", 403, forbidden, "queue", "failed", "Maintainer"),
        ("jobs of 2", 403, forbidden, "queue", "warning", "Reporter"),
    ];
    for (door, status, body, step, verdict, words) in cases {
        let env = TestEnv::new().await;
        env.gitlab(door, status, body);
        let seen = env.doctor(&[]).await;
        assert!(seen.says(step, verdict, words), "{door} {status}: {seen}");
        assert_eq!(seen.code, i32::from(verdict == "failed"), "{seen}");
    }
}

#[tokio::test]
async fn a_queue_of_which_nothing_is_seen_is_a_failure() {
    let env = TestEnv::new().await;
    env.gitlab("jobs", 403, r#"{"message":"403 Forbidden"}"#);
    env.gitlab("jobs of 2", 403, r#"{"message":"403 Forbidden"}"#);
    let seen = env.doctor(&[]).await;
    assert!(seen.says("queue", "failed", "at least the role Reporter"), "{seen}");
    assert_eq!(seen.code, 1, "{seen}");
}

#[tokio::test]
async fn what_is_wrong_with_aws_is_found() {
    let env = TestEnv::new().await;
    let denied = env::ec2_error("UnauthorizedOperation", "You are not authorized to perform this operation.");
    let missing = |code: &str| env::ec2_error(code, "it does not exist");
    let no_rights = env::simulated(&[("ecr:GetAuthorizationToken", false)]);
    let may_not_put = env::simulated(&[("s3:GetObject", true), ("s3:ListBucket", true)]);
    let cases: Vec<(&str, u16, String, &str, &str, &str)> = vec![
        ("GetCallerIdentity", 403, env::query_error("InvalidClientTokenId"), "credentials", "failed", "denied"),
        ("DescribeImages", 200, env::image("x86_64"), "image", "failed", "choose an image or types that match"),
        ("DescribeImages", 400, missing("InvalidAMIID.NotFound"), "image", "failed", "does not exist"),
        ("DescribeSubnets", 400, missing("InvalidSubnetID.NotFound"), "subnets", "failed", "InvalidSubnetID.NotFound"),
        ("DescribeSecurityGroups", 200, env::group("vpc-2", 22), "security-groups", "failed", "subnets' VPC"),
        ("DescribeSecurityGroups", 200, env::group("vpc-1", 80), "security-groups", "failed", "TCP port"),
        ("DescribeSecurityGroups", 403, denied.clone(), "security-groups", "warning", "iam-policy --manager --doctor"),
        ("DescribeKeyPairs", 403, denied.clone(), "key-pair", "failed", "ec2:DescribeKeyPairs is denied"),
        ("RunInstances", 403, denied.clone(), "launch", "failed", "ec2:RunInstances is denied"),
        ("CreateFleet", 403, denied.clone(), "launch", "failed", "ec2:CreateFleet is denied"),
        ("GetServiceQuota", 200, env::quota(0.0), "quota", "failed", "Service Quotas"),
        ("GetServiceQuota", 200, env::quota(4.0), "quota", "warning", "max_workers"),
        (
            "GetServiceQuota",
            400,
            env::json_error("AccessDeniedException"),
            "quota",
            "warning",
            "iam-policy --manager --doctor",
        ),
        ("GetInstanceProfile", 404, env::query_error("NoSuchEntity"), "worker-role", "failed", "does not exist"),
        (
            "GetInstanceProfile",
            403,
            env::query_error("AccessDenied"),
            "worker-role",
            "warning",
            "iam-policy --manager --doctor",
        ),
        ("GetInstanceProfile", 200, env::profile("lambda.amazonaws.com"), "worker-role", "failed", "ec2.amazonaws.com"),
        ("SimulatePrincipalPolicy", 200, no_rights, "ecr-rights", "failed", "iam-policy --worker"),
        (
            "SimulatePrincipalPolicy",
            200,
            may_not_put,
            "cache-rights",
            "failed",
            "s3:PutObject not allowed on arn:aws:s3:",
        ),
    ];
    for (action, status, body, step, verdict, words) in cases {
        env.aws(action, status, &body);
        let seen = env.doctor(&[]).await;
        assert!(seen.says(step, verdict, words), "{action} {status}: {seen}");
        assert_eq!(seen.code, i32::from(verdict == "failed"), "{action} {status}: {seen}");
        env.aws_is_well();
    }
    assert!(env.launched_nothing().await);
}

#[tokio::test]
async fn that_no_dry_run_sees_a_volumes_key_is_told() {
    let env = TestEnv::new().await;
    env.volume_key("alias/ci");
    let seen = env.doctor(&[]).await;
    assert!(seen.says("launch", "ok", "would be allowed"), "{seen}");
    assert!(seen.says("launch", "not-checked", "the volume's key alias/ci: it needs the statements UseKeys"), "{seen}");
    assert_eq!(seen.code, 0, "{seen}");
}

#[tokio::test]
async fn what_is_wrong_on_a_worker_is_found() {
    let env = TestEnv::new().await;
    let log = "time=2026-02-25T10:11:12.123Z level=ERROR msg=\"Error retrieving credentials\" error=\"api error \
               AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/ci/i-1 is not authorized\"\n";
    let cases: [(&str, u32, &str, &str, &str, &str); 7] = [
        ("agent report", 1, "sudo: a password is required", "worker", "failed", "sudo"),
        ("ecr-login -v", 127, "docker-credential-ecr-login: not found", "ecr-helper", "failed", "there is no"),
        ("ecr-login -v", 126, "Exec format error", "ecr-helper", "failed", "does not run on this aarch64"),
        ("ecr-login -v", 0, "amazon-ecr-credential-helper 0.6.0", "ecr-helper", "failed", "came with 0.9.0"),
        ("/ld-linux", 0, "", "ecr-helper", "failed", "dynamically linked"),
        ("ecr-login get", 1, "", "ecr-login", "failed", "AccessDeniedException"),
        ("ecr-login get", 1, "", "ecr-login", "failed", "iam-policy --worker"),
    ];
    for (command, status, said, step, verdict, words) in cases {
        env.worker("tail -c", 0, log);
        env.worker(command, status, said);
        let seen = env.doctor(&["--runner", "spot"]).await;
        assert!(seen.says(step, verdict, words), "{command} {status}: {seen}");
        assert_eq!(seen.code, 1, "{seen}");
        env.worker_is_well();
    }
}

#[tokio::test]
async fn an_unreachable_worker_differs_from_a_foreign_one() {
    let env = TestEnv::new().await;

    env.aws("DescribeInstances", 200, &env::instance("127.0.0.2"));
    let nobody = env.doctor(&[]).await;
    env.aws("DescribeInstances", 200, &env::no_instances());
    let none = env.doctor(&[]).await;
    let stranger = TestEnv::with_a_strangers_host_key().await.doctor(&[]).await;

    assert!(nobody.says("worker", "failed", "security group"), "{nobody}");
    assert!(nobody.says("ecr-login", "not-checked", "needs a running worker"), "{nobody}");
    assert!(none.says("worker", "not-checked", "none of its workers runs now"), "{none}");
    assert_eq!(none.code, 0, "what could not be checked is no failure: {none}");
    assert!(stranger.says("worker", "failed", "the host key is"), "{stranger}");
}

#[tokio::test]
async fn what_is_missing_on_the_manager_is_found() {
    let env = TestEnv::new().await;
    env.forget_environment();
    let seen = env.doctor(&[]).await;
    assert!(seen.says("secrets", "failed", "environment variable API_TOKEN is not set"), "{seen}");
    assert!(seen.says("runner-token", "not-checked", ""), "{seen}");
    assert!(seen.says("image", "ok", ""), "AWS is looked at all the same: {seen}");

    env.lose_key();
    let seen = env.doctor(&[]).await;
    assert!(seen.says("ssh-key", "warning", "at its first start"), "{seen}");
    assert!(seen.says("worker", "not-checked", "SSH key"), "{seen}");
    assert!(!env.has_key(), "doctor makes no key");
}
