"""The board is what Grafana takes it for: nothing in it is lost when its own model reads and writes it; nothing overlaps."""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

# What only an import reads, and the model does not know.
IMPORT_ONLY = {"__requires"}


def lost(source, read, path=""):
    """The paths at which something is lost or changed."""
    if isinstance(source, dict) and isinstance(read, dict):
        for key, value in source.items():
            if key not in read:
                yield f"{path}/{key}"
            else:
                yield from lost(value, read[key], f"{path}/{key}")
    elif isinstance(source, list) and isinstance(read, list) and len(source) == len(read):
        for index, (one, other) in enumerate(zip(source, read, strict=True)):
            yield from lost(one, other, f"{path}[{index}]")
    elif source != read:
        yield path


def overlaps(panels):
    """Panels that cover each other or leave the grid of 24 columns, and ids that are not unique."""
    taken = {}
    for panel in panels:
        grid = panel["gridPos"]
        if grid["x"] + grid["w"] > 24:
            yield f"{panel['title']} leaves the grid"
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                other = taken.setdefault((x, y), panel["title"])
                if other != panel["title"]:
                    yield f"{panel['title']} covers {other}"
    ids = [panel["id"] for panel in panels]
    yield from (f"two panels have the id {number}" for number in ids if ids.count(number) > 1)


def main():
    source = json.loads(Path(sys.argv[1]).read_text())
    plugins.register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(source)))
    kept = {key: value for key, value in source.items() if key not in IMPORT_ONLY}
    wrong = [f"Grafana's model does not keep {path}" for path in lost(kept, read)]
    wrong += sorted(set(overlaps(source["panels"])))
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"board: {len(source['panels'])} panels, as Grafana reads them")


if __name__ == "__main__":
    main()
