"""Steps that several cases share, each a wait that names itself."""

from aws import Instance
from gitlab import GitLab, Job
from harness.aftermath import comes_to_rest
from harness.manager import Manager
from harness.wait import wait_for

#: The script of a job that runs until `release`: a case then waits for nothing but what it is about.
UNTIL_RELEASED = "until [ -e /tmp/released ]; do sleep 0.2; done"

#: What the manager says when it has taken a changed configuration over.
RELOADED = "reloaded the configuration"

#: From a queued job to its start on a worker that does not exist yet: look, CreateFleet, boot, wiring, request.
COLD_START_S = 90.0


def runs(job: Job, seconds: float = COLD_START_S) -> str:
    """Waits until a worker has the job; its system id."""
    wait_for(f"job {job.id} ({job.name}) runs", lambda: job.status not in ("pending",) and job.manager is not None, seconds)
    return job.manager or ""


def succeeds(job: Job, seconds: float = COLD_START_S) -> None:
    """Waits until the job has ended, and well."""
    wait_for(f"job {job.id} ({job.name}) ends", job.finished, seconds)
    assert job.status == "success", f"job {job.id} ({job.name}): {job.status}, {job.failure_reason}\n{job.trace.decode(errors='replace')}"


def release(manager: Manager, job: Job) -> None:
    """Lets a job of `UNTIL_RELEASED` go on, in its container on its worker."""
    worker = manager.instance_of(job.manager or "")
    touch = f"docker exec $(docker ps -q --filter label=com.gitlab.gitlab-runner.job.id={job.id}) touch /tmp/released"
    wait_for(f"job {job.id} ({job.name}) is released", lambda: manager.world.cloud.ask(worker.id, touch) is not None, 30)


def asking(gitlab: GitLab) -> set[str]:
    """The system ids that have asked for a job, ever."""
    return {entry.system_id for entry in list(gitlab.journal) if entry.path == "/jobs/request" and entry.status in (201, 204)}


def waits_idle(gitlab: GitLab, workers: int, seconds: float = COLD_START_S) -> set[str]:
    """Waits until so many workers have asked for jobs; their system ids."""
    wait_for(f"{workers} worker(s) ask for jobs", lambda: len(asking(gitlab)) >= workers, seconds)
    return asking(gitlab)


def idle_s(manager: Manager) -> dict[str, float]:
    """For how long the manager knows each of its workers idle, by instance id; a worker that is not idle is left out."""
    workers = (manager.state() or {}).get("workers", [])
    return {item["id"]: item["idle_seconds"] for item in workers if item["idle_seconds"] is not None}


def reload(manager: Manager, **changes: object) -> None:
    """Changes settings, and waits until the manager has taken them over."""
    before = manager.log.read_text(errors="replace").count(RELOADED)
    manager.reload(**changes)
    wait_for("the configuration is taken over", lambda: manager.log.read_text(errors="replace").count(RELOADED) > before, 30)


def looked(manager: Manager, times: int, seconds: float = 60) -> None:
    """Waits until the manager has looked at EC2 so many more times: a statement about it now is then not too early."""
    before = len(manager.world.proxy.calls("DescribeInstances", manager.since))
    wait_for(f"{times} more looks at EC2", lambda: len(manager.world.proxy.calls("DescribeInstances", manager.since)) >= before + times, seconds)


def idle_worker(manager: Manager, gitlab: GitLab) -> Instance:
    """The only worker, once it asks for jobs."""
    (system_id,) = waits_idle(gitlab, 1)
    return manager.instance_of(system_id)


def is_gone(manager: Manager, worker: Instance, seconds: float) -> None:
    """Waits until a worker costs nothing any more."""
    wait_for(f"{worker.id} is gone", lambda: worker.id not in {item.id for item in manager.instances()}, seconds)


def next_job_succeeds(manager: Manager, gitlab: GitLab) -> None:
    """A job that comes now is run, and the fleet comes to rest after it."""
    succeeds(gitlab.queue("runs elsewhere", "true"))
    if manager.settings.idle_count > 0:
        reload(manager, idle_count=0)
    comes_to_rest(manager)
