"""The same commit gives the same bytes."""

import os
import pathlib
import subprocess

import packages


def test_built_again(tmp_path: pathlib.Path) -> None:
    """The same binaries, at another time, under another umask and in another zone and language: the same sums."""
    for path in (packages.ROOT / "packaging").rglob("*"):
        os.utime(path)
    env = {**os.environ, "TZ": "Asia/Kolkata", "LC_ALL": "C.UTF-8", "HOSTNAME": "elsewhere"}
    commit_time = packages.deb_entries(packages.deb())["/usr/bin/runner-fleet"].mtime
    command = f"umask 0077; make --no-print-directory package PACKAGE_BIN={packages.BIN} PACKAGE_OUT={tmp_path} SOURCE_DATE_EPOCH={int(commit_time)}"
    done = subprocess.run(["bash", "-c", command], cwd=packages.ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "SHA256SUMS").read_text() == (packages.OUT / "SHA256SUMS").read_text()
