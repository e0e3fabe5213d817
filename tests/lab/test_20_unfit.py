"""Case 20: a worker on which jobs would fail says so, takes no more of them, and is replaced."""

import pytest
from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.world import World

#: Docker must have been silent for a minute, and the runner may take a moment to go.
UNFIT_S = 150.0

#: dockerd is there, and answers nobody.
HANGS = "pkill -STOP -x dockerd"
#: The worker cleans what Docker does not use; that does not help here.
FULL = "mount -t tmpfs -o size=100m none /var/lib/docker && head -c 97M /dev/zero >/var/lib/docker/full"


@pytest.mark.parametrize(("breaks", "reason"), [pytest.param(HANGS, "Docker does not answer", id="docker_hangs"), pytest.param(FULL, "disk", id="disk_is_full")])
def test_20_unfit(world: World, gitlab: GitLab, fleet: Fleet, breaks: str, reason: str) -> None:
    """It is gone in time, for this reason, and the next job runs on another one."""
    manager = fleet(idle_count=1)
    worker = steps.idle_worker(manager, gitlab)
    world.cloud.execute(worker.id, breaks)
    steps.is_gone(manager, worker, UNFIT_S)
    assert manager.said("unfit", reason)
    steps.next_job_succeeds(manager, gitlab)
