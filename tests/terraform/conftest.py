"""One copy of the module for all."""

from pathlib import Path

import pytest

from tf import MODULE, copy


@pytest.fixture(scope="session")
def module() -> Path:
    """A copy of the module with everything in it."""
    return copy(MODULE, "terraform")
