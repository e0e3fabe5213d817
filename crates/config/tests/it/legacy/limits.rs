//! Counts above a limit: what GitLab Runner would keep is kept, and said.

use crate::old::{Old, autoscaler, machine};

#[test]
fn idle_count_is_what_limit_allows() {
    let old = Old::case("idlecount-over-limit");
    let new = old.same();
    new.says(&[("fleet/idle_count", "10")]);
    let word = new.word("runners[0].machine.IdleCount");
    assert!(word.contains("30") && word.contains("10"), "{word}");
    assert!(old.warned().contains(&"runners[0].machine.IdleCount".to_owned()));
}

#[test]
fn so_is_that_of_a_period() {
    let old = Old::case("docs-aws-example");
    old.same().says(&[
        ("fleet/idle_count", "1"),
        ("fleet/schedule/0/idle_count", "20"),
        ("fleet/schedule/1/idle_count", "5"),
    ]);
    assert!(old.warned().contains(&"runners[0].machine.autoscaling[0].IdleCount".to_owned()));
}

#[test]
fn a_minimum_is_not_above_its_ceiling() {
    let old = Old::case("idle-above-factor-limit");
    old.same().says(&[
        ("fleet/idle_count", "3"),
        ("fleet/idle_count_min", "3"),
        ("fleet/idle_scale_factor", "0.2"),
        ("fleet/idle_time", "1200"),
    ]);
    assert_eq!(old.warned().iter().filter(|path| *path == "runners[0].autoscaler.policy[0].idle_count").count(), 1);
}

#[test]
fn nor_is_it_in_a_later_policy_or_in_docker_machine() {
    let later = autoscaler(
        r#"
    [[runners.autoscaler.policy]]
    idle_count = 1
    [[runners.autoscaler.policy]]
    periods = ["* 8-17 * * *"]
    timezone = "UTC"
    idle_count = 9
    scale_factor = 0.5
    scale_factor_limit = 6"#,
    );
    later.same().says(&[("fleet/schedule/0/idle_count", "6"), ("fleet/schedule/0/idle_count_min", "6")]);
    let group = "amazonec2-security-group=sg-0123456789abcdef0";
    let min = machine(&[group], "IdleCount = 4\n  IdleCountMin = 7\n  IdleScaleFactor = 1.5\n  IdleTime = 60", "");
    let new = min.same();
    new.says(&[("fleet/idle_count", "4"), ("fleet/idle_count_min", "4"), ("fleet/idle_scale_factor", "1.5")]);
    assert!(new.word("runners[0].machine.IdleCountMin").contains("7 is above 4"));
}

#[test]
fn slots_are_machines_by_their_capacity() {
    let old = autoscaler(
        r#"
    [[runners.autoscaler.policy]]
    idle_count = 90
    [[runners.autoscaler.policy]]
    periods = ["* 8-17 * * *"]
    timezone = "UTC"
    idle_count = 9
    scale_factor = 0.5
    scale_factor_limit = 60"#,
    );
    let new = old.same();
    new.says(&[
        ("fleet/idle_count", "40"),
        ("fleet/schedule/0/idle_count", "40"),
        ("fleet/schedule/0/idle_count_min", "9"),
    ]);
    assert!(new.word("runners[0].autoscaler.policy[1].scale_factor_limit").contains("max_instances = 10"));
}

#[test]
fn without_a_limit_it_is_concurrent() {
    let group = "amazonec2-security-group=sg-0123456789abcdef0";
    for limit in ["limit = 0", "limit = -1", ""] {
        let old = machine(&[group], "IdleCount = 30\n  IdleTime = 600", "").with("limit = 10", limit);
        let new = old.same();
        new.says(&[("fleet/idle_count", "10")]);
        assert!(new.word("runners[0].machine.IdleCount").contains("`concurrent`"), "{}", new.text);
    }
}

#[test]
fn a_worker_holds_no_more_jobs_than_may_run() {
    let policy = "    [[runners.autoscaler.policy]]\n    idle_count = 2";
    let large = autoscaler(policy).with("capacity_per_instance = 4", "capacity_per_instance = 80");
    large.same().says(&[("fleet/capacity", "50")]);
    let single = autoscaler(policy).with("max_use_count = 100", "max_use_count = 1");
    let new = single.same();
    new.says(&[("fleet/capacity", "1"), ("fleet/max_jobs", "1")]);
    assert!(new.word("runners[0].autoscaler.capacity_per_instance").contains("1 counts"));
}

#[test]
fn numbers_below_0_are_0() {
    let group = "amazonec2-security-group=sg-0123456789abcdef0";
    let counts = "IdleCount = 1\n  IdleTime = -5\n  MaxBuilds = -1\n  MaxGrowthRate = -2\n  IdleScaleFactor = -1.5";
    let new = machine(&[group], counts, "").same();
    new.says(&[
        ("fleet/idle_time", "0"),
        ("fleet/max_jobs", "0"),
        ("fleet/max_booting", "0"),
        ("fleet/idle_scale_factor", "0"),
    ]);
    for key in ["IdleTime", "MaxBuilds", "MaxGrowthRate", "IdleScaleFactor"] {
        assert_eq!(new.words(&format!("runners[0].machine.{key}")).len(), 1, "{key}");
    }
}

/// What the user writes in our own words is read as in any file of ours.
#[test]
fn a_contradiction_in_our_own_words_stays_a_problem() {
    let group = "amazonec2-security-group=sg-0123456789abcdef0";
    let old = machine(&[group], "IdleCount = 1\n  IdleTime = 600", "  [runners.fleet]\n  idle_count = 30");
    let problems = old.load().unwrap_err().to_string();
    assert!(problems.contains("10 workers cannot hold idle_count = 30"), "{problems}");
    let new = old.migrated();
    assert_eq!(new.to_dos().len(), 1, "{}", new.text);
    assert!(new.load().is_err());
    let lower = machine(
        &[group],
        "IdleCount = 9\n  IdleCountMin = 8\n  IdleScaleFactor = 1.0",
        "  [runners.fleet]\n  idle_count = 5",
    );
    lower.same().says(&[("fleet/idle_count", "5"), ("fleet/idle_count_min", "5")]);
    let auto =
        machine(&[group], "IdleCount = 9\n  IdleScaleFactor = 1.0", "  [runners.fleet]\n  idle_count = \"auto\"");
    auto.same().says(&[("fleet/idle_count", "\"auto\""), ("fleet/idle_scale_factor", "0")]);
}
