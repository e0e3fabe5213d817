"""Case 11, second half: an instance that a person has tagged `runner-fleet:hold` is neither drained nor terminated."""

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import hold
from harness.world import World

HOLD = {"Key": "runner-fleet:hold", "Value": "anna looks at a bug"}


def test_11_hold(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """It stays long after `idle_time`, with its runner; when the tag is taken away it goes."""
    manager = fleet(idle_count=0, idle_time="4s")
    job = gitlab.queue("before the hold", "sleep 6")
    steps.runs(job)
    (worker,) = manager.instances()
    ec2 = world.emulator.client("ec2")
    ec2.create_tags(Resources=[worker.id], Tags=[HOLD])
    steps.succeeds(job)

    def untouched() -> bool:
        named = any(worker.id in call.params.values() for call in world.proxy.calls("TerminateInstances", manager.since))
        return not named and [item.id for item in manager.instances()] == [worker.id]

    hold("the held worker stays", untouched, 20)
    assert world.cloud.execute(worker.id, "grep -c '\\[\\[runners\\]\\]' /etc/gitlab-runner/config.toml").strip() == "1", "a held worker is not fenced"
    ec2.delete_tags(Resources=[worker.id], Tags=[HOLD])
    comes_to_rest(manager)
