"""Case 12: a spot notice from the metadata service: no new job, a graceful end, and the replacement is launched before
the old one is gone."""

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import wait_for
from harness.world import World


def test_12_spot_notice(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """The job that runs ends well within the two minutes; the one that waits goes to another worker."""
    manager = fleet(idle_count=0)
    job = gitlab.queue("half way", steps.UNTIL_RELEASED, "echo whole")
    owner = steps.runs(job)
    old = manager.instance_of(owner)
    world.metadata.interrupt(old.id, 120)
    wait_for("the worker reads the notice", lambda: (old.id, "/latest/meta-data/spot/instance-action") in world.metadata.asked, 60)
    serving = "grep -c '^ *\\[\\[runners\\]\\]' /etc/gitlab-runner/config.toml || true"
    wait_for("the worker, which has a job, is fenced", lambda: world.cloud.ask(old.id, serving) == "0", 30)
    assert job.status == "running"
    waiting = gitlab.queue("not on the old one", "sleep 2")
    wait_for("a replacement is launched", lambda: len(manager.all_instances()) == 2, 60)
    assert old.id in {item.id for item in manager.instances()}, "the old worker was gone before its replacement was launched"
    assert job.status == "running"

    steps.succeeds(waiting)
    assert waiting.handed_to != [owner]
    steps.release(manager, job)
    steps.succeeds(job, 30)
    assert b"whole" in job.trace
    # Freed, it would have been the fastest to take this one; but its minutes are counted.
    after = gitlab.queue("after the notice", "true")
    steps.succeeds(after)
    assert after.handed_to != [owner]
    wait_for("the interrupted worker is gone before EC2 takes it", lambda: old.id not in {item.id for item in manager.instances()}, 90)
    comes_to_rest(manager)
