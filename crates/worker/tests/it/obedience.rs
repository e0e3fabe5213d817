//! What a worker does about a runner that does not do as it is told, with a manager and without.

use runner_fleet_engine::RunnerState;
use runner_fleet_worker::agent::AgentExit;

use super::machine::{Machine, on_each_shell, wait_for};
use super::specs::minimal;

/// A serving worker, whose runner does not end by itself.
fn hanging(machine: &Machine) {
    machine.serving();
    machine.docker(&[]);
    machine.set("stop_seconds=45");
    machine.write("/job", "");
    machine.write("/stubborn", "");
}

/// A hard stop at this time, which does not see the runner's end.
fn hard_stop(machine: &Machine, uptime: u64) {
    machine.set_uptime(uptime);
    let (code, text) = machine.agent_with(&["hard-stop"], b"");
    assert_eq!(AgentExit::of(code.unsigned_abs()), AgentExit::TimedOut, "{text}");
}

/// A look of the dead man's at this time, when the manager was last heard at 200.
fn deadman(machine: &Machine, uptime: u64) {
    machine.write("/run/runner-fleet/heartbeat", "200\n");
    machine.set_uptime(uptime);
    machine.agent_with(&["deadman"], b"");
}

fn has_got(machine: &Machine, signals: &str) {
    wait_for(signals, || machine.signals() == signals);
}

#[test]
fn a_hard_stop_grows_harder_while_nothing_shows_a_job() {
    on_each_shell(&minimal(), |machine| {
        hanging(machine);
        machine.metrics(0, 1, 0, 1);
        hard_stop(machine, 1000);
        has_got(machine, "QUIT");
        assert_eq!(machine.report().runner, RunnerState::Stopping);
        hard_stop(machine, 1044);
        has_got(machine, "QUIT QUIT");
        hard_stop(machine, 1045);
        has_got(machine, "QUIT QUIT TERM");
        hard_stop(machine, 1079);
        has_got(machine, "QUIT QUIT TERM TERM");
        hard_stop(machine, 1080);
        wait_for("its end", || machine.report().runner == RunnerState::Stopped);
        machine.agent("hard-stop");
        assert_eq!(machine.signals(), "QUIT QUIT TERM TERM", "SIGKILL cannot be noted");
    });
}

#[test]
fn a_hard_stop_lets_a_job_finish_that_either_key_shows() {
    on_each_shell(&minimal(), |machine| {
        hanging(machine);
        for (metrics, docker, at) in [(1, &[][..], 1000), (0, &[7], 2000)] {
            machine.metrics(metrics, 0, 1, 1);
            machine.docker(docker);
            (0..3).for_each(|time| hard_stop(machine, at + 100 * time));
        }
        has_got(machine, "QUIT QUIT QUIT QUIT QUIT QUIT");
        machine.docker(&[]);
        hard_stop(machine, 2244);
        hard_stop(machine, 2245);
        has_got(machine, "QUIT QUIT QUIT QUIT QUIT QUIT QUIT TERM");
    });
}

#[test]
fn a_hard_stop_needs_no_fence_no_metrics_and_no_docker() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.docker(&[]);
        for page in ["/metrics", "/containers/json", "/_ping"] {
            machine.no_page(page);
        }
        machine.fails_below("mv", "/etc/");
        hard_stop(machine, 1000);
        wait_for("its end", || machine.report().runner == RunnerState::Stopped);
    });
}

#[test]
fn an_orphan_ends_whatever_its_runner_says() {
    for (what, requests, answers) in [("a request that stays open", 1, true), ("silent metrics", 0, false)] {
        on_each_shell(&minimal(), |machine| {
            hanging(machine);
            machine.metrics(0, requests, 0, 2);
            if !answers {
                machine.no_page("/metrics");
            }
            (2000..2300).step_by(60).for_each(|at| deadman(machine, at));
            assert!(!machine.signals().contains("QUIT"), "{what}: {}", machine.signals());
            [2300, 2345, 2380].into_iter().for_each(|at| deadman(machine, at));
            wait_for("the end of the runner", || machine.report().runner == RunnerState::Stopped);
            assert!(machine.signals().ends_with("QUIT TERM"), "{what}: {}", machine.signals());
            deadman(machine, 2440);
            assert!(machine.exists("/powered-off"), "{what}");
        });
    }
}

#[test]
fn an_orphans_runner_that_ignores_its_end_is_killed() {
    on_each_shell(&minimal(), |machine| {
        hanging(machine);
        machine.set("stop_seconds=1 shutdown_seconds=1");
        machine.metrics(0, 0, 0, 2);
        [2000, 2004, 2060, 2400, 2460, 2520].into_iter().for_each(|at| deadman(machine, at));
        assert!(machine.exists("/powered-off"), "{}", machine.signals());
    });
}

#[test]
fn an_orphan_with_a_job_is_never_made_to_end() {
    on_each_shell(&minimal(), |machine| {
        hanging(machine);
        machine.metrics(1, 0, 1, 2);
        (2000..20_000).step_by(600).for_each(|at| deadman(machine, at));
        assert!(!machine.signals().contains("QUIT") && !machine.exists("/powered-off"));
    });
}

#[test]
fn an_orphan_whose_runner_is_gone_does_not_wait_for_containers() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.docker(&[7]);
        machine.write("/crash", "");
        wait_for("failed", || machine.report().runner == RunnerState::Failed);
        deadman(machine, 2000);
        assert!(machine.exists("/powered-off"));
    });
}

#[test]
fn a_bundle_for_another_instance_changes_nothing() {
    on_each_shell(&minimal(), |machine| {
        machine.with_runner().write("/run/runner-fleet/phase", "ready\n");
        machine.write("/var/lib/cloud/data/instance-id", "i-0fedcba9876543210\n");
        let (code, text) = machine.agent_with(&["configure"], machine.bundle().as_bytes());
        assert_eq!(AgentExit::of(code.unsigned_abs()), AgentExit::BadBundle, "{text}");
        assert!(text.contains("another instance's"), "{text}");
        assert!(!machine.exists("/etc/gitlab-runner/config.toml"));
    });
}
