"""The lab without the program: that its parts are what the other cases take them for."""

import base64
import functools
import gzip
import json
import pathlib
import subprocess
import time
from collections.abc import Iterator

import boto3
import pytest

from aws import Instance
from aws.emulator import IMAGE, REGION, TYPES
from gitlab import GitLab
from harness.wait import hold, wait_for
from harness.world import World

LABEL = "com.gitlab.gitlab-runner"


def config(gitlab: GitLab, *, runners: bool = True) -> str:
    """A worker's config.toml, or one that fences it: without any runner."""
    head = 'concurrent = 1\ncheck_interval = 1\nlisten_address = "127.0.0.1:9252"\n'
    if not runners:
        return head
    return head + f'[[runners]]\nname = "w"\nurl = "{gitlab.base}"\ntoken = "{gitlab.runner.token}"\nexecutor = "docker"\n[runners.docker]\nimage = "alpine"\n'


def launch(world: World, key: pathlib.Path, user_data: str, count: int = 1) -> list[Instance]:
    """CreateFleet through the proxy, as the program does it."""
    ec2, ssm = (world.emulator.client(name) for name in ("ec2", "ssm"))
    through = boto3.client("ec2", endpoint_url=world.proxy.endpoint, region_name=REGION)
    name = f"lab-itself-{time.time_ns()}"
    ec2.import_key_pair(KeyName=name, PublicKeyMaterial=key.with_suffix(".pub").read_bytes())
    image = ssm.get_parameter(Name=IMAGE.removeprefix("ssm:"))["Parameter"]["Value"]
    data = base64.b64encode(gzip.compress(user_data.encode())).decode()
    through.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, "KeyName": name, "UserData": data, "InstanceInitiatedShutdownBehavior": "terminate"})
    overrides = [{"InstanceType": kind, "SubnetId": subnet["SubnetId"], "AvailabilityZone": subnet["AvailabilityZone"]} for kind in TYPES for subnet in ec2.describe_subnets()["Subnets"]]
    answer = through.create_fleet(
        Type="instant", ClientToken=name, TargetCapacitySpecification={"TotalTargetCapacity": count, "DefaultTargetCapacityType": "spot"},
        LaunchTemplateConfigs=[{"LaunchTemplateSpecification": {"LaunchTemplateName": name, "Version": "1"}, "Overrides": overrides}],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "runner-fleet:manager", "Value": name}]}])
    ids = [number for item in answer["Instances"] for number in item["InstanceIds"]]
    assert len(ids) == count
    return [item for item in world.emulator.instances() if item.id in ids]


def ssh(key: pathlib.Path, address: str, command: str) -> str:
    """As admin, with the key pair's private half."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2", "-o", "LogLevel=ERROR"]
    done = subprocess.run(["ssh", "-i", str(key), *options, f"admin@{address}", command], capture_output=True, text=True, check=False, timeout=30)
    return done.stdout.strip()


@pytest.fixture
def key(tmp_path: pathlib.Path, world: World) -> Iterator[pathlib.Path]:
    """A key pair; and nothing of the test left afterwards."""
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    yield path
    left = [item.id for item in world.emulator.instances() if item.live]
    if left:
        world.emulator.client("ec2").terminate_instances(InstanceIds=left)
    wait_for("the containers are gone", lambda: not world.cloud.containers(), 60)
    assert not world.cloud.problems


def test_a_worker_lives_its_life(world: World, gitlab: GitLab, key: pathlib.Path) -> None:
    """Boot by cloud-init, ssh, a job in a real container, fence by an empty configuration, SIGQUIT, power-off."""
    runner = "systemd-run --unit=gitlab-runner --property=KillSignal=SIGQUIT gitlab-runner run --config /etc/gitlab-runner/config.toml"
    cloud_config = {"runcmd": ["mkdir -p /etc/gitlab-runner", f"printf %s '{config(gitlab)}' > /etc/gitlab-runner/config.toml", "printf r_0a1b2c3d4e5f > /etc/gitlab-runner/.runner_system_id", runner]}
    job = gitlab.queue("first", "echo hello from $(cat /proc/1/comm)", "sleep 4")
    started = time.monotonic()
    (worker,) = launch(world, key, "#cloud-config\n" + json.dumps(cloud_config))
    wait_for("ssh as admin with the key pair, root by sudo", lambda: ssh(key, worker.address, "sudo id -un") == "root", 60)
    wait_for("the job runs", lambda: job.status == "running", 60)
    print(f"from CreateFleet to a running job: {time.monotonic() - started:.1f} s")
    assert job.manager == "r_0a1b2c3d4e5f"
    labels = f"docker ps -q --filter label={LABEL}.managed=true --filter label={LABEL}.job.id={job.id} --filter label={LABEL}.type=build"
    wait_for("the job's container", lambda: world.cloud.ask(worker.id, labels), 60)
    metrics = world.cloud.execute(worker.id, "curl -s http://127.0.0.1:9252/metrics")
    assert 'state="running"' in metrics and "gitlab_runner_request_concurrency" in metrics
    wait_for("the job succeeds", lambda: job.status == "success", 60)
    assert b"hello from" in job.trace

    # Fenced softly: asks no more after the open request ends, and the process lives on.
    (world.cloud.seeds / worker.id / "fenced.toml").write_text(config(gitlab, runners=False))
    world.cloud.execute(worker.id, "cp /var/lib/cloud/seed/nocloud/fenced.toml /etc/gitlab-runner/config.toml")

    def has_let_go() -> bool:
        # Between two requests none is open either: the empty list has to be loaded as well.
        metrics = world.cloud.execute(worker.id, "curl -s http://127.0.0.1:9252/metrics")
        return "configuration_loaded_total 2" in metrics and 'request_concurrency{runner="lab-runne",system_id="r_0a1b2c3d4e5f"} 0' in metrics

    wait_for("the empty list is loaded, and no request is open", has_let_go, 60)
    late = gitlab.queue("late")
    hold("a fenced worker takes no job", lambda: late.status == "pending", 5)
    assert world.cloud.execute(worker.id, "systemctl is-active gitlab-runner").strip() == "active"

    # SIGQUIT lets it go; the power-off ends the instance, as the template says.
    world.cloud.execute(worker.id, "systemctl kill --signal=SIGQUIT --kill-who=main gitlab-runner")
    wait_for("the runner has ended", lambda: world.cloud.ask(worker.id, "systemctl is-active gitlab-runner") is None, 60)
    world.cloud.ask(worker.id, "systemctl poweroff")
    wait_for("EC2 knows that it ended itself", lambda: world.emulator.backend().get_instance(worker.id).state_reason.code == "Client.InstanceInitiatedShutdown", 60)


def test_metadata_and_notice(world: World, key: pathlib.Path) -> None:
    """IMDSv2 answers each worker about itself, and gives notices to the right one only."""
    one, two = launch(world, key, "#cloud-config\n{}\n", 2)
    base = "http://169.254.169.254/latest"
    fetch = f"T=$(curl -sX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {base}/api/token); curl -sH \"X-aws-ec2-metadata-token: $T\" {base}/meta-data/"

    def knows_itself(worker: Instance) -> bool:
        return world.cloud.ask(worker.id, fetch + "instance-id") == worker.id

    for worker in (one, two):
        wait_for("metadata tells the worker's own id", functools.partial(knows_itself, worker), 60)
    assert world.cloud.execute(one.id, f"curl -s -o /dev/null -w '%{{http_code}}' {base}/meta-data/instance-id") == "401"
    world.metadata.interrupt(two.id)
    assert "terminate" in world.cloud.execute(two.id, fetch + "spot/instance-action")
    assert not world.cloud.execute(one.id, fetch + "spot/instance-action")
    world.cloud.kill(two.id)
    wait_for("EC2 tells of the reclaim", lambda: world.emulator.backend().get_instance(two.id).state_reason.code == "Server.SpotInstanceTermination", 60)
