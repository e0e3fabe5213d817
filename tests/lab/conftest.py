"""Fixtures: one world for the run, one GitLab and one manager for each case."""

from collections.abc import Callable, Iterator

import pytest

from aws import Ecr
from gitlab import GitLab
from harness import aftermath
from harness.ecr import fill
from harness.host import GATEWAY, why_not
from harness.manager import Manager
from harness.world import World

#: Makes a manager from the settings that a case varies; at most one for each test.
Fleet = Callable[..., Manager]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Lets the fixture below know how the test went."""
    report = yield
    setattr(item, f"report_{call.when}", report)
    return report


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Docker, EC2, metadata; started by the first test that needs them."""
    reason = why_not()
    if reason is not None:
        pytest.exit(f"the lab cannot run: {reason}", returncode=3)
    world = World.start()
    yield world
    world.close()


@pytest.fixture(scope="session")
def ecr(world: World) -> Iterator[Ecr]:
    """ECR with its images, for the cases that need it; the helper lies among the downloads."""
    ecr = world.start_ecr()
    fill(ecr, world.host.part("jobs"), world.host.part("helper"))
    yield ecr
    ecr.close()


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    """A fresh GitLab on the bridge, where both the manager and the workers reach it."""
    gitlab = GitLab(GATEWAY)
    # A server may choose its long poll (workhorse's apiCiLongPollingDuration); 50 s would only make the lab wait.
    gitlab.runners.hold_s = 4.0
    yield gitlab
    gitlab.close()


@pytest.fixture
def fleet(world: World, gitlab: GitLab, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """`fleet(idle_count=1)` starts a manager. After the test comes the poll around, or the report of the failure."""
    made: list[Manager] = []
    case = request.node.name.removeprefix("test_")

    def make(kind: type[Manager] = Manager, **settings: object) -> Manager:
        manager = kind(world, gitlab, case, kind.settings_kind(**settings))  # type: ignore[arg-type]
        made.append(manager)
        manager.start()
        return manager

    yield make
    report = getattr(request.node, "report_call", None)
    for manager in made:
        try:
            if report is not None and report.passed:
                aftermath.look_around(manager)
            else:
                print(f"\neverything that was seen is in {aftermath.report(manager, case)}")
        except AssertionError:
            print(f"\neverything that was seen is in {aftermath.report(manager, case)}")
            raise
        finally:
            aftermath.clean_up(manager)
