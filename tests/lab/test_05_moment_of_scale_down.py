"""Case 5: a job arrives in the very moment of scale-down: it finishes."""

import threading

from conftest import Fleet
from gitlab import GitLab, Job, Runner
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import wait_for
from harness.world import World

IDLE_S = 6


def test_05_claimed_while_being_fenced(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """GitLab has committed the claim and its answer is on the way, while the worker's idle time ends."""
    manager = fleet(idle_count=0, idle_time=f"{IDLE_S}s")
    job = gitlab.queue("before", "true")
    owner = steps.runs(job)
    steps.succeeds(job)
    (worker,) = manager.instances()

    late: list[Job] = []
    armed = threading.Event()

    def just_in_time(runner: Runner, system_id: str) -> None:
        if armed.is_set() and not late:
            late.append(gitlab.queue("just in time", "sleep 3"))

    # Longer than the manager needs from "idle too long" to the fence, so that the claim lies in between.
    gitlab.runners.before_claim = just_in_time
    gitlab.runners.claim_delay_s = 4.0
    wait_for("its idle time is nearly over", lambda: steps.idle_s(manager).get(worker.id, 0) >= IDLE_S - 2.5, 30, every=0.05)
    armed.set()
    with gitlab.state.lock:
        gitlab.state.wake()
    wait_for("the worker claims the late job", lambda: late and late[0].handed_to, 30)
    assert late[0].handed_to == [owner]
    wait_for("it is fenced all the same", lambda: "fence" in [item["kind"] for item in manager.state()["decisions"]], 10)
    steps.succeeds(late[0])
    comes_to_rest(manager)
    assert len(manager.all_instances()) == 1, "the worker that had the job was the one to finish it"


def test_05_queued_when_fenced(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """The worker is fenced already, as seen on the worker itself, when the job is queued: it still runs, and once."""
    manager = fleet(idle_count=0, idle_time=f"{IDLE_S}s")
    steps.succeeds(gitlab.queue("before", "true"))
    (worker,) = manager.instances()

    def fenced() -> bool:
        text = world.cloud.ask(worker.id, "grep -c '^ *\\[\\[runners\\]\\]' /etc/gitlab-runner/config.toml || true")
        return text in (None, "0")

    wait_for("the worker's config.toml has no [[runners]] any more", fenced, IDLE_S + 30, every=0.05)
    late = gitlab.queue("too late for the old one", "sleep 2")
    steps.succeeds(late)
    assert len(late.handed_to) == 1
    comes_to_rest(manager)
