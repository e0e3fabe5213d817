//! The agent tells the truth, and neither a fence nor a stop costs a job. The real script, under each POSIX shell at hand.

use std::io::{BufRead, BufReader, Write};

use runner_fleet_engine::{JobId, Phase, ProjectId, RunnerState, SystemId};
use runner_fleet_worker::{AgentExit, WorkerSpec, config_without_ecr, fenced_config, parse_line};
use secrecy::ExposeSecret;

use super::machine::{Machine, on_each_shell, wait_for};
use super::specs::{complete, minimal, token, worker};

const CONFIG: &str = "/etc/gitlab-runner/config.toml";
const SERVING: &str = "/run/runner-fleet/config.toml.serving";
const FENCED: &str = "/run/runner-fleet/config.toml.fenced";

fn exit(machine: &Machine, args: &[&str], stdin: &[u8]) -> AgentExit {
    AgentExit::of(machine.agent_with(args, stdin).0.unsigned_abs())
}

/// What is in `/etc/gitlab-runner` of a worker that was configured.
const CONFIGURED: [&str; 2] = [".runner_system_id", "config.toml"];

/// What unfinished writing would leave: names that end with a process id.
fn leftovers(machine: &Machine) -> Vec<String> {
    let numbered = |name: &String| name.rsplit_once('.').is_some_and(|(_, end)| end.parse::<u32>().is_ok());
    machine.names("/run/runner-fleet").into_iter().filter(numbered).collect()
}

/// Fences, and lets the runner take up the empty file.
fn fenced(machine: &Machine) {
    machine.metrics(0, 1, 0, 1);
    machine.agent("fence");
    machine.set_uptime(203);
    machine.metrics(0, 0, 0, 2);
    assert_eq!(machine.report().runner, RunnerState::Fenced);
    machine.set_uptime(206);
    assert!(machine.report().is_empty());
}

#[test]
fn boot_progress_and_failures_are_told_from_the_first_moment() {
    on_each_shell(&minimal(), |machine| {
        let report = machine.report();
        assert_eq!(report.phase, Phase::Booting { step: "cloud-init".into() });
        assert_eq!(report.runner, RunnerState::Absent);
        assert!(report.is_empty());
        assert!(report.disk_free_mib.is_some());

        machine.write("/run/runner-fleet/phase", "booting installing \"docker\" \\ \t\u{1b}[31m\n");
        assert_eq!(machine.report().phase, Phase::Booting { step: "installing \"docker\" \\ ??[31m".into() });

        machine.write("/run/runner-fleet/phase", "failed no such package\n");
        assert_eq!(machine.report().phase, Phase::Failed { error: "no such package".into() });

        machine.write("/run/runner-fleet/phase", "ready\n");
        assert_eq!(machine.report().phase, Phase::Ready);
    });
}

#[test]
fn why_the_ecr_helper_had_no_credentials_is_told() {
    on_each_shell(&minimal(), |machine| {
        assert_eq!(machine.report().ecr_error, None);

        let log = "time=2026-02-25T10:11:12.123Z level=ERROR msg=\"Error retrieving credentials\" error=\"old\"\n\
                   time=2026-02-25T10:11:13.123Z level=ERROR msg=\"Error retrieving credentials\" \
                   error=\"denied \\\"x\\\" \t\u{1b}[31m ü AKIAIOSFODNN7EXAMPLE\"\n\
                   time=2026-02-25T10:11:14.123Z level=DEBUG msg=\"Using cached token\"\n";
        machine.write("/root/.ecr/log/ecr-login.log", log);
        let error = machine.report().ecr_error.unwrap();
        assert_eq!(error.at, Some("2026-02-25T10:11:13.123Z".parse().unwrap()));
        assert_eq!(error.text, "Error retrieving credentials: denied \"x\" ??[31m ?? (masked)");

        machine.write("/root/.ecr/log/ecr-login.log", &format!("level=ERROR msg={}", "x ".repeat(20_000)));
        assert_eq!(machine.report().ecr_error, None, "a line that is longer than any is not read");
    });
}

#[test]
fn configuring_starts_the_runner_and_can_be_repeated() {
    on_each_shell(&complete(), |machine| {
        machine.with_runner().metrics(0, 1, 0, 1);
        machine.configure();

        assert_eq!(machine.read(CONFIG), machine.config());
        assert_eq!(machine.read("/etc/gitlab-runner/.runner_system_id"), format!("{}\n", SystemId::of(&worker())));
        assert_eq!(machine.read(FENCED), fenced_config(&complete()), "it lies ready");
        for file in [CONFIG, SERVING, FENCED, "/etc/gitlab-runner/.runner_system_id"] {
            assert_eq!(machine.mode(file), 0o600, "{file}");
        }
        assert_eq!(
            machine.read("/runner.args"),
            "run -c /etc/gitlab-runner/config.toml --working-directory /var/lib/gitlab-runner --user root"
        );
        let report = machine.report();
        assert_eq!((report.runner, report.open_requests), (RunnerState::Serving, 1));

        machine.configure();
        let starts = machine.read("/systemctl.calls").matches("start runner-fleet-runner.service").count();
        assert_eq!(starts, 1, "a running runner is left alone");
        assert_eq!(machine.names("/etc/gitlab-runner"), CONFIGURED);
        assert_eq!(leftovers(machine), [""; 0]);
    });
}

/// Docker makes a directory where a mounted file should be; on a worker from before ECR that would be in the helper's place.
#[test]
fn what_a_worker_does_not_have_is_not_mounted() {
    on_each_shell(&complete(), |machine| {
        let without_ecr = config_without_ecr(&complete(), &token(), &worker()).unwrap();
        let configured = || {
            assert_eq!(machine.agent_with(&["configure"], machine.bundle().as_bytes()).0, 0);
            machine.read(CONFIG)
        };
        assert_eq!(configured(), without_ecr.expose_secret(), "no helper yet");
        machine.write("/usr/local/bin/docker-credential-ecr-login", "");
        assert_eq!(configured(), machine.config());
        std::fs::remove_file(machine.path("/etc/runner-fleet/docker-config.json")).unwrap();
        assert_eq!(configured(), without_ecr.expose_secret());
        assert_eq!(machine.mode(CONFIG), 0o600);
    });
}

#[test]
fn a_new_configuration_reaches_a_running_runner() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        let changed = machine.bundle().replace("https://", "HTTPS://");

        assert_eq!(machine.agent_with(&["configure"], changed.as_bytes()).0, 0);

        assert!(machine.read(CONFIG).contains("HTTPS://gitlab.example.com"));
        wait_for("SIGHUP", || machine.signals() == "HUP");
    });
}

#[test]
fn a_cut_or_malformed_bundle_changes_nothing() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.write("/var/lib/cloud/data/instance-id", "i-0123456789abcdef0\n");
        let before = machine.read(CONFIG);
        let good = machine.bundle();
        let cut = &good[..good.len() - 5];
        let version = good.replacen("bundle 2", "bundle 1", 1);
        let id = good.replacen("system-id r_", "system-id ../", 1);
        let length = good.replacen("fenced-bytes ", "fenced-bytes $(reboot)", 1);
        let injected = "runner-fleet-bundle 2\nsystem-id r_a$(reboot)1\n";

        for bad in ["", "garbage\n", cut, &version, &id, &length, injected] {
            let (code, text) = machine.agent_with(&["configure"], bad.as_bytes());
            assert_eq!(AgentExit::of(code.unsigned_abs()), AgentExit::BadBundle, "{bad:?}: {text}");
        }

        assert_eq!(machine.read(CONFIG), before);
        assert_eq!(machine.names("/etc/gitlab-runner"), CONFIGURED);
        assert_eq!(leftovers(machine), [""; 0]);
    });
}

#[test]
fn busy_by_either_key_is_busy() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.docker(&[]);
        machine.metrics(2, 1, 5, 1);
        let report = machine.report();
        assert_eq!((report.jobs_by_metrics, report.jobs_by_docker, report.jobs_started), (2, 0, 5));
        assert_eq!((report.queue_size, report.idle_seconds), (Some(7), 0));

        machine.metrics(0, 0, 5, 1);
        machine.docker(&[4711, 18_446_744_073]);
        let report = machine.report();
        assert_eq!((report.jobs_by_metrics, report.jobs_by_docker), (0, 2));
        assert_eq!(report.job_ids, [JobId(4711), JobId(18_446_744_073)].into());
        assert_eq!(report.projects, [(JobId(4711), ProjectId(711)), (JobId(18_446_744_073), ProjectId(73))].into());
        assert!(!report.is_empty());
    });
}

#[test]
fn what_cannot_be_asked_is_not_taken_for_idle() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.no_page("/metrics");

        let report = machine.report();

        assert_eq!(report.runner, RunnerState::Serving);
        assert!(!report.is_empty(), "a live runner whose metrics are silent may still get a job");
    });
}

#[test]
fn idle_time_and_jobs_count_over_all_processes() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        assert_eq!(machine.report().idle_seconds, 100, "since the runner was started");
        machine.metrics(1, 1, 1, 1);
        assert_eq!(machine.report().idle_seconds, 0);
        machine.set_uptime(260);
        machine.metrics(0, 1, 1, 1);
        assert_eq!(machine.report().idle_seconds, 60);
        // A job that nobody saw running.
        machine.set_uptime(300);
        machine.metrics(0, 1, 2, 1);
        assert_eq!(machine.report().idle_seconds, 0);
        machine.set_uptime(330);
        assert_eq!((machine.report().idle_seconds, machine.report().jobs_started), (30, 2));
        // The process was replaced, and counts from 0 again.
        machine.metrics(0, 1, 0, 1);
        assert_eq!((machine.report().idle_seconds, machine.report().jobs_started), (30, 2));
        machine.metrics(0, 1, 1, 1);
        assert_eq!(machine.report().jobs_started, 3);
    });
}

#[test]
fn a_fence_is_up_only_once_the_runner_has_read_the_empty_file() {
    on_each_shell(&complete(), |machine| {
        machine.serving();
        machine.agent("fence");

        assert_eq!(machine.read(CONFIG), fenced_config(&complete()));
        assert_eq!(machine.read(SERVING), machine.config());
        wait_for("SIGHUP", || machine.signals() == "HUP");
        machine.set_uptime(204);
        assert_eq!(machine.report().runner, RunnerState::Serving, "not yet read");

        // Pressed again while nothing happens.
        machine.set_uptime(205);
        machine.report();
        wait_for("a second SIGHUP", || machine.signals() == "HUP HUP");

        machine.metrics(0, 1, 0, 2);
        let report = machine.report();
        assert_eq!((report.runner, report.open_requests), (RunnerState::Fenced, 1), "an open request may bring a job");
        assert!(!report.is_empty());

        machine.agent("fence");
        assert_eq!(machine.read(SERVING), machine.config(), "fencing twice keeps the real configuration");
    });
}

/// Both forms are there, and one of them gets another name. The runner reads a file again only if its time is newer.
#[test]
fn a_fence_and_its_end_need_no_disk() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        for tool in ["cp", "ln", "mv", "touch"] {
            machine.fails_below(tool, "/etc/");
        }
        let changed_at = || std::fs::metadata(machine.path(CONFIG)).unwrap().modified().unwrap();
        let mut before = changed_at();
        for (command, shown) in [("fence", FENCED), ("unfence", SERVING), ("fence", FENCED)] {
            machine.agent(command);
            assert!(machine.is_same_file(CONFIG, shown), "{command} has copied {shown}");
            let after = changed_at();
            assert!(before < after, "{command}: the runner would not look at it");
            before = after;
        }
        assert_eq!(leftovers(machine), [""; 0]);
        assert!(!std::fs::read_link(machine.path(CONFIG)).unwrap().starts_with(machine.path("/etc")), "on a disk");
    });
}

/// After a reboot nobody knows of a fence, but the runner's file is still the empty one.
#[test]
fn a_fence_that_a_reboot_forgot_is_put_up_again() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        fenced(machine);
        std::fs::remove_file(machine.path("/run/runner-fleet/draining")).unwrap();
        machine.agent("fence");
        assert!(machine.is_same_file(CONFIG, FENCED));
        assert_eq!(machine.names("/etc/gitlab-runner"), CONFIGURED);
    });
}

/// gitlab-runner holds one more turn of the old configuration ready, and takes it the moment its slot is free.
#[test]
fn between_a_job_and_the_last_request_is_not_empty() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.metrics(1, 0, 1, 1);
        machine.agent("fence");
        machine.set_uptime(250);
        machine.metrics(1, 0, 1, 2);
        assert_eq!(machine.report().runner, RunnerState::Fenced);

        machine.metrics(0, 0, 1, 2);
        assert!(!machine.report().is_empty(), "the job has just ended");
        machine.set_uptime(252);
        assert!(!machine.report().is_empty());
        machine.metrics(0, 1, 1, 2);
        assert!(!machine.report().is_empty(), "the last request");
        machine.set_uptime(290);
        machine.metrics(0, 0, 1, 2);
        assert!(!machine.report().is_empty(), "the last request has just ended");

        machine.set_uptime(293);
        assert!(machine.report().is_empty());
    });
}

#[test]
fn a_fence_on_a_silent_runner_counts_from_its_answer() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.no_page("/metrics");
        machine.agent("fence");
        machine.set_uptime(210);
        machine.metrics(0, 1, 0, 1);
        assert_eq!(machine.report().runner, RunnerState::Serving, "one read is the old file");
        machine.set_uptime(212);
        assert_eq!(machine.report().runner, RunnerState::Serving);
        machine.metrics(0, 1, 0, 2);
        assert_eq!(machine.report().runner, RunnerState::Fenced);
    });
}

#[test]
fn a_runner_without_a_read_counter_gets_two_looks() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.page("/metrics", "gitlab_runner_request_concurrency 0\n");
        machine.agent("fence");
        machine.set_uptime(206);
        assert_eq!(machine.report().runner, RunnerState::Serving);
        machine.set_uptime(207);
        assert_eq!(machine.report().runner, RunnerState::Fenced);
    });
}

#[test]
fn unfencing_restores_the_configuration() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        fenced(machine);
        machine.agent("unfence");

        assert_eq!((machine.read(CONFIG), machine.mode(CONFIG)), (machine.config(), 0o600));
        assert_eq!(machine.report().runner, RunnerState::Serving);
        wait_for("SIGHUP twice", || machine.signals() == "HUP HUP");
        machine.agent("unfence");
    });
}

#[test]
fn configuring_a_fenced_worker_keeps_the_fence() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        fenced(machine);
        let changed = machine.bundle().replace("https://", "HTTPS://");

        assert_eq!(machine.agent_with(&["configure"], changed.as_bytes()).0, 0);

        assert_eq!(machine.read(CONFIG), fenced_config(&minimal()));
        machine.agent("unfence");
        assert!(machine.read(CONFIG).contains("HTTPS://gitlab.example.com"));
    });
}

#[test]
fn a_stop_is_refused_while_a_job_runs_or_may_arrive() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.docker(&[]);
        let refused = |exit: AgentExit| {
            let (code, text) = machine.agent_with(&["stop"], b"");
            assert_eq!(AgentExit::of(code.unsigned_abs()), exit, "{text}");
            assert!(!machine.signals().contains("QUIT"));
        };
        machine.metrics(0, 0, 0, 1);
        refused(AgentExit::NotFenced);
        machine.agent("fence");
        machine.set_uptime(202);
        refused(AgentExit::NotFenced);
        machine.metrics(1, 0, 1, 2);
        refused(AgentExit::Busy);
        machine.metrics(0, 1, 1, 2);
        refused(AgentExit::Busy);
        machine.metrics(0, 0, 1, 2);
        machine.docker(&[5]);
        refused(AgentExit::Busy);
        machine.docker(&[]);
        machine.no_page("/metrics");
        refused(AgentExit::Busy);

        machine.metrics(0, 0, 1, 2);
        refused(AgentExit::Busy);
        machine.set_uptime(205);
        machine.agent("stop");

        assert!(machine.signals().ends_with("QUIT"), "{}", machine.signals());
        let report = machine.report();
        assert_eq!((report.runner, report.is_empty()), (RunnerState::Stopped, true));
        assert_eq!(exit(machine, &["unfence"], b""), AgentExit::Ending);
        assert_eq!(exit(machine, &["configure"], machine.bundle().as_bytes()), AgentExit::Ending);
        machine.agent("stop");
    });
}

#[test]
fn a_late_runner_is_reported_as_stopping_and_left_alone() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        fenced(machine);
        machine.write("/job", "");
        machine.set("stop_seconds=1");

        assert_eq!(exit(machine, &["stop"], b""), AgentExit::TimedOut);

        assert_eq!(machine.report().runner, RunnerState::Stopping);
        std::fs::remove_file(machine.path("/job")).unwrap();
        wait_for("the runner to end", || machine.report().runner == RunnerState::Stopped);
        assert!(!machine.signals().contains("TERM"));
    });
}

#[test]
fn a_runner_that_ends_by_itself_has_failed() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.write("/crash", "");
        wait_for("failed", || machine.report().runner == RunnerState::Failed);
        assert_eq!(machine.report().open_requests, 0);
    });
}

#[test]
fn a_single_use_worker_is_awaited() {
    let spec = WorkerSpec { max_jobs: 1, ..minimal() };
    on_each_shell(&spec, |machine| {
        machine.with_runner();
        machine.docker(&[]);
        machine.configure();
        assert_eq!(
            machine.read("/runner.args"),
            "run-single -c /etc/gitlab-runner/config.toml -r graviton-spot i-0123456789abcdef0 --max-builds 1"
        );
        assert_eq!(machine.report().runner, RunnerState::Serving);

        // SIGQUIT does not cancel its open request: it may still take one job.
        machine.write("/job", "");
        machine.agent("fence");
        wait_for("SIGQUIT", || machine.signals() == "QUIT");
        machine.docker(&[5]);
        let report = machine.report();
        assert_eq!((report.runner, report.jobs(), report.jobs_started), (RunnerState::Fenced, 1, 1));
        machine.docker(&[]);
        assert!(!machine.report().is_empty());
        assert_eq!(exit(machine, &["stop"], b""), AgentExit::Busy);
        assert_eq!(exit(machine, &["unfence"], b""), AgentExit::Ending);

        std::fs::remove_file(machine.path("/job")).unwrap();
        wait_for("its end", || machine.report().runner == RunnerState::Stopped);
        assert!(machine.report().is_empty());
        assert_eq!(machine.signals(), "QUIT", "never a SIGHUP, which would kill it");
    });
}

/// run-single reads its configuration once; from the job on nobody finds the token in a file, nor does it come back.
#[test]
fn a_single_use_worker_with_its_job_has_no_token_in_a_file() {
    on_each_shell(&WorkerSpec { max_jobs: 1, ..minimal() }, |machine| {
        machine.with_runner();
        machine.docker(&[]);
        machine.configure();
        machine.report();
        assert!(machine.read(CONFIG).contains(token().expose_secret()), "it asks for its job yet");

        machine.docker(&[5]);
        assert_eq!(machine.report().jobs_started, 1);

        let without_token = || {
            for folder in ["/run/runner-fleet", "/etc/gitlab-runner"] {
                for name in machine.names(folder) {
                    let text = machine.read(&format!("{folder}/{name}"));
                    assert!(!text.contains(token().expose_secret()), "{folder}/{name}");
                }
            }
        };
        without_token();
        assert_eq!(machine.report().runner, RunnerState::Serving, "its job goes on");
        assert_eq!(exit(machine, &["configure"], machine.bundle().as_bytes()), AgentExit::Ending);
        without_token();
    });
}

#[test]
fn a_single_use_worker_takes_no_second_job() {
    on_each_shell(&WorkerSpec { max_jobs: 1, ..minimal() }, |machine| {
        machine.with_runner().configure();
        machine.write("/finish", "");
        wait_for("its end", || machine.report().runner == RunnerState::Stopped);
        assert_eq!(machine.report().jobs_started, 1);

        assert_eq!(exit(machine, &["configure"], machine.bundle().as_bytes()), AgentExit::Ending);
        machine.agent("stop");
    });
}

#[test]
fn a_watch_tells_changes_takes_beats_and_ends_with_its_stdin() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        let mut watch = machine.agent_command(&["watch"]).spawn().unwrap();
        let mut stdin = watch.stdin.take().unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        let mut next = || parse_line(lines.next().unwrap().unwrap().as_bytes(), &worker());
        assert_eq!(next().unwrap().jobs(), 0);

        machine.metrics(1, 0, 1, 1);
        assert_eq!(next().unwrap().jobs(), 1);

        machine.set_uptime(240);
        let report = next().unwrap();
        assert_eq!(report.jobs(), 1, "nothing changed, but 30 s have passed");

        stdin.write_all(b"beat\n").unwrap();
        wait_for("a heartbeat", || machine.read("/run/runner-fleet/heartbeat") == "240\n");

        drop(stdin);
        assert!(watch.wait().unwrap().success());
        assert!(lines.next().is_none());
    });
}
