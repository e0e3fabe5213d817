"""Fixtures: a road for each document."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from world import Road, why_not


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """An account, a GitLab and a shell, shared by the tests of one document, which follow its sections."""
    reason = why_not()
    if reason is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    road = Road.start(Path(tmp_path_factory.mktemp("road")))
    yield road
    road.close()
