"""The stand-in for gitlab-runner obeys the rules that a fleet builds on: reload, fence, signals, the final word."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

from gitlab import GitLab
from harness.manager import _free_port
from harness.wait import hold, wait_for

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "files" / "gitlab-runner"


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    """A server with a short long poll."""
    server = GitLab()
    server.runners.hold_s = 2.0
    yield server
    server.close()


class Process:
    """`gitlab-runner run` with its configuration; without the job image it runs scripts in a shell."""

    def __init__(self, folder: pathlib.Path, gitlab: GitLab) -> None:
        self.folder, self.gitlab, self.port = folder, gitlab, _free_port()
        (folder / ".runner_system_id").write_text("r_0a1b2c3d4e5f\n")
        self.configure()
        self.process = self.start("run")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts the stand-in."""
        return subprocess.Popen([sys.executable, str(PROGRAM), *arguments, "--config", str(self.folder / "config.toml")], stderr=subprocess.DEVNULL)

    def configure(self, *, runners: bool = True, text: str = "") -> None:
        """Writes config.toml, with a newer time than before."""
        head = f'concurrent = 1\ncheck_interval = 1\nshutdown_timeout = 5\nlisten_address = "127.0.0.1:{self.port}"\n'
        section = f'[[runners]]\nname = "w"\nurl = "{self.gitlab.base}"\ntoken = "{self.gitlab.runner.token}"\nexecutor = "docker"\nlimit = 1\n' if runners else ""
        (self.folder / "config.toml").write_text(text or head + section)
        ahead = time.time() + 0.01
        os.utime(self.folder / "config.toml", (ahead, ahead))

    def metric(self, start: str) -> float | None:
        """The first sample whose line starts so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start)), None)

    def busy(self) -> bool:
        """Whether it says that a job runs."""
        return bool(self.metric('gitlab_runner_jobs{runner="lab-runne",runner_name="w",system_id="r_0a1b2c3d4e5f",state="running"'))


@pytest.fixture
def runner(tmp_path: pathlib.Path, gitlab: GitLab) -> Iterator[Process]:
    """A running stand-in."""
    process = Process(tmp_path, gitlab)
    wait_for("metrics answer", lambda: process.metric("gitlab_runner_concurrent") == 1, 10)
    yield process
    process.process.kill()
    process.process.wait()


def test_runs_jobs(gitlab: GitLab, runner: Process) -> None:
    """Success and failure, with the log, the reason and the counters."""
    good, bad = gitlab.queue("good", "echo fine"), gitlab.queue("bad", "echo broken", "false", "echo never")
    wait_for("both end", lambda: good.finished() and bad.finished(), 20)
    assert (good.status, bad.status, bad.failure_reason) == ("success", "failed", "script_failure")
    assert b"fine" in good.trace and b"never" not in bad.trace
    assert good.manager == "r_0a1b2c3d4e5f" and good.handed_to == ["r_0a1b2c3d4e5f"]
    wait_for("counted", lambda: runner.metric("gitlab_runner_jobs_total") == 2, 5)
    assert not gitlab.runners.violations


def test_fenced_by_an_empty_list(gitlab: GitLab, runner: Process) -> None:
    """The running job goes on, the open request ends, no further one follows; and the list may come back."""
    job = gitlab.queue("long", "sleep 6")
    wait_for("the job runs", runner.busy, 10)
    runner.configure(runners=False)
    wait_for("reloaded within 3 s and a bit", lambda: runner.metric("gitlab_runner_configuration_loaded_total") == 2, 5)
    late = gitlab.queue("late")
    wait_for("the job ends", job.finished, 15)
    assert job.status == "success"
    wait_for("no request is open", lambda: runner.metric("gitlab_runner_request_concurrency") == 0, 5)
    hold("fenced", lambda: late.status == "pending", 3)
    runner.configure()
    runner.process.send_signal(signal.SIGHUP)
    wait_for("unfenced", late.finished, 10)


def test_bad_configuration_keeps_the_old(gitlab: GitLab, runner: Process) -> None:
    """A file that cannot be read changes nothing."""
    runner.configure(text="this is [no toml")
    wait_for("counted as an error", lambda: (runner.metric("gitlab_runner_configuration_loading_error_total") or 0) >= 1, 6)
    job = gitlab.queue("still served")
    wait_for("served", job.finished, 10)


def test_quit_waits_for_the_job(gitlab: GitLab, runner: Process) -> None:
    """SIGQUIT: the job ends well, nothing new is taken, the process exits with 0."""
    job = gitlab.queue("long", "sleep 4")
    wait_for("the job runs", runner.busy, 10)
    runner.process.send_signal(signal.SIGQUIT)
    late = gitlab.queue("late")
    assert runner.process.wait(15) == 0
    assert job.status == "success" and late.status == "pending"


def test_quit_cancels_an_open_request(gitlab: GitLab, runner: Process) -> None:
    """With nothing to do it goes at once, not at the end of the long poll."""
    gitlab.runners.hold_s = 30.0
    wait_for("a held request", lambda: gitlab.runners.held == 1, 10)
    runner.process.send_signal(signal.SIGQUIT)
    assert runner.process.wait(5) == 0


def test_terminate_tells_gitlab(gitlab: GitLab, runner: Process) -> None:
    """SIGTERM: the job is aborted, and GitLab hears why."""
    job = gitlab.queue("long", "exec sleep 60")
    wait_for("the job runs", runner.busy, 10)
    wait_for("the script runs", lambda: runner.metric('gitlab_runner_jobs{runner="lab-runne",runner_name="w",system_id="r_0a1b2c3d4e5f",state="running",stage="step_script"') == 1, 5)
    runner.process.send_signal(signal.SIGTERM)
    runner.process.wait(10)
    assert (job.status, job.failure_reason) == ("failed", "runner_interrupted")


def test_forbidden_switches_it_off(gitlab: GitLab, runner: Process) -> None:
    """Three times 403 in a row: silent for an hour, unless the configuration is reloaded."""
    token, gitlab.runner.token = gitlab.runner.token, "glrt-t2_other"
    with gitlab.state.lock:
        gitlab.state.wake()
    wait_for("unhealthy", lambda: runner.metric("gitlab_runner_worker_health_check_failures_total") == 3, 15)
    asked = len(gitlab.journal)
    hold("asks no more", lambda: len(gitlab.journal) == asked, 3)
    gitlab.runner.token = token
    runner.process.send_signal(signal.SIGHUP)
    job = gitlab.queue("after reload")
    wait_for("served again", job.finished, 10)


def test_single_takes_one_job(gitlab: GitLab, tmp_path: pathlib.Path) -> None:
    """`run-single --max-builds 1` ends after one job, and serves no metrics."""
    process = Process(tmp_path, gitlab)
    process.process.kill()
    process.process.wait()
    one, two = gitlab.queue("one"), gitlab.queue("two")
    single = process.start("run-single", "-r", "w", "--max-builds", "1")
    assert single.wait(20) == 0
    assert one.status == "success" and two.status == "pending"
