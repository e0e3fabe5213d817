"""A host for the manager: a systemd container of the lab's image, booted by cloud-init, into which packages are installed."""

import contextlib
import itertools
import json
import pathlib
import subprocess
from collections.abc import Iterator

from aws.cloud import MACHINE
from harness.host import NETWORK, Host
from harness.wait import wait_for

_numbers = itertools.count(10)
CONFIG = "/etc/runner-fleet/config.toml"
ENVIRONMENT = "/etc/runner-fleet/environment"


class Machine:
    """One booted system. cloud-init has written the files that were asked for before anything is installed."""

    def __init__(self, host: Host, folder: pathlib.Path, files: dict[str, tuple[str, str]]) -> None:
        """Boots it; `files`: path to (mode, content), owned by root as cloud-init does it."""
        self.host = host
        self.folder = folder
        number = next(_numbers)
        self.name = f"host-{number}"
        # No subnet of the emulator reaches so far.
        self.address = f"172.31.250.{number}"
        seed = folder / f"seed-{number}"
        seed.mkdir()
        written = [{"path": path, "permissions": mode, "owner": "root:root", "content": content} for path, (mode, content) in files.items()]
        (seed / "user-data").write_text("#cloud-config\n" + json.dumps({"write_files": written}))
        (seed / "meta-data").write_text(json.dumps({"instance-id": f"i-{self.name}", "local-hostname": self.name}))
        host.docker("run", "-d", "--name", self.name, "--hostname", self.name, "--network", NETWORK, "--ip", self.address, *MACHINE,
                    "-v", f"{seed}:/var/lib/cloud/seed/nocloud:ro", "-v", f"{folder}:/packages:ro", host.image, "/lib/systemd/systemd", timeout=120)

    def booted(self) -> "Machine":
        """Waits until cloud-init has done all of it."""
        wait_for(f"{self.name} has booted", lambda: self.ask("test -e /run/cloud-init/result.json && test -e /var/lib/cloud/instance/boot-finished && echo yes") == "yes", 90)
        return self

    def sh(self, command: str, *, timeout: float = 60) -> str:
        """What a command prints, complaints too; fails when it does."""
        return self.host.docker("exec", self.name, "/bin/sh", "-c", f"exec 2>&1; {command}", timeout=timeout)

    def ask(self, command: str) -> str | None:
        """The same, stripped; None when it fails."""
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
            return self.sh(command).strip()
        return None

    def fails(self, command: str) -> str:
        """What a command prints that has to fail."""
        return self.sh(f"if {command}; then echo 'it did not fail'; exit 1; fi")

    def install(self, package: pathlib.Path) -> str:
        """Installs a .deb, or another version of it; what dpkg and the package said."""
        if not (self.folder / package.name).exists():
            (self.folder / package.name).hardlink_to(package)
        return self.sh(f"dpkg --install /packages/{package.name}")

    def write(self, path: str, content: str) -> None:
        """Writes a file as root into what is there already: owner and mode stay."""
        subprocess.run(["docker", "exec", "-i", self.name, "/bin/sh", "-c", f"cat >{path}"], input=content, text=True, env=self.host.env, check=True, timeout=30)

    def show(self, name: str) -> str:
        """A property of the service."""
        return self.sh(f"systemctl show --value --property {name} runner-fleet").strip()

    def state(self) -> str:
        """active, activating, inactive, failed …"""
        return self.show("ActiveState")

    def is_active(self, seconds: float) -> None:
        """Waits until the service is active."""
        wait_for("the service is active", lambda: self.state() == "active", seconds)

    def rights(self, path: str) -> str:
        """Owner, group and mode of a file: root:runner-fleet 640."""
        return self.sh(f"stat -c '%U:%G %a' {path}").strip()

    def log(self) -> str:
        """What the service wrote."""
        return self.sh("journalctl --no-pager --output cat --unit runner-fleet")

    def traces(self) -> list[str]:
        """Everything on the disk that bears our name, and every link that leads to nothing in systemd's folders."""
        ours = self.sh("find / -xdev \\( -path /proc -o -path /sys -o -path /packages -o -path /var/lib/cloud -o -path /var/log -o -path /tmp -o -path /run/systemd \\) -prune "
                       "-o -name '*runner-fleet*' -print; find /run/runner-fleet 2>/dev/null || true")
        dangling = self.sh("find /etc/systemd -xtype l -print")
        return ours.split() + dangling.split()

    def close(self) -> None:
        """Removes it."""
        self.host.docker("rm", "-f", "-v", self.name, check=False, timeout=120)


@contextlib.contextmanager
def machine(host: Host, folder: pathlib.Path, files: dict[str, tuple[str, str]] | None = None) -> Iterator[Machine]:
    """A booted machine for a while; what it wrote is printed when the test fails."""
    made = Machine(host, folder, files or {})
    try:
        yield made.booted()
    except BaseException:
        print(made.ask("journalctl --no-pager -o short-precise | tail -n 60; ls -la /etc/runner-fleet; systemctl status --no-pager runner-fleet"))
        raise
    finally:
        made.close()
