"""The JSON objects of the public API: lib/api/entities/ci/*.rb, with the keys that are there and without those that are not."""

from typing import Any

from gitlab.state import STALE_AFTER_S, Job, Manager, Project, Runner, State
from gitlab.wire import iso

USER = {"id": 1, "username": "root", "name": "Administrator", "state": "active", "avatar_url": None, "web_url": ""}


def job(state: State, item: Job) -> dict[str, Any]:
    """A job of `GET /projects/:id/jobs`: no `project.id`, no `queued_at`, no `protected`."""
    now = state.clock()
    runner = state.runners.get(item.runner) if item.runner is not None else None
    row = runner.managers.get(item.manager) if runner is not None and item.manager is not None else None
    waited = (item.started_at or now) - item.queued_at
    entity: dict[str, Any] = {
        "id": item.id, "status": item.status, "stage": "test", "name": item.name, "ref": item.ref, "tag": False,
        "coverage": None, "allow_failure": False, "archived": False, "source": "push",
        "created_at": iso(item.created_at), "started_at": iso(item.started_at), "finished_at": iso(item.finished_at),
        "erased_at": None, "duration": None if item.started_at is None else (item.finished_at or now) - item.started_at,
        "queued_duration": round(waited, 3), "user": USER,
        "commit": {"id": "0ff3ae198f8601a285adcf5c0fff204ee6fba5fd", "short_id": "0ff3ae19", "title": "Test", "created_at": iso(item.created_at)},
        "pipeline": {"id": item.pipeline, "iid": 1, "project_id": item.project, "sha": "0ff3ae198f8601a285adcf5c0fff204ee6fba5fd", "ref": item.ref,
                     "status": "running", "source": "push", "created_at": iso(item.created_at), "updated_at": iso(item.updated_at), "web_url": ""},
        "web_url": "", "project": {"ci_job_token_scope_enabled": False}, "artifacts": [], "artifacts_expire_at": None,
        "tag_list": list(item.tags), "runner": None if runner is None else runner_brief(state, runner),
        "runner_manager": None if row is None else manager(state, row),
    }
    if item.failure_reason is not None:
        entity["failure_reason"] = item.failure_reason
    return entity


def job_of_runner(state: State, item: Job) -> dict[str, Any]:
    """A job of `GET /runners/:id/jobs`: here `project.id` is present and `tag_list` is not."""
    entity = job(state, item)
    for key in ("tag_list", "runner", "runner_manager", "artifacts", "artifacts_expire_at", "archived", "source"):
        entity.pop(key, None)
    entity["project"] = project(state.projects[item.project], simple=True)
    return entity


def runner_status(state: State, runner: Runner) -> str:
    """online, offline, stale or never_contacted."""
    if runner.contacted_at is None:
        return "never_contacted"
    if state.online(runner):
        return "online"
    return "stale" if state.clock() - runner.contacted_at > STALE_AFTER_S else "offline"


def runner_brief(state: State, runner: Runner) -> dict[str, Any]:
    """As it stands inside a job or a list."""
    return {
        "id": runner.id, "description": "fleet", "ip_address": "", "active": not runner.paused, "paused": runner.paused,
        "is_shared": runner.kind == "instance_type", "runner_type": runner.kind, "name": None, "online": state.online(runner),
        "status": runner_status(state, runner), "job_execution_status": "idle",
    }


def runner_details(state: State, runner: Runner, *, with_projects: bool) -> dict[str, Any]:
    """`GET /runners/:id`; never the token."""
    groups = [state.groups[number] for number in runner.scope if number in state.groups] if runner.kind == "group_type" else []
    entity = runner_brief(state, runner) | {
        "tag_list": list(runner.tags), "run_untagged": runner.run_untagged, "locked": False, "maximum_timeout": None,
        "access_level": runner.access_level, "version": None, "revision": None, "platform": None, "architecture": None,
        "contacted_at": iso(runner.contacted_at), "maintenance_note": None, "created_by": {"id": 1, "username": "root"},
        "groups": [{"id": group.id, "web_url": "", "name": group.path} for group in groups],
    }
    if with_projects:
        mine = [state.projects[number] for number in runner.scope] if runner.kind == "project_type" else []
        entity["projects"] = [project(item, simple=True) for item in mine]
    return entity


def manager(state: State, row: Manager) -> dict[str, Any]:
    """A row of `GET /runners/:id/managers`."""
    fresh = state.clock() - row.contacted_at < 2 * 3600
    return {
        "id": row.id, "system_id": row.system_id, "version": row.version, "revision": "", "platform": "linux", "architecture": row.architecture,
        "created_at": iso(row.created_at), "contacted_at": iso(row.contacted_at), "ip_address": "", "status": "online" if fresh else "offline",
        "job_execution_status": "idle",
    }


def project(item: Project, *, simple: bool) -> dict[str, Any]:
    """A project, the long form with the switches that decide about runners."""
    name = item.path.rsplit("/", 1)[-1]
    entity: dict[str, Any] = {
        "id": item.id, "description": None, "name": name, "name_with_namespace": item.path.replace("/", " / "), "path": name,
        "path_with_namespace": item.path, "created_at": iso(0), "default_branch": "main", "topics": [], "web_url": "",
        "last_activity_at": iso(0), "namespace": {"id": item.group, "name": "g", "path": "g", "kind": "group", "full_path": item.path.rsplit("/", 1)[0], "parent_id": None},
    }
    if not simple:
        entity |= {
            "archived": item.archived, "jobs_enabled": item.jobs_enabled, "builds_access_level": "enabled" if item.jobs_enabled else "disabled",
            "shared_runners_enabled": item.shared_runners_enabled, "group_runners_enabled": item.group_runners_enabled,
        }
    return entity


def strange(value: Any) -> Any:
    """The same with an unknown key in every object, as a newer server sends it."""
    if isinstance(value, dict):
        return {key: strange(item) for key, item in value.items()} | {"invented_in_20_0": {"nested": [1, None, "x"]}}
    return [strange(item) for item in value] if isinstance(value, list) else value


def aged(value: Any) -> Any:
    """The same as an old server sends it: without the keys that came later."""
    if isinstance(value, dict):
        return {key: aged(item) for key, item in value.items() if key not in ("job_execution_status", "source", "archived")}
    return [aged(item) for item in value] if isinstance(value, list) else value
