"""As much of protobuf as Terraform's plugin protocol 6 needs for a schema, a question and a complaint.

The numbers are those of the fields in tfplugin6.proto.
"""

import json
from collections.abc import Iterator
from typing import Any

NESTING = {"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}

Json = dict[str, Any]


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def number(field: int, value: int | None) -> bytes:
    """A number or a truth; zero is left out."""
    return _varint(field << 3) + _varint(int(value)) if value else b""


def data(field: int, value: str | bytes) -> bytes:
    """A text, or a message in a message."""
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def fields(message: bytes) -> dict[int, Any]:
    """The fields of a message that has no others than those two kinds."""
    found: dict[int, Any] = {}
    rest = iter(message)
    for key in _varints(rest):
        value = next(_varints(rest))
        found[key >> 3] = bytes(next(rest) for _ in range(value)) if key & 7 == 2 else value
    return found


def _varints(rest: Iterator[int]) -> Iterator[int]:
    value = shift = 0
    for byte in rest:
        value, shift = value | (byte & 127) << shift, shift + 7
        if byte < 128:
            yield value
            value = shift = 0


def complaint(summary: str, detail: str = "") -> bytes:
    """An error of the answer to a Validate call."""
    return data(1, number(1, 1) + data(2, summary) + data(3, detail))


def provider_schema(schemas: Json) -> bytes:
    """The answer to GetProviderSchema, from what `terraform providers schema -json` prints of one provider."""
    out = data(1, _schema(schemas["provider"]))
    for field, kind in ((2, "resource_schemas"), (3, "data_source_schemas")):
        for name, one in schemas[kind].items():
            out += data(field, data(1, name) + data(2, _schema(one)))
    may_be_cached = number(2, 1)
    return out + data(6, may_be_cached)


def _schema(schema: Json) -> bytes:
    return number(1, schema.get("version")) + data(2, _block(schema["block"]))


def _block(block: Json) -> bytes:
    out = b""
    for name, item in block.get("attributes", {}).items():
        what = (item.get("required"), item.get("optional"), item.get("computed"), item.get("sensitive"))
        flags = b"".join(number(field, flag) for field, flag in enumerate(what, start=4))
        out += data(2, data(1, name) + data(2, json.dumps(item["type"])) + flags)
    for name, item in block.get("block_types", {}).items():
        how_many = (NESTING[item["nesting_mode"]], item.get("min_items"), item.get("max_items"))
        limits = b"".join(number(field, value) for field, value in enumerate(how_many, start=3))
        out += data(3, data(1, name) + data(2, _block(item["block"])) + limits)
    return out
