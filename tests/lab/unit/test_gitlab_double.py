"""The GitLab double keeps GitLab's rules: what its clients are tested against must itself be tested."""

import csv
import http.client
import json
import pathlib
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from gitlab import GitLab, Group, Project, Runner
from gitlab.match import eligible
from harness.wait import wait_for

REPOSITORY = pathlib.Path(__file__).parents[3]
READ = {"PRIVATE-TOKEN": "glpat-lab-read-api"}
TOKEN = "glrt-t2_lab-runner-token"


class Clock:
    """Time as the test wants it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Stands still unless moved."""
    return Clock()


@pytest.fixture
def gitlab(clock: Clock) -> Iterator[GitLab]:
    """A server on localhost."""
    server = GitLab(clock=clock)
    yield server
    server.close()


def call(gitlab: GitLab, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], Any]:
    """Status, headers in lower case, body (parsed when it is JSON)."""
    raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(gitlab.base + "/api/v4" + path, raw, headers or {}, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = answer.read()
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        return answer.status, {name.lower(): content for name, content in answer.headers.items()}, value


def request_job(gitlab: GitLab, system_id: str = "r_0a1b2c3d4e5f", **more: object) -> tuple[int, dict[str, str], Any]:
    """`POST /jobs/request` as a runner."""
    return call(gitlab, "POST", "/jobs/request", {"token": TOKEN, "system_id": system_id, "info": {}, **more}, {"RUNNER-TOKEN": TOKEN})


def test_queue_listing(gitlab: GitLab, clock: Clock) -> None:
    """Newest first, filtered by scope, with the keys that are there and without those that are not."""
    first, second = gitlab.queue("one", tags=["docker"]), gitlab.queue("two")
    gitlab.state.finish(gitlab.queue("old"), "failed", "script_failure")
    clock.now += 5
    status, _, rows = call(gitlab, "GET", "/projects/4/jobs?scope[]=pending&scope[]=running", headers=READ)
    assert status == 200
    assert [row["id"] for row in rows] == [second.id, first.id]
    row = rows[1]
    assert row["tag_list"] == ["docker"] and row["queued_duration"] == 5 and row["pipeline"]["project_id"] == 4
    assert row["runner"] is None and row["runner_manager"] is None
    assert not {"failure_reason", "queued_at", "protected"} & set(row) and "id" not in row["project"]
    assert call(gitlab, "GET", "/projects/4/jobs?scope=nonsense", headers=READ)[0] == 400
    assert call(gitlab, "GET", "/projects/acme%2Fapp/jobs", headers=READ)[0] == 200
    assert call(gitlab, "GET", "/projects/5/jobs", headers=READ)[::2] == (404, {"message": "404 Project Not Found"})


def test_keyset_pages(gitlab: GitLab) -> None:
    """Link leads through all pages, and the last has none; offset pages tell no totals."""
    jobs = [gitlab.queue(f"job {number}").id for number in range(7)]
    path, seen = "/projects/4/jobs?pagination=keyset&per_page=3&order_by=id&sort=desc&scope[]=pending", []
    for _ in range(3):
        _, headers, rows = call(gitlab, "GET", path, headers=READ)
        seen += [row["id"] for row in rows]
        path = headers.get("link", "").partition(">")[0].removeprefix("<" + gitlab.base + "/api/v4")
    assert seen == sorted(jobs, reverse=True) and path == ""
    _, headers, rows = call(gitlab, "GET", "/projects/4/jobs?per_page=3", headers=READ)
    assert len(rows) == 3 and "x-total" not in headers and 'rel="last"' not in headers["link"]


def test_tokens(gitlab: GitLab) -> None:
    """Missing, unknown, revoked, expired, too small: each with its own answer."""
    gitlab.tokens |= {"gone": "revoked", "late": "expired"}
    assert call(gitlab, "GET", "/projects/4/jobs")[::2] == (401, {"message": "401 Unauthorized"})
    assert call(gitlab, "GET", "/user", headers={"Authorization": "Bearer glpat-lab-read-api"})[0] == 200
    assert "revoked" in call(gitlab, "GET", "/user", headers={"PRIVATE-TOKEN": "gone"})[2]["error_description"]
    assert "expired" in call(gitlab, "GET", "/user", headers={"PRIVATE-TOKEN": "late"})[2]["error_description"]
    status, _, body = call(gitlab, "POST", "/projects/4/jobs/1/retry", headers=READ)
    assert (status, body["error"], body["scope"]) == (403, "insufficient_scope", "api")
    assert call(gitlab, "POST", "/runners/verify", {"token": "wrong"})[::2] == (403, {"message": "403 Forbidden"})


def test_application_limit(gitlab: GitLab, clock: Clock) -> None:
    """600 a minute over all projects, even those one may not see; without any header of its own."""
    gitlab.jobs_per_minute, gitlab.rack_attack_headers = 2, False
    assert [call(gitlab, "GET", f"/projects/{number}/jobs", headers=READ)[0] for number in (4, 99)] == [200, 404]
    status, headers, body = call(gitlab, "GET", "/projects/4/jobs", headers=READ)
    assert status == 429 and "requested too many times" in body["message"]["error"]
    assert not [name for name in headers if name.startswith(("ratelimit", "retry"))]
    clock.now += 60
    assert call(gitlab, "GET", "/projects/4/jobs", headers=READ)[0] == 200


def test_faults(gitlab: GitLab) -> None:
    """Every fault is what it says, for its path and its number of times."""
    gitlab.queue("one")
    gitlab.queue("two")
    gitlab.faults.add("429-rack", "^/projects", times=1, seconds=30)
    status, headers, body = call(gitlab, "GET", "/projects/4/jobs", headers=READ)
    assert (status, body, headers["retry-after"], headers["ratelimit-remaining"]) == (429, b"Retry later\n", "30", "0")
    assert headers["ratelimit-resettime"].endswith("GMT")
    gitlab.faults.add("truncated", "^/projects", times=1)
    with pytest.raises(http.client.IncompleteRead):
        call(gitlab, "GET", "/projects/4/jobs", headers=READ)
    gitlab.faults.add("garbage", "^/projects", times=1)
    assert isinstance(call(gitlab, "GET", "/projects/4/jobs", headers=READ)[2], bytes)
    gitlab.faults.add("short-page", "^/projects", times=1)
    assert len(call(gitlab, "GET", "/projects/4/jobs", headers=READ)[2]) == 1
    gitlab.faults.add("hang", "^/projects", times=1, seconds=0.3)
    started = time.monotonic()
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        call(gitlab, "GET", "/projects/4/jobs", headers=READ)
    assert time.monotonic() - started >= 0.3
    gitlab.faults.add("502", times=-1)
    assert call(gitlab, "GET", "/version", headers=READ)[0] == 502
    gitlab.faults.clear()
    gitlab.unknown_fields = True
    assert "invented_in_20_0" in call(gitlab, "GET", "/projects/4/jobs", headers=READ)[2][0]["pipeline"]
    gitlab.unknown_fields, gitlab.old_server = False, True
    assert not {"source", "archived"} & set(call(gitlab, "GET", "/projects/4/jobs", headers=READ)[2][0])


def test_group_projects(gitlab: GitLab) -> None:
    """Only the right query finds exactly the projects that a group's runner serves."""
    gitlab.state.groups |= {10: Group(10, "acme/sub", 9), 11: Group(11, "other")}
    gitlab.state.projects |= {5: Project(5, "acme/sub/b", 10), 6: Project(6, "acme/old", 9, archived=True), 7: Project(7, "other/c", 11, shared_into=[9])}
    ids = {query: sorted(row["id"] for row in call(gitlab, "GET", f"/groups/9/projects?{query}", headers=READ)[2])
           for query in ("", "include_subgroups=true&with_shared=false&archived=false")}
    assert ids == {"": [4, 6, 7], "include_subgroups=true&with_shared=false&archived=false": [4, 5]}


MATCHING = [row for row in csv.DictReader((REPOSITORY / "tests/recorded/matching.csv").open()) if row["protected"] != "unknown"]


@pytest.mark.parametrize("row", MATCHING, ids=lambda row: row["case"])
def test_matching(gitlab: GitLab, row: dict[str, str]) -> None:
    """The table that everyone who implements GitLab's rule is held to; here it is always known whether a ref is protected."""
    projects = {path: 200 + at for at, path in enumerate(sorted({other["project"] for other in MATCHING}))}
    groups = {path: 100 + at for at, path in enumerate(sorted({path.rpartition("/")[0] for path in projects}))}
    gitlab.state.groups |= {at: Group(at, path, groups.get(path.rpartition("/")[0])) for path, at in groups.items()}
    gitlab.state.projects |= {at: Project(at, path, groups[path.rpartition("/")[0]]) for path, at in projects.items()}
    kind, *scope = row["scope"].split()
    ids = groups if kind == "group" else projects
    runner = Runner(
        7, "t", kind={"everything": "instance_type", "projects": "project_type", "group": "group_type"}[kind], scope=[ids[path] for path in scope],
        tags=row["runner_tags"].split(), run_untagged=row["run_untagged"] == "yes", paused=row["paused"] == "yes",
        access_level="ref_protected" if row["protected_only"] == "yes" else "not_protected",
    )
    job = gitlab.queue("job", project=projects[row["project"]], tags=row["job_tags"].split(), protected=row["protected"] == "yes")
    assert eligible(gitlab.state, runner, job) is (row["taken"] == "yes")


@pytest.mark.parametrize("taken", [{"runner": 6}, {"status": "running"}])
def test_a_job_that_somebody_has_is_not_handed_out(gitlab: GitLab, taken: dict[str, Any]) -> None:
    """Neither a claimed job nor a running one."""
    assert eligible(gitlab.state, gitlab.runner, gitlab.queue("free"))
    assert not eligible(gitlab.state, gitlab.runner, gitlab.queue("job", **taken))


def test_one_job_one_worker(gitlab: GitLab) -> None:
    """Ten workers race for one job: one has it, GitLab knows who."""
    job = gitlab.queue("wanted", "date")
    answers: list[tuple[int, Any]] = []

    def ask(number: int) -> None:
        status, _, body = request_job(gitlab, f"r_00000000000{number}")
        answers.append((status, body))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [201] + [204] * 9
    payload = next(body for status, body in answers if status == 201)
    assert payload["id"] == job.id and payload["steps"][0]["script"] == ["date"] and payload["job_info"]["queue_size"] == 0
    row = call(gitlab, "GET", "/projects/4/jobs", headers=READ)[2][0]
    assert row["status"] == "running" and row["runner"]["id"] == 6 and row["runner_manager"]["system_id"] == job.manager
    mine = call(gitlab, "GET", f"/runners/6/jobs?status=running&system_id={job.manager}", headers=READ)[2]
    assert mine[0]["project"]["id"] == 4 and "tag_list" not in mine[0]


def test_long_poll(gitlab: GitLab) -> None:
    """Held while nothing changes; released without a job when something does; then the next request has it."""
    gitlab.runners.hold_s = 5.0
    status, headers, _ = request_job(gitlab)
    seen = headers["x-gitlab-last-update"]
    assert status == 204 and "gitlab-ci-builds-polling" not in headers
    threading.Timer(0.3, gitlab.queue, args=("late",)).start()
    started = time.monotonic()
    status, headers, _ = request_job(gitlab, last_update=seen)
    assert status == 204 and 0.2 < time.monotonic() - started < 3
    assert headers["gitlab-ci-builds-polling"] == "yes" and "x-gitlab-last-update" not in headers
    assert request_job(gitlab, last_update=seen)[0] == 201
    gitlab.runners.hold_s = 0.1
    assert request_job(gitlab, last_update=gitlab.runner.last_update)[0] == 204


def test_job_updates(gitlab: GitLab) -> None:
    """Trace in order, checksum held, last word once; afterwards 403 with the status."""
    job = gitlab.queue("job")
    assert request_job(gitlab)[0] == 201
    token = {"JOB-TOKEN": job.token}
    assert call(gitlab, "PUT", f"/jobs/{job.id}", {"token": job.token, "state": "running"}, token)[::2] == (200, 200)
    assert call(gitlab, "PATCH", f"/jobs/{job.id}/trace", b"hello", token)[0] == 400
    status, headers, _ = call(gitlab, "PATCH", f"/jobs/{job.id}/trace", b"hello", token | {"Content-Range": "0-4"})
    assert (status, headers["range"], headers["job-status"]) == (202, "0-5", "running")
    status, headers, _ = call(gitlab, "PATCH", f"/jobs/{job.id}/trace", b"gap", token | {"Content-Range": "9-11"})
    assert (status, headers["range"]) == (416, "0-5")
    assert call(gitlab, "PUT", f"/jobs/{job.id}", {"token": "wrong", "state": "success"})[0] == 403
    assert call(gitlab, "PUT", f"/jobs/{job.id}", {"token": job.token, "state": "success", "checksum": "crc32:00000000"}, token)[0] == 412
    assert call(gitlab, "PUT", f"/jobs/{job.id}", {"token": job.token, "state": "success", "checksum": "crc32:3610a686"}, token)[0] == 200
    status, headers, body = call(gitlab, "PUT", f"/jobs/{job.id}", {"token": job.token, "state": "failed"}, token)
    assert (status, headers["job-status"]) == (403, "success") and "not processing" in body["message"]
    assert job.status == "success" and bytes(job.trace) == b"hello"


def test_two_phase_commit(gitlab: GitLab, clock: Clock) -> None:
    """With the flag on: claimed and pending, invisible to others, running at the ack, failed and retried without one."""
    gitlab.state.two_phase = True
    job = gitlab.queue("job")
    assert request_job(gitlab)[0] == 201
    row = call(gitlab, "GET", "/projects/4/jobs?scope[]=pending", headers=READ)[2][0]
    assert row["status"] == "pending" and row["runner"]["id"] == 6 and row["runner_manager"] is None
    assert request_job(gitlab, "r_000000000002")[0] == 204
    assert call(gitlab, "PUT", f"/jobs/{job.id}", {"token": job.token, "state": "success"})[0] == 400
    assert call(gitlab, "PUT", f"/jobs/{job.id}", {"token": job.token, "state": "running"})[0] == 200
    assert job.status == "running" and job.manager == "r_0a1b2c3d4e5f"
    lost = gitlab.queue("lost")
    assert request_job(gitlab)[0] == 201
    clock.now += 121
    call(gitlab, "GET", "/version", headers=READ)
    assert lost.failure_reason == "runner_provisioning_timeout" and [item.status for item in gitlab.jobs()][-1] == "pending"


def test_claimed_elsewhere(gitlab: GitLab, clock: Clock) -> None:
    """A claim that its worker keeps alive is no demand, for however long a case lasts."""
    kept = gitlab.queue_claimed("kept")
    for _ in range(3):
        clock.now += 121
        call(gitlab, "GET", "/version", headers=READ)
    assert kept.status == "pending" and kept.waiting_manager is not None and gitlab.jobs() == [kept]


def test_manager_rows(gitlab: GitLab, clock: Clock) -> None:
    """Verify and requests make rows; deleting one is done once; a week of silence deletes it as well."""
    call(gitlab, "POST", "/runners/verify", {"token": TOKEN, "system_id": "s_manager00000"})
    request_job(gitlab)
    assert [row["system_id"] for row in call(gitlab, "GET", "/runners/6/managers", headers=READ)[2]] == ["s_manager00000", "r_0a1b2c3d4e5f"]
    body = {"token": TOKEN, "system_id": "r_0a1b2c3d4e5f"}
    assert call(gitlab, "DELETE", "/runners/managers", body)[0] == 204
    assert call(gitlab, "DELETE", "/runners/managers", body)[::2] == (404, {"message": "404 Runner manager not found Not Found"})
    assert call(gitlab, "DELETE", "/runners/managers", {"token": TOKEN})[0] == 400
    clock.now += 8 * 24 * 3600
    call(gitlab, "GET", "/version", headers=READ)
    assert gitlab.managers() == []


def test_rules_of_hours(gitlab: GitLab, clock: Clock) -> None:
    """Offline after two hours; then an hour in the queue is the end; a silent running job ends after an hour."""
    call(gitlab, "POST", "/runners/verify", {"token": TOKEN, "system_id": "s_manager00000"})
    silent = gitlab.queue("silent")
    request_job(gitlab)
    waiting = gitlab.queue("waiting")
    clock.now += 3601
    assert call(gitlab, "GET", "/runners/6", headers=READ)[2]["status"] == "online"
    assert silent.failure_reason == "stuck_or_timeout_failure" and waiting.status == "pending"
    clock.now += 3601
    assert call(gitlab, "GET", "/runners/6", headers=READ)[2]["status"] == "offline"
    assert waiting.failure_reason == "stuck_or_timeout_failure"


def test_verify_that_does_not_count(gitlab: GitLab) -> None:
    """Some releases do not take verify of a created runner as a contact."""
    gitlab.state.verify_heartbeats = False
    assert call(gitlab, "POST", "/runners/verify", {"token": TOKEN, "system_id": "s_manager00000"})[0] == 200
    assert call(gitlab, "GET", "/runners/6", headers=READ)[2]["contacted_at"] is None


def test_retry(gitlab: GitLab) -> None:
    """A new job with a new id; the old one can be retried once."""
    gitlab.tokens["api"] = "api"
    job = gitlab.queue("job")
    gitlab.state.finish(job, "failed", "runner_system_failure")
    status, _, body = call(gitlab, "POST", f"/projects/4/jobs/{job.id}/retry", headers={"PRIVATE-TOKEN": "api"})
    assert status == 201 and body["id"] != job.id and body["status"] == "pending"
    assert call(gitlab, "POST", f"/projects/4/jobs/{job.id}/retry", headers={"PRIVATE-TOKEN": "api"})[0] == 403


def test_a_claim_survives_its_client(gitlab: GitLab) -> None:
    """A worker that hangs up between commit and answer has lost the job: it stays running, for nobody."""
    gitlab.runners.claim_delay_s = 0.2
    job = gitlab.queue("job")
    body = json.dumps({"token": TOKEN, "system_id": "r_0a1b2c3d4e5f"})
    with socket.create_connection(("127.0.0.1", int(gitlab.base.rsplit(":", 1)[1]))) as connection:
        connection.sendall(f"POST /api/v4/jobs/request HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        wait_for("the claim is committed", lambda: job.handed_to, 5, every=0.01)
    wait_for("the answer to nobody", lambda: [entry.note for entry in gitlab.journal if entry.status == 201] == [f"job {job.id}"], 5)
    assert job.status == "running"
