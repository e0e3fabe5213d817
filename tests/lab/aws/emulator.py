"""EC2, SSM and IAM: moto, served over HTTP from this process, so that the lab can also do what no API call does
(a spot reclaim, an instance that shuts itself down) and read the instances without calls that a journal would count."""

import base64
import logging
import os
from dataclasses import dataclass
from typing import Any

import boto3

REGION = "eu-central-1"
ACCOUNT = "123456789012"
#: An image parameter that moto knows, of the architecture that the types below have.
IMAGE = "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
TYPES = ("c7g.large", "c8g.large")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIALAB", "AWS_SECRET_ACCESS_KEY": "lab", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}


@dataclass(frozen=True)
class Instance:
    """What the lab reads of an instance."""

    id: str
    state: str
    address: str
    key_name: str
    user_data: bytes
    zone: str
    type: str
    lifecycle: str
    hop_limit: int
    profile: str
    tags: tuple[tuple[str, str], ...]

    def tag(self, name: str) -> str | None:
        """A tag's value."""
        return dict(self.tags).get(name)

    @property
    def live(self) -> bool:
        """Whether it still costs money."""
        return self.state not in ("terminated", "shutting-down")


class Emulator:
    """One moto server; `endpoint` is its URL."""

    def __init__(self) -> None:
        """Starts to listen."""
        os.environ.update(CREDENTIALS)
        # Imported late: moto reads the environment, and takes a second.
        from moto.moto_server.threaded_moto_server import ThreadedMotoServer  # noqa: PLC0415

        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"

    def client(self, service: str) -> Any:
        """A boto3 client that goes straight here, past the proxy."""
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION)

    def close(self) -> None:
        """Stops listening."""
        self._server.stop()

    def backend(self) -> Any:
        """Moto's own model of EC2."""
        from moto.ec2.models import ec2_backends  # noqa: PLC0415

        return ec2_backends[ACCOUNT][REGION]

    def instances(self) -> list[Instance]:
        """All instances, the ended ones too, in order of ids."""
        found = []
        backend = self.backend()
        for reservation in list(backend.reservations.values()):
            for item in list(reservation.instances):
                tags = tuple(sorted(dict(backend.tags.get(item.id, {})).items()))
                found.append(Instance(
                    id=item.id, state=item._state.name, address=item.private_ip, key_name=item.key_name or "", user_data=_decode(item.user_data),
                    zone=str(item.placement.zone), type=item.instance_type, lifecycle=item.lifecycle or "on-demand",
                    hop_limit=int(getattr(item.metadata_options, "http_put_response_hop_limit", None) or 1), profile=str(getattr(item, "lab_profile", "")), tags=tags))
        return sorted(found, key=lambda item: item.id)

    def public_key(self, key_name: str) -> str:
        """The public half of an imported key pair, as it goes into authorized_keys."""
        pair = self.backend().key_pairs.get(key_name)
        material = "" if pair is None else pair.material_public
        return material.decode() if isinstance(material, bytes) else str(material or "")

    def apply_template(self, template: str, instances: list[str]) -> None:
        """What moto leaves out of a launch template: shutdown behaviour, metadata options, instance profile, EC2's own tags."""
        backend = self.backend()
        found = next((item for item in list(backend.launch_templates.values()) if template in (item.name, item.id)), None)
        if found is None:
            return
        data = found.versions[-1].data
        for item in (backend.get_instance(instance) for instance in instances):
            item.instance_initiated_shutdown_behavior = data.get("InstanceInitiatedShutdownBehavior", "stop")
            options = data.get("MetadataOptions", {})
            item.metadata_options.http_tokens = options.get("HttpTokens", "optional")
            item.metadata_options.http_put_response_hop_limit = int(options.get("HttpPutResponseHopLimit", 1))
            profile = data.get("IamInstanceProfile", {})
            item.lab_profile = profile.get("Name") or profile.get("Arn") or ""
            backend.create_tags([item.id], {"aws:ec2launchtemplate:id": found.id, "aws:ec2launchtemplate:version": "1"})

    def shuts_down_for_good(self, instance: str) -> bool:
        """`instance-initiated-shutdown-behavior`."""
        return bool(self.backend().get_instance(instance).instance_initiated_shutdown_behavior == "terminate")

    def end(self, instance: str, code: str, message: str) -> None:
        """Ends an instance as something other than an API call does, with the state reason that EC2 then gives."""
        item = self.backend().get_instance(instance)
        if item._state.name != "terminated":
            item.terminate()
        item.state_reason.code, item.state_reason.message = code, f"{code}: {message}"

    def stop(self, instance: str) -> None:
        """Stopped, not ended: what a shutdown does unless the launch said otherwise."""
        self.backend().get_instance(instance).stop()


def _decode(user_data: Any) -> bytes:
    """Moto wraps user-data in a type of its own, which keeps the Base64 text."""
    if not user_data:
        return b""
    return base64.b64decode(user_data if isinstance(user_data, str) else user_data.as_bytes())
