"""Wrong inputs of the module, by the words that must refuse them: the least that works, and one thing wrong with it."""

import json
import random
import string

from tf import MINIMAL, Json


def changed(variable: str, **keys: object) -> Json:
    """The least that works, with other keys in one variable."""
    return {**MINIMAL, variable: {**MINIMAL.get(variable, {}), **keys}}


def runner(fleet: Json | None = None, /, **keys: object) -> Json:
    """With other keys of the runner, and of its `fleet`."""
    spot = MINIMAL["runners"]["spot"]
    return {**MINIMAL, "runners": {"spot": {**spot, **keys, "fleet": {**spot["fleet"], **(fleet or {})}}}}


def rule(**keys: object) -> Json:
    """A rule of a security group."""
    return {"mine": {"protocol": "tcp", "from_port": 443, "to_port": 443, "description": "mine", **keys}}


ALL = "0.0.0.0/0"
BLIND = {"url": "https://gitlab.example.com", "preregistered_runner_token_ssm_parameter_name": "/ci/runner-token"}
#: It looks like a token, and is none; in two pieces, so that nobody's scanner rings.
TOKEN = "glrt" + "-notatokennotatoken00"
#: Text that no compression makes small.
NOISE = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=40_000))

NAMES = {
    "environment: write 1 to 32 letters": {**MINIMAL, "environment": "ci_eu"},
    "vpc_id: write the id of a VPC": {**MINIMAL, "vpc_id": "main"},
    "subnet_ids: write at least one subnet": {**MINIMAL, "subnet_ids": []},
    "subnet_ids: every entry is the id of a subnet": {**MINIMAL, "subnet_ids": ["10.0.0.0/24"]},
    "tags: keys that begin with runner-fleet:": {**MINIMAL, "tags": {"runner-fleet:manager": "ci"}},
    "iam_object_prefix: write at most 50": {**MINIMAL, "iam_object_prefix": "a b"},
    "iam_permissions_boundary_arn: write the policy's ARN": {**MINIMAL, "iam_permissions_boundary_arn": "boundary"},
    "kms_key_id: write the key's ARN": {**MINIMAL, "kms_key_id": "alias/ci"},
}

PACKAGE = {
    "runner_package.url: write https://": changed("runner_package", url="http://releases.example.com/a.rpm"),
    # With an image of the user's own, the module does not know which kind of package it takes.
    "runner_package.url: write the address of a .rpm":
        {**changed("runner_package", url="https://example.com/latest"), "runner_ami_id": "ami-0123456789abcdef0"},
    "runner_package.sha256: write the 64 small hex digits": changed("runner_package", sha256="e3b0c442"),
    'runner_image = "debian-13" installs a .deb': {**MINIMAL, "runner_image": "debian-13"},
    "t4g.micro is arm64; write the address of the package for arm64":
        changed("runner_package", url="https://releases.example.com/runner-fleet-0.1.0-1.x86_64.rpm"),
    'runner_image: write "amazon-linux-2023"': {**MINIMAL, "runner_image": "ubuntu"},
    "runner_ami_id: write the id of an image": {**MINIMAL, "runner_ami_id": "al2023"},
}

MANAGER = {
    "runner_instance.type: write an instance type": changed("runner_instance", type="t4g"),
    "runner_instance.max_lifetime_seconds: EC2 takes": changed("runner_instance", max_lifetime_seconds=3600),
    "runner_instance.root_device_config: write volume_type":
        changed("runner_instance", root_device_config={"volume_size": 4}),
    "runner_instance.additional_tags: keys that begin":
        changed("runner_instance", additional_tags={"runner-fleet:manager": "ci"}),
    "runner_manager.maximum_concurrent_jobs: write": changed("runner_manager", maximum_concurrent_jobs=0),
    "runner_manager.gitlab_check_interval: write": changed("runner_manager", gitlab_check_interval=3600),
    "runner_manager.log_level: write": changed("runner_manager", log_level="verbose"),
    "runner_manager.log_format: write": changed("runner_manager", log_format="logfmt"),
    "runner_manager.prometheus_listen_address: write": changed("runner_manager", prometheus_listen_address="9252"),
    "runner_manager.ssh_key_ssm_parameter_name: write":
        changed("runner_manager", ssh_key_ssm_parameter_name="ssm:/ci/key"),
    "runner_manager.environment_variables: names are":
        changed("runner_manager", environment_variables={"HTTPS-PROXY": "proxy"}),
    "runner_manager.extra: write jsonencode": changed("runner_manager", extra="sentry_dsn = 1"),
    "runner_gitlab.url: write https://": changed("runner_gitlab", url="http://gitlab.example.com"),
    "runner_gitlab: write the full name of the SSM parameter":
        changed("runner_gitlab", api_token_ssm_parameter_name="glpat" + "-notatoken"),
    "runner_gitlab.ca_certificate: write the certificates": changed("runner_gitlab", ca_certificate="ca.pem"),
    "runner_role: with create_role_profile = false": changed("runner_role", create_role_profile=False),
    "runner_role.instance_profile_arn: write the ARN":
        changed("runner_role", instance_profile_arn="arn:aws:iam::123456789012:role/ci"),
    "runner_role.policy_json: write what": changed("runner_role", policy_json="manager.json"),
    "runner_ingress_rules: write protocol": {**MINIMAL, "runner_ingress_rules": rule(protocol="https", cidr_block=ALL)},
    "runner_ingress_rules: write exactly one": {**MINIMAL, "runner_ingress_rules": rule()},
    "runner_egress_rules: write protocol": {**MINIMAL, "runner_egress_rules": rule(protocol="any", cidr_block=ALL)},
    "runner_egress_rules: write exactly one": {**MINIMAL, "runner_egress_rules": rule()},
    "runner_install: a script begins with": changed("runner_install", pre_install_script="dnf update"),
    "runner_cloudwatch.retention_days: CloudWatch takes": changed("runner_cloudwatch", retention_days=10),
    "runner_cloudwatch.enable: Debian has no package": {
        **changed("runner_package", url="https://releases.example.com/runner-fleet_0.1.0_arm64.deb"),
        "runner_image": "debian-13", "runner_cloudwatch": {"enable": True},
    },
    "runner_alarm.minutes: write whole minutes": changed("runner_alarm", minutes=0),
    "runner_alarm.enable: the host asks the service":
        {**changed("runner_alarm", enable=True), "runner_manager": {"prometheus_listen_address": ""}},
}

RUNNERS = {
    "runners: write at least one runner": {**MINIMAL, "runners": {}},
    "runners: a runner's name is part of EC2 names": {**MINIMAL, "runners": {"my spot": MINIMAL["runners"]["spot"]}},
    "runners: a runner has no token": {**MINIMAL, "runner_gitlab": {"api_token_ssm_parameter_name": "/ci/api"}},
    "runners: token_ssm_parameter_name and api_token_ssm_parameter_name are":
        runner(token_ssm_parameter_name="glrt" + "-notatoken"),
    "runners: write url": runner(url="gitlab.example.com"),
    "runners: limit is a whole number": runner(limit=1.5),
    "runners: write fleet.instance_types with at least one": runner({"instance_types": []}),
    "runners: fleet.instance_types holds names": runner({"instance_types": ["large"]}),
    "runners: fleet.instance_types mixes Graviton": runner({"instance_types": ["c8g.large", "c7i.large"]}),
    "runners: fleet.ami is the id of an image": runner({"ami": "debian-12"}),
    "runners: fleet.ami is an image for another processor":
        runner({"ami": "ssm:/aws/service/debian/release/12/latest/amd64"}),
    "runners: write fleet.market": runner({"market": "on_demand"}),
    "runners: write fleet.address": runner({"address": "ipv6"}),
    "runners: fleet.spot_max_price is in USD": runner({"spot_max_price": "cheap"}),
    "runners: fleet.subnets are ids": runner({"subnets": []}),
    "runners: fleet.security_groups are ids": runner({"security_groups": ["default"]}),
    "runners: with fleet.region write fleet.subnets": runner({"region": "eu-west-1"}),
    "runners: fleet.instance_profile is the name": runner({"instance_profile": "arn:aws:iam::123456789012:role/ci"}),
    "runners: fleet.tags cannot have keys": runner({"tags": {"Name": "worker"}}),
    "runners: EC2 allows 50 tags": runner({"tags": {f"tag-{number}": "" for number in range(50)}}),
    "runners: fleet.capacity and fleet.max_workers": runner({"max_workers": 0}),
    "runners: fleet.capacity is more than": runner({"capacity": 11}),
    "runners: fleet.max_jobs = 1 means a fresh machine": runner({"max_jobs": 1, "capacity": 2}),
    "runners: fleet.idle_count is a number": runner({"idle_count": "many"}),
    "runners: fleet.idle_count is above": runner({"idle_count": 11}),
    "runners: fleet.idle_count_min is above":
        runner({"idle_count": 2, "idle_count_min": 3, "idle_scale_factor": 0.5}),
    "runners: without an API token": {**MINIMAL, "runner_gitlab": BLIND},
    "runners: times are written like": runner({"idle_time": "1d"}),
    "runners: fleet.schedule.periods are cron expressions":
        runner({"schedule": [{"periods": ["* * 8-18 * * mon-fri *"], "idle_count": 1}]}),
    "runners: fleet.ecr.registries holds exact hosts":
        runner({"ecr": {"registries": ["https://123456789012.dkr.ecr.eu-central-1.amazonaws.com/team"]}}),
    "runners: fleet.ecr.registries is empty": runner({"ecr": {"registries": []}}),
    "runners: extra is jsonencode": runner(extra="not json"),
    "runners: fleet.docker_daemon is jsonencode": runner({"docker_daemon": "[]"}),
    'config_toml: its [fleet] needs manager = "ci"': {
        **changed("runner_role", policy_json='{"Statement": []}'),
        "runners": {}, "config_toml": '[fleet]\nmanager = "other"\n',
    },
    "config_toml: the module cannot read it": {**MINIMAL, "runners": {}, "config_toml": '[fleet]\nmanager = "ci"\n'},
    "A GitLab token stands in the configuration": runner(environment=[f"TOKEN={TOKEN}"]),
    "An `extra` or `docker_daemon` holds a null": runner({"docker_daemon": json.dumps({"debug": None})}),
    "bytes after gzip, and EC2 takes 16384": runner({"setup_script": NOISE}),
}

WORKERS = {
    "runner_worker_role.role_arns: write the ARNs": changed("runner_worker_role", role_arns=["ci-worker"]),
    "runner_worker_role.create_role_profile: the cache":
        {**changed("runner_worker_role", create_role_profile=False), "runner_worker": {"ssm_access": True}},
    "runner_worker_ecr: write names of repositories": changed("runner_worker_ecr", repositories=["host:443/team"]),
    "runner_worker_cache: write either create = true": changed("runner_worker_cache", create=True, bucket="ci-cache"),
    "runner_worker_cache.bucket: write the bucket's name": changed("runner_worker_cache", bucket="s3://ci-cache"),
    "runner_worker_cache.bucket_prefix: write": changed("runner_worker_cache", create=True, bucket_prefix="CI_"),
    "runner_worker_cache.expiration_days: write": changed("runner_worker_cache", create=True, expiration_days=0),
    "has more than 63 characters": {
        **changed("runner_worker_cache", create=True, bucket_prefix="a" * 20), "environment": "b" * 32,
    },
    "runner_worker_ingress_rules: write protocol":
        {**MINIMAL, "runner_worker_ingress_rules": rule(protocol="ssh", cidr_block="10.0.0.0/8")},
    "runner_worker_ingress_rules: write exactly one": {**MINIMAL, "runner_worker_ingress_rules": rule()},
    "runner_worker_egress_rules: write protocol":
        {**MINIMAL, "runner_worker_egress_rules": rule(protocol="ssh", cidr_block="10.0.0.0/8")},
    "runner_worker_egress_rules: write exactly one":
        {**MINIMAL, "runner_worker_egress_rules": rule(cidr_block="10.0.0.0/8", prefix_list_id="pl-0123")},
}

REFUSED: dict[str, Json] = {**NAMES, **PACKAGE, **MANAGER, **RUNNERS, **WORKERS}
