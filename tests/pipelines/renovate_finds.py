#!/usr/bin/env python3
"""Whether each custom manager of renovate.json still finds a version: one whose text has moved is silent for ever.

usage: renovate_finds.py RENOVATE_JSON      (looks at the files below the current folder)
"""

import json
import pathlib
import re
import sys


def files(patterns):
    """The files of the checkout that a manager looks at."""
    rules = [re.compile(pattern.strip("/")) for pattern in patterns]
    for path in sorted(pathlib.Path().rglob("*")):
        name = path.as_posix()
        if not name.startswith(("target/", ".git/", ".lab/")) and any(rule.search(name) for rule in rules):
            yield path


def main():
    managers = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))["customManagers"]
    blind = 0
    for manager in managers:
        texts = [path.read_text(encoding="utf-8") for path in files(manager["managerFilePatterns"])]
        for pattern in manager["matchStrings"]:
            found = re.compile(pattern.replace("(?<", "(?P<"))
            if not any(found.search(text) for text in texts):
                print(f"renovate.json: {manager['description']!r} finds nothing: {pattern}", file=sys.stderr)
                blind += 1
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main())
