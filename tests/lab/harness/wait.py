"""Waiting for a thing to become true: every wait has a name and a deadline, and says both when it fails."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TooLate(AssertionError):
    """A predicate did not become true in time."""


def wait_for(name: str, predicate: Callable[[], T], seconds: float, *, every: float = 0.1) -> T:
    """Returns the predicate's first truthy value, or fails naming what was waited for and what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TooLate(f"after {seconds:g} s still not: {name} (last seen: {value!r})")
        time.sleep(every)


def hold(name: str, predicate: Callable[[], bool], seconds: float, *, every: float = 0.2) -> None:
    """Fails as soon as the predicate is false within the time: for what must stay as it is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not predicate():
            raise AssertionError(f"no longer true: {name}")
        time.sleep(every)
