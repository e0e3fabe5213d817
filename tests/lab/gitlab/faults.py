"""Faults that a test puts into GitLab's answers, each for the paths and the number of times that it says."""

import re
import threading
from dataclasses import dataclass

#: Every kind that the server knows how to play.
KINDS = frozenset({
    "429-application",  # application limiter: JSON body, no Retry-After
    "429-rack",  # Rack::Attack: text body, all the headers
    "429-migrations",  # runner endpoints during a migration: JSON and Retry-After
    "500",
    "502",  # as the load balancer in front says it: HTML
    "503",
    "hang",  # accepts, and says nothing
    "reset",  # closes without an answer
    "truncated",  # promises a whole body and closes in the middle
    "garbage",  # 200 with bytes that are no JSON
    "short-page",  # half of the list, and no Link to the rest
})


@dataclass
class Fault:
    """`times` < 0: until cleared. `seconds`: how long a hang lasts, or what Retry-After says."""

    kind: str
    method: str
    path: re.Pattern[str]
    times: int
    seconds: float
    hits: int = 0


class Faults:
    """The list that every request is held against, first match wins."""

    def __init__(self) -> None:
        """Starts without any."""
        self._lock = threading.Lock()
        self._list: list[Fault] = []

    def add(self, kind: str, path: str = ".*", *, method: str = ".*", times: int = -1, seconds: float = 5.0) -> Fault:
        """Plays `kind` for requests whose path (without `/api/v4`) matches."""
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}, known: {', '.join(sorted(KINDS))}")
        fault = Fault(kind, method, re.compile(path), times, seconds)
        with self._lock:
            self._list.append(fault)
        return fault

    def clear(self) -> None:
        """GitLab is well again."""
        with self._lock:
            self._list.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this request, counted."""
        with self._lock:
            for fault in self._list:
                if fault.times != 0 and re.fullmatch(fault.method, method) and fault.path.search(path):
                    fault.times -= 1 if fault.times > 0 else 0
                    fault.hits += 1
                    return fault
        return None
