"""What the real provider refuses in its own code, and a schema cannot tell: the part of it that modules get wrong."""

import ipaddress
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Config = dict[str, Any]


class Unknown:
    """A value that is known after apply."""


UNKNOWN = Unknown()
#: What mock_provider makes up for a computed text.
_MADE_UP = re.compile(r"[a-z0-9]{8}")
_RULES = tomllib.loads(Path(__file__).with_name("rules.toml").read_text())


def complaints(name: str, block: Config, config: Config) -> Iterator[tuple[str, str]]:
    """What is wrong with a resource or data source: a summary and a detail for each."""
    yield from _only_the_provider_sets(block, config, [])
    for path, value in _leaves(config, []):
        yield from _wrong_value(f"{name}.{path}", value)
    for group in _RULES["exclusive"].get(name, []):
        given = [one for one in group if config.get(one) not in (None, UNKNOWN)]
        if len(given) > 1:
            yield "Conflicting configuration arguments", f"{name}: {' and '.join(given)} exclude each other"


def _only_the_provider_sets(block: Config, config: Config, path: list[str]) -> Iterator[tuple[str, str]]:
    """Terraform leaves this question to the provider."""
    for name, item in block.get("attributes", {}).items():
        if item.get("computed") and not item.get("optional") and config.get(name) is not None:
            yield f"Value for unconfigurable attribute: {'.'.join([*path, name])}", "Only the provider sets it."
    for name, item in block.get("block_types", {}).items():
        for one in _blocks(config.get(name)):
            yield from _only_the_provider_sets(item["block"], one, [*path, name])


def _blocks(value: Any) -> list[Config]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _leaves(value: Any, path: list[str]) -> Iterator[tuple[str, Any]]:
    """Every value that is no block, by its path without the numbers: metadata_options.http_tokens."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(one, [*path, name])
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, path)
    elif value is not None and value is not UNKNOWN:
        yield ".".join(path), value


def _wrong_value(path: str, value: Any) -> Iterator[tuple[str, str]]:
    allowed = _RULES["values"].get(path)
    if allowed is not None and value not in allowed:
        yield f"expected {path} to be one of {allowed}, got {value}", ""
    for form, paths in _RULES["forms"].items():
        if path in paths and not _MADE_UP.fullmatch(str(value)) and not _has_form(form, str(value)):
            yield f'"{path}" is no valid {form}: {value}', ""


def _has_form(form: str, text: str) -> bool:
    try:
        match form:
            case "JSON":
                json.loads(text)
            case "CIDR":
                ipaddress.ip_network(text)
            case "ARN":
                return re.match(r"arn:[\w-]+:[\w-]+:[\w-]*:(\d{12}|aws)?:.", text) is not None
    except ValueError:
        return False
    return True
