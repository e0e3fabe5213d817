"""A document cannot leave out what happens to a block, and a broken command ends the walk."""

from pathlib import Path

import pytest

from blocks import Unmarked, read
from shell import Shell


def document(folder: Path, text: str) -> Path:
    """A document of this text."""
    file = folder / "document.md"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Do this:\n\n```sh\nls\n```\n", "document.md:3: say above this block whether it is run"),
        (
            "Do this:\n\n<!-- not run: no account -->\n```sh\nls\n```\n",
            "document.md:4: not run, and the reader is not told",
        ),
        (
            "On **(AWS)**.\n\nDo this:\n\n<!-- not run: no account -->\n```sh\nls\n```\n",
            "document.md:6: not run, and the reader is not told",
        ),
        ("<!-- run -->\n\n```sh\nls\n```\n", "document.md:1: no shell block below this comment"),
    ],
)
def test_a_block_that_says_too_little_is_an_error(tmp_path: Path, text: str, why: str) -> None:
    """With the line to look at."""
    with pytest.raises(Unmarked, match=why):
        read(document(tmp_path, text))


def test_blocks_are_read_with_their_sections_and_what_is_typed(tmp_path: Path) -> None:
    """The comment's three forms."""
    text = (
        "## One\n\n<!-- run, typed: a b | c -->\n```sh\nread x\n```\n\n## Two\n\nThere **(host)**:\n\n"
        "<!-- not run: on the host -->\n```sh\nls\n```\n\n```toml\na = 1\n```\n\n<!-- run -->\n```sh\ntrue\n```\n"
    )
    found = [(block.section, block.runs, block.typed, block.line) for block in read(document(tmp_path, text))]
    assert found == [("One", True, "a b\nc\n", 5), ("Two", False, "", 14), ("Two", True, "", 23)]


def test_a_shell_keeps_its_variables_and_ends_at_the_first_failure(tmp_path: Path) -> None:
    """Also in the middle of a block, of a pipe, and for a name that nobody has set."""
    for number, broken in enumerate(["false\necho on\n", "false | cat\necho on\n", 'echo "$nobody"\n']):
        (tmp_path / str(number)).mkdir()
        shell = Shell(tmp_path / str(number), {}, {"https://gitlab.example.com": "http://127.0.0.1:1"})
        good = "read -r word; where=https://gitlab.example.com\n"
        text = f"<!-- run, typed: word -->\n```sh\n{good}```\n\n<!-- run -->\n```sh\n{broken}```\n"
        first, second = read(document(tmp_path, text))
        shell.run(first)
        assert (shell.value("word"), shell.value("where")) == ("word", "http://127.0.0.1:1")
        with pytest.raises(AssertionError, match=r"document\.md:8: a command of this block failed"):
            shell.run(second)
        shell.close()
