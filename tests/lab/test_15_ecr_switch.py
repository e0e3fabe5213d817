"""Case 15: ECR login is switched on and off in a running fleet, and what it leaves as it was."""

import json
from typing import Any

from aws import Ecr, Instance
from conftest import Fleet
from gitlab import GitLab, Job
from harness import steps
from harness.aftermath import comes_to_rest
from harness.ecr import CLI, HELPER, TOKEN_REQUEST, WORKED, Table, fail, log_of, succeed
from harness.manager import Manager
from harness.wait import hold, wait_for
from harness.world import World


def seen_by_docker(world: World, worker: Instance, job: Job) -> dict[str, Any]:
    """What Docker was told about a job's container, without what differs from job to job."""
    label = f"label=com.gitlab.gitlab-runner.job.id={job.id}"
    told = json.loads(wait_for(f"job {job.id} has its container", lambda: world.cloud.ask(worker.id, f"docker inspect $(docker ps -q --filter {label})"), 30) or "")[0]
    return {"binds": told["HostConfig"]["Binds"], "environment": sorted(item for item in told["Config"]["Env"] if not item.startswith("CI_JOB_ID=")), "command": told["Config"]["Cmd"]}


def wired(world: World, worker: Instance) -> bool | None:
    """Whether a worker has the helper and mounts it into jobs; None while it cannot be asked."""
    said = world.cloud.ask(worker.id, f"test -s /etc/gitlab-runner/config.toml && {{ grep -q {HELPER} /etc/gitlab-runner/config.toml && test -f {HELPER} && echo yes || echo no; }}")
    return None if said is None else said == "yes"


def only_workers(manager: Manager, *, are_wired: bool) -> bool:
    """Whether all workers are of this kind, and one of them is there."""
    workers = manager.instances()
    return bool(workers) and all(wired(manager.world, worker) is are_wired for worker in workers)


def test_15_on_and_off(world: World, gitlab: GitLab, fleet: Fleet, ecr: Ecr) -> None:
    """Off is as without the table. On: the idle worker is replaced at once, the busy one after its job; and back again."""
    profile = {"instance_profile": json.dumps("lab-worker")}
    manager = fleet(idle_count=1, idle_time="10m", limit=2, more=profile)
    first = gitlab.queue("before", steps.UNTIL_RELEASED)
    busy = manager.instance_of(steps.runs(first))
    wait_for("a second worker asks for jobs", lambda: len(steps.asking(gitlab)) == 2 and only_workers(manager, are_wired=False), 60)
    (idle,) = [worker for worker in manager.instances() if worker.id != busy.id]
    without_table = seen_by_docker(world, busy, first)
    fail(gitlab.queue("private image, without ECR", image=CLI), "no basic auth credentials")

    # Written down, but off: no worker is any older for it, and the next job's container is the same to the last word.
    steps.reload(manager, more=Table(ecr, enabled=False).more())
    hold("both workers stay", lambda: {busy.id, idle.id} <= {item.id for item in manager.instances()}, 6)
    second = gitlab.queue("off", steps.UNTIL_RELEASED)
    steps.runs(second, 30)
    assert seen_by_docker(world, idle, second) == without_table
    assert world.cloud.execute(idle.id, f"ls -A /root/.docker {HELPER} /etc/runner-fleet/docker-config.json 2>/dev/null || true").strip() == ""
    steps.release(manager, second)
    succeed(second)
    assert {busy.id, idle.id} <= {item.id for item in manager.instances()}

    manager.reload(more=Table(ecr).more())
    wait_for("the idle worker is replaced by one with ECR", lambda: idle.id not in {item.id for item in manager.instances()} and any(wired(world, item) for item in manager.instances()), 90)
    succeed(gitlab.queue("private image", image=CLI))
    assert first.status == "running"
    third = gitlab.queue("on", steps.UNTIL_RELEASED)
    on_new = manager.instance_of(steps.runs(third, 30))
    assert seen_by_docker(world, on_new, third) != without_table, "this comparison would not notice the wiring"
    steps.release(manager, third)
    succeed(third)
    # The old worker was told of the new configuration as well; Docker must not make directories in the helper's place.
    assert world.cloud.execute(busy.id, f"ls -d {HELPER} /etc/runner-fleet/docker-config.json 2>/dev/null || true").strip() == ""
    steps.release(manager, first)
    succeed(first)
    wait_for("the busy worker is replaced after its job", lambda: busy.id not in {item.id for item in manager.instances()} and only_workers(manager, are_wired=True), 90)

    manager.reload(more=Table(ecr, enabled=False).more())
    wait_for("all workers are as before", lambda: only_workers(manager, are_wired=False), 120)
    manager.reload(idle_count=0, idle_time="2s")
    comes_to_rest(manager)


def test_15_canary(gitlab: GitLab, fleet: Fleet, ecr: Ecr) -> None:
    """Two sections, one with ECR and a tag of its own: jobs with the tag pull their private image, all others are as before."""
    manager = fleet(idle_count=0, idle_time="4s", more={"instance_profile": json.dumps("lab-worker")}, canary=Table(ecr).more())
    tried, other = gitlab.queue("tries it", image=CLI, tags=["ecr"]), gitlab.queue("does not", image=CLI)
    assert manager.instance_of(steps.runs(tried)).tag("runner-fleet:runner") == "graviton-canary"
    succeed(tried)
    fail(other, "no basic auth credentials")
    comes_to_rest(manager)


def test_15_hop_limit_one(gitlab: GitLab, fleet: Fleet, ecr: Ecr) -> None:
    """`in_jobs = false`: the runner pulls, and a container cannot reach the worker's role: the token never arrives there."""
    manager = fleet(idle_count=0, idle_time="4s", more=Table(ecr, in_jobs=False).more())
    job = gitlab.queue("no way to the role", f"said=$({TOKEN_REQUEST})", 'echo "metadata says: [$said]"', "! command -v docker-credential-ecr-login", "test ! -e /root/.docker", image=CLI)
    succeed(job)
    assert WORKED in log_of(job) and "metadata says: []" in log_of(job), log_of(job)
    comes_to_rest(manager)
