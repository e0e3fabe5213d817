"""Case 3: `idle_count = 1`: one worker waits, takes a job at once, and a second worker comes in its place."""

import time

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import wait_for
from harness.world import World

IDLE_S = 6


def test_03_idle_worker(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """The waiting worker has the job within seconds, not after a boot."""
    manager = fleet(idle_count=1, idle_time=f"{IDLE_S}s")
    (waiting,) = steps.waits_idle(gitlab, 1)

    def beyond_idle_time() -> bool:
        assert len(manager.instances()) == 1, "one idle worker, not two, and it stays"
        return max(steps.idle_s(manager).values(), default=0) >= IDLE_S + 4

    wait_for("it is known to be idle for longer than idle_time", beyond_idle_time, 40)

    queued = time.monotonic()
    job = gitlab.queue("at once", "sleep 15")
    owner = steps.runs(job, 10)
    print(f"from queued to running on the waiting worker: {time.monotonic() - queued:.1f} s")
    assert owner == waiting
    wait_for("a second worker is launched", lambda: len(manager.instances()) == 2, 30)
    assert job.status == "running"
    steps.waits_idle(gitlab, 2)
    steps.succeeds(job)

    # Two idle ones now: one too many. The policy goes down to one, and with idle_count = 0 to none.
    wait_for("one of the two idle workers is gone", lambda: len(manager.instances()) == 1, 60)
    manager.reload(idle_count=0)
    comes_to_rest(manager)
    assert len(manager.all_instances()) == 2
