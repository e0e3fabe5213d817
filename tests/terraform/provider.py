#!/usr/bin/env python3
"""A Terraform provider that has a schema and nothing else: `terraform validate`, and `terraform test` with mock_provider.

Speaks plugin protocol 6; needs TF_DISABLE_PLUGIN_TLS=1. The schema is `terraform providers schema -json`'s, from TF_SCHEMA.
"""
import json, os, pathlib, signal, sys, tempfile, threading
from concurrent import futures
import grpc
import msgpack

NESTING = {"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(int(n)) if n else b""


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def block(b):
    out = b""
    for name, a in b.get("attributes", {}).items():
        out += data(2, data(1, name) + data(2, json.dumps(a["type"])) + number(4, a.get("required"))
                    + number(5, a.get("optional")) + number(6, a.get("computed")) + number(7, a.get("sensitive")))
    for name, n in b.get("block_types", {}).items():
        out += data(3, data(1, name) + data(2, block(n["block"])) + number(3, NESTING[n["nesting_mode"]])
                    + number(4, n.get("min_items")) + number(5, n.get("max_items")))
    return out


def schema(s):
    return number(1, s.get("version", 0)) + data(2, block(s["block"]))


def response(s):
    out = data(1, schema(s["provider"]))
    for field, kind in ((2, "resource_schemas"), (3, "data_source_schemas")):
        for name, one in s.get(kind, {}).items():
            out += data(field, data(1, name) + data(2, schema(one)))
    return out + data(6, number(2, 1))  # the schema may be cached


def fields(message):
    """The fields of a protobuf message that has none but length-delimited ones and varints."""
    at, found = 0, {}
    def take():
        nonlocal at
        n = shift = 0
        while True:
            byte, at = message[at], at + 1
            n, shift = n | (byte & 127) << shift, shift + 7
            if byte < 128:
                return n
    while at < len(message):
        key = take()
        if key & 7 == 2:
            size = take()
            found[key >> 3], at = message[at : at + size], at + size
        else:
            found[key >> 3] = take()
    return found


def unconfigurable(b, value, path):
    """Diagnostics for what only the provider may set: Terraform leaves this question to the provider."""
    for name, a in b.get("attributes", {}).items():
        if a.get("computed") and not a.get("optional") and value.get(name) is not None:
            yield data(1, number(1, 1) + data(2, f"Value for unconfigurable attribute: {'.'.join([*path, name])}"))
    for name, n in b.get("block_types", {}).items():
        inner = value.get(name)
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                yield from unconfigurable(n["block"], one, [*path, name])


class Provider(grpc.GenericRpcHandler):
    # An empty answer means: no objections.
    EMPTY = {"ValidateProviderConfig", "ConfigureProvider", "StopProvider"}
    KINDS = {"ValidateResourceConfig": "resource_schemas", "ValidateDataResourceConfig": "data_source_schemas"}

    def __init__(self, schemas, stop):
        self.schemas, self.answer, self.stop = schemas, response(schemas), stop

    def validate(self, kind, request):
        request = fields(request)
        config = msgpack.unpackb(fields(request[2])[1], ext_hook=lambda *_: "unknown", strict_map_key=False)
        return b"".join(unconfigurable(self.schemas[kind][request[1].decode()]["block"], config, []))

    def service(self, call):
        service, method = call.method.strip("/").split("/")
        if service == "tfplugin6.Provider" and method == "GetProviderSchema":
            return grpc.unary_unary_rpc_method_handler(lambda *_: self.answer)
        if service == "tfplugin6.Provider" and method in self.KINDS:
            return grpc.unary_unary_rpc_method_handler(lambda request, _: self.validate(self.KINDS[method], request))
        if service == "tfplugin6.Provider" and method in self.EMPTY:
            return grpc.unary_unary_rpc_method_handler(lambda *_: b"")
        if method == "Shutdown":
            return grpc.unary_unary_rpc_method_handler(lambda *_: (self.stop.set(), b"")[1])
        return None  # UNIMPLEMENTED


def main():
    if os.environ.get("TF_PLUGIN_MAGIC_COOKIE") != "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2":
        sys.exit("Terraform starts this; nobody else.")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    schemas = json.loads(pathlib.Path(__file__).with_name("schema.json").read_text())
    stop = threading.Event()
    unlimited = [("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Provider(schemas, stop)], options=unlimited)
    socket = f"{tempfile.mkdtemp()}/s"
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    print(f"1|6|unix|{socket}|grpc|", flush=True)
    stop.wait()
    server.stop(0)


main()
