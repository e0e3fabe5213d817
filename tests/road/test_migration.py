"""docs/migration.md, walked beside an old manager that has left its machines, its key pairs and its runner."""

import re
import tomllib

from blocks import read
from world import ROOT, Road

DOCUMENT = ROOT / "docs/migration.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
#: The document's files, in its order: the old one, its translation, the one of docker-autoscaler.
OLD, TRANSLATED, AUTOSCALER = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
GROUP = "ci-workers"


def test_the_translation_is_what_the_document_shows(road: Road) -> None:
    """Sections 1 and 2."""
    (road.shell.home / "old.toml").write_text(OLD, encoding="utf-8")
    road.walk(DOCUMENT, ("1. Before", "2. Translate the old file"))
    assert (road.shell.home / "config.toml").read_text(encoding="utf-8") == TRANSLATED


def test_the_group_is_read_off(road: Road) -> None:
    """Section 3: what stands in an Auto Scaling group."""
    subnet, image = _an_old_group(road)
    (road.shell.home / "autoscaler.toml").write_text(AUTOSCALER, encoding="utf-8")
    road.walk(DOCUMENT, ("3. What docker-autoscaler has elsewhere",))
    read_off = tomllib.loads(road.said)
    assert read_off == {
        "subnets": [subnet],
        "ami": image,
        "instance_types": ["c7g.large"],
        "security_groups": ["sg-0a1b2c3d4e5f60718"],
    }


def test_what_is_missing_is_filled_in(road: Road) -> None:
    """Section 4: `check` is content, and the tag that kills is gone."""
    road.walk(DOCUMENT, ("4. What migrate cannot know",))
    [runner] = tomllib.loads((road.shell.home / "config.toml").read_text(encoding="utf-8"))["runners"]
    assert (runner["token"], runner["fleet"]["api_token"]) == ("ssm:/ci/runner-token", "ssm:/ci/read-api-token")
    assert runner["fleet"]["security_groups"] == [road.shell.value("worker_group")]
    assert runner["fleet"]["tags"] == {"team": "platform"}


def test_the_new_runner_takes_jobs_of_its_tag_only(road: Road) -> None:
    """Section 5."""
    road.walk(DOCUMENT, ("5. A new runner beside the old one",))
    new = road.gitlab.state.runners[int(road.shell.value("new_runner"))]
    assert (new.tags, new.run_untagged, new.paused) == (["fleet"], False, False)
    assert road.parameters()["/ci/runner-token"] == ("SecureString", new.token)
    assert list(road.profiles()) == ["runner-fleet-ci"]


def test_all_back_and_forward(road: Road) -> None:
    """Section 7: never is there nobody who takes jobs."""
    runners = road.gitlab.state.runners
    new, old = runners[int(road.shell.value("new_runner"))], road.gitlab.runner
    seen = []
    for block in read(DOCUMENT):
        if block.section == "7. All, and back" and block.runs:
            road.shell.run(block)
            road.ran.append(block)
            seen.append((old.paused, new.paused))
    assert seen == [(False, False), (True, False), (False, True), (True, False)]
    assert (new.tags, new.run_untagged) == (["fleet", *old.tags], old.run_untagged)


def test_what_the_old_manager_left_is_removed_and_nothing_else(road: Road) -> None:
    """Section 8."""
    _old_machines(road)
    road.walk(DOCUMENT, ("8. Remove the old one",))
    names = [tag["Value"] for item in road.instances() for tag in item.get("Tags", []) if tag["Key"] == "Name"]
    assert names == ["runner-other-ci-1"]
    assert road.leftovers()["key pairs"] == ["runner-other-ci-1"]
    assert road.cloud.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert road.gitlab.runner.id not in road.gitlab.state.runners


def test_every_block_was_walked(road: Road) -> None:
    """A section that no test names would be one that nobody runs."""
    assert road.ran == [block for block in read(DOCUMENT) if block.runs]


def _an_old_group(road: Road) -> tuple[str, str]:
    """An Auto Scaling group with a launch template; its subnet and image."""
    ec2 = road.cloud.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    data = {"ImageId": image, "InstanceType": "c7g.large", "SecurityGroupIds": ["sg-0a1b2c3d4e5f60718"]}
    made = ec2.create_launch_template(LaunchTemplateName="old", LaunchTemplateData=data)["LaunchTemplate"][
        "LaunchTemplateId"
    ]
    road.cloud.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=20,
        DesiredCapacity=0,
        VPCZoneIdentifier=subnet,
        LaunchTemplate={"LaunchTemplateId": made, "Version": "$Latest"},
    )
    return subnet, image


def _old_machines(road: Road) -> None:
    """Two machines with their key pairs: one of the old runner's, one of somebody else's docker-machine."""
    ec2 = road.cloud.client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    for name in ("runner-oldtoken-ci-1", "runner-other-ci-1"):
        ec2.create_key_pair(KeyName=name)
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
        ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, KeyName=name, TagSpecifications=tags)
