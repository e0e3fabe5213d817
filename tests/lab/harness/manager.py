"""The program under test: a process of its own, with a configuration, a state directory and a name of its own."""

import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from aws.emulator import CREDENTIALS, IMAGE, REGION, TYPES, Instance
from gitlab import GitLab
from harness.wait import wait_for
from harness.world import World

#: Terminated instances stay visible for a while; a name is used by one test only, so that they are nobody else's.
_numbers = itertools.count(1)


def binary() -> str:
    """The release binary; `RUNNER_FLEET_BIN` says where."""
    return os.environ.get("RUNNER_FLEET_BIN") or str(pathlib.Path(__file__).resolve().parents[3] / "target/release/runner-fleet")


@dataclass
class Settings:
    """What tests vary in the configuration; the rest is the same for all. Times are short: the lab's clock is the real one."""

    idle_count: int = 0
    idle_time: str = "6s"
    limit: int = 4
    capacity: int = 1
    boot_timeout: str = "2m"
    orphan_timeout: str = "10m"
    on_demand_fallback: bool = True
    #: The SSH key is kept in SSM too, and not in the state directory alone.
    ssh_key: bool = False
    more: dict[str, str] = field(default_factory=dict)
    docker: dict[str, str] = field(default_factory=dict)
    #: A second section for GitLab's second runner: the same, but for these keys of `[runners.fleet]`.
    canary: dict[str, str] | None = None


class Manager:
    """One `runner-fleet run`, which may be killed and started again."""

    #: What its cases vary.
    settings_kind: type[Settings] = Settings

    def __init__(self, world: World, gitlab: GitLab, case: str, settings: Settings) -> None:
        """Writes the configuration; `start` starts it."""
        self.world = world
        self.gitlab = gitlab
        self.settings = settings
        self.name = f"lab-{os.getpid()}-{next(_numbers)}"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="rf-lab-"))
        self.log = self.directory / f"{case}.log"
        self.state_dir = self.directory / "state"
        self.since = time.time()
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        ssm = world.emulator.client("ssm")
        tokens = {"runner-token": gitlab.runner.token, "canary-token": gitlab.canary.token, "read-api-token": next(iter(gitlab.tokens))}
        for name, value in tokens.items():
            ssm.put_parameter(Name=f"/{self.name}/{name}", Value=value, Type="SecureString", Overwrite=True)
        self.write()

    def write(self) -> None:
        """Writes config.toml anew from the settings."""
        ec2 = self.world.emulator.client("ec2")
        subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda item: item["AvailabilityZone"])
        group = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
        wanted = self.settings
        fleet = {
            "api_token": _text(f"ssm:/{self.name}/read-api-token"), "region": _text(REGION), "ami": _text(IMAGE), "instance_types": json.dumps(list(TYPES)),
            "market": _text("spot"), "on_demand_fallback": json.dumps(wanted.on_demand_fallback), "subnets": json.dumps([item["SubnetId"] for item in subnets]),
            "security_groups": json.dumps([group]), "address": _text("private"), "ssh_user": _text("admin"), "idle_count": str(wanted.idle_count),
            "idle_time": _text(wanted.idle_time), "capacity": str(wanted.capacity), "boot_timeout": _text(wanted.boot_timeout), "orphan_timeout": _text(wanted.orphan_timeout), **wanted.more,
        }
        docker = {"image": _text("alpine:latest"), "volumes": json.dumps(["/cache"]), **wanted.docker}
        lines = [
            "concurrent = 8", "check_interval = 1", f'listen_address = "127.0.0.1:{self.port}"', "",
            "[fleet]", f"manager = {_text(self.name)}", f"state_dir = {_text(self.state_dir)}", f"control_socket = {_text(self.directory / 'control.sock')}",
            *([f"ssh_key = {_text(f'ssm:/{self.name}/ssh-key')}"] if wanted.ssh_key else []), "",
            *self._section("graviton-spot", "runner-token", docker, fleet),
            *([] if wanted.canary is None else self._section("graviton-canary", "canary-token", docker, fleet | wanted.canary)),
        ]
        self.state_dir.mkdir(mode=0o700, exist_ok=True)
        (self.directory / "config.toml").write_text("\n".join(lines))
        (self.directory / "config.toml").chmod(0o600)

    def _section(self, name: str, token: str, docker: dict[str, str], fleet: dict[str, str]) -> list[str]:
        return [
            "[[runners]]", f"name = {_text(name)}", f"url = {_text(self.gitlab.base)}", f"token = {_text(f'ssm:/{self.name}/{token}')}", 'executor = "docker"', f"limit = {self.settings.limit}",
            "  [runners.docker]", *(f"  {key} = {value}" for key, value in docker.items()),
            "  [runners.fleet]", *(f"  {key} = {value}" for key, value in fleet.items()), "",
        ]

    def start(self) -> None:
        """Starts the process and waits until it answers on its listener."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.directory), **CREDENTIALS, "AWS_ENDPOINT_URL": self.world.proxy.endpoint, "RUST_BACKTRACE": "1"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([binary(), "--config", str(self.directory / "config.toml"), "run"], env=env, stdout=log, stderr=log, start_new_session=True)
        wait_for("the manager answers on /healthz", self._alive, 30)

    def _alive(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"the manager ended with {self._process.returncode}: {self.log.read_text()[-3000:]}")
        return self.get("/healthz") is not None

    def reload(self, **changes: Any) -> None:
        """Changes settings and sends SIGHUP."""
        for key, value in changes.items():
            setattr(self.settings, key, value)
        self.write()
        self._signal(signal.SIGHUP)

    def kill(self) -> None:
        """`kill -9`."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)
            self._process = None

    def loses_its_host(self) -> None:
        """`kill -9`, and everything that it had on disk is gone; the next start is on a host that it has never run on."""
        self.kill()
        shutil.rmtree(self.state_dir)
        self.state_dir = self.directory / "state-of-a-new-host"
        self.write()

    def stop(self) -> None:
        """SIGTERM, and it has to be gone at once."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError("10 s after SIGTERM the manager still runs") from None
        finally:
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def get(self, path: str) -> str | None:
        """A page of its listener; None when there is no answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def state(self) -> Any:
        """`/api/v1/state`."""
        return json.loads(self.get("/api/v1/state") or "null")

    def said(self, *words: str) -> bool:
        """Whether a line of its log, or its state, holds all these words: for "told", never as the only proof."""
        lines = [*self.log.read_text(errors="replace").splitlines(), self.get("/api/v1/state") or ""]
        return any(all(word.lower() in line.lower() for word in words) for line in lines)

    def all_instances(self) -> list[Instance]:
        """Every instance that it ever launched."""
        return [item for item in self.world.emulator.instances() if item.tag("runner-fleet:manager") == self.name]

    def instances(self) -> list[Instance]:
        """Its instances that still cost money."""
        return [item for item in self.all_instances() if item.live]

    def launches(self) -> int:
        """How many CreateFleet calls it made."""
        return len(self.world.proxy.calls("CreateFleet", self.since))

    def instance_of(self, system_id: str) -> Instance:
        """The live instance whose runner has this system id, asked on the worker itself."""
        def find() -> Instance | None:
            return next((item for item in self.instances() if self.world.cloud.ask(item.id, "cat /etc/gitlab-runner/.runner_system_id") == system_id), None)

        return wait_for(f"an instance with system id {system_id}", find, 60)  # type: ignore[return-value]


def find_key(value: Any, key: str) -> Any:
    """The first value of a key anywhere in a JSON document."""
    if isinstance(value, dict):
        if key in value:
            return value[key]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            found = find_key(item, key)
            if found is not None:
                return found
    return None


def _text(value: object) -> str:
    return json.dumps(str(value))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
