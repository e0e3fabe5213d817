"""Reads a resource's schema out of the JavaScript of @cdktn/provider-aws, which is generated from that schema.

Each resource has a class with a getter for every attribute, which tells its type, and a method that writes HCL, which
tells what is a block. A class of its own for every block, in the same file.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

PRIMITIVE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
GETTERS: dict[str, Any] = {
    "getStringAttribute": "string", "getNumberAttribute": "number", "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"], "getNumberListAttribute": ["list", "number"],
    "getStringMapAttribute": ["map", "string"], "getNumberMapAttribute": ["map", "number"],
    "getBooleanMapAttribute": ["map", "bool"], "interpolationForAttribute": "dynamic",
}
MAPS = {"StringMap": "string", "NumberMap": "number", "BooleanMap": "bool", "AnyMap": "dynamic"}
TOP = ("TerraformResource", "TerraformDataSource", "TerraformProvider")

CLASS = re.compile(r"^class (\w+) extends cdk\w+\.(\w+) \{\n(.*?)^\}", re.S | re.M)
FUNCTION = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}", re.S | re.M)
HCL = re.compile(r"^ +(\w+): \{\n +value: (.*),\n +isBlock: (true|false),\n"
                 r"(?: +type: \"(\w+)\",\n)?(?: +storageClassType: \"(\w+)\",\n)?", re.M)
GETTER = re.compile(r"^    get (\w+)\(\) \{\n(.*?)^    \}", re.S | re.M)
FIELD = re.compile(r"this\._(\w+) = new ([\w.]+)\(this, \"(\w+)\"(?:, (true|false))?\)")


@dataclass(frozen=True)
class Hcl:
    """How a name is written in HCL."""

    is_block: bool
    #: list, set, map, simple or struct.
    shape: str
    storage: str
    #: The function that writes what is inside.
    inner: str | None


@dataclass(frozen=True)
class Getter:
    """What a property's getter tells."""

    name: str
    kind: Any
    #: The class of what is inside, if it is no plain value.
    of: str | None
    is_set: bool


def provider(package: Path) -> Json:
    """The provider's own block. Its getters are plain fields, so HCL alone tells, and everything is optional."""
    file = _File(package / "lib/provider/index.js")

    def block(text: str) -> Json:
        attributes, blocks = {}, {}
        for name, hcl in _hcl(text).items():
            if hcl.is_block:
                blocks[name] = {"nesting_mode": hcl.shape, "block": block(file.functions[hcl.inner or ""])}
            else:
                attributes[name] = {"type": _stored(hcl.shape, hcl.storage), "optional": True}
        return {"attributes": attributes, "block_types": blocks}

    return {"version": 0, "block": block(_writes_hcl(file.classes["AwsProvider"][1]))}


def resource(package: Path, name: str) -> Json:
    """A resource, or a data source: aws_instance, data.aws_ami."""
    folder = name.replace("data.aws_", "data-aws-").removeprefix("aws_").replace("_", "-")
    file = _File(package / "lib" / folder / "index.js")
    body = next(body for base, body in file.classes.values() if base in TOP)
    return {"version": 0, "block": file.block(name, body, _hcl(_writes_hcl(body)))}


def _writes_hcl(body: str) -> str:
    return body[body.index("synthesizeHclAttributes"):]


def _hcl(text: str) -> dict[str, Hcl]:
    found = {}
    for name, value, is_block, shape, storage in HCL.findall(text):
        inner = re.search(r"(\w+)ToHclTerraform[,)(]", re.sub(r"cdk\w+\.\w+ToHclTerraform", "", value))
        found[name] = Hcl(is_block == "true", shape, storage, inner and inner[1])
    return found


def _stored(shape: str | None, storage: str) -> Any:
    """("set", "stringList") is ["set", "string"]."""
    if storage in PRIMITIVE:
        return PRIMITIVE[storage]
    for suffix in ("List", "Map"):
        if storage.endswith(suffix):
            inner = _stored(None, storage.removesuffix(suffix))
            return inner and [shape if shape in ("set", "list", "map") else suffix.lower(), inner]
    return None


class _File:
    """The JavaScript of one resource."""

    def __init__(self, path: Path) -> None:
        text = path.read_text()
        self.classes = {name: (base, body) for name, base, body in CLASS.findall(text)}
        self.functions = dict(FUNCTION.findall(text))

    def block(self, name: str, body: str, hcl: dict[str, Hcl]) -> Json:
        """The block that a class is."""
        attributes: Json = {}
        blocks: Json = {}
        for prop, getter in _getters(body).items():
            method = prop[0].upper() + prop[1:]
            required = f"    reset{method}()" not in body
            if getter.name in hcl:
                written = hcl[getter.name]
                if written.is_block:
                    blocks[getter.name] = self.nested(written, getter.of or "", required)
                else:
                    kind = self.type_of(written, getter)
                    attributes[getter.name] = {"type": kind, "required" if required else "optional": True}
            elif not re.search(rf"^    (?:set {prop}|put{method})\(", body, re.M):
                attributes[getter.name] = {"type": self.computed_type(getter), "computed": True}
        missing = set(hcl) - set(attributes) - set(blocks)
        if missing:
            sys.exit(f"{name}: not understood: {', '.join(sorted(missing))}")
        return {"attributes": attributes, **({"block_types": blocks} if blocks else {})}

    def nested(self, hcl: Hcl, of: str, required: bool) -> Json:
        """A block in a block, and how many of it may be."""
        inner = {"attributes": {}} if hcl.inner not in self.functions else self.inside(of, hcl.inner)
        limits = {"min_items": 1} if required else {}
        if of.endswith("OutputReference") and hcl.shape != "struct":
            limits["max_items"] = 1
        return {"nesting_mode": "single" if hcl.shape == "struct" else hcl.shape, "block": inner, **limits}

    def inside(self, of: str, function: str | None) -> Json:
        """The block of a class, or of what a list of a class has."""
        if not of.endswith("OutputReference"):
            element = re.search(r"return new (\w+)\(", self.classes[of][1])
            of = element[1] if element else of
        return self.block(of, self.classes[of][1], _hcl(self.functions.get(function or "", "")))

    def type_of(self, hcl: Hcl, getter: Getter) -> Any:
        """The type of what may be written."""
        flat = _stored(hcl.shape, hcl.storage) if hcl.storage else None
        if flat is None and getter.of:
            return self.object(getter.of, hcl.shape, hcl.inner)
        # The getter is nearer to the schema, but for collections.
        return flat if getter.kind is None or isinstance(flat, list) else getter.kind

    def computed_type(self, getter: Getter) -> Any:
        """The type of what only the provider sets."""
        if not getter.of:
            return getter.kind
        of = getter.of.rpartition(".")[2]
        return ["map", MAPS[of]] if of in MAPS else self.object(of, "set" if getter.is_set else "list", None)

    def object(self, of: str, shape: str, function: str | None) -> Any:
        """An attribute that is written as an object, or as a list of them."""
        inner = self.inside(of, function)
        fields = {name: item["type"] for name, item in inner["attributes"].items()}
        for name, item in inner.get("block_types", {}).items():
            deeper = {deep: attribute["type"] for deep, attribute in item["block"]["attributes"].items()}
            fields[name] = [item["nesting_mode"], ["object", deeper]]
        kind = ["object", fields]
        return kind if shape == "struct" else [shape, kind]


def _getters(body: str) -> dict[str, Getter]:
    """The properties of a class by their names in JavaScript."""
    fields = {field: (name, of, is_set == "true") for field, of, name, is_set in FIELD.findall(body)}
    codes = dict(GETTER.findall(body))
    found = {}
    for prop, code in codes.items():
        if prop == "internalValue" or (prop.endswith("Input") and prop.removesuffix("Input") in codes):
            continue
        plain = re.search(r"this\.(get\w+|interpolationForAttribute)\('(\w+)'\)", code)
        field = re.search(r"return this\._(\w+);", code)
        if plain:
            found[prop] = Getter(plain[2], _plain_type(plain[1], code), None, False)
        elif field and field[1] in fields:
            name, of, is_set = fields[field[1]]
            found[prop] = Getter(name, None, of, is_set)
    return found


def _plain_type(method: str, code: str) -> Any:
    kind = GETTERS[method]
    if "Fn.tolist" in code:
        return ["set", kind[1] if isinstance(kind, list) else "number"]
    return ["list", "number"] if "asNumberList" in code else kind
