"""The public API, for a user's token: queue, projects, runners, retry."""

import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from gitlab import entities, match
from gitlab.state import Project, Runner, State
from gitlab.wire import Answer, Request, message

STATUSES = frozenset({
    "created", "pending", "running", "success", "failed", "canceled", "skipped", "manual", "scheduled", "preparing",
    "waiting_for_resource", "waiting_for_callback", "canceling",
})

Handler = Callable[["UserSide", Request, re.Match[str]], Answer]


class UserSide:
    """Answers for the token of one user; roles are those of an administrator of the group."""

    def __init__(self, state: State) -> None:
        """Reads and changes this state."""
        self.state = state
        self.graphql_allowed = False
        self.cursors = 0

    def answer(self, request: Request) -> Answer | None:
        """The answer, or None when this is not an endpoint of the public API."""
        for method, pattern, handler in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                with self.state.lock:
                    return handler(self, request, found)
        return None

    def jobs(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /projects/:id/jobs`."""
        project = self._project(found[1])
        if project is None:
            return message(404, "404 Project Not Found")
        scope = request.several("scope")
        if not set(scope) <= STATUSES:
            return Answer(400, {"error": "scope does not have a valid value"})
        rows = [job for job in self.state.jobs.values() if job.project == project.id and (not scope or job.status in scope)]
        rows.sort(key=lambda job: job.id, reverse=True)
        return self._page(request, [entities.job(self.state, job) for job in rows])

    def project(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /projects/:id`."""
        project = self._project(found[1])
        return message(404, "404 Project Not Found") if project is None else Answer(200, entities.project(project, simple=False))

    def projects(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /projects`."""
        rows = [item for item in self.state.projects.values() if not (request.first("archived") == "false" and item.archived)]
        return self._page(request, [entities.project(item, simple=request.first("simple") == "true") for item in rows])

    def group_projects(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /groups/:id/projects`: shared-in and archived ones are there unless the query says otherwise."""
        group = self._group(found[1])
        if group is None:
            return message(404, "404 Group Not Found")
        deep, shared = request.first("include_subgroups") == "true", request.first("with_shared", "true") == "true"
        rows = []
        for item in self.state.projects.values():
            inside = group in match.ancestors(self.state, item.group) if deep else item.group == group
            if (inside or (shared and group in item.shared_into)) and not (request.first("archived") == "false" and item.archived):
                rows.append(entities.project(item, simple=request.first("simple") == "true"))
        return self._page(request, rows)

    def group(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /groups/:id`."""
        number = self._group(found[1])
        if number is None:
            return message(404, "404 Group Not Found")
        group = self.state.groups[number]
        return Answer(200, {"id": group.id, "name": group.path, "path": group.path, "full_path": group.path, "parent_id": group.parent})

    def runner(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /runners/:id`."""
        runner = self._runner(found[1])
        if runner is None:
            return message(404, "404 Runner Not Found")
        return Answer(200, entities.runner_details(self.state, runner, with_projects=request.first("include_projects", "true") == "true"))

    def managers(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /runners/:id/managers`: never paginated."""
        runner = self._runner(found[1])
        if runner is None:
            return message(404, "404 Runner Not Found")
        return Answer(200, [entities.manager(self.state, row) for row in runner.managers.values()])

    def runner_jobs(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /runners/:id/jobs`."""
        runner = self._runner(found[1])
        if runner is None:
            return message(404, "404 Runner Not Found")
        status, system_id = request.first("status"), request.first("system_id")
        rows = [job for job in self.state.jobs.values() if job.runner == runner.id
                and (not status or job.status == status) and (not system_id or job.manager == system_id)]
        rows.sort(key=lambda job: job.id, reverse=True)
        return self._page(request, [entities.job_of_runner(self.state, job) for job in rows])

    def runner_projects(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /runners/:id/projects`."""
        runner = self._runner(found[1])
        if runner is None:
            return message(404, "404 Runner Not Found")
        mine = runner.scope if runner.kind == "project_type" else []
        return self._page(request, [entities.project(self.state.projects[number], simple=True) for number in mine])

    def protected(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /projects/:id/protected_branches` and `protected_tags`."""
        project = self._project(found[1])
        if project is None:
            return message(404, "404 Project Not Found")
        names = project.protected_branches if found[2] == "branches" else []
        return self._page(request, [{"id": number, "name": name} for number, name in enumerate(names, 1)])

    def job(self, request: Request, found: re.Match[str]) -> Answer:
        """`GET /projects/:id/jobs/:job_id`."""
        job = self.state.jobs.get(int(found[2]))
        return message(404, "404 Not found") if job is None else Answer(200, entities.job(self.state, job))

    def retry(self, request: Request, found: re.Match[str]) -> Answer:
        """`POST /projects/:id/jobs/:job_id/retry`."""
        job = self.state.jobs.get(int(found[2]))
        if job is None:
            return message(404, "404 Not found")
        if job.retried or not job.finished():
            return message(403, "403 Forbidden - Job is not retryable")
        return Answer(201, entities.job(self.state, self.state.retry(job)))

    def cancel(self, request: Request, found: re.Match[str]) -> Answer:
        """`POST /projects/:id/jobs/:job_id/cancel`: a running job is told through its next update."""
        job = self.state.jobs.get(int(found[2]))
        if job is None:
            return message(404, "404 Not found")
        if job.status == "running":
            job.move("canceling", self.state.clock())
        elif not job.finished():
            self.state.finish(job, "canceled")
        return Answer(201, entities.job(self.state, job))

    def graphql(self, request: Request, found: re.Match[str]) -> Answer:
        """The one-request queue; refused unless the test allows it, as to everyone but administrators."""
        variables = request.json().get("variables") or {}
        query = str(request.json().get("query", ""))
        if not self.graphql_allowed:
            refusal = "The resource that you are attempting to access does not exist or you don't have permission to perform this action"
            return Answer(200, {"data": {"jobs": None}, "errors": [{"message": refusal, "path": ["jobs"]}]})
        numbers = re.findall(r"Ci::Runner/(\d+)", query + str(variables))
        runner = self.state.runners.get(int(numbers[0])) if numbers else None
        rows = [job for job in self.state.jobs.values() if runner is not None and match.eligible(self.state, runner, job)]
        nodes = [{"id": f"gid://gitlab/Ci::Build/{job.id}", "name": job.name, "tags": job.tags, "queuedAt": entities.iso(job.queued_at), "refName": job.ref, "runner": None,
                  "queuedDuration": self.state.clock() - job.queued_at, "status": "PENDING",
                  "project": {"id": f"gid://gitlab/Project/{job.project}", "fullPath": self.state.projects[job.project].path},
                  "pipeline": {"id": f"gid://gitlab/Ci::Pipeline/{job.pipeline}"}} for job in rows]
        return Answer(200, {"data": {"jobs": {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": nodes}}})

    def who(self, request: Request, found: re.Match[str]) -> Answer:
        """Small endpoints by which a client looks at itself and at the server."""
        if found[1] == "user":
            return Answer(200, entities.USER)
        if found[1] == "personal_access_tokens/self":
            return Answer(200, {"id": 1, "name": "fleet", "revoked": False, "active": True, "scopes": ["read_api"], "user_id": 1, "expires_at": None})
        return Answer(200, {"version": "18.9.0-ee", "revision": "0ff3ae19", "enterprise": True})

    def _page(self, request: Request, rows: list[dict[str, Any]]) -> Answer:
        """One page: keyset with a Link to the next and none on the last; offset without any total."""
        size = min(request.number("per_page", 20), 100)
        if request.first("pagination") != "keyset":
            page = request.number("page", 1)
            start = (page - 1) * size
            more = start + size < len(rows)
            headers = {"X-Page": str(page), "X-Per-Page": str(size), "X-Next-Page": str(page + 1) if more else ""}
            if more:
                headers["Link"] = self._link(request, {"page": str(page + 1)})
            return Answer(200, rows[start:start + size], headers)
        after = request.first("cursor") or request.first("id_after")
        if after:
            ids = [str(row["id"]) for row in rows]
            rows = rows[ids.index(after) + 1:] if after in ids else []
        page_rows, rest = rows[:size], rows[size:]
        return Answer(200, page_rows, {"Link": self._link(request, {"cursor": str(page_rows[-1]["id"])})} if rest else {})

    def _link(self, request: Request, change: dict[str, str]) -> str:
        query = {name: values for name, values in request.query.items() if name not in change} | {name: [value] for name, value in change.items()}
        return f'<{request.base}/api/v4{request.path}?{urllib.parse.urlencode(query, doseq=True)}>; rel="next"'

    def _project(self, reference: str) -> Project | None:
        name = urllib.parse.unquote(reference)
        return next((item for item in self.state.projects.values() if name in (str(item.id), item.path)), None)

    def _group(self, reference: str) -> int | None:
        name = urllib.parse.unquote(reference)
        return next((item.id for item in self.state.groups.values() if name in (str(item.id), item.path)), None)

    def _runner(self, reference: str) -> Runner | None:
        return self.state.runners.get(int(reference))


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", r"/projects", UserSide.projects),
    ("GET", r"/projects/([^/]+)", UserSide.project),
    ("GET", r"/projects/([^/]+)/jobs", UserSide.jobs),
    ("GET", r"/projects/([^/]+)/protected_(branches|tags)", UserSide.protected),
    ("GET", r"/projects/([^/]+)/jobs/(\d+)", UserSide.job),
    ("POST", r"/projects/([^/]+)/jobs/(\d+)/retry", UserSide.retry),
    ("POST", r"/projects/([^/]+)/jobs/(\d+)/cancel", UserSide.cancel),
    ("GET", r"/groups/([^/]+)", UserSide.group),
    ("GET", r"/groups/([^/]+)/projects", UserSide.group_projects),
    ("GET", r"/runners/(\d+)", UserSide.runner),
    ("GET", r"/runners/(\d+)/managers", UserSide.managers),
    ("GET", r"/runners/(\d+)/jobs", UserSide.runner_jobs),
    ("GET", r"/runners/(\d+)/projects", UserSide.runner_projects),
    ("POST", r"/graphql", UserSide.graphql),
    ("GET", r"/(user|version|metadata|personal_access_tokens/self)", UserSide.who),
]
