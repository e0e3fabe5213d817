"""Case 17: the manager's host as the Terraform module makes it, from its user-data to a job that is done; and what its log says
when something is wrong with it."""

import json
import os
import pathlib
from collections.abc import Iterator

import pytest

from aws.ecr import NOWHERE
from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.host import GATEWAY
from harness.manager_host import ARCHITECTURE, OTHER, RELEASES, ManagerHost, Releases, foreign_package, package, why_not
from harness.wait import hold, wait_for
from harness.world import World

#: Parameters of which the cases make the content themselves.
TOKENS = {
    "insecure_http": True, "preregistered_runner_token_ssm_parameter_name": "/later/runner-token", "api_token_ssm_parameter_name": "/later/api-token",
}
#: A name of GitLab that leads where the case wants it.
LATER = "gitlab.later.example"


@pytest.fixture(scope="module")
def releases(world: World) -> Iterator[Releases]:
    """Where the host has its package from."""
    reason = why_not()
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    releases = Releases(world)
    yield releases
    releases.close()


def host(fleet: Fleet, runner_package: dict[str, str], *, healthy: bool = True, idle_count: int = 0, **variables: object) -> ManagerHost:
    """A host with this package."""
    made = fleet(kind=ManagerHost, healthy=healthy, idle_count=idle_count, variables={"runner_package": runner_package, **variables})
    assert isinstance(made, ManagerHost)
    return made


def right(releases: Releases) -> dict[str, str]:
    """The package of this machine's architecture."""
    path = package()
    assert path is not None
    return releases.offer(path.read_bytes())


def put_tokens(world: World, gitlab: GitLab) -> None:
    """The content of `TOKENS`."""
    ssm = world.emulator.client("ssm")
    for name, value in {"runner-token": gitlab.runner.token, "api-token": next(iter(gitlab.tokens))}.items():
        ssm.put_parameter(Name=f"/later/{name}", Value=value, Type="SecureString", Overwrite=True)


def test_17_1_from_the_plan_to_a_job(gitlab: GitLab, fleet: Fleet, releases: Releases) -> None:
    """The service runs in its sandbox, reads its tokens, launches a worker by the host's own role, and the job is done."""
    manager = host(fleet, right(releases))
    assert manager.ask("cloud-init status --wait >/dev/null; systemctl is-enabled runner-fleet") == "enabled"
    assert manager.ask("systemctl show --property User --value runner-fleet") == "runner-fleet"
    job = gitlab.queue("the first", "echo hello")
    steps.succeeds(job)
    comes_to_rest(manager)
    said = manager.installation()
    assert [line.split(" ")[0] for line in said] == ["downloaded", "installed", "the"], said


def test_17_2_wrong_checksum(gitlab: GitLab, fleet: Fleet, releases: Releases) -> None:
    """Nothing unverified is installed; the log says what to do; and with the right file there the installation goes on."""
    wanted = right(releases)
    good = releases.files.pop(wanted["url"].removeprefix(f"https://{RELEASES}"))
    manager = host(fleet, wanted, healthy=False)
    manager.says("cannot download", wanted["url"], "404", "trying again in")
    releases.offer(good + b"and more")
    manager.says("has sha256", f"and {wanted['sha256']} is expected", "runner_package.sha256", "trying again in")
    assert manager.ask("command -v runner-fleet") is None
    releases.offer(good)
    wait_for("the service on the host answers on /healthz", lambda: manager.get("/healthz") is not None, 120)


def test_17_3_wrong_architecture(fleet: Fleet, releases: Releases, tmp_path: pathlib.Path) -> None:
    """That does not heal, so it ends: once, with one sentence."""
    # Under a name that tells no architecture; of one that does, the plan says so.
    offered = releases.offer(foreign_package(tmp_path), "stable")
    manager = host(fleet, offered, healthy=False)
    manager.says(offered["url"], f"is for {OTHER}, and this host is {ARCHITECTURE}", "runner_package.url")
    assert len(manager.installation_ends()) == 2, manager.installation()
    assert manager.ask("command -v runner-fleet") is None


def test_17_4_missing_parameter(world: World, gitlab: GitLab, fleet: Fleet, releases: Releases) -> None:
    """The service says which, goes on trying, and works when the parameter is there."""
    world.emulator.client("ssm").delete_parameters(Names=[name for name in TOKENS.values() if isinstance(name, str)])
    manager = host(fleet, right(releases), healthy=False, runner_gitlab={"url": gitlab.base, **TOKENS})
    manager.says("not started yet: cannot", "/later/", "trying again")
    put_tokens(world, gitlab)
    job = gitlab.queue("after all", "echo hello")
    steps.succeeds(job, 240)
    comes_to_rest(manager)


def test_17_5_configuration_refused(fleet: Fleet, releases: Releases) -> None:
    """What the plan cannot know: the service is not started, and one sentence says why and what to do."""
    manager = host(fleet, right(releases), healthy=False, runner_manager={"extra": json.dumps({"fleet": {"colour": "green"}})})
    manager.says("the configuration is refused, so that the service is not started", "fleet.colour", "apply again")
    assert not manager.running
    assert len(manager.installation_ends()) == 3, manager.installation()


def test_17_6_a_new_host_takes_over(world: World, gitlab: GitLab, fleet: Fleet, releases: Releases) -> None:
    """As the group replaces it: the old one is gone with its disk, and one of the same template goes on with the busy worker,
    since the SSH key outlives the host."""
    manager = host(fleet, right(releases), idle_time="30s")
    job = gitlab.queue("outlives the host of its manager", steps.UNTIL_RELEASED)
    steps.runs(job)
    (worker,) = manager.instances()
    former = manager.host
    manager.loses_its_host()
    hold("the job goes on without a manager", lambda: job.status == "running", 3)
    manager.start()
    assert manager.host is not None and former is not None and manager.host.id != former.id

    # What a job is called is known from the worker alone.
    def seen() -> bool:
        workers = (manager.state() or {}).get("workers", [])
        return [(item["id"], item["state"], item["job_ids"]) for item in workers] == [(worker.id, "busy", [job.id])]

    wait_for("the new manager has the worker's report", seen, 60)
    steps.release(manager, job)
    steps.succeeds(job)
    comes_to_rest(manager)
    assert [item.id for item in manager.all_instances()] == [worker.id], "the new manager launched what was already there"
    kept = world.emulator.client("ssm").get_parameter(Name=f"/runner-fleet/{manager.name}/ssh-key")["Parameter"]
    assert kept["Type"] == "SecureString"


def test_17_7_no_way_to_gitlab(world: World, gitlab: GitLab, fleet: Fleet, releases: Releases) -> None:
    """The log says so, in one sentence and not every second; and with the way there the job is done."""
    world.names.table[LATER] = NOWHERE
    put_tokens(world, gitlab)
    manager = host(fleet, right(releases), runner_gitlab={"url": gitlab.base.replace(GATEWAY, LATER), **TOKENS})
    line = manager.says(LATER, "GitLab")
    hold("it is not said again and again", lambda: (manager.ask("journalctl --output cat") or "").count(line) == 1, 8)
    world.names.table[LATER] = GATEWAY
    job = gitlab.queue("after all", "echo hello")
    steps.succeeds(job, 240)
    comes_to_rest(manager)
