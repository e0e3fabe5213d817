"""Terraform on copies of what is committed, so that nothing is left behind in the source."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODULE = ROOT / "terraform"
#: Made anew for each run.
WORK = ROOT / "target/terraform/work"

Json = dict[str, Any]


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs it; what it says, in one piece and without the frames that it draws around errors."""
    color = () if arguments[0] == "fmt" else ("-no-color",)
    done = subprocess.run(["terraform", *arguments, *color], cwd=folder, capture_output=True, text=True, check=False)
    if "-json" not in arguments:
        done.stdout = re.sub(r"\s+", " ", re.sub(r"^[│╷╵]", "", done.stdout + done.stderr, flags=re.M))
    return done


def init(folder: Path) -> None:
    """`terraform init`, with the double in the place of the provider."""
    done = terraform(folder, "init", "-input=false", "-backend=false")
    assert done.returncode == 0, done.stdout


def binary(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the product."""
    return subprocess.run([os.environ["RUNNER_FLEET_BIN"], *arguments], capture_output=True, text=True, check=False)


def messages(folder: Path, *arguments: str) -> list[Json]:
    """The messages of a `terraform test -json`."""
    done = terraform(folder, "test", "-json", *arguments)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
