"""Runs the binary that its arguments start, and holds what it prints to what is expected.

usage: [VERSION=… RUNNER_FLEET_COMMIT=…] try.py [LAUNCHER…] BINARY
"""

import json
import os
import subprocess
import sys
import time

# A morning of three hours at this speed takes eleven seconds natively; under qemu on a busy machine some more.
SPEED = "1000"
TIMEOUT = 300


class Wrong(Exception):
    """What the binary did is not what it should have done."""


def run(command: list[str], *arguments: str) -> str:
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise Wrong(f"{' '.join(arguments)}: no end after {TIMEOUT} s") from error
    if done.returncode != 0:
        raise Wrong(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def version(command: list[str]) -> str:
    told = run(command, "--version").strip()
    for name in ("VERSION", "RUNNER_FLEET_COMMIT", "RUNNER_FLEET_DATE"):
        expected = os.environ.get(name, "")
        if expected not in told:
            raise Wrong(f"--version says {told!r}, without {name} {expected}")
    return told


def check(command: list[str]) -> str:
    told = run(command, "check", "--config", "config/minimal.toml")
    return told.strip().splitlines()[-1] if told.strip() else "check: no complaint"


def demo(command: list[str]) -> str:
    told = run(command, "demo", "--json", "--speed", SPEED)
    summary = json.loads(told)
    jobs, broken = summary["jobs"], summary["laws_broken"]
    if not 0 < jobs["queued"] == jobs["succeeded"] or broken != 0:
        raise Wrong(f"demo: not all jobs succeeded, or laws were broken\n{told}")
    return f"demo: {jobs['succeeded']} of {jobs['queued']} jobs succeeded, {broken} laws broken"


def main() -> int:
    command = sys.argv[1:]
    for test in (version, check, demo):
        began = time.monotonic()
        try:
            print(f"{os.path.basename(command[-1])}: {test(command)} ({time.monotonic() - began:.1f} s)", flush=True)
        except Wrong as wrong:
            print(f"{os.path.basename(command[-1])}: {wrong}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
