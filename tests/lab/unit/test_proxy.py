"""The proxy plays EC2's failures as EC2 does, and counts."""

import base64
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest

from aws import Emulator, Proxy
from aws.emulator import REGION, TYPES


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One moto for all."""
    emulator = Emulator()
    yield emulator
    emulator.close()


@pytest.fixture
def proxy(emulator: Emulator) -> Iterator[Proxy]:
    """A fresh proxy."""
    proxy = Proxy(emulator)
    yield proxy
    proxy.close()


@pytest.fixture
def ec2(proxy: Proxy) -> Any:
    """A client through it, without retries, and a template to launch from."""
    client = boto3.client("ec2", endpoint_url=proxy.endpoint, region_name=REGION, config=botocore.config.Config(retries={"max_attempts": 0}))
    if not client.describe_launch_templates()["LaunchTemplates"]:
        data = {"ImageId": "ami-0lab", "InstanceInitiatedShutdownBehavior": "terminate", "MetadataOptions": {"HttpTokens": "required"}}
        client.create_launch_template(LaunchTemplateName="template", LaunchTemplateData=data)
    return client


def launch(ec2: Any, token: str, count: int = 1, market: str = "spot") -> Any:
    """CreateFleet over all types and zones."""
    overrides = [{"InstanceType": kind, "SubnetId": subnet["SubnetId"], "AvailabilityZone": subnet["AvailabilityZone"]} for kind in TYPES for subnet in ec2.describe_subnets()["Subnets"]]
    return ec2.create_fleet(Type="instant", ClientToken=token, TargetCapacitySpecification={"TotalTargetCapacity": count, "DefaultTargetCapacityType": market},
                            LaunchTemplateConfigs=[{"LaunchTemplateSpecification": {"LaunchTemplateName": "template", "Version": "1"}, "Overrides": overrides}])


def test_template_is_applied(emulator: Emulator, ec2: Any) -> None:
    """What moto leaves out."""
    (number,) = launch(ec2, "applied")["Instances"][0]["InstanceIds"]
    assert emulator.shuts_down_for_good(number)
    instance = ec2.describe_instances(InstanceIds=[number])["Reservations"][0]["Instances"][0]
    assert instance["MetadataOptions"]["HttpTokens"] == "required" and instance["InstanceLifecycle"] == "spot"


def test_closed_offerings(proxy: Proxy, ec2: Any) -> None:
    """The open ones serve, the closed ones are told one by one; with all closed there are only errors."""
    proxy.closed = lambda market, offering: offering.zone.endswith("a")
    answer = launch(ec2, "partly", 2)
    zones = {item["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"] for item in answer["Instances"]}
    assert zones and not any(zone.endswith("a") for zone in zones)
    assert [item["ErrorCode"] for item in answer["Errors"]] == ["InsufficientInstanceCapacity"] * 2
    assert {item["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"][-1] for item in answer["Errors"]} == {"a"}
    proxy.closed = lambda market, offering: market == "spot"
    answer = launch(ec2, "none")
    assert not answer["Instances"] and len(answer["Errors"]) == 6
    assert launch(ec2, "on-demand", market="on-demand")["Instances"][0]["Lifecycle"] == "on-demand"


def test_client_token(ec2: Any) -> None:
    """The same request twice is one launch; another body with the same token is refused."""
    first, second = launch(ec2, "same"), launch(ec2, "same")
    assert first["Instances"] == second["Instances"]
    with pytest.raises(botocore.exceptions.ClientError, match="IdempotentParameterMismatch"):
        launch(ec2, "same", count=2)


def test_a_lost_answer_is_a_launch(proxy: Proxy, ec2: Any) -> None:
    """Done, but never heard of: the repetition tells of it and does not do it again."""
    before = len(proxy.emulator.instances())
    proxy.fail("lost", "CreateFleet", times=1)
    with pytest.raises(botocore.exceptions.HTTPClientError):
        launch(ec2, "lost")
    assert len(proxy.emulator.instances()) == before + 1
    assert launch(ec2, "lost")["Instances"]
    assert len(proxy.emulator.instances()) == before + 1


@pytest.mark.parametrize(("kind", "error"), [
    ("throttle", "RequestLimitExceeded"), ("garbage", "Unable to parse"), ("internal", "InternalError"), ("cut", "IncompleteRead|Connection|Unable to parse|no element found"),
])
def test_failures(proxy: Proxy, ec2: Any, kind: str, error: str) -> None:
    """Each once, in the journal, and then all is well."""
    proxy.fail(kind, "DescribeInstances", times=1)
    with pytest.raises(Exception, match=error):
        ec2.describe_instances()
    ec2.describe_instances()
    assert [call.fault for call in proxy.calls("DescribeInstances")] == [kind, ""]
    assert proxy.counts()["DescribeInstances"] == 2


def test_too_much_user_data(ec2: Any) -> None:
    """16384 bytes, and not one more."""
    for size, good in ((16384, True), (16385, False)):
        data = {"UserData": base64.b64encode(b"x" * size).decode()}
        try:
            ec2.create_launch_template(LaunchTemplateName=f"size-{size}", LaunchTemplateData=data)
            assert good
        except botocore.exceptions.ClientError as error:
            assert not good and "InvalidUserData.Malformed" in str(error)
