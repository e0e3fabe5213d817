"""The machine under the lab: a Docker daemon of its own, and a bridge that is EC2's network.

The daemon gets its own socket, data and run directories and a network namespace that this process makes for itself, so
it disturbs neither another daemon on the machine nor another network, nor a second lab beside it: `run` starts two, as a
case is mostly waiting. Nothing stays behind but the image cache.
"""

import ctypes
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess

from harness.wait import wait_for

#: The emulator's default VPC. Its subnets (one /20 for each zone) lie inside, so instances have their own addresses.
VPC = "172.31.0.0/16"
GATEWAY = "172.31.0.1"
METADATA = "169.254.169.254"
BRIDGE = "rf-lab"
NETWORK = "rf-lab"

LAB = pathlib.Path(__file__).resolve().parent.parent

CLONE_NEWNET = 0x40000000


def cache_dir() -> pathlib.Path:
    """Where images, the Python environment and the reports of failures are kept."""
    return pathlib.Path(os.environ.get("RUNNER_FLEET_LAB_CACHE") or LAB.parent.parent / ".lab")


def own_network() -> None:
    """Puts this thread, and the threads and processes that it starts, into a network of their own: loopback and nothing else."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot make a network namespace")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Host:
    """dockerd and the bridge; `close` takes both away again."""

    def __init__(self, cache: pathlib.Path) -> None:
        """Starts what is needed; fails with the daemon's last words. From here on this process has a network of its own."""
        self.cache = cache
        # pytest-xdist names the labs that run side by side.
        self.place = cache / f"world-{os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw')}"
        self.place.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.place / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        own_network()
        # In a short place: the path of a socket has 108 bytes at most.
        self.runtime = pathlib.Path("/run") / f"rf-lab-{hashlib.sha256(bytes(self.place)).hexdigest()[:8]}"
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        self.socket = f"unix://{self.runtime}/docker.sock"
        self.env = {**os.environ, "DOCKER_HOST": self.socket}
        self.log = self.place / "dockerd.log"
        self._daemon = self._start_docker()
        try:
            self._make_network()
            self.image = self.run(str(LAB / "image.sh"), "import", timeout=600).strip()
            self.authority = self.part("ca")
            self.resolv_conf = self.place / "resolv.conf"
            self.resolv_conf.write_text(f"nameserver {GATEWAY}\noptions timeout:2\n")
        except BaseException:
            self.close()
            raise

    def run(self, *command: str, timeout: float = 60, check: bool = True) -> str:
        """Runs a command against this daemon and returns its output."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=timeout, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command[:6])} … failed with {done.returncode}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def part(self, name: str) -> pathlib.Path:
        """Builds a part of `ecr.sh` if it is missing, and tells where it is."""
        return pathlib.Path(self.run(str(LAB / "ecr.sh"), name, timeout=600).strip())

    def docker(self, *arguments: str, timeout: float = 60, check: bool = True) -> str:
        """Runs docker."""
        return self.run("docker", *arguments, timeout=timeout, check=check)

    def _start_docker(self) -> subprocess.Popen[bytes]:
        for left in ("docker.pid", "docker.sock"):
            (self.runtime / left).unlink(missing_ok=True)
        # It ends with us, and with it its containers, even if we are killed.
        command = ["setpriv", "--pdeathsig", "TERM", "dockerd", "--host", self.socket, "--data-root", f"{self.place}/docker", "--exec-root", f"{self.runtime}/exec",
                   "--pidfile", f"{self.runtime}/docker.pid", "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--live-restore=false"]
        # Away from a systemd or a shell that would count its containers as its own, and in its own process group.
        with self.log.open("wb") as log:
            daemon = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

        def ready() -> bool:
            if daemon.poll() is not None:
                raise RuntimeError(f"dockerd ended with {daemon.returncode}: {self.log.read_text()[-2000:]}")
            return subprocess.run(["docker", "version"], env=self.env, capture_output=True, check=False).returncode == 0

        wait_for("dockerd answers", ready, 60)
        return daemon

    def _make_network(self) -> None:
        self._remove_leftovers()
        self.docker("network", "create", "--subnet", VPC, "--gateway", GATEWAY, "-o", f"com.docker.network.bridge.name={BRIDGE}", NETWORK)
        self.run("ip", "address", "replace", f"{METADATA}/32", "dev", BRIDGE)

    def _remove_leftovers(self) -> None:
        old = self.docker("ps", "-aq").split()
        if old:
            self.docker("rm", "-f", "-v", *old, check=False)
        self.docker("network", "rm", NETWORK, check=False)

    def close(self) -> None:
        """Removes every container and the network, and stops the daemon."""
        try:
            self._remove_leftovers()
        finally:
            self._daemon.send_signal(signal.SIGTERM)
            try:
                self._daemon.wait(20)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
            shutil.rmtree(self.runtime, ignore_errors=True)
            os.close(self._lock)


def why_not() -> str | None:
    """Why the lab cannot run here; None when it can."""
    if os.geteuid() != 0:
        return "root is needed: the lab starts dockerd, a bridge and systemd containers (try: sudo make e2e)"
    capabilities = next(line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    effective = int(capabilities.split()[1], 16)
    missing = [name for name, bit in (("CAP_SYS_ADMIN", 21), ("CAP_NET_ADMIN", 12), ("CAP_SYS_CHROOT", 18), ("CAP_MKNOD", 27)) if not effective >> bit & 1]
    if missing:
        return f"this root lacks {', '.join(missing)}: containers cannot be started (run the container of the CI with --privileged or with these)"
    for program in ("docker", "dockerd", "docker-registry", "openssl", "ip", "setpriv"):
        if not any(os.access(os.path.join(place, program), os.X_OK) for place in os.environ["PATH"].split(":")):
            return f"{program} is not installed (run tests/lab/setup)"
    if not pathlib.Path("/sys/fs/cgroup").is_dir():
        return "/sys/fs/cgroup is not mounted: systemd cannot run in a container here"
    return None
