//! Keys that stop working on a worker.

use crate::old::{Old, plain_machine};

#[test]
fn scripts_around_the_clone_have_their_new_names() {
    let new = Old::case("terraform-machine").same();
    new.says(&[("pre_get_sources_script", "\"echo before clone\""), ("pre_clone_script", "")]);
    assert!(new.word("runners[0].pre_clone_script").contains("pre_get_sources_script"));

    let old = Old::case("session-server-and-old-keys");
    let config = old.loaded().config;
    let section = &config.runners[0].section;
    assert_eq!(section["pre_get_sources_script"].as_str(), Some("git config --global url.x.insteadOf y"));
    assert_eq!(section["post_get_sources_script"].as_str(), Some("echo cloned"));
    assert!(!section.contains_key("pre_clone_script") && !section.contains_key("post_clone_script"));
    assert!(!config.global.contains_key("session_server"));
    for path in ["session_server", "runners[0].pre_clone_script", "runners[0].post_clone_script"] {
        assert!(old.warned().contains(&path.to_owned()), "{path}");
        assert_eq!(old.migrated().words(path).len(), 1, "{path}");
    }
    assert!(!old.migrated().text.contains("[session_server]"));
}

#[test]
fn the_new_name_wins_over_the_old_one() {
    let old = plain_machine(&[], "Pre_Clone_Script = \"old\"\npre_get_sources_script = \"new\"");
    let new = old.same();
    new.says(&[("pre_get_sources_script", "\"new\""), ("Pre_Clone_Script", "")]);
    assert!(new.word("runners[0].pre_clone_script").contains("left out"));
}

/// In a file of our own form, too.
#[test]
fn our_own_sections_are_carried_alike() {
    let old = plain_machine(&[], "post_clone_script = \"x\"").migrated().text;
    let ours = Old::text(old.replace("post_get_sources_script", "post_clone_script"));
    assert_eq!(ours.loaded().config.runners[0].section["post_get_sources_script"].as_str(), Some("x"));
    assert_eq!(ours.warned().iter().filter(|path| *path == "runners[0].post_clone_script").count(), 1);
}

#[test]
fn a_clients_certificate_does_not_travel_and_that_is_told() {
    let old = Old::case("client-cert");
    for key in ["tls-cert-file", "tls-key-file"] {
        assert!(old.warned().contains(&format!("runners[0].{key}")), "{key}");
        assert!(old.migrated().word(&format!("runners[0].{key}")).contains("names a file of this machine"));
    }
    let empty = plain_machine(&[], "tls-ca-file = \"\"\ntls-cert-file = \"\"\ntls-key-file = \"\"");
    empty.same();
    assert!(!empty.warned().iter().any(|path| path.contains("tls-")));
}

#[test]
fn cache_keys_written_flat_move_into_their_table() {
    let flat = r#"
  [runners.cache]
  Type = "s3"
  ServerAddress = "s3.amazonaws.com"
  accesskey = "invented"
  BucketName = "ci-cache-example"
  Insecure = false
  Shared = true"#;
    let new = plain_machine(&[], flat).same();
    new.says(&[
        ("cache/s3/ServerAddress", "\"s3.amazonaws.com\""),
        ("cache/s3/AccessKey", "\"invented\""),
        ("cache/s3/BucketName", "\"ci-cache-example\""),
        ("cache/s3/Insecure", "false"),
        ("cache/ServerAddress", ""),
        ("cache/Shared", "true"),
    ]);
    assert_eq!(new.words("runners[0].cache.accesskey").len(), 1);
    let both = format!("{flat}\n    [runners.cache.s3]\n    BucketName = \"the-other\"");
    let new = plain_machine(&[], &both).same();
    new.says(&[("cache/s3/BucketName", "\"the-other\""), ("cache/s3/ServerAddress", "\"s3.amazonaws.com\"")]);
    assert!(new.word("runners[0].cache.BucketName").contains("left out"));
    let gcs = flat.replace("\"s3\"", "\"gcs\"");
    plain_machine(&[], &gcs).same().says(&[("cache/BucketName", ""), ("cache/s3", "")]);
}

#[test]
fn services_of_the_old_form_become_tables() {
    let docker = "  [runners.docker]\n  image = \"alpine\"\n  services = [\"mysql:8\", \"redis\"]";
    let new = plain_machine(&[], docker).same();
    new.says(&[("docker/services/0/name", "\"mysql:8\""), ("docker/services/1/name", "\"redis\"")]);
    assert_eq!(new.words("runners[0].docker.services").len(), 1);
}

#[test]
fn a_path_of_google_credentials_is_told() {
    let cache = "  [runners.cache]\n  Type = \"gcs\"\n    [runners.cache.gcs]\n    CredentialsFile = \"/etc/key.json\"";
    let new = plain_machine(&[], cache).same();
    assert!(new.word("runners[0].cache.gcs.CredentialsFile").contains("names a file of this machine"));
}

#[test]
fn tags_that_mean_mine_to_others_are_left_out() {
    let new = Old::case("terraform-machine").same();
    new.says(&[("fleet/tags", "{ Environment = \"ci\" }")]);
    let words = new.words("runners[0].machine.MachineOptions[10]");
    assert!(
        words.iter().any(|word| word.contains("\"gitlab-runner-parent-id\"") && word.contains("Lambda")),
        "{words:?}"
    );
    let others = [
        "GitLab-Runner-Parent-Id",
        "karpenter.sh/nodepool",
        "kubernetes.io/cluster/prod",
        "spotinst:aws:ec2:group:id",
        "ghr:Application",
        "parallelcluster:cluster-name",
        "aws:autoscaling:groupName",
        "runner-fleet:manager",
    ];
    for tag in others {
        let new = plain_machine(&[&format!("amazonec2-tags=team,ci,{tag},x")], "").same();
        new.says(&[("fleet/tags", "{ team = \"ci\" }")]);
        assert!(new.word("runners[0].machine.MachineOptions[5]").contains(tag), "{tag}");
    }
    // A tag that only looks like one is kept.
    plain_machine(&["amazonec2-tags=gitlab-runner-parent-id-2,x"], "")
        .same()
        .says(&[("fleet/tags", "{ gitlab-runner-parent-id-2 = \"x\" }")]);
    // What the user writes in our own words is kept, with a warning.
    let own = plain_machine(&[], "  [runners.fleet.tags]\n  gitlab-runner-parent-id = \"i-1\"");
    assert!(own.warned().contains(&"runners[0].fleet.tags.gitlab-runner-parent-id".to_owned()));
}
