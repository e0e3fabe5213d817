"""docs/tutorial.md, walked from its first block to its last, with a look at the account between the sections."""

import re

import pytest
import yaml

from blocks import read
from world import ROOT, Road, policy

DOCUMENT = ROOT / "docs/tutorial.md"
MINIMAL = ROOT / "terraform/examples/minimal"
BEFORE = ("2. Tools", "3. GitLab: a runner and two tokens", "4. Where: the default VPC")
EMPTY: dict[str, list[str]] = {
    name: [] for name in ("instances", "templates", "key pairs", "groups", "roles", "profiles", "parameters")
}


def test_gitlab_gives_a_runner_and_a_token_of_the_right_scope(road: Road) -> None:
    """Sections 2 to 4."""
    road.walk(DOCUMENT, BEFORE)
    made = [runner for runner in road.gitlab.state.runners.values() if "_road-" in runner.token]
    assert [(runner.kind, runner.scope, runner.run_untagged) for runner in made] == [("group_type", [9], True)]
    assert [(token["scope"], token["access_level"]) for token in road.owner.group_tokens.values()] == [("read_api", 40)]
    assert (road.shell.home / "own-token").stat().st_mode & 0o077 == 0


def test_the_tokens_for_terraform(road: Road) -> None:
    """Section 5, as far as it goes without the provider."""
    road.walk(DOCUMENT, ("5. By Terraform",))
    kinds = {name: kind for name, (kind, _) in road.parameters().items()}
    assert kinds == {"/ci/runner-token": "SecureString", "/ci/read-api-token": "SecureString"}
    assert all(value.startswith(("glrt-t2_road", "glpat-road")) for _, value in road.parameters().values())


@pytest.mark.skipif(not MINIMAL.exists(), reason="there is no terraform/ here")
def test_the_block_is_that_of_the_example(road: Road) -> None:
    """The document shows what is tested elsewhere, and sets its variables, all of them and no other."""
    shown = re.search(r"```hcl\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None and shown[1] in (MINIMAL / "main.tf").read_text(encoding="utf-8")
    given = set(
        re.findall(r"^(\w+) +=", (road.shell.home / "terraform.tfvars").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert given == set(
        re.findall(r'^variable "(\w+)"', (MINIMAL / "variables.tf").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_by_hand_everything_is_there(road: Road) -> None:
    """Section 6: exactly what the product says that it needs, and a host that can be made of it."""
    road.cloud.client("ssm").delete_parameters(Names=list(road.parameters()))
    road.walk(DOCUMENT, ("6. By hand",))
    config = road.shell.home / "config.toml"
    assert road.roles() == {"runner-fleet-ci": {"runner-fleet-ci": policy(config, "--manager", "--doctor")}}
    assert road.trust("runner-fleet-ci")["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert road.profiles() == {"runner-fleet-ci": ["runner-fleet-ci"]}
    for name, beginning in {"/ci/runner-token": "glrt-t2_road-", "/ci/read-api-token": "glpat-road-"}.items():
        kind, value = road.parameters()[name]
        assert kind == "SecureString" and value.startswith(beginning) and value == value.strip()


def test_only_the_manager_gets_in(road: Road) -> None:
    """The groups of section 6."""
    groups = road.groups()
    assert groups["runner-fleet-manager"] == []
    [rule] = groups["runner-fleet-worker"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == ("tcp", 22, 22, [])
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [road.shell.value("manager_group")]


def test_the_host_installs_and_starts_it(road: Road) -> None:
    """The instance of section 6 and its user-data."""
    [host] = road.instances()
    assert (host["InstanceType"], host["Architecture"]) == ("t4g.micro", "arm64")
    assert host["IamInstanceProfile"]["Arn"].endswith(":instance-profile/runner-fleet-ci")
    assert [group["GroupName"] for group in host["SecurityGroups"]] == ["runner-fleet-manager"]
    [seen] = [item for item in road.cloud.instances() if item.id == host["InstanceId"]]
    data = yaml.safe_load(seen.user_data)
    [file] = data["write_files"]
    assert file["content"] == (road.shell.home / "config.toml").read_text(encoding="utf-8")
    [script] = data["runcmd"]
    assert "systemctl enable --now --no-block runner-fleet" in script and "sha256sum --check" in script
    assert not re.search(rb"gl(rt|pat)-", seen.user_data), "a token in the user-data"


def test_the_first_job_is_seen(road: Road) -> None:
    """Section 7: the service would launch for it."""
    road.walk(DOCUMENT, ("7. The first job",))
    assert road.owner.files[".gitlab-ci.yml"].startswith("hello:\n")
    assert re.search(r"launch.* 1 ", road.said), road.said


def test_nothing_is_left(road: Road) -> None:
    """Section 8, with what a service would have made by then."""
    _what_the_service_makes(road)
    road.walk(DOCUMENT, ("8. Remove it all",))
    assert road.leftovers() == EMPTY
    assert not [runner for runner in road.gitlab.state.runners.values() if "_road-" in runner.token]
    assert all(token["revoked"] for token in road.owner.group_tokens.values())
    token = re.compile("glrt-t2_road|glpat-road")
    assert not [file.name for file in road.shell.home.iterdir() if token.search(file.read_text(encoding="utf-8"))]


def test_every_block_was_walked(road: Road) -> None:
    """A section that no test names would be one that nobody runs."""
    assert road.ran == [block for block in read(DOCUMENT) if block.runs]


def _what_the_service_makes(road: Road) -> None:
    """A worker, a launch template, a key pair; one of each with another manager's tag, which is not ours to remove."""
    ec2 = road.cloud.client("ec2")
    image = road.shell.value("image")

    def tags(kind: str, manager: str) -> list[dict[str, object]]:
        return [{"ResourceType": kind, "Tags": [{"Key": "runner-fleet:manager", "Value": manager}]}]

    ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, InstanceType="c7g.large", TagSpecifications=tags("instance", "ci")
    )
    ec2.create_launch_template(
        LaunchTemplateName="runner-fleet-ci-spot-1",
        LaunchTemplateData={"ImageId": image},
        TagSpecifications=tags("launch-template", "ci"),
    )
    ec2.import_key_pair(
        KeyName="runner-fleet-ci-1", PublicKeyMaterial=_public_key(), TagSpecifications=tags("key-pair", "ci")
    )


def _public_key() -> bytes:
    """Any."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
