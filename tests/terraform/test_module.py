"""The module, its submodules and its examples: formatted, valid, tested, and of one provider."""

import re
from pathlib import Path

import pytest

from tf import MODULE, init, terraform

BELOW = [path for kind in ("modules", "examples") for path in sorted((MODULE / kind).glob("*/"))]
FOLDERS = [".", *(str(path.relative_to(MODULE)) for path in BELOW)]


def test_formatted() -> None:
    """As `terraform fmt` writes it."""
    done = terraform(MODULE, "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("folder", FOLDERS)
def test_valid(module: Path, folder: str) -> None:
    """Every argument is one of the provider's, and of its type; and nothing is deprecated or undeclared."""
    init(module / folder)
    done = terraform(module / folder, "validate")
    assert done.returncode == 0, done.stdout
    assert "Warning" not in done.stdout, done.stdout


@pytest.mark.parametrize("folder", FOLDERS)
def test_its_own_tests(module: Path, folder: str) -> None:
    """What stands beside it in *.tftest.hcl; every folder has some."""
    assert [*(module / folder).glob("tests/*.tftest.hcl"), *(module / folder).glob("*.tftest.hcl")], "has no tests"
    init(module / folder)
    done = terraform(module / folder, "test")
    assert done.returncode == 0, done.stdout
    assert re.search(r"Success! [1-9]\d* passed, 0 failed", done.stdout), done.stdout


@pytest.mark.parametrize("folder", FOLDERS)
def test_one_provider(module: Path, folder: str) -> None:
    """hashicorp/aws alone, from a version on that is said, as is Terraform's. An example takes the module's."""
    init(module / folder)
    found = set(re.findall(r"provider\[[^]]*?([\w-]+/[\w-]+)\]", terraform(module / folder, "providers").stdout))
    assert found == {"hashicorp/aws"}
    if not folder.startswith("examples/"):
        text = "".join(path.read_text() for path in (module / folder).glob("*.tf"))
        assert re.search(r'required_version += +"', text), "says no version of Terraform"
        assert re.search(r'version += +">= 6\.\d+, < 7\.0"', text), "says no version of hashicorp/aws"
