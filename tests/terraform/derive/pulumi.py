"""Marks what is optional and computed at once, which cdktn's JavaScript does not tell: @pulumi/aws' declarations do.

Without it a value that a module leaves to the provider is null in tests, where it is unknown in a real plan.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

Json = dict[str, Any]

RESULT = re.compile(r"export interface Get\w+Result \{(.*?)^\}", re.S | re.M)
RESOURCE = re.compile(r"export declare class \w+ extends pulumi.CustomResource \{(.*?)^    constructor", re.S | re.M)


def mark(package: Path, schemas: Json) -> list[str]:
    """Marks in place; returns the optional attributes of which nothing was found, which count as not computed."""
    files = defaultdict(list)
    for path in [*package.glob("*.d.ts"), *package.glob("*/*.d.ts")]:
        files[path.name.removesuffix(".d.ts").lower()].append(path)
    unknown = []
    for kind, is_data in (("resource_schemas", False), ("data_source_schemas", True)):
        for name, schema in schemas[kind].items():
            attributes = schema["block"]["attributes"]
            always_set = _best(files, name, is_data, attributes)
            unknown += [f"{name}.{attribute}" for attribute in _mark(attributes, always_set)]
    return unknown


def _mark(attributes: Json, always_set: dict[str, bool]) -> list[str]:
    unknown = []
    for name, attribute in attributes.items():
        if name in ("id", "tags_all") and "required" not in attribute:
            attribute["computed"] = True
        elif attribute.get("optional") and _plain(name) not in always_set:
            unknown.append(name)
        elif attribute.get("optional") and always_set[_plain(name)]:
            attribute["computed"] = True
    return unknown


def _best(files: dict[str, list[Path]], name: str, is_data: bool, attributes: Json) -> dict[str, bool]:
    """The declarations of the name that share the most attributes with it: Pulumi moves the service into a folder."""
    words = name.removeprefix("aws_").split("_")
    ends = ["".join(words[start:]) for start in range(len(words))]
    places = [("get" if is_data else "") + end + version for end in ends for version in ("", "v2")]
    found = [_declared(path, is_data) for place in places for path in files.get(place, [])]
    return max(found, key=lambda declared: sum(_plain(name) in declared for name in attributes), default={})


def _declared(path: Path, is_data: bool) -> dict[str, bool]:
    """For each property, whether it has a value whatever was written."""
    text = path.read_text()
    if is_data:
        body = "".join(RESULT.findall(text)[:1])
        return {_plain(name): mark != "?" for name, mark in re.findall(r"^    readonly (\w+)(\??):", body, re.M)}
    body = "".join(RESOURCE.findall(text)[:1])
    outputs = re.findall(r"^    readonly (\w+): pulumi\.Output<(.*?)>;$", body, re.S | re.M)
    return {_plain(name): "| undefined" not in kind for name, kind in outputs}


def _plain(name: str) -> str:
    """What both spellings of a name, and of its plural, have in common."""
    return name.replace("_", "").lower().rstrip("s")
