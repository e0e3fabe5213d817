"""What is in the packages: the same things in each, with safe rights, true dependencies, and no complaint from lintian."""

import re
import tarfile

import packages
import pytest

both = pytest.mark.parametrize("arch", packages.ARCHS)

#: What only one of the formats has: Debian's own documents, rpm's licence, the notes of the archive; zsh's folders differ.
DEBIAN_ONLY = {"/usr/share/doc/runner-fleet/changelog.gz", "/usr/share/doc/runner-fleet/copyright", "/usr/share/lintian/overrides/runner-fleet",
               "/usr/share/zsh/vendor-completions/_runner-fleet"}
RPM_ONLY = {"/usr/share/licenses/runner-fleet/LICENSE", "/usr/share/zsh/site-functions/_runner-fleet"}
ARCHIVE_ONLY = {"/INSTALL.md", "/LICENSE", "/usr/share/zsh/site-functions/_runner-fleet"}


def deb_files(arch: str) -> set[str]:
    """The files of the .deb."""
    return {name for name, entry in packages.deb_entries(packages.deb(arch)).items() if not entry.isdir()}


def test_the_sums_are_those_of_the_files() -> None:
    """SHA256SUMS names all that there is, the list of crates too, and each has that sum."""
    packages.run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=packages.OUT)
    named = {line.split()[1] for line in (packages.OUT / "SHA256SUMS").read_text().splitlines()}
    expected = {path.name for arch in packages.ARCHS for path in (packages.deb(arch), packages.rpm(arch), packages.tarball(arch))}
    expected |= {path.name for path in (packages.image(), packages.crates()) if packages.BOTH}
    assert named == expected


def test_every_command_has_its_manual_page() -> None:
    """And there is a completion for each of the three shells."""
    said = packages.run(packages.BIN / "runner-fleet-amd64", "--help").split("Commands:\n")[1].split("\n\n")[0]
    commands = set(re.findall(r"^  ([a-z][a-z-]*) ", said, re.M)) - {"help"}
    assert {"run", "check", "doctor"} <= commands
    files = deb_files("amd64")
    assert {f"/usr/share/man/man1/runner-fleet-{command}.1.gz" for command in commands} | {"/usr/share/man/man1/runner-fleet.1.gz"} \
        == {name for name in files if name.startswith("/usr/share/man/")}
    assert {"/usr/share/bash-completion/completions/runner-fleet", "/usr/share/fish/vendor_completions.d/runner-fleet.fish"} <= files


@both
def test_the_deb(arch: str) -> None:
    """Everything is root's, nothing but the binary can be executed, and /etc/runner-fleet is closed and empty."""
    path = packages.deb(arch)
    entries = packages.deb_entries(path)
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries.values()} == {(0, 0, "root", "root")}
    assert {name for name, entry in entries.items() if entry.isfile() and entry.mode & 0o111} == {"/usr/bin/runner-fleet"}
    assert not [name for name, entry in entries.items() if entry.mode & 0o7022], "set-id, or writable for others than root"
    assert [(name, entry.mode) for name, entry in entries.items() if name.startswith("/etc/")] == [("/etc/runner-fleet", 0o750)]
    assert packages.field(path, "Architecture") == arch
    assert packages.field(path, "Depends") == "libc6 (>= 2.28), ca-certificates, systemd | systemd-standalone-sysusers"
    assert packages.field(path, "Recommends") == "openssh-client"


@both
def test_the_rpm_holds_the_same(arch: str) -> None:
    """The same files with the same bytes and modes; the folder of the configuration is the group's."""
    path = packages.rpm(arch)
    listed = packages.run("rpm", "-qp", "--nosignature", "--queryformat", "[%{FILENAMES} %{FILEDIGESTS} %{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME}\n]", path)
    rows = {row[0]: row[1:] for row in (line.rsplit(" ", 3) for line in listed.splitlines())}
    folder = rows.pop("/etc/runner-fleet")
    assert folder[1:] == ["40750", "root:runner-fleet"]
    files = {name for name, row in rows.items() if row[1].startswith("10")}
    assert files - RPM_ONLY == deb_files(arch) - DEBIAN_ONLY
    assert files >= RPM_ONLY
    assert {row[2] for row in rows.values()} == {"root:root"}
    assert {name for name in files if int(rows[name][1], 8) & 0o111} == {"/usr/bin/runner-fleet"}
    assert rows["/usr/bin/runner-fleet"][0] == packages.run("sha256sum", packages.BIN / f"runner-fleet-{arch}").split()[0]


@both
def test_what_the_rpm_needs(arch: str) -> None:
    """Nothing that is not said here, and it says for which machines it is."""
    query = ("rpm", "-qp", "--nosignature")
    requires = set(packages.run(*query, "--requires", packages.rpm(arch)).splitlines())
    assert {line for line in requires if not line.startswith("rpmlib(")} - {"/bin/sh"} == {"glibc >= 2.28", "ca-certificates", "findutils", "systemd"}
    assert packages.run(*query, "--recommends", packages.rpm(arch)).split() == ["openssh-clients"]
    assert packages.run(*query, "--queryformat", "%{ARCH} %{OS} %{LICENSE}", packages.rpm(arch)) == f"{packages.RPM_ARCH[arch]} linux Apache-2.0"


@both
def test_the_archive_holds_the_same(arch: str) -> None:
    """In one folder, with the notes how to install it; root's by number."""
    with tarfile.open(packages.tarball(arch)) as tar:
        entries = tar.getmembers()
    top = f"runner-fleet-{packages.VERSION}"
    assert {entry.name.split("/")[0] for entry in entries} == {top}
    files = {entry.name.removeprefix(top) for entry in entries if not entry.isdir()}
    assert files - ARCHIVE_ONLY == deb_files(arch) - DEBIAN_ONLY
    assert files >= ARCHIVE_ONLY
    assert {(entry.uid, entry.gid, entry.uname) for entry in entries} == {(0, 0, "")}


def test_lintian() -> None:
    """No error and no warning that is not answered in the overrides; the binary is of the architecture that the package names."""
    said = packages.run("lintian", "--allow-root", "--tag-display-limit", "0", *map(packages.deb, packages.ARCHS), check=False)
    assert not re.findall(r"^[EW]: .*", said, re.M), said
