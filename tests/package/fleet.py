"""The manager as the package runs it: a unit on a machine, with the lab's configuration and EC2."""

import time
import urllib.request

from aws.emulator import CREDENTIALS
from gitlab import GitLab
from harness.manager import Manager, Settings
from harness.wait import wait_for
from harness.world import World
from machine import CONFIG, ENVIRONMENT, Machine

LISTENER = 9252


class Installed(Manager):
    """A `Manager` of the lab whose process is the service of a machine. `files` is what cloud-init writes before it."""

    def __init__(self, world: World, gitlab: GitLab, ec2: str, **settings: object) -> None:
        """Writes the configuration; `live_on` says where it runs."""
        self.machine: Machine | None = None
        super().__init__(world, gitlab, "package", Settings(**settings))  # type: ignore[arg-type]
        environment = "".join(f"{name}={value}\n" for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": ec2}.items())
        self.files = {CONFIG: ("0640", self.config()), ENVIRONMENT: ("0600", environment)}

    def config(self) -> str:
        """The lab's configuration, but with the package's places, and a listener that the lab reaches."""
        lines = (self.directory / "config.toml").read_text().splitlines()
        kept = [line for line in lines if not line.startswith(("state_dir", "control_socket"))]
        return "\n".join(f'listen_address = "0.0.0.0:{LISTENER}"' if line.startswith("listen_address") else line for line in kept) + "\n"

    def live_on(self, machine: Machine) -> None:
        """It is the service of this machine."""
        self.machine = machine

    def get(self, path: str) -> str | None:
        """A page of its listener; None when there is no answer."""
        if self.machine is None:
            return None
        try:
            with urllib.request.urlopen(f"http://{self.machine.address}:{LISTENER}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    @property
    def running(self) -> bool:
        """Whether the service is there; its machine may be gone."""
        return self.machine is not None and self.machine.ask("systemctl is-active runner-fleet") == "active"

    def kill(self) -> None:
        """Ends it for good; the looking around at the end of a case does so."""
        if self.machine is not None:
            self.machine.ask("systemctl stop runner-fleet")

    def replaced(self, former: str) -> float:
        """Waits until another process than `former` is the service, and is ready; how long that took."""
        assert self.machine is not None
        machine, began = self.machine, time.monotonic()
        wait_for("the new version runs", lambda: machine.show("MainPID") not in ("0", former) and machine.state() == "active", 60)
        return time.monotonic() - began
