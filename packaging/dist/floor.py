"""Whether binaries start on the oldest system that we promise: no glibc symbol above the floor, no library but glibc's.

usage: floor.py VERSION FILE...
"""

import sys

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

# What every glibc system has. libgcc_s, which plain cargo links, is a package of its own.
LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"}
LOADERS = {"EM_X86_64": "ld-linux-x86-64.so.2", "EM_AARCH64": "ld-linux-aarch64.so.1"}


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def needed(elf: ELFFile) -> tuple[set[str], set[str]]:
    """The libraries that a binary asks for, and the versions of symbols that it asks them for."""
    libraries, versions = set(), set()
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            libraries |= {tag.needed for tag in section.iter_tags("DT_NEEDED")}
        elif isinstance(section, GNUVerNeedSection):
            versions |= {symbol.name for _, symbols in section.iter_versions() for symbol in symbols}
    return libraries, versions


def complaints(path: str, floor: str) -> list[str]:
    with open(path, "rb") as file:
        elf = ELFFile(file)
        libraries, versions = needed(elf)
        known = LIBRARIES | {LOADERS.get(elf["e_machine"])}
    if not versions:
        return ["asks for no version of any symbol: is it linked dynamically?"]
    wrong = [f"needs {library}" for library in sorted(libraries - known)]
    for version in sorted(versions):
        name, _, digits = version.partition("_")
        if name != "GLIBC" or digits == "PRIVATE" or number(digits) > number(floor):
            wrong.append(f"needs {version}, and the floor is GLIBC_{floor}")
    if not wrong:
        highest = max((version.partition("_")[2] for version in versions), key=number)
        print(f"{path}: GLIBC_{highest} or newer; {', '.join(sorted(libraries))}")
    return wrong


def main() -> int:
    floor, *paths = sys.argv[1:]
    if not paths:
        print("no binary given", file=sys.stderr)
    wrong = [f"{path}: {complaint}" for path in paths for complaint in complaints(path, floor)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
