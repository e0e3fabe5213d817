"""Case 20: a worker on which jobs would fail says so, takes no more of them, and is replaced."""

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.world import World

#: Docker must have been silent for a minute, and the runner may take a moment to go.
UNFIT_S = 150.0


def test_20_docker_hangs(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """dockerd is there, and answers nobody."""
    manager = fleet(idle_count=1)
    worker = steps.idle_worker(manager, gitlab)
    world.cloud.execute(worker.id, "pkill -STOP -x dockerd")
    steps.is_gone(manager, worker, UNFIT_S)
    assert manager.said("unfit", "Docker does not answer")
    steps.next_job_succeeds(manager, gitlab)


def test_20_disk_is_full(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """It cleans what Docker does not use; that does not help here."""
    manager = fleet(idle_count=1)
    worker = steps.idle_worker(manager, gitlab)
    world.cloud.execute(worker.id, "mount -t tmpfs -o size=100m none /var/lib/docker && head -c 97M /dev/zero >/var/lib/docker/full")
    steps.is_gone(manager, worker, UNFIT_S)
    assert manager.said("unfit", "disk")
    steps.next_job_succeeds(manager, gitlab)
