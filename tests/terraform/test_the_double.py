"""The provider double refuses what the real provider refuses: each edit makes a mistake in a module that is right."""

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tf import HERE, MODULE, WORK, Json, init, terraform

SCHEMA: Json = json.loads((HERE / "aws/schema.json").read_text())
RULES: Json = tomllib.loads((HERE / "aws/rules.toml").read_text())


@dataclass(frozen=True)
class Mistake:
    """What is replaced by what, and what Terraform says."""

    right: str
    wrong: str
    words: str


MISTAKES = {
    "a typo in an argument": Mistake("image_id ", "image_idd ", "Unsupported argument"),
    "a typo in a nested argument": Mistake("http_tokens ", "http_token ", "Unsupported argument"),
    "a typo in a block": Mistake("metadata_options {", "metadata_option {", "Unsupported block type"),
    "a block written as an attribute": Mistake("metadata_options {", "metadata_options = {", "Unsupported argument"),
    "two blocks where one may be": Mistake(
        "  metadata_options {", "  metadata_options {\n  }\n  metadata_options {", "Too many metadata_options blocks"),
    "a missing argument": Mistake('  ip_protocol       = "tcp"\n', "", "Missing required argument"),
    "a missing one in a dynamic block": Mistake("      propagate_at_launch = true\n", "", "Missing required argument"),
    "a list for a text": Mistake('"t4g.micro"', '["t4g.micro"]', "Incorrect attribute value type"),
    "a text for a number": Mistake("= 443", '= "https"', "Incorrect attribute value type"),
    "an unknown resource": Mistake('"aws_launch_template" "', '"aws_launch_templates" "', "Invalid resource type"),
    "an attribute that is not there": Mistake("host.latest_version", "host.last_version", "Unsupported attribute"),
    "an attribute of the provider alone": Mistake(
        "update_default_version = true", 'arn = "x"', "Value for unconfigurable attribute: arn"),
    "a wrong value": Mistake(
        '"required"', '"requierd"', "expected aws_launch_template.metadata_options.http_tokens to be one of"),
    "arguments that exclude each other": Mistake(
        'name_prefix = "host-"', 'name_prefix = "host-"\n  name = "host"', "exclude each other"),
    "a policy that is no JSON": Mistake("jsonencode({", '"{" #', "is no valid JSON"),
    "an address block with host bits": Mistake('"0.0.0.0/0"', '"10.0.0.1/8"', "is no valid CIDR"),
    "an ARN that is none": Mistake("  assume", '  permissions_boundary = "x"\n  assume', "is no valid ARN"),
}


@pytest.fixture(scope="module")
def sample() -> Path:
    """A copy of the sample in which Terraform has its provider."""
    folder = Path(shutil.copytree(HERE / "sample", WORK / "sample"))
    init(folder)
    return folder


def test_as_terraform_starts_it(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the mirror that `setup` makes, as when a person runs Terraform here by hand."""
    monkeypatch.delenv("TF_REATTACH_PROVIDERS")
    init(sample)
    assert (sample / ".terraform/providers").is_dir()
    done = terraform(sample, "test")
    assert done.returncode == 0, done.stdout


def test_what_is_right_is_found_right(sample: Path) -> None:
    """Valid, and planned: the group's tag needs the region, which is unknown before."""
    assert terraform(sample, "validate").returncode == 0
    done = terraform(sample, "test")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_refused(sample: Path, what: str) -> None:
    """By the words that a person sees."""
    mistake = MISTAKES[what]
    right = (sample / "main.tf").read_text()
    assert mistake.right in right
    try:
        (sample / "main.tf").write_text(right.replace(mistake.right, mistake.wrong, 1))
        # A value from a variable is unknown to `validate`.
        done = terraform(sample, "test" if what == "a wrong value" else "validate")
    finally:
        (sample / "main.tf").write_text(right)
    assert done.returncode != 0
    assert mistake.words in done.stdout, done.stdout


def test_the_schema_has_what_is_used() -> None:
    """And nothing else: it is derived for the module and the sample."""
    paths = [path for top in (MODULE, HERE / "sample") for path in top.rglob("*.tf") if ".terraform" not in path.parts]
    text = "\n".join(path.read_text() for path in paths)
    for kind, schemas in (("resource", "resource_schemas"), ("data", "data_source_schemas")):
        used = set(re.findall(rf'^{kind} "(\w+)"', text, re.M))
        assert set(SCHEMA[schemas]) == used, "run: tests/terraform/derive/run --write"


def test_every_rule_is_about_something() -> None:
    """A name that is not in the schema would refuse nothing."""
    resources = [(name, one) for name, one in SCHEMA["resource_schemas"].items()]
    sources = [(f"data.{name}", one) for name, one in SCHEMA["data_source_schemas"].items()]
    there = {path for name, one in resources + sources for path in _paths(one["block"], name)}
    ruled = {*RULES["values"], *(path for paths in RULES["forms"].values() for path in paths)}
    ruled |= {f"{name}.{one}" for name, groups in RULES["exclusive"].items() for group in groups for one in group}
    assert ruled - there == set()


def _paths(block: Json, path: str) -> Iterator[str]:
    yield from (f"{path}.{name}" for name in block.get("attributes", {}))
    for name, inner in block.get("block_types", {}).items():
        yield from _paths(inner["block"], f"{path}.{name}")
