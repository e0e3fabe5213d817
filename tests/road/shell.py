"""One shell that a document's blocks are run in, one after the other, as its reader does."""

import os
import subprocess
import uuid
from pathlib import Path

from blocks import Block

#: The slowest block starts the aws CLI a dozen times: ten seconds, or a hundred on a machine that compiles beside.
DEADLINE_S = 600


class Shell:
    """Bash with `set -euo pipefail`; what it says is kept, for failures and for those who ask."""

    def __init__(self, folder: Path, environment: dict[str, str], address: dict[str, str]) -> None:
        """`address` is what is replaced in the blocks: names that only exist in documents, by those of the doubles."""
        self._folder, self._address = folder, address
        self.home = folder / "home"
        self.home.mkdir()
        self._scripts = folder / "blocks"
        self._scripts.mkdir()
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
        self._process = subprocess.Popen(
            ["/bin/bash", "--norc", "--noprofile", "-euo", "pipefail"],
            cwd=self.home,
            env=kept | {"HOME": str(self.home)} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def run(self, block: Block) -> str:
        """What it said.

        Raises:
            AssertionError: a command of it failed, or it took too long.
        """
        text = block.text
        for name, stand_in in self._address.items():
            text = text.replace(name, stand_in)
        script, typed = self._scripts / f"{block.document.stem}-{block.line}.sh", self._scripts / "typed"
        script.write_text(text, encoding="utf-8")
        typed.write_text(block.typed, encoding="utf-8")
        end = f"-- end {uuid.uuid4()}"
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(f"source {script} <{typed}; echo '{end}'\n")
        stdin.flush()
        said = []
        watchdog = subprocess.Popen(
            ["/bin/sh", "-c", f"sleep {DEADLINE_S}; kill {self._process.pid}"], start_new_session=True
        )
        try:
            for line in stdout:
                if line.strip().endswith(end):
                    said.append(line.replace(end, "").rstrip("\n"))
                    return "".join(said)
                said.append(line)
        finally:
            os.killpg(watchdog.pid, 15)
            watchdog.wait()
        raise AssertionError(
            f"{block}: a command of this block failed ({self._process.wait()}):\n\n{block.text}\n"
            f"It said:\n{''.join(said)}"
        )

    def value(self, name: str) -> str:
        """A variable that the document has set."""
        return self.run(Block(Path("value"), 0, "", f"printf '%s' \"${name}\"\n", runs=True))

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()
