"""config.toml as the module renders it: what the product takes, with every key of it within reach."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from configurations import complete, expected, inputs, written
from tf import MINIMAL, Json, Outcome, binary, plan

#: What no escaping must break: quotes, braces, commas, colons, templates, line breaks, and what is not ASCII.
NASTY = 'a "b" \\ {c: d, e} [f] ${g} %{h} <i> & #j = \t\n\u00e9\u2028\u2713 \'k\''


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """The least that works, everything, and texts that are hard to quote."""
    spot = MINIMAL["runners"]["spot"]
    nasty = {**spot, "environment": [NASTY], "pre_build_script": NASTY, "docker": {"image": NASTY}}
    cases = {"minimal": MINIMAL, "complete": inputs(complete()), "nasty": {**MINIMAL, "runners": {"spot": nasty}}}
    return plan("configuration", cases)


@pytest.mark.parametrize("case", ["minimal", "complete", "nasty"])
def test_the_product_takes_it(outcomes: dict[str, Outcome], tmp_path: Path, case: str) -> None:
    """`runner-fleet check` has nothing to say but what is wanted."""
    done = binary("check", "--config", str(written(outcomes[case], tmp_path)))
    assert done.returncode == 0, done.stdout + done.stderr
    # What privileged jobs mean is told to everybody who has them; secrets and certificates lie on the host, not here.
    told = [line for line in done.stdout.splitlines() if ": warning: " in line]
    warnings = [line for line in told if "docs/security.md" not in line and "as seen from this shell" not in line]
    assert not warnings, done.stdout + done.stderr


def test_every_key_is_within_reach(outcomes: dict[str, Outcome]) -> None:
    """Every key of config/complete.toml, which has all that there are, arrives with its value; no other comes along."""
    rendered = dict(_flat(tomllib.loads(outcomes["complete"].output("config_toml"))))
    wanted = dict(_flat(expected(complete())))
    assert len(wanted) > 80
    assert sorted(rendered) == sorted(wanted)
    different = {key: (rendered[key], value) for key, value in wanted.items() if _plain(rendered[key]) != _plain(value)}
    assert different == {}


def test_texts_arrive_as_they_are(outcomes: dict[str, Outcome]) -> None:
    """Whatever is in them."""
    (section,) = tomllib.loads(outcomes["nasty"].output("config_toml"))["runners"]
    assert section["environment"] == [NASTY]
    assert section["pre_build_script"] == NASTY
    assert section["docker"]["image"] == NASTY


def _plain(value: object) -> object:
    """Terraform's lists are of one type, so ids in `projects` are text, as is a price: the product takes both."""
    if isinstance(value, bool | str):
        return value
    return [_plain(one) for one in value] if isinstance(value, list) else f"{value:g}"


def _flat(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every value by its path."""
    pairs: Json = value if isinstance(value, dict) else dict(enumerate(value)) if _is_table_list(value) else {}
    if not pairs:
        yield path, value
    for key, one in pairs.items():
        yield from _flat(one, f"{path}.{key}".lstrip("."))


def _is_table_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)
