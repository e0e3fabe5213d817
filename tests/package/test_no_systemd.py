"""Where systemd does not run: a chroot, an image being built. And packages for other machines."""

import pathlib
from collections.abc import Iterator

import packages
import pytest
from machine import CONFIG, Machine

from harness.host import NETWORK
from harness.world import World

WANTED_BY = "/etc/systemd/system/multi-user.target.wants/runner-fleet.service"


class Chroot(Machine):
    """The same system, but nothing of it runs."""

    def __init__(self, world: World, folder: pathlib.Path) -> None:
        self.host, self.folder, self.name = world.host, folder, "chroot"
        self.host.docker("run", "-d", "--name", self.name, "--network", NETWORK, "-v", f"{folder}:/packages:ro", self.host.image, "sleep", "infinity", timeout=120)


@pytest.fixture
def chroot(world: World, shelf: pathlib.Path) -> Iterator[Chroot]:
    """A system without a running systemd."""
    chroot = Chroot(world, shelf)
    yield chroot
    chroot.close()


def test_from_install_to_purge(chroot: Chroot) -> None:
    """The user is made, the service can be enabled for the first boot, and a purge leaves no link that leads to nothing."""
    chroot.sh(f"mkdir -p /etc/runner-fleet && echo x >{CONFIG} && chmod 640 {CONFIG}")
    chroot.install(packages.deb())
    assert chroot.rights(CONFIG) == "root:runner-fleet 640"
    chroot.sh("systemctl enable runner-fleet")
    chroot.sh(f"test -L {WANTED_BY}")
    chroot.install(packages.other_version("99.1.0", chroot.folder))
    chroot.sh(f"test -L {WANTED_BY}")
    chroot.sh("dpkg --remove runner-fleet")
    chroot.fails(f"test -L {WANTED_BY}")
    chroot.sh("dpkg --purge runner-fleet")
    assert chroot.traces() == []


@pytest.mark.skipif(not packages.BOTH, reason=packages.NOT_BOTH)
def test_another_machines_package(chroot: Chroot) -> None:
    """dpkg refuses it by itself, and says why; nothing is installed."""
    (chroot.folder / packages.deb("arm64").name).hardlink_to(packages.deb("arm64"))
    said = chroot.fails(f"dpkg --install /packages/{packages.deb('arm64').name}")
    assert "package architecture (arm64) does not match system (amd64)" in said
    assert chroot.traces() == []
