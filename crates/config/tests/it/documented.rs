//! GitLab's own examples of both executors are accepted, with what they leave open answered in `[runners.fleet]`.

use super::old::{Old, folder};

/// Sources: GitLab Runner's documentation, "Docker Machine Executor autoscale configuration", "Autoscaling GitLab Runner on
/// AWS EC2", "Docker Autoscaler executor", "Instance executor", "Advanced configuration"; names and ids are invented.
#[test]
fn every_documented_example_is_accepted() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder("gitlab")).unwrap() {
        Old::of(entry.unwrap().path()).same();
        count += 1;
    }
    assert!(count >= 13, "the examples are gone");
}

/// As it stands in the documentation, with the name of a group.
#[test]
fn the_guides_own_group_is_asked_for_alone() {
    let old = Old::of(folder("gitlab").join("machine-guide.toml"))
        .with("amazonec2-security-group=sg-0a1b2c3d", "amazonec2-security-group=ci-workers");
    let new = old.migrated();
    assert_eq!(new.to_dos().len(), 1, "{}", new.text);
    assert!(new.to_dos()[0].contains("`security_groups`") && new.to_dos()[0].contains("\"ci-workers\""));
}

#[test]
fn a_factor_goes_up_to_what_limit_allows() {
    let new = Old::of(folder("gitlab").join("machine-complete.toml")).same();
    new.says(&[
        ("fleet/idle_count", "5"),
        ("fleet/schedule/0/idle_count", "10"),
        ("fleet/schedule/0/idle_count_min", "5"),
        ("fleet/schedule/0/idle_scale_factor", "1.5"),
        ("fleet/schedule/1/idle_scale_factor", "0"),
        ("fleet/registry_mirrors", "[\"https://mirror.example.com\"]"),
    ]);
}

#[test]
fn the_documented_periods_are_sets_of_minutes() {
    let fleet = Old::of(folder("gitlab").join("autoscaler-periods.toml")).fleet();
    let written: Vec<&str> = fleet.schedule.iter().flat_map(|entry| &entry.written).map(String::as_str).collect();
    assert_eq!(
        written,
        [
            "1 * * * * UTC",
            "* 0-12 * * * UTC",
            "0-30 13,16 * * SUN UTC",
            "* 8-15 * * mon-fri America/New_York",
            "0-59/15 * * * 1-7 UTC",
            "* * 1,2,6-9 * * UTC",
        ]
    );
    let sunday = &fleet.schedule[2].periods[0];
    assert!(sunday.matches("2026-11-29T13:15:00Z").unwrap() && !sunday.matches("2026-11-30T13:15:00Z").unwrap());
    let all_week = &fleet.schedule[4].periods[0];
    assert!(all_week.matches("2026-11-29T13:15:00Z").unwrap() && all_week.matches("2026-11-30T13:15:00Z").unwrap());
}
