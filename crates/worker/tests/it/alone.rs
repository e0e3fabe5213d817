//! A worker on its own: without a manager, and when EC2 takes the machine back.

use runner_fleet_engine::RunnerState;

use super::machine::{Machine, on_each_shell, wait_for};
use super::specs::minimal;

/// A worker that has been ready since 100 and last heard a manager at 200. The orphan time-out is 1800 s.
fn with_manager(machine: &Machine) {
    machine.serving();
    machine.docker(&[]);
    machine.write("/run/runner-fleet/ready", "100\n");
    machine.write("/run/runner-fleet/heartbeat", "200\n");
}

fn powered_off(machine: &Machine) -> bool {
    machine.exists("/powered-off")
}

#[test]
fn an_idle_orphan_fences_itself_and_ends() {
    on_each_shell(&minimal(), |machine| {
        with_manager(machine);
        machine.set_uptime(1999);
        machine.agent("deadman");
        assert!(machine.signals().is_empty(), "not yet an orphan");

        machine.set_uptime(2000);
        machine.agent("deadman");
        wait_for("the fence", || machine.signals() == "HUP");
        assert!(!powered_off(machine), "the fence is not up yet");

        machine.set_uptime(2002);
        machine.metrics(0, 0, 0, 2);
        machine.agent("deadman");
        assert!(!powered_off(machine), "empty for a moment only");

        machine.set_uptime(2062);
        machine.agent("deadman");
        assert!(machine.signals().ends_with("QUIT"));
        assert!(powered_off(machine));
    });
}

#[test]
fn a_busy_orphan_ends_after_its_job() {
    on_each_shell(&minimal(), |machine| {
        with_manager(machine);
        machine.metrics(1, 0, 1, 1);
        machine.set_uptime(2000);
        machine.agent("deadman");
        machine.set_uptime(2060);
        machine.metrics(1, 0, 1, 2);
        machine.agent("deadman");
        assert_eq!(machine.report().runner, RunnerState::Fenced);
        machine.metrics(0, 0, 1, 2);
        machine.docker(&[9]);
        machine.agent("deadman");
        assert!(!powered_off(machine) && !machine.signals().contains("QUIT"));

        machine.docker(&[]);
        machine.agent("deadman");
        machine.set_uptime(2120);
        machine.agent("deadman");
        assert!(powered_off(machine));
    });
}

#[test]
fn an_orphan_whose_manager_comes_back_serves_again() {
    on_each_shell(&minimal(), |machine| {
        with_manager(machine);
        machine.set_uptime(2000);
        machine.agent("deadman");
        assert!(machine.exists("/run/runner-fleet/draining"));

        machine.write("/run/runner-fleet/heartbeat", "2001\n");
        machine.agent("deadman");

        assert!(!machine.exists("/run/runner-fleet/draining"));
        assert_eq!(machine.read("/etc/gitlab-runner/config.toml"), machine.config());
        assert!(!powered_off(machine));
    });
}

#[test]
fn a_managers_fence_outlives_a_beat() {
    on_each_shell(&minimal(), |machine| {
        with_manager(machine);
        machine.agent("fence");
        machine.agent("deadman");
        assert!(machine.exists("/run/runner-fleet/draining"));
    });
}

#[test]
fn a_worker_that_no_manager_ever_came_to_ends_too() {
    on_each_shell(&minimal(), |machine| {
        machine.write("/run/runner-fleet/phase", "booting installing docker\n");
        machine.set_uptime(9000);
        machine.agent("deadman");
        assert!(!powered_off(machine), "the bootstrap has a time-out of its own");

        machine.write("/run/runner-fleet/phase", "ready\n");
        machine.write("/run/runner-fleet/ready", "100\n");
        machine.agent("deadman");
        assert!(powered_off(machine));
    });
}

#[test]
fn a_failed_boot_is_shown_and_then_ends_the_machine() {
    on_each_shell(&minimal(), |machine| {
        machine.write("/run/runner-fleet/phase", "booting installing docker\n");
        machine.agent("boot-failed");
        assert_eq!(
            machine.read("/run/runner-fleet/phase"),
            "failed bootstrap did not end at step: installing docker (unknown)\n"
        );
        assert!(powered_off(machine));
    });
}

const ACTION: &str = "/latest/meta-data/spot/instance-action";
const REBALANCE: &str = "/latest/meta-data/events/recommendations/rebalance";

/// The wall clock, so many seconds from now, in `date`'s format.
fn date(seconds: i64, format: &str) -> String {
    let date = std::process::Command::new("date").args(["-u", "-d", &format!("{seconds} seconds"), format]).output();
    String::from_utf8(date.unwrap().stdout).unwrap().trim().to_owned()
}

/// An EC2 notice that so many seconds are left.
fn notice(machine: &Machine, seconds: i64) -> String {
    let time = date(seconds, "+%Y-%m-%dT%H:%M:%SZ");
    machine.page(ACTION, format!("{{\"action\": \"terminate\", \"time\": \"{time}\"}}"));
    time
}

#[test]
fn an_interrupted_idle_worker_stops_at_once() {
    on_each_shell(&minimal(), |machine| {
        with_manager(machine);
        machine.page("/latest/api/token", "TOKEN");
        let mut spot = machine.agent_command(&["spot"]).spawn().unwrap();
        machine.page(REBALANCE, "{\"noticeTime\": \"2026-01-01T00:00:00Z\"}");
        wait_for("the hint", || machine.report().rebalance);
        assert_eq!(machine.report().interruption, None);

        let time = notice(machine, 120);
        wait_for("the fence", || machine.exists("/run/runner-fleet/draining"));
        assert_eq!(machine.report().interruption.unwrap().to_string(), time);
        machine.set_uptime(202);
        machine.metrics(0, 0, 0, 2);
        wait_for("empty", || machine.exists("/run/runner-fleet/empty-since"));
        machine.set_uptime(205);

        wait_for("stopped", || machine.report().runner == RunnerState::Stopped);
        assert!(machine.signals().ends_with("QUIT"));
        assert_eq!(machine.agent_with(&["unfence"], b"").0, 6);
        assert_eq!(machine.agent_with(&["configure"], machine.bundle().as_bytes()).0, 6);
        spot.kill().unwrap();
        spot.wait().unwrap();
    });
}

#[test]
fn an_interrupted_worker_runs_until_40_s_before_the_end() {
    on_each_shell(&minimal(), |machine| {
        with_manager(machine);
        machine.page("/latest/api/token", "TOKEN");
        machine.metrics(1, 0, 1, 1);
        machine.write("/job", "");
        let end: i64 = date(44, "+%s").parse().unwrap();
        notice(machine, 44);
        let mut spot = machine.agent_command(&["spot"]).spawn().unwrap();
        wait_for("the fence", || machine.exists("/run/runner-fleet/draining"));
        machine.set_uptime(202);
        machine.metrics(1, 0, 1, 2);

        wait_for("SIGTERM", || machine.signals().contains("TERM"));
        let left = end - date(0, "+%s").parse::<i64>().unwrap();
        assert!(left <= 40, "SIGTERM {left} s before the end");
        assert!(!machine.signals().contains("QUIT"));
        spot.kill().unwrap();
        spot.wait().unwrap();
    });
}

#[test]
fn a_metadata_service_that_answers_nonsense_interrupts_nothing() {
    on_each_shell(&minimal(), |machine| {
        with_manager(machine);
        machine.page("/latest/api/token", "TOKEN");
        machine.page(ACTION, "<html>\"time\": \"soon\"</html>");
        machine.page(REBALANCE, "<html>");
        let mut spot = machine.agent_command(&["spot"]).spawn().unwrap();
        machine.page(REBALANCE, "{\"noticeTime\": \"2026-01-01T00:00:00Z\"}");
        wait_for("the next look", || machine.exists("/run/runner-fleet/rebalance"));
        assert_eq!(machine.report().interruption, None);
        assert!(!machine.exists("/run/runner-fleet/draining"));
        spot.kill().unwrap();
        spot.wait().unwrap();
    });
}
