"""Fixtures: the lab's world, in which machines for the manager are booted."""

import pathlib
from collections.abc import Iterator

import pytest

from aws import Proxy
from gitlab import GitLab
from harness.host import GATEWAY, why_not
from harness.world import World


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Docker, EC2, metadata; started by the first test that needs them."""
    reason = why_not()
    if reason is not None:
        pytest.exit(f"the packages cannot be tried on a booted system: {reason}", returncode=3)
    world = World.start()
    yield world
    world.close()


@pytest.fixture(scope="session")
def ec2(world: World) -> Iterator[str]:
    """EC2's address on the network of the machines, where a manager in a container reaches it."""
    proxy = Proxy(world.emulator, GATEWAY)
    yield proxy.endpoint
    proxy.close()


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    """A fresh GitLab on the same network."""
    gitlab = GitLab(GATEWAY)
    gitlab.runners.hold_s = 4.0
    yield gitlab
    gitlab.close()


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder that every machine sees as /packages."""
    return tmp_path_factory.mktemp("packages")
