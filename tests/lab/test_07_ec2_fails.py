"""Case 7: CreateFleet has no capacity for some offerings, then EC2 throttles, then it talks garbage: the fleet comes up
by the others, there is no stampede, budgets are kept."""

import itertools
import time

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import hold, wait_for
from harness.world import World


def test_07_no_capacity(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """Some offerings are closed: the others serve. All of spot is closed: on-demand takes what is missing."""
    manager = fleet(idle_count=0)
    world.proxy.closed = lambda market, offering: market == "spot" and (offering.zone.endswith("a") or offering.type == "c8g.large")
    jobs = [gitlab.queue(f"scarce {number}", "sleep 4") for number in (1, 2)]
    owners = {steps.runs(job) for job in jobs}
    assert len(owners) == 2
    assert all(not item.zone.endswith("a") and item.type == "c7g.large" and item.lifecycle == "spot" for item in manager.all_instances())
    assert manager.launches() <= 2, "one call has all the offerings: the open ones had to serve it"

    before = manager.launches()
    world.proxy.closed = lambda market, offering: market == "spot"
    job = gitlab.queue("none on spot", "sleep 4")
    extra = gitlab.queue("none on spot either", "sleep 4")
    steps.runs(job)
    steps.runs(extra)
    on_demand = [item for item in manager.all_instances() if item.lifecycle == "on-demand"]
    assert on_demand, "spot had nothing, and on_demand_fallback is on"
    assert len(manager.all_instances()) <= 4
    # Spot is asked once for each decision, then cooled; on-demand serves. Two jobs may be two decisions.
    assert manager.launches() - before <= 4, f"{manager.launches() - before} CreateFleet calls for two workers: a stampede"
    for item in [*jobs, job, extra]:
        steps.succeeds(item)
    comes_to_rest(manager)


def test_07_throttled_and_garbage(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """RequestLimitExceeded, then nonsense, then a listing cut in the middle: late, but right."""
    manager = fleet(idle_count=0)
    world.proxy.fail("throttle", "CreateFleet", times=2)
    throttled = gitlab.queue("throttled", steps.UNTIL_RELEASED)
    started = time.monotonic()
    steps.runs(throttled, 120)
    print(f"through two RequestLimitExceeded in {time.monotonic() - started:.1f} s")
    calls = world.proxy.calls("CreateFleet", manager.since)
    assert len(calls) == 3, f"{len(calls)} calls for one worker"
    pauses = [later.at - sooner.at for sooner, later in itertools.pairwise(calls)]
    assert pauses[0] >= 1.0 and pauses[1] > pauses[0], f"throttled, and asked again after {pauses} s: no back-off"
    assert len(manager.all_instances()) == 1

    # A launch whose answer is nonsense may have launched. It may be asked for again with the same client token, which EC2
    # carries out once; and half of a listing is no listing: nothing follows from it, neither another launch nor an end.
    (first,) = manager.instances()
    world.proxy.fail("cut", "DescribeInstances", times=2)
    world.proxy.fail("garbage", "DescribeInstances")
    world.proxy.fail("garbage", "CreateFleet", times=1)
    asked_at = time.time()
    garbage = gitlab.queue("after garbage", "true")

    def unmoved() -> None:
        tokens = {call.params["ClientToken"] for call in world.proxy.calls("CreateFleet", asked_at)}
        assert len(tokens) <= 1, "another launch, while nobody knows what became of the last one"
        assert len(manager.all_instances()) <= 2
        assert first.id in {item.id for item in manager.instances()}
        assert throttled.status == "running"

    def unreadable() -> int:
        unmoved()
        return sum(1 for call in world.proxy.calls("DescribeInstances", asked_at) if call.fault)

    wait_for("the listing is unreadable more than once", lambda: unreadable() >= 4, 60)
    hold("the worker stays while EC2's listing is unreadable, and no other is launched", lambda: unmoved() is None, 6)
    wait_for("the administrator is told that EC2 cannot be read", lambda: manager.said("WARN", "cannot list"), 10)
    world.proxy.heal()

    steps.succeeds(garbage, 120)
    steps.release(manager, throttled)
    steps.succeeds(throttled)
    wait_for("not more than the two workers that two jobs need", lambda: len(manager.all_instances()) == 2, 5)
    comes_to_rest(manager)
