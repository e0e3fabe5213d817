"""Terraform on copies of what is committed, so that nothing is left behind in the source."""

import atexit
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODULE = ROOT / "terraform"
#: Of this run alone.
WORK = Path(tempfile.mkdtemp(prefix="runner-fleet-terraform-"))
atexit.register(shutil.rmtree, WORK, ignore_errors=True)

Json = dict[str, Any]

#: The least that a user writes; a case changes what it is about.
MINIMAL: Json = {
    "environment": "ci",
    "vpc_id": "vpc-0123456789abcdef0",
    "subnet_ids": ["subnet-0a1b2c3d4e5f60718", "subnet-0b1c2d3e4f5061728"],
    "runner_package": {"url": "https://releases.example.com/runner-fleet-0.1.0-1.aarch64.rpm", "sha256": "0" * 64},
    "runner_gitlab": {
        "url": "https://gitlab.example.com",
        "preregistered_runner_token_ssm_parameter_name": "/ci/runner-token",
        "api_token_ssm_parameter_name": "/ci/read-api-token",
    },
    "runners": {"spot": {"limit": 10, "fleet": {"instance_types": ["c8g.large", "c7g.large"]}}},
}

#: A security group's id, which only AWS can tell.
GROUP = "sg-0123456789abcdef0"

CASE = """
mock_provider "aws" {{
  override_during = plan
  source          = "{mocks}"

  mock_resource "aws_security_group" {{
    defaults = {{ id = "{group}" }}
  }}
}}

run "plan" {{
  command = plan

  variables {{
{variables}
  }}
}}
"""


@dataclass
class Outcome:
    """What became of a case: errors as a person reads them, and a plan where there were none."""

    errors: list[str] = field(default_factory=list)
    plan: Json = field(default_factory=dict)

    def output(self, name: str) -> Any:
        """An output's value, as it is planned."""
        assert not self.errors, self.errors
        return self.plan["output_changes"][name]["after"]

    def resources(self, kind: str) -> list[Json]:
        """The planned resources of a kind."""
        return [one["change"]["after"] for one in self.plan["resource_changes"] if one["type"] == kind]


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs it; what it says, in one piece and without the frames that it draws around errors."""
    color = () if arguments[0] == "fmt" else ("-no-color",)
    done = subprocess.run(["terraform", *arguments, *color], cwd=folder, capture_output=True, text=True, check=False)
    if "-json" not in arguments:
        done.stdout = re.sub(r"\s+", " ", re.sub(r"^[│╷╵]", "", done.stdout + done.stderr, flags=re.M))
    return done


@contextlib.contextmanager
def standing_provider() -> Iterator[None]:
    """One double for all that is run meanwhile: else each Terraform starts two or three, which is half of the time."""
    socket = WORK / "provider"
    provider = subprocess.Popen([sys.executable, HERE / "aws/provider.py", socket], stdout=subprocess.PIPE, text=True)
    assert provider.stdout is not None
    assert provider.stdout.readline() == "ready\n"
    address = {"Network": "unix", "String": str(socket)}
    found = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": provider.pid, "Test": True, "Addr": address}
    os.environ["TF_REATTACH_PROVIDERS"] = json.dumps({"hashicorp/aws": found})
    try:
        yield
    finally:
        del os.environ["TF_REATTACH_PROVIDERS"]
        provider.kill()
        provider.wait()


def init(folder: Path) -> None:
    """`terraform init`, with the double in the place of the provider."""
    done = terraform(folder, "init", "-input=false", "-backend=false")
    assert done.returncode == 0, done.stdout


def copy(source: Path, name: str) -> Path:
    """A copy to work in."""
    # Whoever runs Terraform in the source by hand leaves these.
    left = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    return Path(shutil.copytree(source, WORK / name, ignore=left))


def plan(name: str, cases: dict[str, Json], group: str = GROUP) -> dict[str, Outcome]:
    """Plans the module once for each case, with its variables, all by one `terraform test`."""
    folder = copy(MODULE, name)
    shutil.rmtree(folder / "tests", ignore_errors=True)
    (folder / "tests").mkdir()
    for case, variables in cases.items():
        lines = [f"    {variable} = {_hcl(value)}" for variable, value in variables.items()]
        text = CASE.format(mocks=HERE / "mocks", group=group, variables="\n".join(lines))
        (folder / "tests" / f"{case}.tftest.hcl").write_text(text)
    init(folder)
    outcomes = {case: Outcome() for case in cases}
    for line in terraform(folder, "test", "-json", "-verbose").stdout.splitlines():
        message = json.loads(line)
        case = Path(message.get("@testfile", "")).name.removesuffix(".tftest.hcl")
        if message["type"] == "test_plan":
            outcomes[case].plan = message["test_plan"]
        elif message["type"] == "diagnostic" and message["diagnostic"]["severity"] == "error":
            said = message["diagnostic"]
            assert case in outcomes, said
            outcomes[case].errors.append(f"{said['summary']}: {said.get('detail', '')}")
    for case, outcome in outcomes.items():
        assert outcome.errors or outcome.plan, f"{case} was not planned"
    return outcomes


def _hcl(value: Any) -> str:
    """JSON is HCL, but for what begins a template in a text."""
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")


def binary(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the product."""
    return subprocess.run([os.environ["RUNNER_FLEET_BIN"], *arguments], capture_output=True, text=True, check=False)
