#!/usr/bin/env python3
"""Makes the tables of a module's inputs and outputs in its README.md, between two marks, out of its source.

Reads that as `terraform fmt` leaves it: a block begins and ends in the first column, its arguments in the third.

usage: documentation.py MODULE...    rewrites MODULE/README.md
"""

import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.S | re.M)
BEGIN, END = "<!-- made by `make terraform-docs` -->\n", "<!-- end -->\n"


@dataclass(frozen=True)
class Value:
    """A variable or an output."""

    kind: str
    name: str
    description: str
    type: str
    #: None: it must be given.
    default: str | None

    @property
    def attributes(self) -> list[str]:
        """The names that an object's type has, at its first level."""
        level = re.search(r"object\(\{\n(.*)^ *\}\)", self.type, re.S | re.M)
        lines = [line for line in level[1].splitlines() if line.strip()] if level else []
        indent = min((len(line) - len(line.lstrip()) for line in lines), default=0)
        return [line.split("=")[0].strip() for line in lines if re.match(rf" {{{indent}}}\w+ +?=", line)]

    @property
    def explained(self) -> list[str]:
        """The names that the description explains, each in a line like `name, other = …`."""
        lines = [line.split(" = ")[0] for line in self.description.splitlines() if " = " in line]
        return [name.strip() for line in lines for name in line.split(",")]


def values(module: Path) -> list[Value]:
    """All of a module, in the order of its files."""
    return [_value(*found) for path in sorted(module.glob("*.tf")) for found in BLOCK.findall(path.read_text())]


def _value(kind: str, name: str, body: str) -> Value:
    description = _text(_argument(body, "description") or "")
    return Value(kind, name, description, _argument(body, "type") or "any", _argument(body, "default"))


def _argument(body: str, name: str) -> str | None:
    """An argument's source, over several lines if it is so written: up to the next line of its indent."""
    found = re.search(rf"^  {name} += (.*?)(?=^  [^ )}}\]E]|\Z)", body, re.S | re.M)
    return found and found[1].rstrip()


def _text(source: str) -> str:
    heredoc = re.match(r"<<-(\w+)\n(.*)\n +\1", source, re.S)
    return textwrap.dedent(heredoc[2]) if heredoc else source.strip('"').replace('\\"', '"')


def tables(module: Path) -> str:
    """What is between the marks."""
    found = values(module)
    inputs = [value for value in found if value.kind == "variable"]
    # What must be given comes first.
    inputs.sort(key=lambda value: value.default is not None)
    lines = ["| input | type | default | what it is |", "| --- | --- | --- | --- |"]
    for one in inputs:
        lines.append(f"| `{one.name}` | {_type(one.type)} | {_default(one.default)} | {_cell(one.description)} |")
    lines += ["", "| output | what it is |", "| --- | --- |"]
    lines += [f"| `{one.name}` | {_cell(one.description)} |" for one in found if one.kind == "output"]
    return "\n".join(lines) + "\n"


def _type(source: str) -> str:
    return re.sub(r"object\(\{.*\}\)", "object", source, flags=re.S)


def _default(source: str | None) -> str:
    if source is None:
        return "**required**"
    return f"`{source}`" if "\n" not in source else "see there"


def _cell(description: str) -> str:
    """A description in one line; each explained name on a line of its own in the browser."""
    text = description.strip().replace("|", "\\|")
    text = re.sub(r"\n*^([\w., ]+) = ", lambda found: "<br>" + _names(found[1]) + ": ", text, flags=re.M)
    return re.sub(r"\s*\n\s*", " ", text)


def _names(text: str) -> str:
    return ", ".join(f"`{name.strip()}`" for name in text.split(","))


def readme(module: Path) -> tuple[str, str]:
    """The README as it is, and as it should be."""
    text = (module / "README.md").read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{module}/README.md has no place for tables: a line {BEGIN.strip()}, and further down {END.strip()}")
    return text, f"{before}{BEGIN}\n{tables(module)}\n{END}{after}"


def main() -> None:
    """Rewrites."""
    for module in map(Path, sys.argv[1:]):
        (module / "README.md").write_text(readme(module)[1])


if __name__ == "__main__":
    main()
