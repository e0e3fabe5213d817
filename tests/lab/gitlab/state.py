"""What GitLab knows: groups, projects, runners, their managers, jobs; and the rules that move a job from state to state.

Nothing here knows of HTTP. All methods are called with `lock` held by the caller, except those that say otherwise.
"""

import itertools
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# app/models/ci/runner.rb: how long a runner counts as online, and when a manager's row is stale.
ONLINE_FOR_S = 2 * 3600
STALE_AFTER_S = 7 * 24 * 3600
# app/services/ci/stuck_builds: pending too long, pending with nobody to take it, running in silence.
PENDING_LIMIT_S = 24 * 3600
PENDING_STUCK_S = 3600
RUNNING_SILENT_S = 3600
# doc/development/cicd/two_phase_job_commit.md: RUNNER_ACK_QUEUE_EXPIRY_TIME.
ACK_LIMIT_S = 120

FINISHED = frozenset({"success", "failed", "canceled", "skipped"})


@dataclass
class Group:
    """A namespace; `parent` is another group's id."""

    id: int
    path: str
    parent: int | None = None


@dataclass
class Project:
    """A project and the switches that decide which runners may serve it."""

    id: int
    path: str
    group: int
    archived: bool = False
    jobs_enabled: bool = True
    shared_runners_enabled: bool = True
    group_runners_enabled: bool = True
    shared_into: list[int] = field(default_factory=list)
    protected_branches: list[str] = field(default_factory=lambda: ["main"])


@dataclass
class Manager:
    """One process that uses a runner's token: a row of `GET /runners/:id/managers`."""

    id: int
    system_id: str
    created_at: float
    contacted_at: float
    version: str = ""
    architecture: str = ""


@dataclass
class Runner:
    """A runner as created in GitLab; `scope` holds its groups' or projects' ids."""

    id: int
    token: str
    kind: str = "group_type"
    scope: list[int] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    run_untagged: bool = True
    access_level: str = "not_protected"
    paused: bool = False
    orphaned: bool = False
    contacted_at: float | None = None
    managers: dict[str, Manager] = field(default_factory=dict)
    # The long poll's key: one per runner, so a new job wakes every waiting worker of the fleet.
    last_update: str = "0"


@dataclass
class Job:
    """A CI job. `history` is what happened to it, in order: the lab's assertions read it."""

    id: int
    project: int
    pipeline: int
    name: str
    script: list[str]
    created_at: float
    queued_at: float
    tags: list[str] = field(default_factory=list)
    ref: str = "main"
    protected: bool = True
    image: str = ""
    services: list[dict[str, Any]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    user: str = ""
    status: str = "pending"
    token: str = field(default_factory=lambda: "glcbt-" + secrets.token_hex(10))
    runner: int | None = None
    # The worker that has it, by system id; None while unacknowledged in two-phase commit.
    manager: str | None = None
    waiting_manager: str | None = None
    handed_to: list[str] = field(default_factory=list)
    updated_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    failure_reason: str | None = None
    trace: bytearray = field(default_factory=bytearray)
    retried: bool = False
    history: list[tuple[float, str]] = field(default_factory=list)

    def move(self, status: str, now: float) -> None:
        """Changes the status, and remembers when."""
        self.status = status
        self.updated_at = now
        self.history.append((now, status))

    def finished(self) -> bool:
        """Whether nothing will change it any more."""
        return self.status in FINISHED


class State:
    """Everything, with the condition that the long polls wait on."""

    def __init__(self, clock: Callable[[], float], *, two_phase: bool = False, verify_heartbeats: bool = True) -> None:
        """Takes the clock, so that rules of hours can be tested in moments."""
        self.clock = clock
        self.two_phase = two_phase
        self.verify_heartbeats = verify_heartbeats
        self.lock = threading.Condition(threading.RLock())
        self.groups: dict[int, Group] = {}
        self.projects: dict[int, Project] = {}
        self.runners: dict[int, Runner] = {}
        self.jobs: dict[int, Job] = {}
        self.ids = itertools.count(7001)
        self.deleted_managers: list[str] = []
        self.seen_managers: set[str] = set()

    def add_job(self, project: int, name: str = "build", **more: object) -> Job:
        """Puts a pending job into the queue and wakes all who wait for one. Takes the lock itself."""
        with self.lock:
            now = self.clock()
            number = next(self.ids)
            fields: dict[str, object] = {"script": ["true"], **more}
            job = Job(number, project, number, name, created_at=now, queued_at=now, updated_at=now, **fields)  # type: ignore[arg-type]
            job.history.append((now, job.status))
            self.jobs[number] = job
            self.wake()
            return job

    def wake(self) -> None:
        """Changes every queue key: held requests are released, the next ones go to Rails."""
        for runner in self.runners.values():
            runner.last_update = secrets.token_hex(16)
        self.lock.notify_all()

    def runner_by_token(self, token: str) -> Runner | None:
        """The runner whose authentication token this is."""
        return next((runner for runner in self.runners.values() if runner.token == token), None)

    def contact(self, runner: Runner, system_id: str, info: dict[str, object]) -> Manager:
        """A heartbeat: finds or creates the manager's row."""
        now = self.clock()
        runner.contacted_at = now
        manager = runner.managers.get(system_id)
        if manager is None:
            manager = Manager(next(self.ids), system_id, now, now)
            runner.managers[system_id] = manager
            self.seen_managers.add(system_id)
        manager.contacted_at = now
        manager.version = str(info.get("version", manager.version))
        manager.architecture = str(info.get("architecture", manager.architecture))
        return manager

    def claim(self, runner: Runner, job: Job, system_id: str) -> None:
        """Gives a pending job to a worker: at once, or waiting for its acknowledgement in two-phase commit."""
        now = self.clock()
        job.runner = runner.id
        job.handed_to.append(system_id)
        if self.two_phase:
            job.waiting_manager = system_id
            job.updated_at = now
            job.history.append((now, "claimed"))
            return
        job.manager = system_id
        job.started_at = now
        job.move("running", now)

    def keep_claim(self, job: Job) -> None:
        """Between the phases: the worker prepares still, and has two more minutes."""
        job.updated_at = self.clock()

    def acknowledge(self, job: Job) -> None:
        """The second phase: the worker has it for certain."""
        now = self.clock()
        job.manager, job.waiting_manager = job.waiting_manager, None
        job.started_at = now
        job.move("running", now)

    def finish(self, job: Job, status: str, reason: str | None = None) -> None:
        """Ends a job."""
        now = self.clock()
        job.finished_at = now
        job.failure_reason = reason if status == "failed" else None
        job.move(status, now)

    def retry(self, job: Job) -> Job:
        """A new job with a new id in the old one's place; the old one stays."""
        job.retried = True
        return self.add_job(job.project, job.name, script=job.script, tags=job.tags, ref=job.ref, image=job.image, services=job.services, variables=job.variables, user=job.user)

    def online(self, runner: Runner) -> bool:
        """Whether GitLab believes that somebody serves it."""
        return runner.contacted_at is not None and self.clock() - runner.contacted_at < ONLINE_FOR_S

    def sweep(self, eligible: Callable[[Runner, Job], bool]) -> None:
        """What GitLab's cron workers do: stuck jobs dropped, stale managers deleted."""
        now = self.clock()
        for job in list(self.jobs.values()):
            if job.status == "pending" and job.runner is None:
                nobody = not any(self.online(runner) and eligible(runner, job) for runner in self.runners.values())
                limit = PENDING_STUCK_S if nobody else PENDING_LIMIT_S
                if now - job.queued_at > limit:
                    self.finish(job, "failed", "stuck_or_timeout_failure")
            elif job.status == "pending" and job.waiting_manager and now - job.updated_at > ACK_LIMIT_S:
                self.finish(job, "failed", "runner_provisioning_timeout")
                self.retry(job)
            elif job.status == "running" and now - job.updated_at > RUNNING_SILENT_S:
                self.finish(job, "failed", "stuck_or_timeout_failure")
        for runner in self.runners.values():
            for manager in list(runner.managers.values()):
                if now - max(manager.created_at, manager.contacted_at) >= STALE_AFTER_S:
                    del runner.managers[manager.system_id]
