"""Case 21: a runner that hangs takes no fence and no signal but the last; its instance does not outlive that."""

import pytest

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.world import World

#: Two minutes for the fence, 80 s until SIGKILL, and what lies between.
DISOBEYED_S = 260.0


@pytest.mark.timeout(420)
def test_21_runner_hangs_when_it_is_fenced(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """Nothing shows a job, so it is killed in the end; the reason is told."""
    manager = fleet(idle_count=1)
    worker = steps.idle_worker(manager, gitlab)
    world.cloud.execute(worker.id, "systemctl kill --kill-who=main --signal=STOP runner-fleet-runner.service")
    steps.reload(manager, idle_count=0)
    steps.is_gone(manager, worker, DISOBEYED_S)
    assert manager.said("told to take no more jobs", "its runner goes on")
    steps.next_job_succeeds(manager, gitlab)
