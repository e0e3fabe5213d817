#!/usr/bin/env python3
"""Prints the schema of chosen resources as `terraform providers schema -json` does, one attribute a line.

usage: schema.py CDKTN_PACKAGE PULUMI_PACKAGE NAME...       (aws_subnet, data.aws_region)
"""

import json
import sys
from pathlib import Path
from typing import Any

import cdktn
import pulumi

Json = dict[str, Any]


def derive(cdktn_package: Path, pulumi_package: Path, names: list[str]) -> tuple[Json, list[str]]:
    """The schemas, and what is not known of them."""
    schemas: Json = {"provider": cdktn.provider(cdktn_package), "resource_schemas": {}, "data_source_schemas": {}}
    for name in names:
        kind = "data_source_schemas" if name.startswith("data.") else "resource_schemas"
        schemas[kind][name.removeprefix("data.")] = cdktn.resource(cdktn_package, name)
    return schemas, pulumi.mark(pulumi_package, schemas)


def text(value: Any, depth: int = 0) -> str:
    """JSON with an attribute on a line of its own, however deep its type: so that a difference can be read."""
    # An attribute, unlike a map of attributes of which one is called "type".
    if not isinstance(value, dict) or not value or isinstance(value.get("type"), str | list):
        return json.dumps(value, sort_keys=True)
    indent = " " * (depth + 1)
    lines = [f"{indent}{json.dumps(name)}: {text(one, depth + 1)}" for name, one in sorted(value.items())]
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def main() -> None:
    """Derives and prints."""
    cdktn_package, pulumi_package, *names = sys.argv[1:]
    schemas, unknown = derive(Path(cdktn_package), Path(pulumi_package), names)
    if unknown:
        print("not found, so taken for not computed:", *unknown, file=sys.stderr)
    print(text(schemas))


main()
