"""Makes the emulator's instances real: a systemd container for each, at the instance's own address, booted by cloud-init
from the instance's own user-data; gone when the instance ends, and the instance ended when the container powers off."""

import contextlib
import json
import pathlib
import shutil
import subprocess
import threading
import time
from collections.abc import Callable

from aws.emulator import Emulator, Instance
from harness.host import NETWORK, Host

#: Everything but CAP_SYS_RESOURCE, which machines of a CI often lack, and what Docker 20.10 does not know.
CAPABILITIES = (
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK",
    "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT",
    "SYS_PTRACE", "SYS_RAWIO", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
)
#: What makes a container a machine: it may do all that, has its own tmpfs and Docker directory, and stops as systemd wants it.
MACHINE = (
    *(word for name in CAPABILITIES for word in ("--cap-add", name)),
    "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--sysctl", "net.ipv4.ip_forward=1",
    "--tmpfs", "/run", "--tmpfs", "/tmp", "--tmpfs", "/run/lock", "-v", "/var/lib/docker", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:ro",
    "-e", "container=docker", "--stop-signal", "SIGRTMIN+3",
)
LOOK_EVERY_S = 0.2


class Cloud:
    """The loop. `before_boot` may change an instance's seed, and returns more arguments for its `docker run`."""

    def __init__(self, host: Host, emulator: Emulator) -> None:
        """Starts to watch."""
        # What every machine has of its network: the lab's name server, and its authority among those that are trusted.
        self.files = {"/etc/resolv.conf": host.resolv_conf, "/etc/ssl/certs/ca-certificates.crt": host.authority / "ca.crt"}
        self.host = host
        self.emulator = emulator
        self.before_boot: Callable[[Instance, pathlib.Path], list[str]] | None = None
        # Instances that get no container; set `paused` while making one, so that it is not seen too early.
        self.ignored: set[str] = set()
        self.paused = threading.Event()
        self.booted: dict[str, float] = {}
        self.powered_off: list[str] = []
        self.problems: list[str] = []
        self.seeds = host.place / "seeds"
        shutil.rmtree(self.seeds, ignore_errors=True)
        self._running: dict[str, threading.Thread] = {}
        self._removed: set[str] = set()
        self._killed: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops to watch; the containers go with the host's daemon."""
        self._stop.set()
        self._thread.join(10)

    def container(self, instance: str) -> str:
        """The name of an instance's container."""
        return f"rf-{instance}"

    def execute(self, instance: str, command: str, *, timeout: float = 30) -> str:
        """Runs a shell command in a worker; what it printed. Fails when the command does."""
        return self.host.docker("exec", self.container(instance), "/bin/sh", "-c", command, timeout=timeout)

    def ask(self, instance: str, command: str) -> str | None:
        """The same, for questions to a worker that may not be there: None when it fails."""
        try:
            return self.execute(instance, command).strip()
        except (RuntimeError, subprocess.TimeoutExpired):
            return None

    def containers(self) -> list[str]:
        """The instances that have a running container."""
        names = self.host.docker("ps", "--filter", "name=^rf-", "--format", "{{.Names}}").split()
        return sorted(name.removeprefix("rf-") for name in names)

    def kill(self, instance: str) -> None:
        """Pulls the plug: the container ends without a word, as when EC2 reclaims a spot instance without notice."""
        self._killed.add(instance)
        self.host.docker("kill", self.container(instance), check=False)

    def journal(self, instance: str) -> str:
        """All that a worker wrote: journal, cloud-init's output, and the ECR helper's log."""
        name = self.container(instance)
        command = "journalctl --no-pager -o short-precise; echo; cat /var/log/cloud-init-output.log; echo; cat /root/.ecr/log/ecr-login.log"
        text = self.host.docker("exec", name, "/bin/sh", "-c", command, check=False)
        return text or self.host.docker("logs", name, check=False)

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            try:
                if not self.paused.is_set():
                    self._look()
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}")

    def _look(self) -> None:
        instances = {item.id: item for item in self.emulator.instances()}
        for item in instances.values():
            if item.state == "running" and item.id not in self._running and item.id not in self.ignored:
                thread = threading.Thread(target=self._boot, args=(item,), daemon=True)
                self._running[item.id] = thread
                thread.start()
            elif not item.live and item.id in self._running and item.id not in self._removed and not self._running[item.id].is_alive():
                self._removed.add(item.id)
                threading.Thread(target=self._remove, args=(item.id,), daemon=True).start()
        self._follow_power_offs(instances)

    def _boot(self, item: Instance) -> None:
        seed = self.seeds / item.id
        seed.mkdir(parents=True, exist_ok=True)
        (seed / "user-data").write_bytes(item.user_data)
        host_name = f"ip-{item.address.replace('.', '-')}"
        keys = [self.emulator.public_key(item.key_name)] if item.key_name else []
        (seed / "meta-data").write_text(json.dumps({"instance-id": item.id, "local-hostname": host_name, "public-keys": keys}))
        mounts = [word for path, source in self.files.items() for word in ("-v", f"{source}:{path}:ro")]
        more = self.before_boot(item, seed) if self.before_boot is not None else []
        try:
            self.host.docker(
                "run", "-d", "--name", self.container(item.id), "--hostname", host_name, "--network", NETWORK, "--ip", item.address, *MACHINE,
                "-v", f"{seed}:/var/lib/cloud/seed/nocloud:ro", *mounts, *more, self.host.image, "/lib/systemd/systemd", timeout=120)
            self.booted[item.id] = time.time()
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            self.problems.append(f"boot of {item.id}: {error}")

    def _remove(self, instance: str) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.host.docker("rm", "-f", "-v", self.container(instance), check=False, timeout=120)

    def _follow_power_offs(self, instances: dict[str, Instance]) -> None:
        """A container that ended by itself: the instance shut down, and what then becomes of it was said at its launch."""
        ended = self.host.docker("ps", "-a", "--filter", "status=exited", "--filter", "name=^rf-", "--format", "{{.Names}}").split()
        for instance in (name.removeprefix("rf-") for name in ended):
            item = instances.get(instance)
            if item is None or not item.live or instance in self.powered_off:
                continue
            self.powered_off.append(instance)
            if instance in self._killed:
                self.emulator.end(instance, "Server.SpotInstanceTermination", "Spot instance termination")
            elif self.emulator.shuts_down_for_good(instance):
                self.emulator.end(instance, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
            else:
                self.emulator.stop(instance)
