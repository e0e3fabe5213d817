"""The .rpm, installed by rpm itself with its scripts into a system of its own. That system is Debian's: none with rpm as its
own package manager can be had here, so what dnf makes of the dependencies is not seen."""

import pathlib
import shutil
from collections.abc import Iterator

import packages
import pytest

from harness.host import LAB, cache_dir

CONFIG = "etc/runner-fleet/config.toml"


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """The lab's base image as a folder, with a configuration that was there first."""
    root = tmp_path / "root"
    root.mkdir()
    base = packages.run(LAB / "image.sh", "base-name").strip()
    packages.run("tar", "-C", root, "-xf", cache_dir() / f"image/{base}.tar", "--exclude=./usr/share/locale", "--exclude=./usr/share/python*")
    (root / "etc/runner-fleet").mkdir()
    (root / CONFIG).write_text("x")
    (root / CONFIG).chmod(0o640)
    yield root
    shutil.rmtree(root)


def rpm(root: pathlib.Path, *arguments: str | pathlib.Path) -> str:
    """Runs rpm for that system. Its dependencies cannot be known in a system of Debian's."""
    return packages.run("rpm", "--root", root, "--dbpath", "/var/lib/rpm", "--nosignature", "--nodeps", *arguments)


def rights(root: pathlib.Path, path: str) -> str:
    """Owner, group and mode, by that system's names."""
    return packages.run("chroot", root, "stat", "-c", "%U:%G %a", f"/{path}").strip()


def test_from_install_to_removal(root: pathlib.Path) -> None:
    """Files, rights, user; an upgrade changes nothing of the operator's; removal leaves the configuration and no dangling link."""
    rpm(root, "--install", packages.rpm())
    rpm(root, "--verify", "runner-fleet")
    assert rights(root, CONFIG) == "root:runner-fleet 640"
    assert rights(root, "etc/runner-fleet") == "root:runner-fleet 750"
    assert packages.run("chroot", root, "runner-fleet", "--version").startswith("runner-fleet ")
    packages.run("chroot", root, "systemctl", "enable", "runner-fleet")
    link = root / "etc/systemd/system/multi-user.target.wants/runner-fleet.service"
    assert link.is_symlink()

    packages.run("chroot", root, "chown", "runner-fleet:root", f"/{CONFIG}")
    rpm(root, "--upgrade", "--replacepkgs", "--replacefiles", packages.rpm())
    assert rights(root, CONFIG) == "runner-fleet:root 640"
    assert link.is_symlink()

    rpm(root, "--erase", "runner-fleet")
    assert not link.is_symlink()
    assert not (root / "usr/bin/runner-fleet").exists()
    assert (root / CONFIG).read_text() == "x"


@pytest.mark.skipif(not packages.BOTH, reason=packages.NOT_BOTH)
def test_another_machines_package(root: pathlib.Path) -> None:
    """rpm refuses it by itself."""
    with pytest.raises(AssertionError, match="intended for a different architecture"):
        rpm(root, "--install", packages.rpm("arm64"))
