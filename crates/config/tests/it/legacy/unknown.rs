//! What a file does not say: a `TO DO`, and until it is done the result is refused.

use std::fs;

use runner_fleet_config::{Surroundings, migrate, parse_in};

use crate::old::{Old, machine, plain_machine};

#[test]
fn names_of_groups_are_asked_for_and_ids_are_kept_in_sight() {
    let [first, second] = ["sg-0aaaaaaaaaaaaaaaa", "sg-0bbbbbbbbbbbbbbbb"];
    let groups = [
        vec!["ci-workers", first],
        vec![first, "ci-workers"],
        vec!["ci-workers", first, "ci-cache", second],
        vec![second, first, "ci-cache", "ci-workers"],
    ];
    for groups in groups {
        let options: Vec<String> = groups.iter().map(|group| format!("amazonec2-security-group={group}")).collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let old = machine(&options, "IdleCount = 1\n  IdleTime = 600", "");
        let new = old.migrated();
        let [to_do] = new.to_dos()[..] else { panic!("{}", new.text) };
        assert!(to_do.starts_with("# TO DO: write `security_groups`"), "{to_do}");
        assert!(groups.iter().all(|group| to_do.contains(group)), "{to_do}");
        assert!(new.load().is_err() && old.load().is_err());
        let answered = machine(&options, "IdleCount = 1", "  [runners.fleet]\n  security_groups = [\"sg-1\"]").same();
        answered.says(&[("fleet/security_groups", "[\"sg-1\"]")]);
    }
}

#[test]
fn a_token_is_asked_for_where_nobody_would_see_a_job() {
    let old = Old::case("factor-zero-min");
    let new = old.migrated();
    let [to_do] = new.to_dos()[..] else { panic!("{}", new.text) };
    assert!(to_do.starts_with("# TO DO: write `api_token` "), "{to_do}");
    assert!(new.load().is_err() && old.load().is_err());
    let answered = old.with("  [runners.fleet]\n", "  [runners.fleet]\n    api_token = \"glpat-invented\"\n");
    answered.same().says(&[("fleet/idle_count", "5"), ("fleet/idle_count_min", "0")]);
}

#[test]
fn in_periods_as_well() {
    let group = "amazonec2-security-group=sg-0123456789abcdef0";
    let period = |values: &str| {
        let old = machine(&[group], "IdleCount = 2", "");
        Old::text(format!(
            "{}    [[runners.machine.autoscaling]]\n    Periods = [\"* * 8 * * * *\"]\n    {values}\n",
            old.text
        ))
    };
    for (values, is_asked) in [
        ("IdleCount = 0", true),
        ("IdleCount = 0\n    IdleScaleFactor = 2.0", true),
        // With docker+machine a factor keeps one at least.
        ("IdleCount = 3\n    IdleScaleFactor = 2.0", false),
        ("IdleCount = 3", false),
    ] {
        let old = period(values);
        assert_eq!(old.load().is_err(), is_asked, "{values}");
        assert_eq!(old.migrated().to_dos().len(), usize::from(is_asked), "{values}");
    }
}

#[test]
fn a_relative_script_lies_beside_the_old_file() {
    let old = Old::case("userdata-relative");
    let fleet = old.same().config().runners.remove(0).fleet;
    let script = fleet.setup_script.unwrap();
    assert_eq!(script.content, "#!/bin/sh\necho set up\n");
    assert!(script.path.is_absolute());
    // So does that of our own words, and a CA.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("setup.sh"), "true\n").unwrap();
    let around = "tls-ca-file = \"ca.pem\"\n  [runners.fleet]\n  setup_script = \"setup.sh\"";
    let path = dir.path().join("old.toml");
    let (text, origin) = (plain_machine(&[], around).text, path.to_str().unwrap());
    let loaded = parse_in(&text, origin, &Surroundings::default()).unwrap().config;
    let moved = migrate(&text, origin, "ci", &Surroundings::default()).unwrap();
    let moved = parse_in(&moved, "/elsewhere/config.toml", &Surroundings::default()).unwrap().config;
    assert_eq!(moved.runners[0].fleet.setup_script.as_ref().unwrap().path, dir.path().join("setup.sh"));
    assert_eq!(moved.runners[0].tls_ca_file, Some(dir.path().join("ca.pem")));
    assert_eq!(loaded.runners[0].tls_ca_file, moved.runners[0].tls_ca_file);
}

#[test]
fn user_data_that_is_no_script_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let document = dir.path().join("cloud.yaml");
    fs::write(&document, "#cloud-config\n").unwrap();
    for path in [document.as_path(), &dir.path().join("missing")] {
        let old = plain_machine(&[&format!("amazonec2-userdata={}", path.display())], "");
        let new = old.migrated();
        assert!(new.to_dos()[0].starts_with("# TO DO: write `setup_script`"), "{}", new.text);
        assert_eq!(new.to_dos().len(), 1, "{}", new.text);
        assert!(new.load().is_err() && old.load().is_err());
    }
    fs::write(dir.path().join("cloud.yaml.sh"), "#!/bin/sh\n").unwrap();
    let new = plain_machine(&[&format!("amazonec2-userdata={}", document.display())], "").migrated();
    assert!(new.load().is_ok(), "written, it is there");
}

/// Whatever the ordinary reading refuses is told before it is written.
#[test]
fn what_check_would_refuse_is_a_to_do() {
    let wrong = [
        "amazonec2-subnet-id=net_1",
        "amazonec2-volume-type=io1",
        "amazonec2-volume-type=st1",
        "amazonec2-volume-kms-key=alias/ci",
        "amazonec2-ssh-user=Not A Login",
        "amazonec2-ssh-port=70000",
        "amazonec2-spot-price=cheap",
        "engine-registry-mirror=mirror",
    ];
    for option in wrong {
        let old = plain_machine(&[option, "amazonec2-request-spot-instance"], "");
        let new = old.migrated();
        assert_eq!(new.to_dos().len(), 1, "{option}\n{}", new.text);
        assert!(new.load().is_err() && old.load().is_err(), "{option}");
    }
    let manager = migrate(
        &plain_machine(&[], "").text.replace("[fleet]\nmanager = \"ci\"\n", ""),
        "/x/old",
        "a b",
        &Surroundings::default(),
    );
    assert!(manager.unwrap().contains("# TO DO: fleet.manager: "));
}
