"""The runner protocol: what a runner's token and a job's token may do (lib/api/ci/runner.rb and workhorse's long poll)."""

import re
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from gitlab import match
from gitlab.state import Job, Runner, State
from gitlab.wire import Answer, Request, message, too_many

#: lib/gitlab/application_rate_limiter.rb: `runner_jobs_request_api`, per token and minute.
REQUESTS_PER_MINUTE = 2000
#: Bodies of `POST /jobs/request` above this are refused by workhorse.
MAX_REQUEST_BODY = 32 * 1024
UPDATE_INTERVAL = {"X-GitLab-Trace-Update-Interval": "3"}

Handler = Callable[["RunnerSide", Request, re.Match[str]], Answer]


class RunnerSide:
    """Answers for the tokens of runners and jobs."""

    def __init__(self, state: State) -> None:
        """Reads and changes this state."""
        self.state = state
        self.hold_s = 50.0
        # Requests that are held right now.
        self.held = 0
        # Between the claim's commit and its answer: a worker that hangs up in between has lost a job.
        self.claim_delay_s = 0.0
        self.before_claim: Callable[[Runner, str], None] | None = None
        self.requests: Counter[tuple[str, int]] = Counter()
        self.violations: list[str] = []

    def answer(self, request: Request) -> Answer | None:
        """The answer, or None when this is not an endpoint of the runner protocol."""
        for method, pattern, handler in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return handler(self, request, found)
        return None

    def verify(self, request: Request, found: re.Match[str]) -> Answer:
        """`POST /runners/verify`: a heartbeat, and a manager's row for who asks."""
        body = request.json()
        with self.state.lock:
            runner = self.state.runner_by_token(str(body.get("token", "")))
            if runner is None:
                return message(403, "403 Forbidden")
            if runner.orphaned:
                return message(422, "Runner is orphaned")
            before = runner.contacted_at
            self.state.contact(runner, str(body.get("system_id") or "<legacy>"), _info(body))
            if not self.state.verify_heartbeats:
                runner.contacted_at = before
            return Answer(200, {"id": runner.id, "token": runner.token, "token_expires_at": None})

    def delete_manager(self, request: Request, found: re.Match[str]) -> Answer:
        """`DELETE /runners/managers`."""
        body = request.json() | {name: values[0] for name, values in request.query.items()}
        system_id = body.get("system_id")
        if not system_id:
            return Answer(400, {"error": "system_id is missing"})
        with self.state.lock:
            runner = self.state.runner_by_token(str(body.get("token", "")))
            if runner is None:
                return message(403, "403 Forbidden")
            if runner.managers.pop(str(system_id), None) is None:
                return message(404, "404 Runner manager not found Not Found")
            self.state.deleted_managers.append(str(system_id))
            return Answer(204)

    def delete_runner(self, request: Request, found: re.Match[str]) -> Answer:
        """`DELETE /runners`: the whole fleet's end. No part of the product may call it."""
        self.violations.append("DELETE /runners was called: it deletes the runner itself")
        with self.state.lock:
            runner = self.state.runner_by_token(str(request.json().get("token", "")))
            if runner is None:
                return message(403, "403 Forbidden")
            del self.state.runners[runner.id]
            return Answer(204)

    def job_request(self, request: Request, found: re.Match[str]) -> Answer:
        """`POST /jobs/request`: held while nothing changed, else a job or 204."""
        if len(request.body) > MAX_REQUEST_BODY:
            return Answer(413, b"")
        body = request.json()
        token, system_id = str(body.get("token", "")), str(body.get("system_id") or "<legacy>")
        if request.headers.get("runner-token") not in (None, token):
            self.violations.append("RUNNER-TOKEN differs from the body's token")
        with self.state.lock:
            runner = self.state.runner_by_token(token)
            if runner is None:
                return message(403, "403 Forbidden")
            bucket = (token, int(self.state.clock()) // 60)
            self.requests[bucket] += 1
            if self.requests[bucket] > REQUESTS_PER_MINUTE:
                return too_many()
            self.state.contact(runner, system_id, _info(body))
            seen = runner.last_update
            if body.get("last_update") == seen:
                return self._hold(runner, seen)
            headers = {"X-GitLab-Last-Update": seen}
            if self.before_claim is not None:
                self.before_claim(runner, system_id)
            job = match.next_job(self.state, runner)
            if job is None:
                return Answer(204, None, headers)
            self.state.claim(runner, job, system_id)
            payload = self._payload(runner, job, request.base)
        time.sleep(self.claim_delay_s)
        # No key with a job: the next request goes to Rails again, where more may wait.
        return Answer(201, payload)

    def _hold(self, runner: Runner, seen: str) -> Answer:
        """Workhorse: a change during the hold answers 204 as well, without a job and without a new key."""
        deadline = time.monotonic() + self.hold_s
        self.held += 1
        while runner.last_update == seen and time.monotonic() < deadline:
            self.state.lock.wait(deadline - time.monotonic())
        self.held -= 1
        return Answer(204, None, {"Gitlab-Ci-Builds-Polling": "yes"})

    def update(self, request: Request, found: re.Match[str]) -> Answer:
        """`PUT /jobs/:id`: acknowledgement, keep-alive, final word."""
        body = request.json()
        wanted = str(body.get("state", ""))
        with self.state.lock:
            job = self._job(found[1], str(body.get("token", "")))
            if job is None:
                return message(403, "403 Forbidden")
            if job.status == "pending" and job.waiting_manager is not None:
                return self._second_phase(job, wanted)
            if job.status not in ("running", "canceling"):
                return Answer(403, {"message": "403 Forbidden - Job is not processing on runner"}, {"Job-Status": job.status})
            job.updated_at = self.state.clock()
            self._heartbeat(job)
            if wanted in ("success", "failed"):
                checksum = str((body.get("output") or {}).get("checksum") or body.get("checksum") or "")
                if checksum and checksum != f"crc32:{zlib.crc32(bytes(job.trace)):08x}":
                    return Answer(412, b"412", {"Job-Status": job.status})
                canceled = job.status == "canceling"
                self.state.finish(job, "canceled" if canceled else wanted, str(body.get("failure_reason") or "unknown_failure"))
            elif wanted not in ("", "running"):
                return Answer(400, b"400", {"Job-Status": job.status})
            return Answer(200, b"200", {"Job-Status": job.status, **UPDATE_INTERVAL})

    def _second_phase(self, job: Job, wanted: str) -> Answer:
        if wanted == "running":
            self.state.acknowledge(job)
            return Answer(200, b"200", {"Job-Status": job.status, **UPDATE_INTERVAL})
        if wanted == "pending":
            self.state.keep_claim(job)
            return Answer(200, b"200", {"Job-Status": job.status})
        return Answer(400, b"400", {"Job-Status": job.status})

    def trace(self, request: Request, found: re.Match[str]) -> Answer:
        """`PATCH /jobs/:id/trace`: the next piece of the log, without gaps."""
        token = request.headers.get("job-token", "")
        with self.state.lock:
            job = self._job(found[1], token)
            if job is None:
                return message(403, "403 Forbidden")
            if job.status not in ("running", "canceling"):
                return Answer(403, {"message": "403 Forbidden - Job is not processing on runner"}, {"Job-Status": job.status})
            piece = re.fullmatch(r"(\d+)-(\d+)", request.headers.get("content-range", ""))
            if piece is None:
                return Answer(400, {"error": "400 Missing header Content-Range"})
            start = int(piece[1])
            if start > len(job.trace):
                return Answer(416, b"", {"Range": f"0-{len(job.trace)}"})
            del job.trace[start:]
            job.trace += request.body
            job.updated_at = self.state.clock()
            self._heartbeat(job)
            return Answer(202, b"", {"Range": f"0-{len(job.trace)}", "Job-Status": job.status, **UPDATE_INTERVAL})

    def _job(self, number: str, token: str) -> Job | None:
        job = self.state.jobs.get(int(number))
        return job if job is not None and job.token == token else None

    def _heartbeat(self, job: Job) -> None:
        runner = self.state.runners.get(job.runner or 0)
        if runner is not None and job.manager is not None:
            self.state.contact(runner, job.manager, {})

    def _payload(self, runner: Runner, job: Job, base: str) -> dict[str, Any]:
        """The job as the runner gets it."""
        now = self.state.clock()
        project = self.state.projects[job.project]
        return {
            "id": job.id, "token": job.token, "allow_git_fetch": False,
            "job_info": {"name": job.name, "stage": "test", "pipeline_id": job.pipeline, "project_id": job.project, "project_name": project.path.rsplit("/", 1)[-1],
                         "project_full_path": project.path, "namespace_id": project.group, "root_namespace_id": project.group, "user_id": 1,
                         "time_in_queue_seconds": now - job.queued_at, "queue_size": match.queue_size(self.state, runner), "queue_depth": 1,
                         "project_jobs_running_on_instance_runners_count": "0"},
            "git_info": {"repo_url": f"{base}/{project.path}.git", "ref": job.ref,
                         "sha": "0ff3ae198f8601a285adcf5c0fff204ee6fba5fd", "before_sha": "0" * 40, "ref_type": "branch", "protected": job.protected},
            "runner_info": {"timeout": 3600}, "variables": [_variable(key, value) for key, value in {"CI_JOB_ID": str(job.id), **job.variables}.items()],
            "steps": [{"name": "script", "script": job.script, "timeout": 3600, "when": "on_success", "allow_failure": False}],
            "image": {"name": job.image, "executor_opts": {"docker": {"user": job.user}} if job.user else {}}, "services": job.services,
            "artifacts": [], "cache": [], "credentials": [], "dependencies": [],
            "features": {"trace_sections": True, "failure_reasons": ["script_failure", "runner_system_failure", "job_execution_timeout", "runner_interrupted"]},
        }


def _variable(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": value, "public": True, "file": False, "raw": True}


def _info(body: dict[str, Any]) -> dict[str, object]:
    info = body.get("info")
    return info if isinstance(info, dict) else {}


ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", r"/runners/verify", RunnerSide.verify),
    ("DELETE", r"/runners/managers", RunnerSide.delete_manager),
    ("DELETE", r"/runners", RunnerSide.delete_runner),
    ("POST", r"/jobs/request", RunnerSide.job_request),
    ("PUT", r"/jobs/(\d+)", RunnerSide.update),
    ("PATCH", r"/jobs/(\d+)/trace", RunnerSide.trace),
]
