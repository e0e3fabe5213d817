"""ECR: moto's API behind TLS under the real names, and registries that take its tokens and nothing else.

moto's tokens never end and its API asks nobody who calls. So what lies between adds both: the caller must be a worker's
role that may ask, and the password changes at `expire`. The registries are Debian's docker-registry with htpasswd.
"""

import base64
import http.client
import json
import pathlib
import re
import shutil
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import bcrypt

from aws.emulator import ACCOUNT, REGION, Emulator
from aws.imds import Metadata, QuietServer
from aws.names import Names
from aws.tls import certificate

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
PUBLIC = "public.ecr.aws"
#: A registry that has nothing to do with AWS, with an account of its own.
SECOND = "registry.gitlab.example"
SECOND_LOGIN = ("ci", "second-password")
#: The helper's download lies there.
DOWNLOADS = "downloads.example"

#: Addresses for documentation (RFC 5737), which nobody else has.
API_ADDRESS, REGISTRY_ADDRESS, SECOND_ADDRESS, DOWNLOADS_ADDRESS, NOWHERE = (f"192.0.2.{number}" for number in (10, 11, 12, 13, 14))
ADDRESSES = (API_ADDRESS, REGISTRY_ADDRESS, SECOND_ADDRESS, DOWNLOADS_ADDRESS)
API_NAMES = (
    f"api.ecr.{REGION}.amazonaws.com", f"ecr.{REGION}.api.aws", f"ecr-fips.{REGION}.amazonaws.com", f"ecr-fips.{REGION}.api.aws", "api.ecr.cn-north-1.amazonaws.com.cn",
    "api.ecr.eusc-de-east-1.amazonaws.eu", "api.ecr-public.us-east-1.amazonaws.com", "ecr-public.us-east-1.api.aws",
)


@dataclass(frozen=True)
class TokenCall:
    """A call of GetAuthorizationToken."""

    at: float
    host: str
    instance: str
    status: int


class Ecr:
    """API, registries and downloads. What a test changes: `denied`, `expire()`, `unreachable`."""

    def __init__(self, place: pathlib.Path, authority: pathlib.Path, emulator: Emulator, metadata: Metadata, names: Names) -> None:
        """Starts to listen; `place` is wiped."""
        shutil.rmtree(place, ignore_errors=True)
        self.calls: list[TokenCall] = []
        self.denied = False
        self.generation = 1
        self.place, self.authority, self.emulator = place, authority, emulator
        self._metadata, self._names = metadata, names
        hosts = [*API_NAMES, REGISTRY, SECOND, DOWNLOADS]
        self._pair = certificate(authority, place / "tls", hosts)
        self.files: dict[str, bytes] = {}
        self._servers = [self._serve(API_ADDRESS, self._api_handler()), self._serve(DOWNLOADS_ADDRESS, self._files_handler())]
        self._registries: list[subprocess.Popen[bytes]] = []
        for name, address in ((REGISTRY, REGISTRY_ADDRESS), (SECOND, SECOND_ADDRESS)):
            self._registries.append(self._registry(name, address))
        names.table.update({name: API_ADDRESS for name in API_NAMES})
        names.table.update({REGISTRY: REGISTRY_ADDRESS, SECOND: SECOND_ADDRESS, DOWNLOADS: DOWNLOADS_ADDRESS})

    def close(self) -> None:
        """Stops all of it."""
        for process in self._registries:
            process.kill()
            process.wait(10)
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def password(self) -> str:
        """What the registry takes now, and the API gives."""
        return f"{ACCOUNT}-auth-token-{self.generation}"

    def expire(self) -> None:
        """Twelve hours later: the registries stop to take the tokens that were given so far."""
        self.generation += 1
        self._accounts(REGISTRY)

    def set_reachable(self, reachable: bool) -> None:
        """Whether the API's names lead to where it listens."""
        self._names.table.update({name: API_ADDRESS if reachable else NOWHERE for name in API_NAMES})

    def _accounts(self, name: str) -> pathlib.Path:
        user, password = SECOND_LOGIN if name == SECOND else ("AWS", self.password)
        path = self.place / name / "htpasswd"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".new").write_text(f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n")
        path.with_suffix(".new").rename(path)
        return path

    def _registry(self, name: str, address: str) -> subprocess.Popen[bytes]:
        accounts = self._accounts(name)
        settings = {
            "version": "0.1", "log": {"level": "info"}, "storage": {"filesystem": {"rootdirectory": str(self.place / name / "data")}, "delete": {"enabled": True}},
            "http": {"addr": f"{address}:443", "tls": {"certificate": str(self._pair[0]), "key": str(self._pair[1])}},
            "auth": {"htpasswd": {"realm": "Registry Realm", "path": str(accounts)}},
        }
        path = self.place / name / "config.yml"
        path.write_text(json.dumps(settings))
        with (self.place / name / "log").open("wb") as log:
            return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "docker-registry", "serve", str(path)], stdout=log, stderr=log)

    def _serve(self, address: str, handler: type[BaseHTTPRequestHandler]) -> QuietServer:
        server = QuietServer((address, 443), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._pair)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return server

    def answer(self, host: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """One call of the API."""
        key = re.search(r"Credential=([^/]+)/", headers.get("authorization", ""))
        instance = self._metadata.owner_of(key[1] if key else "")
        status, answer = self._authorized(instance, headers, body)
        if headers.get("x-amz-target", "").endswith("GetAuthorizationToken"):
            self.calls.append(TokenCall(time.time(), host, instance or "", status))
        return status, answer

    def _authorized(self, instance: str | None, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if instance is None:
            return 400, _error("UnrecognizedClientException", "The security token included in the request is invalid.")
        if self.denied:
            action = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
            who = f"arn:aws:sts::{ACCOUNT}:assumed-role/{self._metadata.role}/{instance}"
            return 400, _error("AccessDeniedException", f"User: {who} is not authorized to perform: ecr:{action} on resource: * because no identity-based policy allows the ecr:{action} action")
        if headers.get("x-amz-target", "").startswith("SpencerFrontendService"):
            # ECR Public, which moto does not have.
            data = {"authorizationToken": self._token(), "expiresAt": time.time() + 12 * 3600}
            return 200, json.dumps({"authorizationData": data}).encode()
        connection = http.client.HTTPConnection(self.emulator.endpoint.removeprefix("http://"), timeout=30)
        try:
            passed = {name: value for name, value in headers.items() if name not in ("host", "content-length", "connection", "accept-encoding", "transfer-encoding")}
            connection.request("POST", "/", body, passed)
            reply = connection.getresponse()
            raw = reply.read()
        finally:
            connection.close()
        if reply.status != 200:
            return reply.status, raw
        document = json.loads(raw)
        for item in document.get("authorizationData", []):
            # moto's expired in 2015.
            item |= {"authorizationToken": self._token(), "expiresAt": time.time() + 12 * 3600}
        return 200, json.dumps(document).encode()

    def _token(self) -> str:
        return base64.b64encode(f"AWS:{self.password}".encode()).decode()

    def _api_handler(self) -> type[BaseHTTPRequestHandler]:
        ecr = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                _send(self, *ecr.answer(headers.get("host", ""), headers, body), "application/x-amz-json-1.1")

            def log_message(self, format: str, *args: Any) -> None:
                """`calls` is the log."""

        return Handler

    def _files_handler(self) -> type[BaseHTTPRequestHandler]:
        files = self.files

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = files.get(self.path)
                _send(self, 404 if found is None else 200, found or b"", "application/octet-stream")

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        return Handler


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _error(code: str, text: str) -> bytes:
    return json.dumps({"__type": code, "message": text}).encode()
