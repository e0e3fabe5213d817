"""Case 11, second half: an instance that a person has tagged `runner-fleet:hold` is neither drained nor terminated."""

import time

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import hold, wait_for
from harness.world import World

HOLD = {"Key": "runner-fleet:hold", "Value": "anna looks at a bug"}


def test_11_hold(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """Of two idle workers, both too many, only the one without the tag goes; when the tag is taken away the other goes too."""
    manager = fleet(idle_count=1, idle_time="4s")
    steps.waits_idle(gitlab, 1)
    (held,) = manager.instances()
    ec2 = world.emulator.client("ec2")
    ec2.create_tags(Resources=[held.id], Tags=[HOLD])
    tagged_at = time.time()

    # The tag is known from the next listing on; a launch brings one at once.
    manager.reload(idle_count=2)
    steps.waits_idle(gitlab, 2)
    assert len(manager.instances()) == 2
    wait_for("a listing after the tag was set", lambda: world.proxy.calls("DescribeInstances", tagged_at), 60)
    manager.reload(idle_count=0)
    wait_for("the worker without the tag is gone", lambda: [item.id for item in manager.instances()] == [held.id], 60)

    def untouched() -> bool:
        named = any(held.id in call.params.values() for call in world.proxy.calls("TerminateInstances", manager.since))
        return not named and [item.id for item in manager.instances()] == [held.id]

    hold("the held worker stays", untouched, 10)
    assert world.cloud.execute(held.id, "grep -c '\\[\\[runners\\]\\]' /etc/gitlab-runner/config.toml").strip() == "1", "a held worker is not fenced"
    ec2.delete_tags(Resources=[held.id], Tags=[HOLD])
    comes_to_rest(manager)
    assert len(manager.all_instances()) == 2
