"""The scripts of `iam-policy --aws-cli`, beyond the tutorial: workers' roles, running again, what is not ours."""

import json
import subprocess
from pathlib import Path

import pytest

from aws.emulator import ACCOUNT
from world import BINARY, ROOT, TOOLS, Road, policy

COMPLETE = ROOT / "config/complete.toml"
MINIMAL = ROOT / "config/minimal.toml"


def script(folder: Path, config: Path, *words: str) -> Path:
    """What the product prints, in a file."""
    command = [
        BINARY,
        "iam-policy",
        "--aws-cli",
        "--account",
        ACCOUNT,
        "--region",
        "eu-central-1",
        "--config",
        config,
        *words,
    ]
    file = folder / f"{config.stem}{''.join(words)}.sh"
    file.write_text(
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout, encoding="utf-8"
    )
    return file


def run(road: Road, file: Path, typed: str) -> subprocess.CompletedProcess[str]:
    """Runs it with the shell that Debian has as sh."""
    return subprocess.run(
        ["sh", str(file)], input=typed, capture_output=True, text=True, env=road.environment, check=False
    )


@pytest.mark.parametrize("config", [MINIMAL, COMPLETE], ids=lambda config: config.stem)
@pytest.mark.parametrize("words", [[], ["--remove"], ["--manager"], ["--doctor"]], ids=" ".join)
def test_shellcheck_has_nothing_to_say(tmp_path: Path, config: Path, words: list[str]) -> None:
    """As printed, functions and calls."""
    found = subprocess.run(
        [TOOLS / "shellcheck", "--shell=sh", "--enable=quote-safe-variables", script(tmp_path, config, *words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


def test_it_makes_the_workers_role_and_may_be_run_again(road: Road, tmp_path: Path) -> None:
    """Policies as printed; a second run changes nothing, and an empty line keeps the token."""
    file = script(tmp_path, COMPLETE)
    first = run(road, file, "glrt-first\n")
    assert first.returncode == 0, first.stderr
    made = {
        "runner-fleet-ci-eu": {"runner-fleet-ci-eu": policy(COMPLETE, "--manager")},
        "ci-worker": {"runner-fleet-ci-eu": policy(COMPLETE, "--worker")},
    }
    assert road.roles() == made
    assert road.profiles() == {"runner-fleet-ci-eu": ["runner-fleet-ci-eu"], "ci-worker": ["ci-worker"]}
    again = run(road, file, "\n")
    assert (again.returncode, again.stderr) == (0, ""), again.stderr
    assert road.roles() == made and road.parameters() == {"/ci/runner-token": ("SecureString", "glrt-first")}
    assert "glrt-first" not in first.stdout + first.stderr + file.read_text(encoding="utf-8")


def test_as_standard_input_of_a_shell_it_takes_no_line_of_itself_for_a_token(road: Road, tmp_path: Path) -> None:
    """`… | sh`: the token is kept, or missed in one sentence."""
    text = script(tmp_path, COMPLETE).read_text(encoding="utf-8")
    for shell in ("sh", "bash"):
        piped = subprocess.run([shell], input=text, capture_output=True, text=True, env=road.environment, check=False)
        assert piped.returncode == 0, piped.stderr
        assert road.parameters() == {"/ci/runner-token": ("SecureString", "glrt-first")}


def test_it_removes_what_it_made_and_nothing_else(road: Road, tmp_path: Path) -> None:
    """A role that somebody else made keeps all but our policy."""
    iam = road.cloud.client("iam")
    iam.untag_role(RoleName="ci-worker", TagKeys=["runner-fleet:manager"])
    iam.put_role_policy(
        RoleName="ci-worker", PolicyName="theirs", PolicyDocument=json.dumps(policy(COMPLETE, "--worker"))
    )
    file = script(tmp_path, COMPLETE, "--remove")
    for _ in range(2):
        removed = run(road, file, "")
        assert removed.returncode == 0, removed.stderr
        assert list(road.roles()) == ["ci-worker"] and list(road.roles()["ci-worker"]) == ["theirs"]
        assert road.profiles() == {} and road.parameters() == {}


def test_a_missing_token_is_told_in_one_sentence(road: Road, tmp_path: Path) -> None:
    """Nothing stored, nothing given."""
    said = run(road, script(tmp_path, MINIMAL, "--manager"), "")
    assert said.returncode == 1
    assert said.stderr == (
        "parameter /ci/runner-token: nothing is stored and nothing was given; run this again and give it: "
        "the runner authentication token (glrt-...) of spot\n"
    )


def test_what_aws_refuses_ends_it(road: Road, tmp_path: Path) -> None:
    """Any other answer than "it does not exist" is shown, and nothing goes on."""
    nowhere = road.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    said = subprocess.run(
        ["sh", script(tmp_path, MINIMAL)], input="", capture_output=True, text=True, env=nowhere, check=False
    )
    assert said.returncode == 1 and "http://127.0.0.1:9" in said.stderr and said.stdout == ""
