//! Old options, and beside them keys of `[runners.fleet]`: merged key by key, and each loser is named.

use crate::old::{Old, plain_machine};

#[test]
fn tables_are_merged_key_by_key() {
    let new = Old::case("partial-override").same();
    new.says(&[
        ("fleet/docker_daemon/mtu", "1400"),
        ("fleet/docker_daemon/log-opts/max-size", "\"10m\""),
        ("fleet/docker_daemon/insecure-registries", "[\"10.0.0.5:5000\"]"),
        ("fleet/docker_daemon/default-ulimits/nofile/Soft", "65536"),
        ("fleet/tags", "{ Stage = \"prod\", Owner = \"infra\", CostCenter = \"42\" }"),
        ("fleet/root_volume/size_gib", "120"),
        ("fleet/root_volume/type", "\"gp3\""),
        ("fleet/root_volume/encrypted", "true"),
        ("fleet/root_volume/kms_key_id", "\"alias/ci\""),
    ]);
    let lost: Vec<&str> = new.text.lines().filter(|line| line.contains("gives way")).collect();
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(new.word("runners[0].machine.MachineOptions[11]").contains("root_volume.size_gib"));
    assert!(new.word("runners[0].machine.MachineOptions[12]").contains("root_volume.type"));
}

#[test]
fn an_answer_beside_the_option_contents_it() {
    let new = Old::case("engine-answered").same();
    new.says(&[
        ("fleet/docker_daemon/mtu", "1400"),
        ("fleet/docker_daemon/default-ulimits/nofile/Hard", "65536"),
        ("fleet/docker_daemon/default-address-pools/0/size", "24"),
    ]);
    for option in [6, 7] {
        assert!(new.word(&format!("runners[0].machine.MachineOptions[{option}]")).contains("gives way"));
    }
}

#[test]
fn a_launch_template_is_content_with_what_is_written() {
    let old = Old::case("launch-template-answered");
    let new = old.same();
    assert!(new.words("runners[0].machine.MachineOptions[2]").iter().any(|word| word.contains("is not read")));
    // Each of the four that is neither written nor an option is asked for.
    let asked = old.with("    security_groups = [\"sg-0123456789abcdef0\"]\n", "").migrated();
    assert_eq!(asked.to_dos().len(), 1, "{}", asked.text);
    assert!(asked.to_dos()[0].starts_with("# TO DO: write `security_groups`"), "{}", asked.text);
    assert!(asked.load().is_err());
}

#[test]
fn limits_and_address_pools_are_translated() {
    let options = [
        "engine-opt=default-ulimit=nofile=65536:131072",
        "engine-opt=default-ulimit=nproc=1024",
        "engine-opt=default-address-pool=base=10.10.0.0/16,size=24",
        "engine-opt=default-address-pool=base=10.20.0.0/16,size=26",
    ];
    plain_machine(&options, "").same().says(&[
        ("fleet/docker_daemon/default-ulimits/nofile", "{ Name = \"nofile\", Soft = 65536, Hard = 131072 }"),
        ("fleet/docker_daemon/default-ulimits/nproc", "{ Name = \"nproc\", Soft = 1024, Hard = 1024 }"),
        ("fleet/docker_daemon/default-address-pools/1", "{ base = \"10.20.0.0/16\", size = 26 }"),
    ]);
    for wrong in ["default-ulimit=nofile", "default-ulimit=nofile=many", "default-address-pool=10.0.0.0/8"] {
        let problems = plain_machine(&[&format!("engine-opt={wrong}")], "").migrate().unwrap_err().to_string();
        assert!(problems.contains("is not a value of dockerd's default-"), "{problems}");
    }
}

#[test]
fn a_flag_that_we_do_not_know_is_content_with_its_key() {
    let flag = "engine-opt=max-flux=3";
    assert!(plain_machine(&[flag], "").migrate().is_err());
    for key in ["max-flux", "max-fluxs"] {
        let new = plain_machine(&[flag], &format!("  [runners.fleet.docker_daemon]\n  {key} = 4")).same();
        assert!(new.word("runners[0].machine.MachineOptions[5]").contains(&format!("docker_daemon.{key}")));
    }
}

#[test]
fn every_key_that_gives_way_is_named() {
    let options = [
        "amazonec2-ssh-user=old",
        "amazonec2-iam-instance-profile=old",
        "engine-registry-mirror=https://old.example.com",
        "amazonec2-metadata-token-response-hop-limit=2",
    ];
    let fleet = r#"
  [runners.fleet]
  region = "eu-west-1"
  instance_types = ["c7g.large"]
  ssh_user = "new"
  instance_profile = "new"
  metadata_hop_limit = 3
  idle_count = 2
    [runners.fleet.docker_daemon]
    registry-mirrors = ["https://new.example.com"]"#;
    let new = plain_machine(&options, fleet).same();
    new.says(&[("fleet/ssh_user", "\"new\""), ("fleet/idle_count", "2"), ("fleet/registry_mirrors", "")]);
    let lost: Vec<&str> = new.text.lines().filter(|line| line.contains("gives way")).collect();
    assert_eq!(lost.len(), 7, "{lost:#?}");
}

#[test]
fn mirrors_stand_in_one_place() {
    let flag = ["engine-opt=registry-mirror=https://old.example.com"];
    let new = plain_machine(&flag, "  [runners.fleet]\n  registry_mirrors = [\"https://new.example.com\"]").same();
    new.says(&[("fleet/registry_mirrors", "[\"https://new.example.com\"]"), ("fleet/docker_daemon", "")]);
    assert!(new.word("runners[0].machine.MachineOptions[5]").contains("gives way"));
}

#[test]
fn a_volume_with_a_speed_of_its_own_is_not_made_gp2() {
    let fleet = "  [runners.fleet.root_volume]\n  throughput = 250";
    plain_machine(&[], fleet).same().says(&[("fleet/root_volume/type", ""), ("fleet/root_volume/size_gib", "16")]);
}
