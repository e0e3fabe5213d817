"""A request and an answer, apart from the sockets they travel on."""

import json
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    """`path` is without `/api/v4`; header names are lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    base: str

    def json(self) -> dict[str, Any]:
        """The body as an object; anything else counts as empty, as Grape sees it."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]

    def number(self, name: str, default: int) -> int:
        """A query parameter as a whole number."""
        value = self.first(name)
        return int(value) if value.isdigit() else default

    def several(self, name: str) -> list[str]:
        """`name=a` and `name[]=a&name[]=b` alike."""
        return self.query.get(name, []) + self.query.get(name + "[]", [])


@dataclass
class Answer:
    """`body` is sent as JSON unless it is bytes; None is an empty body."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Entry:
    """A line of the journal: who asked what, and what was answered."""

    at: float
    method: str
    path: str
    query: dict[str, list[str]]
    status: int
    who: str
    system_id: str
    fault: str
    note: str = ""


def message(status: int, text: str) -> Answer:
    """GitLab's usual error body."""
    return Answer(status, {"message": text})


def too_many() -> Answer:
    """The application limiter: an object as message, and no header that says when to come back."""
    return Answer(429, {"message": {"error": "This endpoint has been requested too many times. Try again later."}})


def rack_headers(limit: int, observed: int, now: float) -> dict[str, str]:
    """What Rack::Attack adds to every answer while it is on."""
    return {
        "RateLimit-Limit": str(limit),
        "RateLimit-Name": "throttle_authenticated_api",
        "RateLimit-Observed": str(observed),
        "RateLimit-Remaining": str(max(0, limit - observed)),
        "RateLimit-Reset": str((int(now) // 60 + 1) * 60),
    }


def throttled(seconds: float, now: float) -> Answer:
    """Rack::Attack: plain text and all its headers."""
    headers = rack_headers(60, 67, now)
    headers["RateLimit-Reset"] = str(int(now + seconds))
    headers["RateLimit-ResetTime"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now + seconds))
    headers["Retry-After"] = str(int(seconds))
    headers["Content-Type"] = "text/plain"
    return Answer(429, b"Retry later\n", headers)


def iso(at: float | None) -> str | None:
    """Timestamps as Grape writes them."""
    if at is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"
