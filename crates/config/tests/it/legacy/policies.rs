//! docker-autoscaler: each policy stands alone.

use runner_fleet_config::RunnerFleet;
use runner_fleet_engine::IdleCount;

use crate::old::{Old, autoscaler};

/// The four idle values of a runner and of its entries, in seconds: 0 for a time that follows the boots.
fn idle(fleet: &RunnerFleet) -> Vec<(u32, u32, f64, u64)> {
    let base = (fleet.idle_count, fleet.idle_count_min, fleet.idle_scale_factor, fleet.idle_time);
    let entries = fleet.schedule.iter().map(|entry| {
        let whole = "an entry made from a policy has all four values";
        (
            entry.idle_count.expect(whole),
            entry.idle_count_min.expect(whole),
            entry.idle_scale_factor.expect(whole),
            entry.idle_time.expect(whole),
        )
    });
    let fixed = |count: IdleCount| count.fixed().unwrap();
    std::iter::once(base)
        .chain(entries)
        .map(|(count, min, factor, time)| (fixed(count), min, factor, time.fixed().unwrap_or_default().as_secs()))
        .collect()
}

#[test]
fn a_night_without_a_factor_has_none_of_the_days() {
    let old = Old::case("autoscaler-two-policies");
    assert_eq!(idle(&old.fleet()), [(30, 4, 0.5, 1200), (0, 0, 0.0, 60)]);
    old.migrated().says(&[
        ("fleet/idle_count", "30"),
        ("fleet/idle_count_min", "4"),
        ("fleet/idle_scale_factor", "0.5"),
        ("fleet/idle_time", "1200"),
        ("fleet/schedule/0/idle_count", "0"),
        ("fleet/schedule/0/idle_count_min", "0"),
        ("fleet/schedule/0/idle_scale_factor", "0"),
        ("fleet/schedule/0/idle_time", "60"),
        ("fleet/schedule/0/timezone", "\"Europe/Berlin\""),
    ]);
}

#[test]
fn the_last_policy_that_is_always_active_holds() {
    let old = Old::case("two-always");
    assert_eq!(idle(&old.fleet()), [(8, 2, 0.5, 600), (6, 0, 0.0, 600)]);
    assert_eq!(old.fleet().schedule[0].written, ["* * * * * UTC"]);
}

#[test]
fn of_three_policies_only_the_second_has_a_factor() {
    let old = autoscaler(
        r#"
    [[runners.autoscaler.policy]]
    idle_count = 2
    idle_time = "10m"
    [[runners.autoscaler.policy]]
    periods = ["* 8-17 * * mon-fri"]
    timezone = "UTC"
    idle_count = 4
    scale_factor = 0.5
    [[runners.autoscaler.policy]]
    periods = ["* * * * sun"]
    timezone = "UTC"
    idle_time = "1m""#,
    );
    old.same();
    // Without a limit of its own the factor goes as far as 10 instances of 4 jobs.
    assert_eq!(idle(&old.fleet()), [(2, 0, 0.0, 600), (40, 4, 0.5, 0), (0, 0, 0.0, 60)]);
}

#[test]
fn a_factor_of_0_or_less_is_none() {
    for factor in ["0", "0.0", "-1", "-0.5"] {
        let old = autoscaler(&format!(
            r#"
    [[runners.autoscaler.policy]]
    idle_count = 3
    idle_time = "10m"
    scale_factor = 2.0
    [[runners.autoscaler.policy]]
    periods = ["* 8-17 * * *"]
    timezone = "UTC"
    idle_count = 7
    scale_factor = {factor}"#
        ));
        let new = old.same();
        assert_eq!(idle(&old.fleet())[1], (7, 0, 0.0, 0), "{factor}");
        let is_told = !new.words("runners[0].autoscaler.policy[1].scale_factor").is_empty();
        assert_eq!(is_told, factor.starts_with('-'), "{factor}");
    }
}

#[test]
fn a_first_policy_with_periods_leaves_the_runner_none_idle() {
    let old = autoscaler(
        r#"
    [[runners.autoscaler.policy]]
    periods = ["* 8-17 * * mon-fri"]
    timezone = "UTC"
    idle_count = 4
    idle_time = "10m""#,
    );
    old.same();
    assert_eq!(idle(&old.fleet())[1..], [(4, 0, 0.0, 600)]);
    assert_eq!(old.fleet().idle_count, IdleCount::Fixed(0));
}

#[test]
fn no_periods_are_all_the_time() {
    let old = autoscaler(
        r#"
    [[runners.autoscaler.policy]]
    periods = []
    idle_count = 4
    idle_time = "10m""#,
    );
    old.same();
    assert_eq!(idle(&old.fleet()), [(4, 0, 0.0, 600)]);
}
