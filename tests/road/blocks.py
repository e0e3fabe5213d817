"""The shell blocks of a document, and what the document says about running them.

Above each ```sh fence stands a comment that a reader does not see:

    <!-- run -->                       it is run here as it stands
    <!-- run, typed: one | two -->     the same; these lines are typed while it runs
    <!-- not run: why -->              it needs what is not here

A block that is not run must say so to the reader, too: the text above it carries one of the marks below. A block
without a comment is an error, and so is a comment without a block.
"""

import re
from dataclasses import dataclass
from pathlib import Path

#: What a reader sees: the block needs a real account, a real GitLab, or the manager's host.
MARKS = ("**(AWS)**", "**(GitLab)**", "**(host)**")
COMMENT = re.compile(r"<!-- (?:run(?:, typed: (?P<typed>[^>]+))?|not run: (?P<why>[^>]+)) -->")


@dataclass(frozen=True)
class Block:
    """One fence; `line` is that of its first command."""

    document: Path
    line: int
    section: str
    text: str
    runs: bool
    typed: str = ""
    why: str = ""

    def __str__(self) -> str:
        """As an editor finds it."""
        return f"{self.document.name}:{self.line}"


class Unmarked(Exception):
    """The document says too little about a block."""


def read(document: Path) -> list[Block]:
    """All shell blocks, in order."""
    lines = document.read_text(encoding="utf-8").splitlines()
    blocks: list[Block] = []
    section, at = "", 0
    while at < len(lines):
        if lines[at].startswith("## "):
            section = lines[at].removeprefix("## ")
        if COMMENT.fullmatch(lines[at].strip()) and (at + 1 == len(lines) or lines[at + 1].strip() != "```sh"):
            raise Unmarked(f"{document.name}:{at + 1}: no shell block below this comment")
        if not lines[at].strip().startswith("```"):
            at += 1
            continue
        end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == "```")
        if lines[at].strip() == "```sh":
            blocks.append(_block(document, lines, at, end, section))
        at = end + 1
    return blocks


def _block(document: Path, lines: list[str], at: int, end: int, section: str) -> Block:
    found = COMMENT.fullmatch(lines[at - 1].strip())
    if found is None:
        raise Unmarked(
            f"{document.name}:{at + 1}: say above this block whether it is run: <!-- run --> or <!-- not run: why -->"
        )
    indent = len(lines[at]) - len(lines[at].lstrip())
    text = "\n".join(line[indent:] for line in lines[at + 1 : end]) + "\n"
    if found["why"] and not any(mark in _said_above(lines, at - 1) for mark in MARKS):
        raise Unmarked(
            f"{document.name}:{at + 1}: not run, and the reader is not told; write one of {', '.join(MARKS)} above it"
        )
    typed = "".join(f"{line.strip()}\n" for line in (found["typed"] or "").split("|") if line.strip())
    return Block(document, at + 2, section, text, runs=found["why"] is None, typed=typed, why=found["why"] or "")


def _said_above(lines: list[str], at: int) -> str:
    """The paragraph or heading above."""
    above = [line for line in reversed(lines[:at])]
    while above and not above[0].strip():
        above.pop(0)
    paragraph = []
    for line in above:
        if not line.strip() or line.strip() == "```":
            break
        paragraph.append(line)
    return " ".join(reversed(paragraph))
