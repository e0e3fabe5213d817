"""Case 22: nobody can reach a worker any more, and it hears nobody; it is replaced, and ends itself."""

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.wait import wait_for
from harness.world import World

#: 75 s until the manager takes it for silent; it has been an orphan for long by then.
ENDED_S = 120.0


def test_22_sshd_hangs(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """The connection stays open, and nothing comes through it."""
    manager = fleet(idle_count=1, orphan_timeout="20s")
    worker = steps.idle_worker(manager, gitlab)
    world.cloud.execute(worker.id, "pkill -STOP -x sshd")
    wait_for("the worker has ended itself", lambda: worker.id in world.cloud.powered_off, ENDED_S)
    steps.next_job_succeeds(manager, gitlab)
