"""Case 4: `kill -9` of the manager while jobs run and while workers boot; after a restart everything goes on."""

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import hold, wait_for
from harness.world import World


def test_04_crash(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """Jobs finish, nothing is doubled, nothing is leaked."""
    manager = fleet(idle_count=0)
    first = [gitlab.queue(f"running {number}", steps.UNTIL_RELEASED) for number in (1, 2)]
    owners = {steps.runs(job) for job in first}
    assert len(owners) == 2

    # One more, and the end comes while its worker boots: after EC2 has launched it, before anybody could wire it.
    third = gitlab.queue("booting", "sleep 5")
    wait_for("the third worker is launched", lambda: len(manager.instances()) == 3, 30)
    manager.kill()
    hold("the jobs go on without the manager", lambda: all(job.status == "running" for job in first), 3)
    assert len(manager.instances()) == 3

    manager.start()
    steps.succeeds(third)
    assert all(job.status == "running" for job in first)
    for job in first:
        steps.release(manager, job)
    for job in first:
        steps.succeeds(job)
    assert [len(job.handed_to) for job in [*first, third]] == [1, 1, 1]
    assert len(manager.all_instances()) == 3, "the restarted manager launched what was already there"
    comes_to_rest(manager)


def test_04_crash_in_the_launch(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """The worst moment: EC2 has launched, and the answer never came; then the process dies."""
    manager = fleet(idle_count=0)
    world.proxy.fail("lost", "CreateFleet", times=1)
    job = gitlab.queue("lost answer", "sleep 2")
    wait_for("EC2 has launched", lambda: len(manager.instances()) == 1, 30)
    manager.kill()
    manager.start()
    steps.succeeds(job)
    assert len(manager.all_instances()) == 1, "one job, and more than one worker after a lost answer"
    comes_to_rest(manager)
