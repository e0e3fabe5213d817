"""The packages under test, and ways to look into them."""

import functools
import os
import pathlib
import re
import subprocess
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(os.environ.get("PACKAGE_OUT") or ROOT / "target/package")
BIN = pathlib.Path(os.environ.get("PACKAGE_BIN") or ROOT / "target/dist/bin")
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]  # type: ignore[index]
#: Those that were built: CI leaves arm64 out where nothing of it has changed, and then there is no image either.
ARCHS = tuple(arch for arch in ("amd64", "arm64") if (BIN / f"runner-fleet-{arch}").exists())
BOTH = ARCHS == ("amd64", "arm64")
NOT_BOTH = "no arm64 binary was built, so there is neither its package nor an image"
RPM_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}


def deb(arch: str = "amd64") -> pathlib.Path:
    """The .deb of an architecture."""
    return OUT / f"runner-fleet_{VERSION}_{arch}.deb"


def rpm(arch: str = "amd64") -> pathlib.Path:
    """The .rpm."""
    return OUT / f"runner-fleet-{VERSION}-1.{RPM_ARCH[arch]}.rpm"


def tarball(arch: str = "amd64") -> pathlib.Path:
    """The .tar.gz."""
    return OUT / f"runner-fleet-{VERSION}-linux-{arch}.tar.gz"


def image() -> pathlib.Path:
    """The archive with the image of all architectures."""
    return OUT / f"runner-fleet-{VERSION}-image.tar"


def crates() -> pathlib.Path:
    """The list of what is in the binaries."""
    return OUT / f"runner-fleet-{VERSION}.cdx.json"


def run(*command: str | pathlib.Path, check: bool = True, **more: object) -> str:
    """A command's output; its complaint when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command[:6]))} … ended with {done.returncode}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    return str(done.stdout)


def deb_entries(path: pathlib.Path) -> dict[str, tarfile.TarInfo]:
    """What a .deb holds, by absolute path."""
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], capture_output=True, check=True).stdout
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        with tarfile.open(fileobj=file) as tar:
            return {entry.name.removeprefix("."): entry for entry in tar}


@functools.cache
def field(path: pathlib.Path, name: str) -> str:
    """A field of a .deb's control file."""
    return run("dpkg-deb", "--field", path, name).strip()


def other_version(version: str, to: pathlib.Path, *, binary: str | None = None) -> pathlib.Path:
    """The amd64 .deb under another version; with a script in place of the binary, if one is given. Packed fast."""
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder) / "tree"
        run("dpkg-deb", "--raw-extract", deb(), tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
        if binary is not None:
            (tree / "usr/bin/runner-fleet").write_text(binary)
        made = to / f"runner-fleet_{version}_amd64.deb"
        run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, made)
    return made
