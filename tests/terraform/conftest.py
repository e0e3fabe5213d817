"""One provider double for all, and one copy of the module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tf import MODULE, copy, standing_provider


@pytest.fixture(scope="session", autouse=True)
def provider() -> Iterator[None]:
    """It stands for the whole run."""
    with standing_provider():
        yield


@pytest.fixture(scope="session")
def module() -> Path:
    """A copy of the module with everything in it."""
    return copy(MODULE, "terraform")
