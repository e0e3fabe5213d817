#!/usr/bin/env python3
"""Print what GitLab's API wants to hear for a release: its notes, and a link to each file.

usage: gitlab-release.py TAG NOTES_FILE PACKAGES_URL FILE...
"""

import json
import pathlib
import sys

tag, notes, packages, *files = sys.argv[1:]
links = [{"name": file, "url": f"{packages}/{file}", "link_type": "package"} for file in files]
release = {
    "tag_name": tag,
    "name": tag,
    "description": pathlib.Path(notes).read_text(encoding="utf-8"),
    "assets": {"links": links},
}
json.dump(release, sys.stdout, indent=2)
print()
