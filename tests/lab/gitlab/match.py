"""Which job a runner gets next: app/services/ci/register_job_service.rb and runner_matcher.rb, rule by rule."""

from gitlab.state import Job, Project, Runner, State


def ancestors(state: State, group: int) -> list[int]:
    """The group itself and all above it."""
    found = []
    at: int | None = group
    while at is not None:
        found.append(at)
        at = state.groups[at].parent
    return found


def in_scope(state: State, runner: Runner, project: Project) -> bool:
    """Whether the runner serves the project at all."""
    if project.archived or not project.jobs_enabled:
        return False
    if runner.kind == "instance_type":
        return project.shared_runners_enabled
    if runner.kind == "group_type":
        return project.group_runners_enabled and any(group in runner.scope for group in ancestors(state, project.group))
    return project.id in runner.scope


def eligible(state: State, runner: Runner, job: Job) -> bool:
    """Whether the runner would get this job if it asked now."""
    if runner.paused or job.status != "pending" or job.runner is not None:
        return False
    if not in_scope(state, runner, state.projects[job.project]):
        return False
    if runner.access_level == "ref_protected" and not job.protected:
        return False
    return (runner.run_untagged or bool(job.tags)) and set(job.tags) <= set(runner.tags)


def next_job(state: State, runner: Runner) -> Job | None:
    """The first in order of ids; for an instance runner the least served project comes first."""
    candidates = [job for job in state.jobs.values() if eligible(state, runner, job)]
    if runner.kind == "instance_type":
        running = [job.project for job in state.jobs.values() if job.status == "running"]
        candidates.sort(key=lambda job: (running.count(job.project), job.id))
    else:
        candidates.sort(key=lambda job: job.id)
    return candidates[0] if candidates else None


def queue_size(state: State, runner: Runner) -> int:
    """What `job_info.queue_size` tells: how many more it could take."""
    return sum(1 for job in state.jobs.values() if eligible(state, runner, job))
