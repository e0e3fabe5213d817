"""One place for copies, empty at the start of a run; in it one copy of the module for all."""

import shutil
from pathlib import Path

import pytest

from tf import MODULE, WORK, copy


def pytest_sessionstart() -> None:
    """Removes what the last run left."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)


@pytest.fixture(scope="session")
def module() -> Path:
    """A copy of the module with everything in it."""
    return copy(MODULE, "terraform")
