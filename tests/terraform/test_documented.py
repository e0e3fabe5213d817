"""Every input and output says what it is, in the source and in the README."""

from pathlib import Path

import pytest

import documentation
from tf import MODULE

MODULES = [".", *sorted(str(path.relative_to(MODULE)) for path in (MODULE / "modules").glob("*/"))]
VALUES = [(name, value) for name in MODULES for value in documentation.values(MODULE / name)]


@pytest.mark.parametrize("name", MODULES)
def test_all_are_found(name: str) -> None:
    """What reads the source has missed none."""
    lines = [line for path in (MODULE / name).glob("*.tf") for line in path.read_text().splitlines()]
    written = [line.split('"')[1] for line in lines if line.startswith(("variable ", "output "))]
    assert sorted(written) == sorted(value.name for value in documentation.values(MODULE / name))
    assert written


@pytest.mark.parametrize(("name", "value"), VALUES, ids=[f"{name}:{value.name}" for name, value in VALUES])
def test_described(name: str, value: documentation.Value) -> None:
    """In a sentence; and each attribute of an object in a line of its own: `name = …`."""
    assert value.description.rstrip().endswith((".", ":", "…", "`", ")")), value.description
    assert value.kind == "output" or value.type != "any", "says no type"
    missing = set(value.attributes) - set(value.explained)
    assert not missing, f"not explained: {sorted(missing)}"
    stale = set(value.explained) - set(value.attributes) if value.attributes else set()
    assert not {one for one in stale if one.isidentifier()}, f"explained, and not there: {sorted(stale)}"


@pytest.mark.parametrize("name", MODULES)
def test_the_table_is_up_to_date(name: str) -> None:
    """`make terraform-docs` would change nothing."""
    as_it_is, as_it_should_be = documentation.readme(Path(MODULE / name))
    assert as_it_is == as_it_should_be, "run: make terraform-docs"
