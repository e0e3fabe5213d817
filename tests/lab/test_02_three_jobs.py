"""Case 2: three jobs queued: three workers, the jobs succeed on them, and after `idle_time` nothing is left."""

import gzip

from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.wait import wait_for
from harness.world import World


def test_02_three_jobs(world: World, gitlab: GitLab, fleet: Fleet) -> None:
    """Also what contract 3 promises about every instance: tags, shutdown behaviour, metadata version, no secret."""
    manager = fleet(idle_count=0, idle_time="6s")
    jobs = [gitlab.queue(f"job {number}", "sleep 5", "echo done") for number in (1, 2, 3)]
    owners = {steps.runs(job) for job in jobs}
    assert len(owners) == 3, f"three jobs at one time need three workers, these had them: {owners}"

    workers = manager.instances()
    assert len(workers) == 3
    for worker in workers:
        missing = [name for name in ("runner-fleet:manager", "runner-fleet:runner", "runner-fleet:config", "Name") if not worker.tag(name)]
        assert not missing, f"{worker.id} lacks the tags {missing}"
        assert worker.tag("runner-fleet:runner") == "graviton-spot"
        assert worker.lifecycle == "spot"
        assert world.emulator.shuts_down_for_good(worker.id)
        assert world.emulator.backend().get_instance(worker.id).metadata_options.http_tokens == "required"
        plain = gzip.decompress(worker.user_data) if worker.user_data[:2] == b"\x1f\x8b" else worker.user_data
        assert gitlab.runner.token.encode() not in plain and b"glpat" not in plain, "a secret in the user-data"
    creations = world.proxy.calls("CreateFleet", manager.since)
    assert 1 <= len(creations) <= 3
    assert all("runner-fleet:manager" in call.params.values() for call in creations), "tags belong into the launching call"
    assert not world.proxy.calls("RunInstances", manager.since)

    for job in jobs:
        steps.succeeds(job)
        assert b"done" in job.trace
    comes_to_rest(manager)
    assert len(manager.all_instances()) == 3, "three jobs need three workers, and no fourth"
    wait_for("the containers are gone", lambda: not world.cloud.containers(), 60)
    assert owners <= set(gitlab.state.deleted_managers), "rows of ended workers have to be deleted in GitLab"
