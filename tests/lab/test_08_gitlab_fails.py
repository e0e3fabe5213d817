"""Case 8: GitLab answers 429 (both kinds), 502, hangs and lies: no worker too many, none killed."""

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import hold, wait_for
from harness.world import World

QUEUE = r"^/(projects/[^/]+/jobs|graphql)$"
#: Each bad mood of the queue, and how often it is shown. All of them together have to be over within the hold below.
MOODS = (("429-application", 2), ("502", 2), ("truncated", 2), ("garbage", 2), ("500", 1), ("hang", 1), ("reset", 1), ("429-rack", 1))


def test_08_gitlab_fails(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """A busy worker and an idle one live through everything; then a job is served as if nothing had been."""
    manager = fleet(idle_count=1, idle_time="5s")
    busy = gitlab.queue("busy", "sleep 75")
    owner = steps.runs(busy)
    steps.waits_idle(gitlab, 2)
    workers = {item.id for item in manager.instances()}
    assert len(workers) == 2

    gitlab.unknown_fields = True
    gitlab.queue_claimed("pending, and claimed")
    faults = [gitlab.faults.add(kind, QUEUE, times=times, seconds=3.0) for kind, times in MOODS]
    hold("the same two workers, whatever GitLab says", lambda: {item.id for item in manager.instances()} == workers and busy.status == "running", 40)
    assert sum(fault.hits for fault in faults) >= 4, "the manager gave up asking: " + ", ".join(f"{fault.kind} {fault.hits}" for fault in faults)
    looks = [entry for entry in gitlab.journal if entry.path == "/projects/4/jobs" and entry.who == "user" and entry.fault]
    assert len(looks) <= 30, "a failing server was asked without back-off"
    gitlab.faults.clear()
    wait_for("GitLab is asked again with success", lambda: gitlab.journal[-1].status == 200 or any(entry.status == 200 and entry.who == "user" for entry in gitlab.journal[-20:]), 70)

    job = gitlab.queue("afterwards", "sleep 2")
    assert steps.runs(job) != owner
    steps.succeeds(job)
    steps.succeeds(busy, 90)
    assert len(manager.all_instances()) <= 3, "more workers than jobs and idle slots ever needed"
    manager.reload(idle_count=0)
    comes_to_rest(manager)
