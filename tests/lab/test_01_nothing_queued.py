"""Case 1: nothing queued and `idle_count = 0`: no instance for a minute. In the same minute, half of case 11: what is
not ours is not touched."""

from collections.abc import Iterator

import pytest

from conftest import Fleet
from gitlab import GitLab
from harness.wait import hold, wait_for
from harness.world import World

MINUTE_S = 60.0


@pytest.fixture
def foreigners(world: World) -> Iterator[list[str]]:
    """An instance without tags and one of another manager."""
    ec2 = world.emulator.client("ec2")
    ids = []
    for tags in ([], [{"Key": "runner-fleet:manager", "Value": "another"}, {"Key": "runner-fleet:runner", "Value": "graviton-spot"}]):
        specification = [{"ResourceType": "instance", "Tags": tags}] if tags else []
        # Nobody connects to them, so they need no container; `ignored` has to know before they are there.
        world.cloud.paused.set()
        answer = ec2.run_instances(ImageId="ami-0foreign", MinCount=1, MaxCount=1, InstanceType="c7g.large", TagSpecifications=specification)
        ids.append(answer["Instances"][0]["InstanceId"])
        world.cloud.ignored.add(ids[-1])
        world.cloud.paused.clear()
    yield ids
    ec2.terminate_instances(InstanceIds=ids)


def test_01_nothing_queued(world: World, gitlab: GitLab, fleet: Fleet, foreigners: list[str]) -> None:
    """Jobs that nobody may count are there: claimed, wrongly tagged, of a project out of reach."""
    gitlab.queue("for others", tags=["windows"])
    gitlab.queue_claimed("claimed by another worker")
    manager = fleet(idle_count=0)
    wait_for("GitLab is asked for pending jobs", lambda: [entry for entry in gitlab.journal if entry.path.endswith("/jobs") and entry.who == "user"], 60)
    hold("no instance was launched", lambda: not manager.all_instances() and manager.launches() == 0, MINUTE_S)

    states = {item.id: item.state for item in world.emulator.instances()}
    assert [states[foreigner] for foreigner in foreigners] == ["running", "running"]
    named = [call for call in world.proxy.calls("TerminateInstances", manager.since) if set(foreigners) & set(call.params.values())]
    assert not named, "a foreign instance was named in TerminateInstances"
    # One poll a second at one project: far inside of 600 a minute, and still awake.
    looks = [entry for entry in gitlab.journal if entry.path == "/projects/4/jobs" and entry.who == "user"]
    assert 10 <= len(looks) <= 150, f"{len(looks)} polls of the queue in a minute"
    assert world.proxy.counts(manager.since)["DescribeInstances"] <= MINUTE_S * 2
    assert gitlab.state.online(gitlab.runner), "GitLab believes that nobody serves the runner"
