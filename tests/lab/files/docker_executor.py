"""The stand-in's docker executor: how gitlab-runner 19.4 pulls images, starts services and runs a job's script.

What it imitates, and from which files of gitlab-org/gitlab-runner:
- whose credentials a pull gets, in which order, and what is logged: helpers/docker/auth/auth.go (`ResolveConfigForImage`,
  `getConfigs`), executors/docker/internal/pull/manager.go. Credential helpers are the real programs, each is run at every
  look-up; the pull itself is the Docker daemon's, with `X-Registry-Auth`;
- services on links with their aliases, and the wait for their ports: executors/docker/services.go, docker.go;
- volumes: `host:container` as it is, a lone path as a volume that all containers of the job share, named by project and
  slot: executors/docker/internal/volumes/manager.go;
- variables of runner and job for the build and for services; `privileged`, `services_privileged`, `user`;
- `pre_build_script` in the job's shell, before its script: shells/abstract.go.
Not as there: no helper container (nothing is cloned, no caches or artifacts); `privileged` is every capability but
CAP_SYS_RESOURCE, which the machines of a CI often lack; and since there is no Docker Hub, an image without a registry's
host is a small local one, without a network. Standard library only.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import secrets
import socket
import subprocess
import time
import urllib.parse

LOCAL_IMAGE, LOCAL_IMAGE_TAR = "lab-job:1", "/usr/local/share/lab/job-image.tar"
LABEL = "com.gitlab.gitlab-runner"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
HUB = "https://index.docker.io/v1/"
SERVICE_WAIT_S = 30.0
NOT_FOUND = "credentials not found in native keychain"
CAPABILITIES = (
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK",
    "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT",
    "SYS_PTRACE", "SYS_RAWIO", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
)


class PullError(Exception):
    """An image could not be had."""


def host_of(image):
    """The registry's host of an image; empty for Docker Hub."""
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


# --- credentials ----------------------------------------------------------------------------------------------------------


def from_helper(helper, host):
    """What one credential helper says: an empty entry when it says that it has nothing, an error for everything else."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, "get"], input=host, capture_output=True, text=True, timeout=120, check=False)
    except OSError as error:
        raise ValueError(f'error getting credentials - err: exec: "{program}": executable file not found in $PATH') from error
    if done.returncode:
        said = done.stdout.strip()
        if said == NOT_FOUND:
            return {}
        raise ValueError(f"error getting credentials - err: exit status {done.returncode}, out: `{said}`")
    answer = json.loads(done.stdout)
    return {"username": answer["Username"], "password": answer["Secret"]}


def entries_of(config):
    """All of a Docker configuration, by registry: `auths`, then what the helpers say, which replaces it."""
    found = {}
    for registry, entry in config.get("auths", {}).items():
        user, _, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
        found[bare(registry)] = {"username": user, "password": password} if user else {}
    for registry, helper in config.get("credHelpers", {}).items():
        found[bare(registry)] = from_helper(helper, registry)
    return found


def bare(registry):
    """A registry's name as it is compared: no scheme, no slash at the end."""
    return registry.removeprefix("https://").removeprefix("http://").rstrip("/")


def sources(variables, credentials, log):
    """(name, entries) of each source, the first counts most."""
    if variables.get("DOCKER_AUTH_CONFIG"):
        try:
            yield "$DOCKER_AUTH_CONFIG", entries_of(json.loads(variables["DOCKER_AUTH_CONFIG"]))
        except ValueError as error:
            log(f"Failed to resolve credentials from $DOCKER_AUTH_CONFIG: {error}. Credentials from this source will not be used.\n")
    home = pathlib.Path(os.environ.get("HOME") or "/root") / ".docker/config.json"
    # As there: with any error the whole source is gone, without a word.
    stored = {}
    with contextlib.suppress(OSError, ValueError):
        stored = entries_of(json.loads(home.read_text()))
    yield str(home), stored
    yield "job payload (GitLab Registry)", {bare(item["url"]): {"username": item["username"], "password": item["password"]} for item in credentials if item.get("type") == "registry"}


def resolve(image, variables, credentials, log):
    """(source, entry) for an image, or (None, {})."""
    merged = {}
    for name, entries in sources(variables, credentials, log):
        for registry, entry in entries.items():
            merged.setdefault(registry, (name, entry))
    path = image.partition("@")[0].rsplit(":", 1)[0] if ":" in image.rsplit("/", 1)[-1] else image
    while path:
        if path in merged:
            return merged[path]
        path = path.rpartition("/")[0]
    return None, {}


# --- Docker's API -----------------------------------------------------------------------------------------------------------


class Daemon(http.client.HTTPConnection):
    """A connection to the daemon's socket."""

    def __init__(self):
        super().__init__("docker", timeout=600)

    def connect(self):
        """To the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(600)
        self.sock.connect("/var/run/docker.sock")


def daemon_pull(image, entry):
    """`POST /images/create`; raises what the daemon says."""
    name, _, tag = image.rpartition(":") if ":" in image.rsplit("/", 1)[-1] else (image, "", "latest")
    connection = Daemon()
    try:
        auth = base64.urlsafe_b64encode(json.dumps(entry).encode()).decode()
        connection.request("POST", "/images/create?" + urllib.parse.urlencode({"fromImage": name, "tag": tag}), headers={"X-Registry-Auth": auth})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise PullError("Error response from daemon: " + json.loads(text).get("message", text))
        for line in text.splitlines():
            if "error" in (event := json.loads(line)):
                raise PullError(event["error"])
    finally:
        connection.close()


def docker(*arguments):
    """The CLI's output; an error when it fails."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PullError(done.stderr.strip())
    return done.stdout.strip()


# --- a job ------------------------------------------------------------------------------------------------------------------


class DockerExecutor:
    """One job's containers. `prepare`, then `command`, then `clean_up`, whatever happened."""

    def __init__(self, build, system_id, token, log):
        self.build, self.job, self.section = build, build.job, build.section.raw
        self.settings = self.section.get("docker", {})
        self.system_id, self.token, self.log = system_id, token, log
        pairs = [item.partition("=")[::2] for item in self.section.get("environment", [])]
        self.variables = {**dict(pairs), **{item["key"]: item["value"] for item in self.job.get("variables", [])}}
        self.prefix = f"runner-{token}-project-{self.job['job_info']['project_id']}-concurrent-{build.slot}"
        self.name = f"{self.prefix}-{secrets.token_hex(8)}"
        self.containers, self.links = [], []

    @staticmethod
    def usable():
        """Whether containers can be made at all; loads the local image at the first job."""
        if not os.path.exists(LOCAL_IMAGE_TAR):
            return False
        if subprocess.run(["docker", "image", "inspect", LOCAL_IMAGE], check=False, **QUIET).returncode == 0:
            return True
        return subprocess.run(["docker", "import", LOCAL_IMAGE_TAR, LOCAL_IMAGE], check=False, **QUIET).returncode == 0

    def prepare(self):
        """Pulls all images and starts the services; the build's image."""
        asked = (self.job.get("image") or {}).get("name") or self.settings.get("image", "")
        services = [*self.settings.get("services", []), *self.job.get("services", [])]
        for number, service in enumerate(services):
            self.start_service(number, service)
        for container, name in self.links:
            self.wait_for(container, name)
        return self.pull(asked)

    def pull(self, image):
        """With the policy `always`; the name to run."""
        image = "".join(self.variables.get(part, "") if odd else part for odd, part in enumerate_parts(image))
        if not host_of(image):
            return LOCAL_IMAGE
        self.log(f"Pulling docker image {image} ...\n")
        source, entry = resolve(image, self.variables, self.job.get("credentials", []), self.log)
        if source and entry:
            self.log(f"Authenticating with credentials from {source}\n")
        try:
            daemon_pull(image, entry)
        except PullError as error:
            self.log(f'WARNING: Failed to pull image with policy "always": {error} (manager.go:254:0s)\n')
            raise PullError(f'failed to pull image "{image}" with specified policies [always]: {error} (manager.go:254:0s)') from error
        digest = docker("image", "inspect", "--format", "{{.Id}}", image)
        self.log(f"Using docker image {digest} for {image} ...\n")
        return image

    def start_service(self, number, service):
        """A container for a service, to be linked under its names."""
        wanted = service["name"]
        self.log(f"Starting service {wanted} ...\n")
        image = self.pull(wanted)
        variables = {**self.variables, **{item["key"]: item["value"] for item in service.get("variables") or []}}
        privileged = self.settings.get("services_privileged", self.settings.get("privileged", False))
        name = f"{self.name}-service-{number}"
        words = [*self.create("service", name, variables, privileged), image, *(service.get("command") or [])]
        self.containers.append(name)
        docker("run", "-d", *words)
        path = wanted.partition(":")[0] if not host_of(wanted) else wanted.partition("/")[2].partition(":")[0]
        given = (service.get("alias") or "").replace(",", " ").split()
        self.links += [(name, alias) for alias in dict.fromkeys([*given, path.replace("/", "__"), path.replace("/", "-")])]

    def wait_for(self, container, alias):
        """Until one of the image's ports answers, or 30 s: then the job goes on with a warning."""
        ports = [int(port.split("/")[0]) for port in json.loads(docker("inspect", "--format", "{{json .Config.ExposedPorts}}", container)) or {}]
        address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", container)
        deadline = time.monotonic() + SERVICE_WAIT_S
        while ports:
            for port in ports if address else []:
                with socket.socket() as probe:
                    probe.settimeout(1)
                    if probe.connect_ex((address, port)) == 0:
                        return
            if time.monotonic() > deadline or docker("inspect", "--format", "{{.State.Running}}", container) != "true":
                said = subprocess.run(["docker", "logs", "--tail", "20", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
                self.log(f"*** WARNING: Service {container} ({alias}) probably didn't start properly.\n{said}\n")
                return
            time.sleep(0.2)

    def create(self, kind, name, variables, privileged):
        """The arguments that build and services share."""
        info = self.job["job_info"]
        labels = {
            "managed": "true", "type": kind, "job.id": self.job["id"], "job.url": f"{self.build.section.url}/{info['project_full_path']}/-/jobs/{self.job['id']}",
            "job.sha": self.job["git_info"]["sha"], "job.before_sha": self.job["git_info"]["before_sha"], "job.ref": self.job["git_info"]["ref"], "job.timeout": "1h0m0s",
            "project.id": info["project_id"], "project.runner_id": self.build.slot, "pipeline.id": info["pipeline_id"], "runner.id": self.token,
            "runner.local_id": self.build.slot, "runner.system_id": self.system_id,
        }
        words = ["--name", name, "--stop-timeout", "1"]
        for key, value in labels.items():
            words += ["--label", f"{LABEL}.{key}={value}"]
        for volume in self.settings.get("volumes", []):
            words += ["-v", volume if ":" in volume else f"{self.prefix}-cache-{hashlib.md5(volume.encode()).hexdigest()}:{volume}"]
        for key, value in variables.items():
            words += ["-e", f"{key}={value}"]
        if privileged:
            words += [word for capability in CAPABILITIES for word in ("--cap-add", capability)]
            words += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--sysctl", "net.ipv4.ip_forward=1", "-v", "/sys/fs/cgroup:/sys/fs/cgroup"]
        return words

    def command(self, image, text):
        """The `docker run` of the build container."""
        self.build.container = f"{self.name}-build"
        self.containers.append(self.build.container)
        words = ["docker", "run", *self.create("build", self.build.container, self.variables, self.settings.get("privileged", False))]
        if image == LOCAL_IMAGE and not self.links:
            words += ["--network", "none"]
        user = (self.job.get("image") or {}).get("executor_opts", {}).get("docker", {}).get("user") or self.settings.get("user")
        if user:
            words += ["--user", str(user)]
        for container, alias in self.links:
            words += ["--link", f"{container}:{alias}"]
        return [*words, image, "/bin/sh", "-c", text]

    def clean_up(self):
        """No container of the job is left."""
        if self.containers:
            subprocess.run(["docker", "rm", "-f", "-v", *self.containers], check=False, **QUIET)


def enumerate_parts(text):
    """A text cut at `$NAME` and `${NAME}`: (False, text) and (True, name) in turn."""
    for number, part in enumerate(re.split(r"\$\{?(\w+)\}?", text)):
        yield number % 2 == 1, part
