"""GitLab over HTTP: sockets, tokens, limits, faults and the journal around the two sides of the API."""

import contextlib
import json
import socket
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gitlab import entities, match
from gitlab.faults import Fault, Faults
from gitlab.runner_side import RunnerSide
from gitlab.state import Group, Job, Project, Runner, State
from gitlab.user_side import UserSide
from gitlab.wire import Answer, Entry, Request, message, rack_headers, throttled, too_many

#: lib/gitlab/application_rate_limiter.rb: `project_jobs_api_rate_limit`, per user over all projects, in fixed minutes.
JOBS_INDEX_PER_MINUTE = 600


class GitLab:
    """One GitLab server with one group, one project, and two runners to begin with: everybody's, and a canary's with a tag of its own."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0, clock: Callable[[], float] = time.time) -> None:
        """Starts to listen at once; `base` is its URL."""
        self.state = State(clock)
        self.users = UserSide(self.state)
        self.runners = RunnerSide(self.state)
        self.faults = Faults()
        self.tokens: dict[str, str] = {"glpat-lab-read-api": "read_api"}
        self.jobs_per_minute = JOBS_INDEX_PER_MINUTE
        self.rack_attack_headers = True
        self.unknown_fields = False
        self.old_server = False
        self.journal: list[Entry] = []
        self.listed: Counter[int] = Counter()
        self._kept: list[Job] = []
        self._stop = threading.Event()
        self.state.groups[9] = Group(9, "acme")
        self.state.projects[4] = Project(4, "acme/app", 9)
        self.runner = Runner(6, "glrt-t2_lab-runner-token", scope=[9], tags=["docker", "arm64"])
        self.canary = Runner(8, "glrt-t2_lab-canary-token", scope=[9], tags=["ecr"], run_untagged=False)
        self.state.runners |= {runner.id: runner for runner in (self.runner, self.canary)}
        self._server = _Server((address, port), _handler(self))
        self.base = f"http://{address}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def close(self) -> None:
        """Stops listening and lets held requests go."""
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        with self.state.lock:
            self.state.wake()

    def queue(self, name: str, *script: str, project: int = 4, **more: object) -> Job:
        """A new pending job."""
        return self.state.add_job(project, name, script=list(script) or ["true"], **more)

    def queue_claimed(self, name: str) -> Job:
        """A job that is pending and already claimed, as in two-phase commit: no demand. Its worker, elsewhere, keeps the
        claim alive: without that GitLab gives it up after two minutes and queues the job anew, which is demand."""
        with self.state.lock:
            job = self.state.add_job(4, name, runner=self.runner.id, waiting_manager="r_elsewhere00")
            self._kept.append(job)
            return job

    def jobs(self) -> list[Job]:
        """All jobs, oldest first."""
        with self.state.lock:
            return list(self.state.jobs.values())

    def managers(self) -> list[str]:
        """The system ids that GitLab knows now."""
        with self.state.lock:
            return [system_id for runner in self.state.runners.values() for system_id in runner.managers]

    def answer(self, request: Request) -> Answer:
        """The whole way of a request, apart from faults."""
        with self.state.lock:
            for job in self._kept:
                self.state.keep_claim(job)
            self.state.sweep(lambda runner, job: match.eligible(self.state, runner, job))
        answer = self.runners.answer(request)
        if answer is not None:
            return answer
        refusal = self._authenticate(request)
        if refusal is not None:
            return refusal
        if request.method == "GET" and request.path.endswith("/jobs") and request.path.startswith("/projects/"):
            minute = int(self.state.clock()) // 60
            self.listed[minute] += 1
            if self.listed[minute] > self.jobs_per_minute:
                return too_many()
        answer = self.users.answer(request) or message(404, "404 Not Found")
        if answer.status < 300 and self.unknown_fields:
            answer.body = entities.strange(answer.body)
        if answer.status < 300 and self.old_server:
            answer.body = entities.aged(answer.body)
        if self.rack_attack_headers:
            answer.headers |= rack_headers(7200, len(self.journal) % 7200, self.state.clock())
        return answer

    def _authenticate(self, request: Request) -> Answer | None:
        token = request.headers.get("private-token") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            return message(401, "401 Unauthorized")
        scope = self.tokens.get(token)
        if scope == "revoked":
            return Answer(401, {"error": "invalid_token", "error_description": "Token was revoked. You have to re-authorize from the user."})
        if scope == "expired":
            return Answer(401, {"error": "invalid_token", "error_description": "Token is expired. You can either do re-authorization or token refresh."})
        if scope is None:
            return message(401, "401 Unauthorized")
        if request.method != "GET" and request.path != "/graphql" and scope != "api":
            return Answer(403, {"error": "insufficient_scope", "error_description": "The request requires higher privileges than provided by the access token.", "scope": "api"})
        return None

    def note(self, request: Request, answer: Answer, fault: str, at: float) -> None:
        """Writes the journal."""
        body = request.json()
        who = "user" if "private-token" in request.headers or "authorization" in request.headers else "job" if "job-token" in request.headers else "runner"
        system_id = str(body.get("system_id") or request.first("system_id"))
        note = f"job {answer.body['id']}" if answer.status == 201 and isinstance(answer.body, dict) and "id" in answer.body else str(body.get("state", ""))
        self.journal.append(Entry(at, request.method, request.path, request.query, answer.status, who, system_id, fault, note))

    def faulty(self, fault: Fault, request: Request) -> Answer | None:
        """The answer of a fault that is an answer; None when it is played on the socket."""
        now = self.state.clock()
        fixed: dict[str, Answer] = {
            "429-application": too_many(),
            "429-rack": throttled(fault.seconds, now),
            "429-migrations": Answer(429, {"message": "Executing database migrations. Please retry later."}, {"Retry-After": str(int(fault.seconds))}),
            "500": message(500, "500 Internal Server Error"),
            "502": Answer(502, b"<html><head><title>502 Bad Gateway</title></head></html>", {"Content-Type": "text/html"}),
            "503": Answer(503, b"upstream not available", {"Content-Type": "text/plain"}),
            "garbage": Answer(200, b"\x00\xff{[not json" * 50, {"Content-Type": "application/json"}),
        }
        if fault.kind == "short-page":
            answer = self.answer(request)
            if isinstance(answer.body, list):
                answer.body = answer.body[:len(answer.body) // 2]
                answer.headers.pop("Link", None)
            return answer
        return fixed.get(fault.kind)

    def hang(self, seconds: float) -> None:
        """Says nothing for so long, or until the server closes."""
        self._stop.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


def _handler(gitlab: GitLab) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            at = gitlab.state.clock()
            parsed = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = parsed.path.removeprefix("/api/v4").removeprefix("/api") if parsed.path.startswith("/api") else "/unknown" + parsed.path
            headers = {name.lower(): value for name, value in self.headers.items()}
            base = f"http://{headers.get('host', '')}"
            request = Request(self.command, path, urllib.parse.parse_qs(parsed.query), headers, body, base)
            fault = gitlab.faults.take(request.method, request.path)
            answer = gitlab.answer(request) if fault is None or fault.kind == "truncated" else gitlab.faulty(fault, request)
            kind = "" if fault is None else fault.kind
            gitlab.note(request, answer or Answer(0), kind, at)
            if answer is None:
                if fault is not None and fault.kind == "hang":
                    gitlab.hang(fault.seconds)
                self._hang_up()
                return
            self._send(answer, truncate=kind == "truncated")

        def _send(self, answer: Answer, *, truncate: bool) -> None:
            raw = answer.body if isinstance(answer.body, bytes) else b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            headers = {"Content-Type": "application/json"} | answer.headers
            if answer.status != 204:
                headers["Content-Length"] = str(len(raw))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw[:len(raw) // 2] if truncate else raw)
            if truncate:
                self.wfile.flush()
                self._hang_up()

        def _hang_up(self) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """The journal is the log."""

    return Handler
