"""Case 9: a worker answers with another host key than the one it was given: refused, reported, replaced."""

import pathlib
import subprocess

from aws import Instance
from conftest import Fleet
from gitlab import GitLab
from harness.aftermath import comes_to_rest
from harness.wait import wait_for
from harness.world import World


def test_09_wrong_host_key(world: World, gitlab: GitLab, fleet: Fleet, tmp_path: pathlib.Path) -> None:
    """Somebody in the middle has the address, but not the key: no token may reach it."""
    evil = tmp_path / "evil"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(evil)], check=True)
    (tmp_path / "evil.conf").write_text("HostKey /etc/ssh/evil\n")
    victims: list[str] = []

    def first_one(item: Instance, seed: pathlib.Path) -> list[str]:
        if victims:
            return []
        victims.append(item.id)
        return ["-v", f"{evil}:/etc/ssh/evil:ro", "-v", f"{tmp_path / 'evil.conf'}:/etc/ssh/sshd_config.d/00-evil.conf:ro"]

    world.cloud.before_boot = first_one
    manager = fleet(idle_count=0)
    job = gitlab.queue("needs an honest worker", "sleep 2")
    wait_for("the first worker is launched", lambda: victims, 60)
    seen_secret = False

    def replaced() -> bool:
        nonlocal seen_secret
        seen_secret |= world.cloud.ask(victims[0], "test -e /etc/gitlab-runner/config.toml && grep -c glrt /etc/gitlab-runner/config.toml") not in (None, "0", "")
        return job.finished()

    wait_for("the job ends on another worker", replaced, 120)
    assert job.status == "success"
    assert not seen_secret, "the runner token was given to a host with the wrong key"
    states = {item.id: item.state for item in manager.all_instances()}
    wait_for("the impostor is terminated", lambda: victims[0] not in {item.id for item in manager.instances()}, 60)
    assert len(states) == 2, f"one impostor and one replacement, not {states}"
    assert manager.said(victims[0], "host key"), "a wrong host key has to be told, with the worker's id"
    comes_to_rest(manager)
