"""Makes what cargo-cyclonedx has written true and the same everywhere, and holds it to CycloneDX's schema.

It lists what any platform and any feature could need; only what `cargo tree` prints is kept. It names the folder of this
checkout, which is replaced. The order is fixed, and the commit is added.

usage: cargo tree --prefix none --format '{p}' … | RUNNER_FLEET_COMMIT=… sbom.py FROM TO
"""

import json
import os
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def compiled(lines: list[str]) -> set[tuple[str, str]]:
    """Names and versions of `cargo tree`, without what stands behind them: (proc-macro), (*), a path."""
    words = [line.split() for line in lines if line.strip()]
    return {(name, version.removeprefix("v")) for name, version, *_ in words}


def without_folder(bom: dict) -> dict:
    """The package's own references begin with the URL of its folder."""
    own = bom["metadata"]["component"]["bom-ref"]
    return json.loads(json.dumps(bom).replace(own.partition("#")[0] + "#", "path+file:///runner-fleet#"))


def pruned(bom: dict, crates: set[tuple[str, str]]) -> dict:
    components = [part for part in bom["components"] if (part["name"], part["version"]) in crates]
    kept = {part["bom-ref"] for part in components} | {bom["metadata"]["component"]["bom-ref"]}
    links = [
        {**link, "dependsOn": sorted(kept & set(link.get("dependsOn", [])))}
        for link in bom["dependencies"]
        if link["ref"] in kept
    ]
    bom["components"] = sorted(components, key=lambda part: part["bom-ref"])
    bom["dependencies"] = sorted(links, key=lambda link: link["ref"])
    return bom


def missing(bom: dict, crates: set[tuple[str, str]]) -> set[tuple[str, str]]:
    listed = {(part["name"], part["version"]) for part in [bom["metadata"]["component"], *bom["components"]]}
    return crates - listed


def main() -> int:
    source, target = sys.argv[1:]
    crates = compiled(sys.stdin.readlines())
    with open(source, encoding="utf-8") as file:
        bom = pruned(without_folder(json.load(file)), crates)
    commit = {"name": "runner-fleet:commit", "value": os.environ["RUNNER_FLEET_COMMIT"]}
    bom["metadata"]["component"].setdefault("properties", []).append(commit)
    text = json.dumps(bom, indent=1, sort_keys=True) + "\n"

    if absent := missing(bom, crates):
        print("sbom: without", ", ".join(" ".join(crate) for crate in sorted(absent)), file=sys.stderr)
        return 1
    if error := JsonStrictValidator(SchemaVersion.V1_5).validate_str(text):
        print(f"sbom: not CycloneDX 1.5: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"{target}: {len(bom['components'])} crates of {len(crates) - 1} that are compiled in")
    return 0


if __name__ == "__main__":
    sys.exit(main())
