"""Case 18: the manager's host is lost with its disk while a job runs; the manager of a new host goes on with its workers."""

from typing import Any

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import hold, wait_for
from harness.world import World


def test_18_lost_host(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """The SSH key lies in SSM, so the new manager sees the job over SSH, lets it end, and uses the worker again."""
    manager = fleet(idle_count=0, idle_time="20s", ssh_key=True)
    job = gitlab.queue("outlives the host of its manager", steps.UNTIL_RELEASED)
    owner = steps.runs(job)
    (worker,) = manager.instances()
    manager.loses_its_host()
    hold("the job goes on without a manager", lambda: job.status == "running", 3)

    manager.start()

    # What a job is called is known from the worker alone.
    def seen() -> bool:
        workers: list[dict[str, Any]] = (manager.state() or {}).get("workers", [])
        return [(item["id"], item["state"], item["job_ids"]) for item in workers] == [(worker.id, "busy", [job.id])]

    wait_for("the new manager has the worker's report", seen, 60)
    steps.release(manager, job)
    steps.succeeds(job)
    following = gitlab.queue("comes to the worker that is there", "sleep 1")
    steps.succeeds(following)
    assert {job.manager, following.manager} == {owner}
    assert [len(item.handed_to) for item in (job, following)] == [1, 1]
    comes_to_rest(manager)
    assert [item.id for item in manager.all_instances()] == [worker.id], "the new manager launched what was already there"
    kept = world.emulator.client("ssm").get_parameter(Name=f"/{manager.name}/ssh-key")["Parameter"]
    assert (kept["Type"], kept["Version"]) == ("SecureString", 1), kept
