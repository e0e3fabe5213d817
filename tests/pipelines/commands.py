#!/usr/bin/env python3
"""Hold both pipelines to the rule that they call make targets and nothing else.

A target must exist, and both must call the same ones: what is proved on GitLab is proved on GitHub. Beside `make` there
are a few lines that set a machine up. No command can carry a secret, because none may hold a variable but one.

usage: commands.py [--makefiles FOLDER]      (looks at the pipelines below the current folder)
"""

import argparse
import pathlib
import re
import subprocess
import sys

from ruamel.yaml import YAML

GITLAB = pathlib.Path(".gitlab-ci.yml")
GITHUB = pathlib.Path(".github/workflows")

MAKE = re.compile(r"make(?P<targets>( [a-z][a-z0-9-]*)+)(?P<variables>( [A-Z_]+=[A-Za-z0-9.]+)*)")
SET_UP = [
    re.compile(r"apt-get update -qq"),
    re.compile(r"apt-get install -qq -y --no-install-recommends( [a-z0-9][a-z0-9.+-]*)+"),
    re.compile(r"rustup target add [a-z0-9_-]+"),
    # The checkout belongs to another user than the container's, and git asks for that to be allowed.
    re.compile(r'git config --global --add safe\.directory "\$GITHUB_WORKSPACE"'),
]


def existing_targets(folder):
    """All targets of a folder's Makefile: each is declared phony."""
    asked = subprocess.run(["make", "-C", folder, "-pRrq", "help"], text=True, capture_output=True, check=False).stdout
    phony = [line.split()[1:] for line in asked.splitlines() if line.startswith(".PHONY:")]
    return {target for targets in phony for target in targets}


def load(path):
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def lines_of(script):
    """A script is a text or a (nested) list of texts, and a text may have many lines."""
    if isinstance(script, str):
        yield from (line.strip() for line in script.splitlines() if line.strip())
    for part in script if isinstance(script, list) else []:
        yield from lines_of(part)


def gitlab_commands(path):
    """Where, and what, for each command in a .gitlab-ci.yml."""
    for job, body in load(path).items():
        for key in ("before_script", "script", "after_script"):
            if isinstance(body, dict) and body.get(key):
                yield from ((f"{path}: {job}.{key}", line) for line in lines_of(body[key]))


def github_commands(path):
    """Where, and what, for each command in a workflow."""
    for name, job in load(path)["jobs"].items():
        for number, step in enumerate(job.get("steps", []), 1):
            yield from ((f"{path}: {name}, step {number}", line) for line in lines_of(step.get("run", "")))


def judge(commands, targets):
    """The targets that are called, and a sentence for each command that may not stand there."""
    called, problems = set(), []
    for where, line in commands:
        if any(rule.fullmatch(line) for rule in SET_UP):
            continue
        make = MAKE.fullmatch(line)
        if not make:
            problems.append(f"{where}: {line!r} is neither `make TARGET…` nor a known line that sets the machine up")
            continue
        wanted = set(make["targets"].split())
        called |= wanted
        problems += [f"{where}: there is no make target {one!r}" for one in sorted(wanted - targets)]
    return called, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--makefiles", default=".")
    targets = existing_targets(parser.parse_args().makefiles)

    gitlab, problems = judge(gitlab_commands(GITLAB), targets)
    workflows = sorted(GITHUB.glob("*.yml"))
    github, more = judge((command for path in workflows for command in github_commands(path)), targets)
    problems += more
    problems += [f"{GITHUB}: no workflow calls `make {one}`, GitLab's pipeline does" for one in sorted(gitlab - github)]
    problems += [f"{GITLAB}: no job calls `make {one}`, GitHub's workflows do" for one in sorted(github - gitlab)]
    if not gitlab or not github:
        problems.append("a pipeline calls no make target at all")
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"both pipelines call the same {len(gitlab)} make targets, and nothing else")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
