"""What every case ends with: a look around for leftovers, and, after a failure, a folder with everything that was seen."""

import dataclasses
import json
import pathlib
import shutil
import time

from gitlab import GitLab
from harness.manager import Manager, find_key
from harness.wait import wait_for

#: Characters of a line that are printed after a failure; the folder has the whole of it.
LINE_MAX = 300


def worker_rows(gitlab: GitLab) -> list[str]:
    """The runner-manager rows of workers: those that ever asked for a job."""
    asked = {entry.system_id for entry in list(gitlab.journal) if entry.path == "/jobs/request"}
    return [system_id for system_id in gitlab.managers() if system_id in asked]


def sections(manager: Manager) -> int:
    """How many runners are configured."""
    return 1 if manager.settings.canary is None else 2


def templates(manager: Manager) -> list[str]:
    """The launch templates of this manager."""
    found = manager.world.emulator.client("ec2").describe_launch_templates()["LaunchTemplates"]
    return [item["LaunchTemplateName"] for item in found if item["LaunchTemplateName"].startswith(f"runner-fleet-{manager.name}-")]


def comes_to_rest(manager: Manager, seconds: float = 90) -> None:
    """With nothing to do the fleet reaches zero: no instance, no container, no row, no template that nothing needs. A former
    template goes half a minute after the new one has come."""
    wait_for("no instance is left", lambda: not manager.instances(), seconds)
    wait_for("no runner-manager row of a worker is left in GitLab", lambda: not worker_rows(manager.gitlab), 60)
    wait_for("each runner has one launch template left", lambda: len(templates(manager)) <= sections(manager), 60)


def look_around(manager: Manager) -> None:
    """Nothing leaked, nothing doubled, no law broken."""
    world, gitlab = manager.world, manager.gitlab
    assert not manager.instances(), f"instances left: {[item.id for item in manager.instances()]}"
    assert not worker_rows(gitlab), f"runner-manager rows left: {worker_rows(gitlab)}"
    assert len(gitlab.managers()) <= sections(manager), f"more than the manager's own row for each runner: {gitlab.managers()}"
    assert len(templates(manager)) <= sections(manager), f"more than one launch template for each runner: {templates(manager)}"
    ec2 = world.emulator.client("ec2")
    keys = [item["KeyName"] for item in ec2.describe_key_pairs()["KeyPairs"] if item["KeyName"].startswith(f"runner-fleet-{manager.name}-")]
    assert len(keys) <= 1, f"more than one key pair: {keys}"
    assert not gitlab.runners.violations, gitlab.runners.violations
    doubled = [(job.id, job.handed_to) for job in gitlab.jobs() if len(job.handed_to) > 1]
    assert not doubled, f"handed out more than once: {doubled}"
    assert not world.cloud.problems, world.cloud.problems
    if manager.running:
        assert find_key(manager.state(), "laws_broken") == 0, f"laws broken: {find_key(manager.state(), 'laws_broken')}"


def clean_up(manager: Manager) -> None:
    """Leaves nothing to the next case, whatever happened in this one."""
    world = manager.world
    manager.kill()
    left = [item.id for item in world.emulator.instances() if item.live]
    if left:
        world.emulator.client("ec2").terminate_instances(InstanceIds=left)
    wait_for("all containers are gone", lambda: not world.cloud.containers(), 60)
    world.proxy.heal()
    world.cloud.before_boot = None
    world.cloud.problems.clear()
    manager.gitlab.close()
    shutil.rmtree(manager.directory, ignore_errors=True)


def report(manager: Manager, case: str) -> pathlib.Path:
    """Writes everything that the parts saw into `.lab/failed/<case>/`, and prints the ends of it: where only the output of
    a run is kept, as on CI, there is no folder to look into."""
    world, gitlab = manager.world, manager.gitlab
    folder = world.host.cache / "failed" / case
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(manager.directory / "config.toml", folder)
    if manager.log.exists():
        shutil.copy(manager.log, folder / "manager.log")
    for page in ("state", "metrics"):
        (folder / f"{page}.txt").write_text(manager.get("/api/v1/state" if page == "state" else "/metrics") or "no answer")
    calls = [f"{_clock(call.at)} {call.status} {call.action} {call.fault} {_brief(call.params)}" for call in list(world.proxy.journal) if call.at >= manager.since]
    instances = [f"{item.id} {item.state} {item.address} {item.type} {item.zone} {item.lifecycle} {dict(item.tags)}" for item in world.emulator.instances()]
    requests = [f"{_clock(entry.at)} {entry.status} {entry.method} {entry.path} {entry.who} {entry.system_id} {entry.fault} {entry.note}" for entry in list(gitlab.journal)]
    for name, lines in (("ec2-calls", calls), ("ec2-instances", instances), ("gitlab-requests", requests)):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (folder / "gitlab-jobs.txt").write_text("".join(_job(dataclasses.asdict(job)) for job in gitlab.jobs()))
    (folder / "lab-problems.txt").write_text("\n".join(world.cloud.problems))
    for instance in world.cloud.containers():
        (folder / f"worker-{instance}.txt").write_text(world.cloud.journal(instance))
    for name, lines in (("manager.log", 40), ("ec2-calls.txt", 15), ("gitlab-jobs.txt", 30)):
        text = (folder / name).read_text(errors="replace") if (folder / name).exists() else ""
        print(f"--- {name}, its end", *(line[:LINE_MAX] for line in text.splitlines()[-lines:]), sep="\n")
    return folder


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}"


def _brief(params: dict[str, str]) -> str:
    return " ".join(f"{name}={value[:60]}" for name, value in sorted(params.items()) if name not in ("Action", "Version"))


def _job(fields: dict[str, object]) -> str:
    trace = bytes(fields.pop("trace")).decode(errors="replace")  # type: ignore[call-overload]
    fields["history"] = [(_clock(at), what) for at, what in fields["history"]]  # type: ignore[attr-defined]
    return json.dumps(fields, default=str) + "\n" + "".join(f"    | {line}\n" for line in trace.splitlines())
