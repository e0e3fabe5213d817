"""Stands in for the hashicorp/aws provider: it has its schema, refuses what that refuses, and can do nothing else.

`terraform validate` needs no more, nor does `terraform test` with mock_provider. Terraform starts it like any provider
and speaks plugin protocol 6 with it, over a socket without TLS: TF_DISABLE_PLUGIN_TLS=1 must be set.

usage: provider.py           as Terraform starts it, for one use
       provider.py SOCKET    until it is ended; Terraform finds it by TF_REATTACH_PROVIDERS, and starts none
"""

import functools
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent import futures
from pathlib import Path

import grpc
import msgpack

import rules
import wire

SERVICE = "tfplugin6.Provider"
# What Terraform and a provider show each other, so that nobody starts one by hand.
COOKIE = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
# An empty answer means: no objections.
EMPTY = ("ValidateProviderConfig", "ConfigureProvider", "StopProvider")
VALIDATED = {
    "ValidateResourceConfig": ("resource_schemas", ""),
    "ValidateDataResourceConfig": ("data_source_schemas", "data."),
}

Method = Callable[[bytes], bytes]


class Provider(grpc.GenericRpcHandler):
    """The calls that validating and mocking make; every other is "unimplemented"."""

    def __init__(self, schemas: wire.Json, stop: threading.Event) -> None:
        """`stop` is set when Terraform has no more questions."""
        self.schemas, self.stop = schemas, stop
        answer = wire.provider_schema(schemas)
        self.methods: dict[str, Method] = {f"{SERVICE}/{name}": lambda _: b"" for name in EMPTY}
        self.methods[f"{SERVICE}/GetProviderSchema"] = lambda _: answer
        for name, (kind, prefix) in VALIDATED.items():
            self.methods[f"{SERVICE}/{name}"] = functools.partial(self.validate, kind, prefix)
        self.methods["plugin.GRPCController/Shutdown"] = self.shutdown

    def validate(self, kind: str, prefix: str, request: bytes) -> bytes:
        """The complaints about one resource or data source."""
        message = wire.fields(request)
        name = message[1].decode()
        packed = wire.fields(message[2])[1]
        config = msgpack.unpackb(packed, ext_hook=lambda *_: rules.UNKNOWN, strict_map_key=False)
        found = rules.complaints(prefix + name, self.schemas[kind][name]["block"], config)
        return b"".join(wire.complaint(summary, detail) for summary, detail in found)

    def shutdown(self, _: bytes) -> bytes:
        """Terraform is done."""
        self.stop.set()
        return b""

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Finds the method of a call."""
        method = self.methods.get(call.method.strip("/"))
        return method and grpc.unary_unary_rpc_method_handler(lambda request, _: method(request))


def serve(socket: str, ready: str) -> None:
    """Answers on this socket until Terraform says that it is done; prints a line when it listens."""
    stop = threading.Event()
    schemas = json.loads(Path(__file__).with_name("schema.json").read_text())
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Provider(schemas, stop)], options=unlimited)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    print(ready, flush=True)
    stop.wait()
    server.stop(0).wait()


def main() -> None:
    """For one use, or for many."""
    # Ctrl-C reaches the whole process group, and Terraform decides what comes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.argv[1:]:
        serve(sys.argv[1], "ready")
        return
    if os.environ.get(COOKIE[0]) != COOKIE[1]:
        sys.exit("Terraform starts this; nobody else.")
    with tempfile.TemporaryDirectory() as directory:
        socket = f"{directory}/socket"
        serve(socket, f"1|6|unix|{socket}|grpc|")


main()
