"""What GitLab answers an owner who makes runners and tokens: the endpoints of the documents, beside the lab's double.

Parameters that GitLab does not know are refused: it would ignore them, and a document with a typing error would pass.
"""

import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from gitlab import GitLab, entities
from gitlab.state import Runner
from gitlab.user_side import UserSide
from gitlab.wire import Answer, Request, message

#: doc/api/users.md, "Create a runner linked to a user".
NEW_RUNNER = {
    "runner_type",
    "group_id",
    "project_id",
    "description",
    "paused",
    "locked",
    "run_untagged",
    "tag_list",
    "access_level",
    "maximum_timeout",
    "maintenance_note",
}
#: doc/api/group_access_tokens.md, "Create a group access token".
NEW_TOKEN = {"name", "description", "scopes[]", "access_level", "expires_at"}
#: doc/api/repository_files.md, "Create a file in a repository".
NEW_FILE = {"branch", "content", "commit_message", "encoding", "author_email", "author_name", "start_branch"}
#: doc/api/runners.md, "Update details of a runner".
CHANGED_RUNNER = {
    "description",
    "paused",
    "tag_list",
    "run_untagged",
    "locked",
    "access_level",
    "maximum_timeout",
    "maintenance_note",
}
#: An owner's own token, scope `api`.
OWNER = "glpat-road-owner"

Handler = Callable[["Administration", dict[str, str], re.Match[str]], Answer]


class Administration(UserSide):
    """The public API with what an owner may change."""

    def __init__(self, gitlab: GitLab) -> None:
        """Takes the place of the lab's own user side."""
        super().__init__(gitlab.state)
        self._gitlab = gitlab
        gitlab.users = self
        gitlab.tokens[OWNER] = "api"
        #: Group tokens that were made, by id: what was asked for, and whether it still counts.
        self.group_tokens: dict[int, dict[str, Any]] = {}
        #: Files that were committed, by path.
        self.files: dict[str, str] = {}

    def answer(self, request: Request) -> Answer | None:
        """Ours first."""
        for method, pattern, known, handler in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                fields = _fields(request)
                strange = sorted(set(fields) - known)
                if strange:
                    return Answer(400, {"error": f"unknown parameters: {', '.join(strange)}"})
                with self.state.lock:
                    return handler(self, fields, found)
        return super().answer(request)

    def new_runner(self, fields: dict[str, str], found: re.Match[str]) -> Answer:
        """`POST /user/runners`."""
        kind = fields.get("runner_type", "")
        scope = {"group_type": "group_id", "project_type": "project_id", "instance_type": None}.get(kind, "")
        if scope == "" or (scope is not None and not fields.get(scope, "").isdigit()):
            return Answer(
                400, {"error": "runner_type does not have a valid value, or its group_id or project_id is missing"}
            )
        places = [] if scope is None else [int(fields[scope])]
        tags = [tag for tag in fields.get("tag_list", "").split(",") if tag]
        untagged = fields.get("run_untagged", "true") == "true"
        if not tags and not untagged:
            return message(400, {"tags_list": ["can not be empty when runner is not allowed to pick untagged jobs"]})
        number = next(self.state.ids)
        prefix = {"instance_type": "t1", "group_type": "t2", "project_type": "t3"}[kind]
        runner = Runner(
            number,
            f"glrt-{prefix}_road-{number}",
            kind=kind,
            scope=places,
            tags=tags,
            run_untagged=untagged,
            paused=fields.get("paused") == "true",
        )
        self.state.runners[number] = runner
        return Answer(201, {"id": number, "token": runner.token, "token_expires_at": None})

    def change_runner(self, fields: dict[str, str], found: re.Match[str]) -> Answer:
        """`PUT /runners/:id`."""
        runner = self.state.runners.get(int(found[1]))
        if runner is None:
            return message(404, "404 Not Found")
        if "tag_list" in fields:
            runner.tags = [tag for tag in fields["tag_list"].split(",") if tag]
        runner.run_untagged = fields.get("run_untagged", str(runner.run_untagged)).lower() == "true"
        runner.paused = fields.get("paused", str(runner.paused)).lower() == "true"
        return Answer(200, entities.runner_details(self.state, runner, with_projects=False))

    def delete_runner(self, fields: dict[str, str], found: re.Match[str]) -> Answer:
        """`DELETE /runners/:id`."""
        return Answer(204) if self.state.runners.pop(int(found[1]), None) else message(404, "404 Not Found")

    def new_token(self, fields: dict[str, str], found: re.Match[str]) -> Answer:
        """`POST /groups/:id/access_tokens`."""
        if not {"name", "scopes[]"} <= set(fields):
            return Answer(400, {"error": "name is missing, scopes is missing"})
        number = next(self.state.ids)
        value = f"glpat-road-{number}"
        self.group_tokens[number] = {
            "scope": fields["scopes[]"],
            "access_level": int(fields.get("access_level", "40")),
            "revoked": False,
        }
        self._gitlab.tokens[value] = fields["scopes[]"]
        return Answer(201, {"id": number, "name": fields["name"], "scopes": [fields["scopes[]"]], "token": value})

    def revoke_token(self, fields: dict[str, str], found: re.Match[str]) -> Answer:
        """`DELETE /groups/:id/access_tokens/:token_id`."""
        number = int(found[2])
        if number not in self.group_tokens:
            return message(404, "404 Not Found")
        self.group_tokens[number]["revoked"] = True
        self._gitlab.tokens[f"glpat-road-{number}"] = "revoked"
        return Answer(204)

    def new_file(self, fields: dict[str, str], found: re.Match[str]) -> Answer:
        """`POST /projects/:id/repository/files/:path`: a commit, whose pipeline has one job for us."""
        path = urllib.parse.unquote(found[2])
        if not {"branch", "content", "commit_message"} <= set(fields):
            return Answer(400, {"error": "branch is missing, commit_message is missing, content is missing"})
        self.files[path] = fields["content"]
        project = self._project(found[1])
        if project is None:
            return message(404, "404 Project Not Found")
        self.state.add_job(project.id, "hello", ref=fields["branch"])
        return Answer(201, {"file_path": path, "branch": fields["branch"]})


def _fields(request: Request) -> dict[str, str]:
    """The form of a body."""
    return dict(urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True))


ROUTES: list[tuple[str, str, set[str], Handler]] = [
    ("POST", r"/user/runners", NEW_RUNNER, Administration.new_runner),
    ("PUT", r"/runners/(\d+)", CHANGED_RUNNER, Administration.change_runner),
    ("DELETE", r"/runners/(\d+)", set(), Administration.delete_runner),
    ("POST", r"/groups/([^/]+)/access_tokens", NEW_TOKEN, Administration.new_token),
    ("DELETE", r"/groups/([^/]+)/access_tokens/(\d+)", set(), Administration.revoke_token),
    ("POST", r"/projects/([^/]+)/repository/files/([^/]+)", NEW_FILE, Administration.new_file),
]
