"""Case 8: GitLab answers 429 (both kinds), 502, hangs and lies: no worker too many, none killed."""

import itertools

from conftest import Fleet
from gitlab import GitLab
from gitlab.faults import Fault
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import hold, wait_for
from harness.world import World

QUEUE = r"^/(projects/[^/]+/jobs|graphql)$"
#: Each bad mood of the queue, and how often in a row. The limit of the endpoint comes last: it holds for the whole minute.
MOODS = (("502", 3), ("truncated", 1), ("garbage", 2), ("500", 1), ("hang", 1), ("reset", 1), ("429-rack", 1), ("429-application", 1))


def test_08_gitlab_fails(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """A busy worker and an idle one live through everything; then a job is served as if nothing had been."""
    manager = fleet(idle_count=1, idle_time="5s")
    busy = gitlab.queue("busy", steps.UNTIL_RELEASED)
    owner = steps.runs(busy)
    steps.waits_idle(gitlab, 2)
    workers = {item.id for item in manager.instances()}
    assert len(workers) == 2

    gitlab.unknown_fields = True
    gitlab.queue_claimed("pending, and claimed")

    def unchanged() -> None:
        assert {item.id for item in manager.instances()} == workers, "not the same two workers any more"
        assert busy.status == "running"

    for kind, times in MOODS:
        fault = gitlab.faults.add(kind, QUEUE, times=times, seconds=3.0)
        seen = len(gitlab.journal)

        def over(times: int = times, fault: Fault = fault, seen: int = seen) -> bool:
            unchanged()
            looks = [entry for entry in gitlab.journal[seen:] if entry.who == "user" and entry.path.endswith("/jobs")]
            return fault.hits == times and bool(looks) and looks[-1].status == 200 and not looks[-1].fault

        wait_for(f"the queue is looked at {times} times through {kind}, and then with success", over, 100)
        looks = [entry for entry in gitlab.journal[seen:] if entry.who == "user" and entry.fault]
        assert all(later.at - sooner.at >= 0.9 for sooner, later in itertools.pairwise(looks)), f"{kind}: asked again at once"
    hold("the same two workers, after all of it and beyond idle_time", lambda: unchanged() is None, 8)

    job = gitlab.queue("afterwards", "sleep 2")
    assert steps.runs(job, 20) != owner
    steps.succeeds(job)
    steps.release(manager, busy)
    steps.succeeds(busy)
    assert len(manager.all_instances()) <= 3, "more workers than jobs and idle slots ever needed"
    manager.reload(idle_count=0)
    comes_to_rest(manager)
