"""Case 10: the manager is gone for `orphan_timeout`: idle workers end themselves, a busy one after its job."""

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import hold, wait_for
from harness.world import World

ORPHAN_S = 15


def test_10_manager_gone(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """Nobody terminates them: each powers itself off, and EC2 takes it away."""
    manager = fleet(idle_count=1, orphan_timeout=f"{ORPHAN_S}s")
    job = gitlab.queue("outlives the manager", steps.UNTIL_RELEASED)
    owner = steps.runs(job)
    steps.waits_idle(gitlab, 2)
    busy = manager.instance_of(owner)
    (idle,) = (item for item in manager.instances() if item.id != busy.id)
    manager.kill()
    terminations = len(world.proxy.calls("TerminateInstances", manager.since))

    wait_for("the idle worker has ended itself", lambda: idle.id in world.cloud.powered_off, ORPHAN_S + 60)
    assert job.status == "running", "the busy worker left its job"
    assert busy.id not in world.cloud.powered_off
    hold("the busy worker stays with its job, beyond orphan_timeout", lambda: job.status == "running" and busy.id not in world.cloud.powered_off, ORPHAN_S)
    steps.release(manager, job)
    steps.succeeds(job)
    wait_for("the busy worker has ended itself after its job", lambda: busy.id in world.cloud.powered_off, ORPHAN_S + 60)
    assert len(world.proxy.calls("TerminateInstances", manager.since)) == terminations
    assert not manager.instances()

    # A manager that comes back finds nothing to do but the rows that the two left in GitLab.
    manager.settings.idle_count = 0
    manager.write()
    manager.start()
    comes_to_rest(manager)
    assert len(manager.all_instances()) == 2
