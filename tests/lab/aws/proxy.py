"""A proxy in front of the emulator: counts every call, injects EC2's failures, and adds what moto does not do."""

import http.client
import re
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.sax.saxutils import escape

from aws.emulator import Emulator

NAMESPACE = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15"'
MAX_USER_DATA = 16384
#: EC2's calls that change something, whose budget the fleet has to keep.
MUTATING = frozenset({"CreateFleet", "RunInstances", "TerminateInstances", "CreateTags", "CreateLaunchTemplate", "DeleteLaunchTemplate", "ImportKeyPair", "DeleteKeyPair"})


@dataclass(frozen=True)
class Call:
    """A line of the journal."""

    at: float
    action: str
    params: dict[str, str]
    status: int
    fault: str


@dataclass(frozen=True)
class Offering:
    """An override of CreateFleet, with its place in the request."""

    prefix: str
    type: str
    zone: str
    subnet: str


@dataclass
class _Fault:
    kind: str
    action: str
    times: int


@dataclass
class Reply:
    """What goes back to the client; `cut`: promise all of it, send half."""

    status: int
    body: bytes
    content_type: str = "text/xml"
    cut: bool = False
    lost: bool = False


class Proxy:
    """`endpoint` is what `AWS_ENDPOINT_URL` is set to."""

    def __init__(self, emulator: Emulator, address: str = "127.0.0.1") -> None:
        """Starts to listen; `address` is what callers reach it at."""
        self.emulator = emulator
        self.journal: list[Call] = []
        # Which offerings have no capacity now: (market, offering) -> bool.
        self.closed: Callable[[str, Offering], bool] | None = None
        self._faults: list[_Fault] = []
        self._tokens: dict[str, tuple[str, Reply]] = {}
        self._lock = threading.Lock()
        self._fleets = threading.Lock()
        # On the bridge as well: a manager on a host of its own comes from there.
        self._server = _Server(("0.0.0.0", 0), _handler(self))
        self.endpoint = f"http://{address}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()

    def fail(self, kind: str, action: str, times: int = -1) -> None:
        """Plays `throttle`, `garbage`, `cut`, `internal` or `lost` (done, but the answer never arrives) for an action."""
        if kind not in ("throttle", "garbage", "cut", "internal", "lost"):
            raise ValueError(kind)
        with self._lock:
            self._faults.append(_Fault(kind, action, times))

    def heal(self) -> None:
        """No faults, all offerings open."""
        with self._lock:
            self._faults.clear()
            self.closed = None

    def calls(self, action: str, since: float = 0.0) -> list[Call]:
        """The journal's calls of one action."""
        with self._lock:
            return [call for call in self.journal if call.action == action and call.at >= since]

    def counts(self, since: float = 0.0) -> Counter[str]:
        """How many calls of each action."""
        with self._lock:
            return Counter(call.action for call in self.journal if call.at >= since)

    def serve(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """One call, from fault to journal."""
        at = time.time()
        target = headers.get("x-amz-target", "")
        params = {} if target else dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        action = target.rsplit(".", 1)[-1] if target else params.get("Action", "")
        fault = self._take(action)
        reply = self._faulty(fault) if fault in ("throttle", "garbage", "internal") else self._good(method, path, headers, body, action, params)
        reply = Reply(reply.status, reply.body, reply.content_type, cut=fault == "cut", lost=fault == "lost")
        with self._lock:
            self.journal.append(Call(at, action, params, reply.status, fault))
        return reply

    def _take(self, action: str) -> str:
        with self._lock:
            for fault in self._faults:
                if fault.times != 0 and fault.action in (action, "*"):
                    fault.times -= 1 if fault.times > 0 else 0
                    return fault.kind
        return ""

    def _faulty(self, kind: str) -> Reply:
        if kind == "garbage":
            return Reply(200, b"\x00\xfe<not><xml" * 40)
        if kind == "internal":
            return error(500, "InternalError", "An internal error has occurred")
        return error(503, "RequestLimitExceeded", "Request limit exceeded.")

    def _good(self, method: str, path: str, headers: dict[str, str], body: bytes, action: str, params: dict[str, str]) -> Reply:
        if action == "CreateFleet":
            with self._fleets:
                return self._create_fleet(path, headers, params)
        if action == "CreateLaunchTemplate" and _decoded(params.get("LaunchTemplateData.UserData", "")) > MAX_USER_DATA:
            return error(400, "InvalidUserData.Malformed", f"User data is limited to {MAX_USER_DATA} bytes")
        return self._forward(method, path, headers, body)

    def _forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        connection = http.client.HTTPConnection(self.emulator.endpoint.removeprefix("http://"), timeout=60)
        try:
            passed = {name: value for name, value in headers.items() if name not in ("host", "content-length", "connection", "accept-encoding", "transfer-encoding")}
            connection.request(method, path, body, passed)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), answer.getheader("Content-Type") or "text/xml")
        finally:
            connection.close()

    def _create_fleet(self, path: str, headers: dict[str, str], params: dict[str, str]) -> Reply:
        """Idempotent by token, without the closed offerings, and with all that the template says."""
        token, shape = params.get("ClientToken", ""), repr(sorted(params.items()))
        if token in self._tokens:
            known, reply = self._tokens[token]
            return reply if known == shape else error(400, "IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request.")
        market = params.get("TargetCapacitySpecification.DefaultTargetCapacityType", "on-demand")
        offered = offerings(params)
        refused = [offering for offering in offered if self.closed is not None and self.closed(market, offering)]
        specification = "LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplate"
        template = params.get(specification + "Name") or params.get(specification + "Id", "")
        if offered and len(refused) == len(offered):
            reply = Reply(200, f"<CreateFleetResponse {NAMESPACE}><requestId>lab</requestId><fleetId>fleet-lab</fleetId><fleetInstanceSet/></CreateFleetResponse>".encode())
        else:
            reply = self._forward("POST", path, headers, urllib.parse.urlencode(without(params, refused)).encode())
        if reply.status == 200:
            self.emulator.apply_template(template, re.findall(r"<item>(i-[0-9a-f]+)</item>", reply.body.decode()))
            errors = "".join(_offering_error(template, market, offering) for offering in refused)
            reply = Reply(200, reply.body.replace(b"</CreateFleetResponse>", f"<errorSet>{errors}</errorSet></CreateFleetResponse>".encode()))
            if token:
                self._tokens[token] = (shape, reply)
        return reply


def offerings(params: dict[str, str]) -> list[Offering]:
    """The overrides of a CreateFleet request."""
    found = []
    for name, value in params.items():
        match = re.fullmatch(r"(LaunchTemplateConfigs\.\d+\.Overrides\.\d+)\.InstanceType", name)
        if match:
            prefix = match[1]
            found.append(Offering(prefix, value, params.get(prefix + ".AvailabilityZone", ""), params.get(prefix + ".SubnetId", "")))
    return found


def without(params: dict[str, str], refused: list[Offering]) -> dict[str, str]:
    """The request without these overrides, the rest numbered anew: a query's lists have no gaps."""
    kept = [offering.prefix for offering in offerings(params) if offering not in refused]
    anew: dict[str, str] = {}
    for name, value in params.items():
        match = re.fullmatch(r"((LaunchTemplateConfigs\.\d+\.Overrides\.)\d+)(\..*)", name)
        if match is None:
            anew[name] = value
        elif match[1] in kept:
            same_config = [prefix for prefix in kept if prefix.startswith(match[2])]
            anew[f"{match[2]}{same_config.index(match[1]) + 1}{match[3]}"] = value
    return anew


def error(status: int, code: str, text: str) -> Reply:
    """An error of the query protocol."""
    body = f"<Response><Errors><Error><Code>{code}</Code><Message>{escape(text)}</Message></Error></Errors><RequestID>lab</RequestID></Response>"
    return Reply(status, body.encode())


def _offering_error(template: str, market: str, offering: Offering) -> str:
    text = f"There is no {'Spot ' if market == 'spot' else ''}capacity available that matches your request."
    overrides = f"<instanceType>{offering.type}</instanceType><subnetId>{offering.subnet}</subnetId><availabilityZone>{offering.zone}</availabilityZone>"
    specification = f"<launchTemplateSpecification><launchTemplateName>{escape(template)}</launchTemplateName><version>1</version></launchTemplateSpecification>"
    return (f"<item><launchTemplateAndOverrides>{specification}<overrides>{overrides}</overrides></launchTemplateAndOverrides><lifecycle>{market}</lifecycle>"
            f"<errorCode>InsufficientInstanceCapacity</errorCode><errorMessage>{escape(text)}</errorMessage></item>")


def _decoded(text: str) -> int:
    return len(text) * 3 // 4 - text.count("=")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = proxy.serve(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            if reply.lost:
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body[:len(reply.body) // 2] if reply.cut else reply.body)
            if reply.cut:
                self.close_connection = True

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """The journal is the log."""

    return Handler
