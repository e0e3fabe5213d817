"""The manager process beside its budgets: start, memory, idle computing time, EC2 calls, and two waits.

`run` starts this inside a network namespace. Everything is seen from outside the manager: in what the EC2 emulator's
proxy, the GitLab double and the workers wrote down, in /proc, and in /api/v1/state.
"""

import contextlib
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

LAB = pathlib.Path(__file__).resolve().parents[2] / "tests/lab"
sys.path.insert(0, str(LAB))

from aws import Emulator, Proxy  # noqa: E402
from aws.proxy import MUTATING, Reply  # noqa: E402
from gitlab import GitLab  # noqa: E402
from harness.manager import Manager, Settings  # noqa: E402
from harness.wait import wait_for  # noqa: E402
from harness.world import World  # noqa: E402

RUNNER = "graviton-spot"
SSH_PORT = 2222
CHECK_INTERVAL_S = 3
SAMPLES = 10
STARTS = 3
WATCHED_S = 60
SETTLE_S = int(os.environ.get("SETTLE", "330"))
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Measured(Manager):
    """The lab's manager with gitlab-runner's own check interval and a larger fleet."""

    def write(self) -> None:
        """As the lab's configuration, but for two numbers that its tests do not vary."""
        super().write()
        path = self.directory / "config.toml"
        text = path.read_text().replace("concurrent = 8", "concurrent = 2000").replace("check_interval = 1\n", f"check_interval = {CHECK_INTERVAL_S}\n")
        path.write_text(text)

    @property
    def pid(self) -> int:
        """The process, for /proc."""
        assert self._process is not None
        return self._process.pid

    def states(self) -> Counter[str]:
        """How many workers are in which state."""
        state = self.state()
        return Counter(worker["state"] for worker in state["workers"]) if state else Counter()

    def ready(self) -> int:
        """How many workers are connected, configured and told of as such."""
        states = self.states()
        return states["idle"] + states["busy"]

    def memory_mib(self) -> tuple[float, float]:
        """Resident now, and its peak."""
        lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return kib["VmRSS"] / 1024, kib["VmHWM"] / 1024

    def cpu_s(self) -> float:
        """Computing time so far, user and system."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


class Workers:
    """The process that is all the workers, and what it wrote down."""

    def __init__(self, manager: Measured, boot_ms: int, spread_ms: int, busy_every: int) -> None:
        """Starts it with the manager's state directory, for its keys."""
        self.answers: dict[str, float] = {}
        self.configured: dict[str, float] = {}
        command = [os.environ["RUNNER_FLEET_WORKERS"], str(manager.directory / "state"), RUNNER, *map(str, (SSH_PORT, boot_ms, spread_ms, busy_every))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "listening":
            raise RuntimeError("the workers do not listen")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            address, what, at = line.split()
            (self.answers if what == "answers" else self.configured)[address] = float(at)

    def waits(self) -> list[float]:
        """From sshd answering to the agent having its configuration, for each worker."""
        return sorted(self.configured[address] - self.answers[address] for address in list(self.configured) if address in self.answers)

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()


class QuickProxy(Proxy):
    """Repeats a listing until something has changed, and writes down how long each took.

    The emulator takes seconds of computing for a page of 1,000 instances, on the cores that the manager is measured on;
    EC2 takes them elsewhere. What the manager has to read is the same.
    """

    def __init__(self, emulator: Emulator) -> None:
        """Starts to listen."""
        self.listings: list[tuple[float, float]] = []
        self._pages: dict[bytes, Reply] = {}
        self._changes = 0
        super().__init__(emulator)

    def _good(self, method: str, path: str, headers: dict[str, str], body: bytes, action: str, params: dict[str, str]) -> Reply:
        if action == "DescribeInstances":
            return self._listing(method, path, headers, body)
        try:
            self._changed(action)
            return super()._good(method, path, headers, body, action, params)
        finally:
            self._changed(action)

    def _changed(self, action: str) -> None:
        if action in MUTATING:
            self._changes += 1
            self._pages.clear()

    def _listing(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        began, changes, known = time.time(), self._changes, self._pages.get(body)
        reply = known or self._forward(method, path, headers, body)
        if reply.status == 200 and changes == self._changes:
            self._pages[body] = reply
        self.listings.append((began, time.time() - began))
        return reply


class Bench:
    """The world, and the table."""

    def __init__(self) -> None:
        """Starts the emulator and its proxy."""
        self.emulator = Emulator()
        self.proxy = QuickProxy(self.emulator)

    @contextlib.contextmanager
    def fleet(self, *, size: int, idle_count: int, boot_ms: int, spread_ms: int, busy_every: int) -> Iterator[tuple[Measured, Workers, GitLab]]:
        """A manager with nothing launched yet, its workers-to-be, and a GitLab of its own."""
        gitlab = GitLab()
        world = World(None, self.emulator, self.proxy, None, None)  # type: ignore[arg-type]  # no containers here
        more = {"ssh_user": '"root"', "ssh_port": str(SSH_PORT)}
        settings = Settings(idle_count=idle_count, idle_time="1h", limit=size, boot_timeout="10m", more=more)
        manager = Measured(world, gitlab, "measured", settings)
        workers = Workers(manager, boot_ms, spread_ms, busy_every)
        try:
            yield manager, workers, gitlab
        finally:
            manager.kill()
            workers.close()
            gitlab.close()
            left = [item.id for item in manager.instances()]
            if left:
                self.emulator.client("ec2").terminate_instances(InstanceIds=left)
            if os.environ.get("KEEP"):
                print(f"# kept: {manager.directory}", file=sys.stderr)
            else:
                shutil.rmtree(manager.directory, ignore_errors=True)

    def single(self) -> None:
        """A job appears, a worker is launched, its sshd answers, its agent is configured; one after the other."""
        seen_to_launch, answer_to_configured = [], []
        with self.fleet(size=SAMPLES, idle_count=0, boot_ms=2000, spread_ms=1500, busy_every=1) as (manager, workers, gitlab):
            manager.start()
            wait_for("the manager is ready", lambda: manager.get("/readyz"), 30)
            time.sleep(10)  # after a start nothing is launched before the second listing
            for number in range(SAMPLES):
                time.sleep(random.uniform(0, CHECK_INTERVAL_S))
                job = gitlab.queue(f"job-{number}")
                wait_for("CreateFleet", lambda number=number: manager.launches() > number, 30, every=0.02)
                seen_to_launch.append(self.proxy.calls("CreateFleet", manager.since)[number].at - job.queued_at)
                with gitlab.state.lock:
                    job.move("running", time.time())  # the worker that boots will say that it runs it
                wait_for("the agent is configured", lambda number=number: len(workers.configured) > number, 60)
                wait_for("it is busy", lambda number=number: manager.states()["busy"] > number, 30)
            answer_to_configured = workers.waits()
        row("pending job to CreateFleet", f"{CHECK_INTERVAL_S + 0.1:.1f} s", *seconds(seen_to_launch))
        row("sshd answering to agent configured, one at a time", "2 s", *seconds(answer_to_configured))

    def hundred(self) -> None:
        """A hundred jobs at once, on workers that boot for half a minute."""
        size = 100
        with self.fleet(size=size, idle_count=0, boot_ms=30_000, spread_ms=10_000, busy_every=0) as (manager, workers, gitlab):
            manager.start()
            wait_for("the manager is ready", lambda: manager.get("/readyz"), 30)
            time.sleep(10)
            for number in range(size):
                gitlab.queue(f"job-{number}")
            began = wait_for("CreateFleet", lambda: self.proxy.calls("CreateFleet", manager.since), 30)[0].at
            wait_for("all workers are ready", lambda: manager.ready() >= size, 180)
            calls = Counter(call.action for call in list(self.proxy.journal) if call.at >= began)
            launched, waits = len(manager.all_instances()), workers.waits()
        kinds = ", ".join(f"{count} {action}" for action, count in sorted(calls.items()))
        row(f"EC2 calls for {launched} workers until all are ready", "15", str(sum(calls.values())), kinds)
        row("sshd answering to agent configured, 100 at once", "2 s", *seconds(waits))

    def thousand(self) -> None:
        """A thousand workers, half of them busy: adopted after a restart, then left alone."""
        size = 1000
        with self.fleet(size=size, idle_count=size, boot_ms=5000, spread_ms=5000, busy_every=2) as (manager, _, _):
            manager.start()
            wait_for("a thousand workers are ready", lambda: manager.ready() >= size, 240, every=0.5)
            grown = manager.memory_mib()
            starts, listed = [], []
            for _ in range(STARTS):
                manager.stop()
                time.sleep(2)
                began = time.time()
                manager.start()
                wait_for("a full view", lambda: manager.ready() >= size, 120, every=0.1)
                starts.append(time.time() - began)
                listed.append(self._first_listing_s(began))
            row("start with 1,000 workers to adopt, to a full view", "10 s", *seconds(starts))
            row("of it the first listing, by the emulator", "", *seconds(listed))
            adopted = manager.memory_mib()
            time.sleep(SETTLE_S)
            cpu, began = manager.cpu_s(), time.monotonic()
            time.sleep(WATCHED_S)
            share = (manager.cpu_s() - cpu) / (time.monotonic() - began)
            settled = manager.memory_mib()
            assert manager.ready() == size, manager.states()
        remark = f"after {SETTLE_S + WATCHED_S} s; just adopted {adopted[0]:.1f} MiB (peak {adopted[1]:.1f}), just launched {grown[0]:.1f} MiB"
        row("resident, 1,000 workers", "64 MiB", f"{settled[0]:.1f} MiB", remark)
        row(f"idle CPU, 1,000 workers, {WATCHED_S} s", "3 %", f"{share * 100:.1f} %", "of one core; half of the workers busy")

    def _first_listing_s(self, began: float) -> float:
        """How long the emulator took."""
        return next(took for at, took in list(self.proxy.listings) if at >= began)


def seconds(values: list[float]) -> tuple[str, str]:
    """The median, and how far it spreads."""
    if not values:
        return "-", "no sample"
    return f"{statistics.median(values):.2f} s", f"median of {len(values)}; {min(values):.2f} to {max(values):.2f} s"


def row(what: str, budget: str, measured: str, remark: str) -> None:
    """A line of the table, as soon as it is known."""
    print(f"| {what} | {budget} | {measured} | {remark} |", flush=True)


def machine() -> str:
    """What it was measured on."""
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} cores, {os.uname().machine}, {model}; load {os.getloadavg()[0]:.1f} at {time.strftime('%Y-%m-%d %H:%M')} UTC"


def main() -> None:
    """Measures what the arguments name."""
    bench = Bench()
    # The thousand last: the emulator goes on to carry what was terminated, and slows down by it.
    parts = {"single": bench.single, "hundred": bench.hundred, "thousand": bench.thousand}
    unknown = set(sys.argv[1:]) - set(parts)
    if unknown:
        sys.exit(f"there is no measure named {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    print(f"{machine()}\n\n| what | budget | measured | |\n| --- | --- | --- | --- |", flush=True)
    for name, measure in parts.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            measure()
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
