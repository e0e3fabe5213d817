"""Case 14: what can go wrong with ECR on a worker: one clear sentence from the manager, and no job for that worker."""

import pathlib
from collections.abc import Callable, Iterator

import pytest

from aws import Ecr, Instance
from conftest import Fleet
from gitlab import GitLab
from harness import steps
from harness.aftermath import comes_to_rest
from harness.ecr import CLI, Table, fail
from harness.wait import wait_for
from harness.world import World

#: The offset of e_machine in an ELF header, and two machines that this one is not.
MACHINE_AT, SPARC, S390 = 18, 2, 22


@pytest.fixture
def hurried(world: World, tmp_path: pathlib.Path) -> Iterator[None]:
    """Workers that do not wait between their attempts, and give up early on an answer."""
    times = tmp_path / "runner-fleet"
    times.write_text("retry_seconds=0\necr_seconds=2\nfail_seconds=4\n")

    def mount(_: Instance, __: pathlib.Path) -> list[str]:
        return ["-v", f"{times}:/etc/default/runner-fleet:ro"]

    world.cloud.before_boot = mount
    yield
    world.cloud.before_boot = None


@pytest.fixture
def healed(ecr: Ecr) -> Iterator[Ecr]:
    """ECR, which is well again after the test."""
    yield ecr
    ecr.denied = False
    ecr.set_reachable(True)


def no_download(ecr: Ecr) -> Table:
    """Nothing lies at the address."""
    return Table(ecr, path="/nothing-is-here", sha256="0" * 64)


def wrong_checksum(ecr: Ecr) -> Table:
    """Something else lies there than was configured."""
    return Table(ecr, sha256="0123456789abcdef" * 4)


def wrong_architecture(ecr: Ecr) -> Table:
    """The helper, for a machine of another kind."""
    program = bytearray(ecr.files["/docker-credential-ecr-login"])
    program[MACHINE_AT] = SPARC if program[MACHINE_AT] != SPARC else S390
    ecr.files["/other-machine"] = bytes(program)
    return Table(ecr, path="/other-machine")


def no_right(ecr: Ecr) -> Table:
    """The role may not ask for a token."""
    ecr.denied = True
    return Table(ecr)


def unreachable(ecr: Ecr) -> Table:
    """The API's name leads to an address that does not answer."""
    ecr.set_reachable(False)
    return Table(ecr)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (no_download, ["installing the ECR helper 0.12.0", "404"]),
        (wrong_checksum, ["installing the ECR helper 0.12.0", "has sha256", "0123456789abcdef" * 4]),
        (wrong_architecture, ["installing the ECR helper 0.12.0", "does not run on"]),
        (no_right, ["checking the ECR login", "no credentials for 123456789012.dkr.ecr", "AccessDeniedException"]),
        (unreachable, ["checking the ECR login", "has not answered in 2 s", "ecr.api"]),
    ],
)
def test_14_trouble(healed: Ecr, gitlab: GitLab, fleet: Fleet, trouble: Callable[[Ecr], Table], words: list[str]) -> None:
    """The reason is told, the job stays in the queue, and the worker is gone."""
    manager = fleet(idle_count=0, more=trouble(healed).more())
    job = gitlab.queue("waits")
    wait_for("a worker is launched", lambda: len(manager.all_instances()) >= 1, 60)
    wait_for(f"the manager says {words}", lambda: manager.said(*words), 90)
    assert job.status == "pending"
    assert not steps.asking(gitlab), "a worker whose bootstrap failed asked for a job"

    with gitlab.state.lock:
        gitlab.state.finish(job, "canceled")
    wait_for("the manager sees that nothing waits", lambda: manager.state()["waiting"]["total"] == 0, 30)
    comes_to_rest(manager)


@pytest.mark.usefixtures("hurried")
def test_14_unwired(healed: Ecr, gitlab: GitLab, fleet: Fleet) -> None:
    """The same without our wiring: the worker boots in spite of it, is offered a job, and it is the job that fails."""
    table = no_right(healed)
    table.enabled = False
    manager = fleet(idle_count=0, idle_time="4s", more=table.more())
    fail(gitlab.queue("finds out", image=CLI), "no basic auth credentials")
    comes_to_rest(manager)
