"""The manager as Terraform makes it: an instance of its own, booted from the module's user-data, installed from the package.

The user-data is the plan's, untouched. What the module has for it leads the host to the lab: `environment_variables` to the
EC2 emulator, `insecure_http` to GitLab; and the package lies on an HTTPS server, under a name that only the lab knows.
"""

import base64
import hashlib
import json
import os
import pathlib
import platform
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from aws.emulator import IMAGE, TYPES, Instance
from aws.imds import QuietServer
from aws.tls import certificate
from gitlab import GitLab
from harness.host import BRIDGE, GATEWAY
from harness.manager import Manager, Settings
from harness.wait import wait_for
from harness.world import World

ROOT = pathlib.Path(__file__).resolve().parents[3]
#: Of this machine, as dpkg calls it, and an instance type that has it.
ARCHITECTURE, TYPE = {"x86_64": ("amd64", "t3a.micro"), "aarch64": ("arm64", "t4g.micro")}[platform.machine()]
OTHER = "arm64" if ARCHITECTURE == "amd64" else "amd64"
RELEASES, RELEASES_ADDRESS = "releases.example", "192.0.2.20"
#: Logged by install.sh.
TAG = "runner-fleet-install"
BOOT_S = 120.0


class Releases:
    """Where packages lie; `files` may change at any time."""

    def __init__(self, world: World) -> None:
        """Starts to listen."""
        self.files: dict[str, bytes] = {}
        world.host.run("ip", "address", "replace", f"{RELEASES_ADDRESS}/32", "dev", BRIDGE)
        pair = certificate(world.host.authority, world.host.place / "releases", [RELEASES])
        self._server = QuietServer((RELEASES_ADDRESS, 443), _handler(self.files))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        world.names.table[RELEASES] = RELEASES_ADDRESS

    def offer(self, package: bytes, architecture: str = ARCHITECTURE) -> dict[str, str]:
        """Puts a package there: what `runner_package` says then."""
        path = f"/runner-fleet_{architecture}.deb"
        self.files[path] = package
        return {"url": f"https://{RELEASES}{path}", "sha256": hashlib.sha256(package).hexdigest()}

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()


def _handler(files: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = files.get(self.path)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    return Handler


def package() -> pathlib.Path | None:
    """The .deb that `make package` made for this machine; `RUNNER_FLEET_DEB` says another place."""
    given = os.environ.get("RUNNER_FLEET_DEB")
    if given:
        return pathlib.Path(given)
    return next(iter(sorted((ROOT / "target/package").glob(f"*_{ARCHITECTURE}.deb"), reverse=True)), None)


def foreign_package(folder: pathlib.Path) -> bytes:
    """A .deb for the other architecture, with nothing in it."""
    (folder / "content/DEBIAN").mkdir(parents=True)
    control = {"Package": "runner-fleet", "Version": "0.1.0", "Architecture": OTHER, "Maintainer": "nobody", "Description": "for another machine"}
    (folder / "content/DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", folder / "content", folder / "foreign.deb"], check=True, capture_output=True)
    return (folder / "foreign.deb").read_bytes()


def why_not() -> str | None:
    """Why the module's host cannot be tried here; None when it can."""
    if not any(os.access(os.path.join(place, "terraform"), os.X_OK) for place in os.environ["PATH"].split(":")):
        return "terraform is not in PATH"
    if package() is None:
        return f"there is no target/package/*_{ARCHITECTURE}.deb (make package)"
    return None


@dataclass
class HostSettings(Settings):
    """What the cases vary besides."""

    #: Of the module.
    variables: dict[str, Any] = field(default_factory=dict)
    #: Whether the service is to come up, so that the start waits for it.
    healthy: bool = True


class ManagerHost(Manager):
    """A manager on a host of its own. Its name is the module's `environment`."""

    settings: HostSettings
    settings_kind = HostSettings

    def __init__(self, world: World, gitlab: GitLab, case: str, settings: HostSettings) -> None:
        """Plans the host; `start` launches it."""
        self.host: Instance | None = None
        super().__init__(world, gitlab, case, settings)

    def write(self) -> None:
        """Plans anew from the settings."""
        ec2 = self.world.emulator.client("ec2")
        subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda item: item["AvailabilityZone"])
        group = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
        self.subnets = [item["SubnetId"] for item in subnets]
        wanted = self.settings
        variables = {
            "environment": self.name, "vpc_id": subnets[0]["VpcId"], "subnet_ids": self.subnets,
            "runner_image": "debian-13", "runner_instance": {"type": TYPE},
            "runner_gitlab": {
                "url": self.gitlab.base, "insecure_http": True,
                "preregistered_runner_token_ssm_parameter_name": f"/{self.name}/runner-token", "api_token_ssm_parameter_name": f"/{self.name}/read-api-token",
            },
            "runner_manager": {
                "maximum_concurrent_jobs": 8, "gitlab_check_interval": 1,
                "environment_variables": {"AWS_ENDPOINT_URL": self.world.proxy.endpoint.replace("127.0.0.1", GATEWAY)},
            },
            "runners": {"graviton-spot": {"limit": wanted.limit, "fleet": {
                "ami": IMAGE, "instance_types": list(TYPES), "ssh_user": "admin", "idle_count": wanted.idle_count, "idle_time": wanted.idle_time,
                "boot_timeout": wanted.boot_timeout, "orphan_timeout": wanted.orphan_timeout,
            }}},
            **wanted.variables,
        }
        planned = subprocess.run([str(ROOT / "tests/terraform/planned"), group], input=json.dumps(variables), capture_output=True, text=True, timeout=180, check=False)
        assert planned.returncode == 0, planned.stderr
        result = json.loads(planned.stdout)
        assert not result["errors"], result["errors"]
        self.user_data = base64.b64decode(result["user_data"])
        (self.directory / "config.toml").write_text(result["config_toml"])

    def launch(self) -> Instance:
        """A new host from the plan, as the Auto Scaling group launches it: with the instance profile, in the first subnet."""
        ec2, cloud = self.world.emulator.client("ec2"), self.world.cloud
        cloud.paused.set()
        try:
            image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
            place = {"SubnetId": self.subnets[0], "ImageId": image, "InstanceType": TYPE, "MinCount": 1, "MaxCount": 1}
            launched = ec2.run_instances(UserData=self.user_data, **place)["Instances"][0]
            self.world.emulator.backend().get_instance(launched["InstanceId"]).lab_profile = f"{self.name}-manager"
        finally:
            cloud.paused.clear()
        self.host = next(item for item in self.world.emulator.instances() if item.id == launched["InstanceId"])
        wait_for("the host boots", lambda: self.host is not None and self.host.id in cloud.booted, 60)
        return self.host

    def start(self) -> None:
        """Launches the host, and waits until the service on it answers."""
        self.launch()
        if self.settings.healthy:
            wait_for("the service on the host answers on /healthz", lambda: self.get("/healthz") is not None, BOOT_S)

    def loses_its_host(self) -> None:
        """The host ends without a word; all that was on it is gone."""
        if self.host is not None:
            lost = self.host.id
            self.world.cloud.kill(lost)
            wait_for("the host is gone", lambda: lost not in self.world.cloud.containers(), 30)
            self.host = None

    kill = stop = loses_its_host

    @property
    def running(self) -> bool:
        """Whether the service is up."""
        return self.ask("systemctl is-active runner-fleet") == "active"

    def ask(self, command: str) -> str | None:
        """A command on the host, as root; None when it fails."""
        return None if self.host is None else self.world.cloud.ask(self.host.id, command)

    def get(self, path: str) -> str | None:
        """A page of the service's listener, from the host itself: nobody else reaches it."""
        return self.ask(f"curl --fail --silent --max-time 5 http://127.0.0.1:9252{path}")

    def installation(self) -> list[str]:
        """What the installation said."""
        return (self.ask(f"journalctl --identifier {TAG} --output cat") or "").splitlines()

    def installation_ends(self) -> list[str]:
        """Waits until the installation is over, well or not: all that it said."""
        wait_for("the installation has ended", lambda: "running" not in (self.ask("cloud-init status || true") or "running"), 60)
        return self.installation()

    def says(self, *words: str, seconds: float = BOOT_S) -> str:
        """Waits until one line of the host's log holds all these words: that line."""
        def find() -> str | None:
            lines = (self.ask("journalctl --output cat") or "").splitlines()
            return next((line for line in lines if all(word in line for word in words)), None)

        return wait_for(f"the host's log says {words}", find, seconds) or ""
