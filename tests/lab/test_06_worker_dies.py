"""Case 6: a worker's container dies in mid-job: it is replaced, and told."""

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import wait_for
from harness.world import World


def test_06_worker_dies(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """The plug is pulled. GitLab keeps the job as running for an hour (nothing may pretend otherwise); the fleet goes on."""
    manager = fleet(idle_count=1)
    job = gitlab.queue("doomed", "sleep 600")
    owner = steps.runs(job)
    victim = manager.instance_of(owner)
    others = steps.waits_idle(gitlab, 2) - {owner}
    world.cloud.kill(victim.id)
    next_job = gitlab.queue("next", steps.UNTIL_RELEASED)
    assert steps.runs(next_job) in others, "the waiting worker was there for that"
    # It lasts until then: whether the manager knew of the doomed job must not matter.
    wait_for("the dead worker is replaced", lambda: len(manager.all_instances()) >= 3 and len(manager.instances()) >= 2, 60)
    steps.release(manager, next_job)
    steps.succeeds(next_job)
    wait_for("its row in GitLab is deleted", lambda: owner not in gitlab.managers(), 60)
    wait_for("the administrator is told of it by its id", lambda: manager.said(victim.id), 60)
    assert job.status == "running" and job.handed_to == [owner]
    gitlab.state.finish(job, "failed", "stuck_or_timeout_failure")
    manager.reload(idle_count=0)
    comes_to_rest(manager)
