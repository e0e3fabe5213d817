"""What the ECR cases share: images, a runner with ECR, its jobs."""

import hashlib
import json
import pathlib
from dataclasses import dataclass, field
from typing import Any

from aws import Ecr, Instance
from aws.ecr import DOWNLOADS, REGISTRY, REGISTRY_ADDRESS, SECOND, SECOND_ADDRESS, SECOND_LOGIN
from aws.images import Uploader
from gitlab import GitLab, Job
from harness import steps
from harness.manager import Manager
from harness.wait import wait_for

HELPER = "/usr/local/bin/docker-credential-ecr-login"
#: Private images: the docker CLI on glibc, that of the next Debian, a userland on musl, Docker-in-Docker, and a service that is there for its port.
CLI, NEWER, MUSL, DIND, WEB = (f"{REGISTRY}/team/{name}:1" for name in ("docker", "newer", "musl", "dind", "web"))
OTHER = f"{SECOND}/group/other:1"
TLS = {"DOCKER_HOST": "tcp://docker:2376", "DOCKER_TLS_CERTDIR": "/certs", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs/client"}
PLAIN = {"DOCKER_HOST": "tcp://docker:2375", "DOCKER_TLS_CERTDIR": ""}
#: The worker's own socket, where the runner's section mounts it.
SOCKET = {"DOCKER_HOST": "unix:///run/worker-docker.sock"}
WITH_DIND = [{"name": DIND, "alias": "docker"}]
UNWIRED = 'rm -f "${DOCKER_CONFIG:-$HOME/.docker}/config.json"'
DENIED = "no basic auth credentials"
WORKED = "Authenticating with credentials from /root/.docker/config.json"
DOCKER_IS_UP = "n=0; until docker version >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 100 ]; sleep 0.2; done"
#: What a job says to learn whether a token of the metadata service reaches it; no image needs curl for it.
TOKEN_REQUEST = r"printf 'PUT /latest/api/token HTTP/1.0\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n' | timeout 4 nc 169.254.169.254 80 || true"


def fill(ecr: Ecr, layers: pathlib.Path, helper: pathlib.Path) -> None:
    """Pushes the images, and offers the helper for download."""
    private = Uploader(REGISTRY_ADDRESS, ecr.authority, ("AWS", ecr.password))
    path = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    private.push(layers, "docker", "team/docker", "1", Cmd=["/bin/sh"], **path)
    private.push(layers, "newer", "team/newer", "1", Cmd=["/bin/sh"], **path)
    private.push(layers, "musl", "team/musl", "1", Cmd=["/bin/sh"], **path)
    private.push(layers, "musl", "team/web", "1", Cmd=["/bin/httpd", "-f", "-p", "80", "-h", "/etc"], ExposedPorts={"80/tcp": {}}, **path)
    private.push(layers, "dind", "team/dind", "1", Entrypoint=["/usr/local/bin/dockerd-entrypoint.sh"], ExposedPorts={"2375/tcp": {}, "2376/tcp": {}},
                 Volumes={"/var/lib/docker": {}}, **{**path, "Env": [*path["Env"], "DOCKER_TLS_CERTDIR=/certs"]})
    Uploader(SECOND_ADDRESS, ecr.authority, SECOND_LOGIN).push(layers, "musl", "group/other", "1", Cmd=["/bin/sh"], **path)
    ecr.files["/docker-credential-ecr-login"] = (helper / "docker-credential-ecr-login").read_bytes()


@dataclass
class Table:
    """`[runners.fleet.ecr]`."""

    ecr: Ecr
    enabled: bool = True
    in_jobs: bool = True
    path: str = "/docker-credential-ecr-login"
    sha256: str = ""
    registries: list[str] = field(default_factory=lambda: [REGISTRY])

    def more(self) -> dict[str, str]:
        """As further keys of `[runners.fleet]`."""
        given = self.sha256 or hashlib.sha256(self.ecr.files[self.path]).hexdigest()
        keys = {"registries": self.registries, "enabled": self.enabled, "in_jobs": self.in_jobs, "helper_url": f"https://{DOWNLOADS}{self.path}", "helper_sha256": given}
        table = ", ".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        return {"instance_profile": json.dumps("lab-worker"), "ecr": f"{{ {table} }}"}


class Bench:
    """A manager with one worker, on which jobs are tried."""

    def __init__(self, manager: Manager, gitlab: GitLab) -> None:
        """Waits for the worker."""
        self.manager, self.gitlab = manager, gitlab
        steps.waits_idle(gitlab, 1)
        (self.worker,) = manager.instances()

    def job(self, name: str, *script: str, image: str = CLI, **more: Any) -> Job:
        """Queues a job."""
        return self.gitlab.queue(name, *script, image=image, **more)

    def on_worker(self, command: str, worker: Instance | None = None) -> str:
        """A command on the worker, as root."""
        return self.manager.world.cloud.execute((worker or self.worker).id, command, timeout=120)


def log_of(job: Job) -> str:
    """The job's log."""
    return bytes(job.trace).decode(errors="replace")


def succeed(*jobs: Job) -> None:
    """All of them end, and well."""
    for job in jobs:
        steps.succeeds(job, 120)


def fail(job: Job, *words: str) -> None:
    """The job ends badly, and its log says these words."""
    wait_for(f"job {job.id} ({job.name}) ends", job.finished, 120)
    assert job.status == "failed", f"job {job.id} ({job.name}) should have failed\n{log_of(job)}"
    for word in words:
        assert word in log_of(job), f"job {job.id} ({job.name}) does not say {word!r}\n{log_of(job)}"
