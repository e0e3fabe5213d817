"""What a document's commands meet: an EC2 emulator, a GitLab double, and the shell between them."""

import json
import os
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from administration import Administration
from aws.emulator import ACCOUNT, CREDENTIALS, REGION, Emulator
from blocks import Block, read
from gitlab import GitLab
from shell import Shell

ROOT = Path(__file__).resolve().parents[2]
#: `make road` installs it.
TOOLS = ROOT / "target/road/venv/bin"
BINARY = ROOT / "target/debug/runner-fleet"
#: The name that the documents give to a GitLab of the reader's own.
EXAMPLE = "https://gitlab.example.com"
#: The workers' image in the documents; the emulator does not know Debian's parameters.
WORKER_IMAGE = "/aws/service/debian/release/13/latest/arm64"


def why_not() -> str | None:
    """What is missing, in one sentence."""
    missing = [name for name in ("bash", "curl", "jq", "sha256sum") if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if not (TOOLS / "aws").exists() or not BINARY.exists():
        return "the aws command line or the debug binary is not there; call `make road`"
    return None


@dataclass
class Road:
    """One document being walked."""

    cloud: Emulator
    gitlab: GitLab
    owner: Administration
    shell: Shell
    environment: dict[str, str]
    ran: list[Block] = field(default_factory=list)
    #: What the last block said.
    said: str = ""

    @classmethod
    def start(cls, folder: Path) -> "Road":
        """A new account, a new GitLab, an empty folder."""
        os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
        cloud = Emulator()
        # The emulator's state is that of this process, and another document may have been walked in it.
        urllib.request.urlopen(urllib.request.Request(f"{cloud.endpoint}/moto-api/reset", method="POST")).close()
        _know_the_image(cloud)
        gitlab = GitLab()
        owner = Administration(gitlab)
        environment = {
            **{name: value for name, value in CREDENTIALS.items() if "REGION" not in name},
            "AWS_ENDPOINT_URL": cloud.endpoint,
            "PATH": f"{TOOLS}:{BINARY.parent}:{os.environ['PATH']}",
            "NO_COLOR": "1",
        }
        return cls(cloud, gitlab, owner, Shell(folder, environment, {EXAMPLE: gitlab.base}), environment)

    def walk(self, document: Path, sections: tuple[str, ...]) -> None:
        """Runs the blocks of these sections, in the document's order."""
        for block in read(document):
            if block.section in sections and block.runs:
                self.said = self.shell.run(block)
                self.ran.append(block)

    def close(self) -> None:
        """Ends the three."""
        self.shell.close()
        self.gitlab.close()
        self.cloud.close()

    # What there is now, as plain values: assertions compare them with what the product prints.

    def roles(self) -> dict[str, dict[str, Any]]:
        """Each role's inline policies."""
        iam = self.cloud.client("iam")
        names = [role["RoleName"] for role in iam.list_roles()["Roles"]]
        return {
            name: {
                policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
            }
            for name in names
        }

    def trust(self, role: str) -> Any:
        """Who may assume a role."""
        return self.cloud.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]

    def profiles(self) -> dict[str, list[str]]:
        """Each instance profile's roles."""
        found = self.cloud.client("iam").list_instance_profiles()["InstanceProfiles"]
        return {profile["InstanceProfileName"]: [role["RoleName"] for role in profile["Roles"]] for profile in found}

    def parameters(self) -> dict[str, tuple[str, str]]:
        """Type and value of each parameter, but for Amazon's own, of which there are thousands."""
        ssm = self.cloud.client("ssm")
        pages = ssm.get_paginator("describe_parameters").paginate(PaginationConfig={"PageSize": 50})
        found = [item for page in pages for item in page["Parameters"] if not item["Name"].startswith("/aws/")]
        return {
            item["Name"]: (
                item["Type"],
                ssm.get_parameter(Name=item["Name"], WithDecryption=True)["Parameter"]["Value"],
            )
            for item in found
        }

    def groups(self) -> dict[str, list[dict[str, Any]]]:
        """Who each security group lets in, but for the default one."""
        found = self.cloud.client("ec2").describe_security_groups()["SecurityGroups"]
        return {group["GroupName"]: group["IpPermissions"] for group in found if group["GroupName"] != "default"}

    def instances(self) -> list[dict[str, Any]]:
        """All that are not gone."""
        reservations = self.cloud.client("ec2").describe_instances()["Reservations"]
        every = [item for reservation in reservations for item in reservation["Instances"]]
        return [item for item in every if item["State"]["Name"] != "terminated"]

    def leftovers(self) -> dict[str, Any]:
        """Everything that costs money, opens a door, or holds a secret."""
        ec2 = self.cloud.client("ec2")
        return {
            "instances": [item["InstanceId"] for item in self.instances()],
            "templates": [item["LaunchTemplateName"] for item in ec2.describe_launch_templates()["LaunchTemplates"]],
            "key pairs": [item["KeyName"] for item in ec2.describe_key_pairs()["KeyPairs"]],
            "groups": list(self.groups()),
            "roles": list(self.roles()),
            "profiles": list(self.profiles()),
            "parameters": list(self.parameters()),
        }


def policy(config: Path, *words: str) -> Any:
    """What the product prints for a configuration."""
    command = [str(BINARY), "iam-policy", "--config", str(config), "--account", ACCOUNT, *words]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _know_the_image(cloud: Emulator) -> None:
    """Debian's public parameter, with an arm64 image: the emulator refuses such a name from outside."""
    from moto.ssm.models import ssm_backends  # noqa: PLC0415

    images = cloud.client("ec2").describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"]
    backend = ssm_backends[ACCOUNT][REGION]
    known = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    value = cloud.client("ssm").get_parameter(Name=known)["Parameter"]["Value"] if not images else images[0]["ImageId"]
    backend._parameters[WORKER_IMAGE] = [_like(backend, known, value)]


def _like(backend: Any, known: str, value: str) -> Any:
    """A parameter like another one."""
    import copy  # noqa: PLC0415

    made = copy.copy(backend._parameters[known][-1])
    made.name, made.value = WORKER_IMAGE, value
    return made
