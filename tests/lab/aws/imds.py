"""The instance metadata service on 169.254.169.254: version 2 only, each caller known by its address.

The hop limit is a real one: the answer to a token request leaves with the instance's limit as its IP TTL, as EC2 sends it,
so the worker's own network drops it on the way to a container that is too many hops away.
"""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aws.emulator import REGION, Instance


class QuietServer(ThreadingHTTPServer):
    """A client that hangs up is no news: tokens that do not arrive are what a hop limit is for."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing."""


class Metadata:
    """Answers for every instance of the emulator; notices are given by the test."""

    def __init__(self, address: str, lookup: Callable[[str], Instance | None]) -> None:
        """Listens on port 80 of `address`; `lookup` finds the instance of a private address."""
        self._lookup = lookup
        self._tokens: set[str] = set()
        self._interruptions: dict[str, str] = {}
        self._rebalances: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        #: The name of the role in the instance profile, and which instances have none.
        self.role = "lab-worker"
        self.without_role: Callable[[Instance], bool] = lambda instance: not instance.profile
        self.asked: list[tuple[str, str]] = []
        self._server = QuietServer((address, 80), _handler(self))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def interrupt(self, instance: str, seconds: float = 120) -> None:
        """Gives the two minutes' notice of a spot reclaim."""
        self._interruptions[instance] = _iso(time.time() + seconds)

    def rebalance(self, instance: str) -> None:
        """Gives a rebalance recommendation."""
        self._rebalances[instance] = _iso(time.time())

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()

    def owner_of(self, access_key: str) -> str | None:
        """The instance that was given these credentials."""
        return self._keys.get(access_key)

    def hop_limit(self, address: str) -> int:
        """How far the answer to a token request of this address may travel."""
        instance = self._lookup(address)
        return 64 if instance is None else instance.hop_limit

    def put(self, path: str, headers: Any) -> tuple[int, str]:
        """A session token."""
        if path != "/latest/api/token":
            return 404, ""
        if not headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
            return 400, ""
        token = secrets.token_urlsafe(40)
        self._tokens.add(token)
        return 200, token

    def get(self, path: str, headers: Any, address: str) -> tuple[int, str]:
        """A value; 401 without a token, as `HttpTokens=required` has it."""
        if headers.get("X-aws-ec2-metadata-token") not in self._tokens:
            return 401, ""
        instance = self._lookup(address)
        if instance is None:
            return 404, ""
        self.asked.append((instance.id, path))
        document = {"instanceId": instance.id, "region": REGION, "availabilityZone": instance.zone, "instanceType": instance.type, "privateIp": instance.address, "architecture": "arm64"}
        values = {
            "/latest/meta-data/instance-id": instance.id,
            "/latest/meta-data/instance-type": instance.type,
            "/latest/meta-data/instance-life-cycle": instance.lifecycle,
            "/latest/meta-data/local-ipv4": instance.address,
            "/latest/meta-data/placement/region": REGION,
            "/latest/meta-data/placement/availability-zone": instance.zone,
            "/latest/dynamic/instance-identity/document": json.dumps(document),
        }
        if not self.without_role(instance):
            values["/latest/meta-data/iam/security-credentials"] = self.role
            values[f"/latest/meta-data/iam/security-credentials/{self.role}"] = self._credentials(instance)
        if instance.id in self._interruptions:
            at = self._interruptions[instance.id]
            values["/latest/meta-data/spot/instance-action"] = json.dumps({"action": "terminate", "time": at})
            values["/latest/meta-data/spot/termination-time"] = at
        if instance.id in self._rebalances:
            values["/latest/meta-data/events/recommendations/rebalance"] = json.dumps({"noticeTime": self._rebalances[instance.id]})
        value = values.get(path.rstrip("/"))
        return (404, "") if value is None else (200, value)


    def _credentials(self, instance: Instance) -> str:
        key = f"ASIA{instance.id.removeprefix('i-').upper()[:16]}"
        self._keys[key] = instance.id
        expires = _iso(time.time() + 6 * 3600)
        return json.dumps({"Code": "Success", "LastUpdated": _iso(time.time()), "Type": "AWS-HMAC", "AccessKeyId": key, "SecretAccessKey": "lab-secret", "Token": "lab-session", "Expiration": expires})


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _handler(metadata: Metadata) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            limit = metadata.hop_limit(self.client_address[0])
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, limit)
            # AWS' SDKs take no token without it.
            lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") or "0"}
            self._send(*metadata.put(self.path, self.headers), lifetime)

        def do_GET(self) -> None:
            self._send(*metadata.get(self.path, self.headers, self.client_address[0]))

        def _send(self, status: int, text: str, more: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (more or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Asked paths are kept in `asked`."""

    return Handler
