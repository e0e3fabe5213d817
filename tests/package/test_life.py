"""The life of the .deb on booted systems: installed, started, reloaded, upgraded while jobs run, removed, purged."""

import pathlib
import time
from collections.abc import Iterator

import packages
import pytest
from fleet import Installed
from machine import CONFIG, ENVIRONMENT, Machine, machine

from gitlab import GitLab
from harness import aftermath, steps
from harness.wait import hold, wait_for
from harness.world import World

#: From `dpkg --install` to a service that is ready, by a wide margin: seconds, where a person waits.
INSTALLED_AND_RUNNING_S = 15.0
#: The service says that it is ready after a minute at the latest, whoever else is down.
READY_AT_LATEST_S = 60.0
#: Nobody listens there.
NOWHERE = "http://127.0.0.1:9"
WANTED_BY = "/etc/systemd/system/multi-user.target.wants/runner-fleet.service"


@pytest.fixture(scope="module", autouse=True)
def cut_off(world: World, shelf: pathlib.Path) -> Iterator[tuple[Machine, float]]:
    """A service whose GitLab and EC2 are dead, and when it was started: first of all, since it takes a minute, and is looked at
    last."""
    config = (packages.ROOT / "config/minimal.toml").read_text().replace("https://gitlab.example.com", NOWHERE).replace('"ssm:/ci/runner-token"', '"glrt-x"')
    config = config.replace('"ssm:/ci/read-api-token"', '"glpat-x"').replace('"ssm:/aws/service/debian/release/13/latest/arm64"', '"ami-0123456789abcdef0"')
    environment = f"AWS_REGION=eu-central-1\nAWS_ENDPOINT_URL={NOWHERE}\nAWS_ACCESS_KEY_ID=x\nAWS_SECRET_ACCESS_KEY=x\n"
    with machine(world.host, shelf, {CONFIG: ("0640", config), ENVIRONMENT: ("0600", environment)}) as host:
        host.install(packages.deb())
        started = time.monotonic()
        host.sh("systemctl enable --now --no-block runner-fleet")
        yield host, started


@pytest.fixture
def manager(world: World, gitlab: GitLab, ec2: str) -> Iterator[Installed]:
    """A configuration, and a look around afterwards."""
    manager = Installed(world, gitlab, ec2, idle_count=0)
    yield manager
    try:
        aftermath.look_around(manager)
    finally:
        aftermath.clean_up(manager)


def test_from_install_to_purge(world: World, shelf: pathlib.Path, manager: Installed) -> None:
    """What cloud-init wrote before the package came is readable for the service; the package starts nothing by itself, and takes
    away what it brought."""
    with machine(world.host, shelf, manager.files) as host:
        assert host.rights(CONFIG) == "root:root 640"
        began = time.monotonic()
        host.install(packages.deb())
        assert (host.state(), host.ask("systemctl is-enabled runner-fleet")) == ("inactive", None)
        host.sh("systemctl enable --now runner-fleet")
        host.is_active(INSTALLED_AND_RUNNING_S)
        took = time.monotonic() - began
        print(f"from the package to a service that is ready: {took:.1f} s")
        assert took < INSTALLED_AND_RUNNING_S
        manager.live_on(host)

        assert host.rights(CONFIG) == "root:runner-fleet 640"
        assert host.rights(ENVIRONMENT) == "root:root 600"
        assert host.rights("/etc/runner-fleet") == "root:runner-fleet 750"
        assert host.rights("/run/runner-fleet/control.sock") == "runner-fleet:runner-fleet 660"
        assert host.rights("/var/lib/runner-fleet/manager_ed25519") == "runner-fleet:runner-fleet 600"
        assert host.sh("runner-fleet status").strip()
        # Of all units, those that systemd-analyze loads with ours may have complaints of their own.
        assert "runner-fleet" not in host.sh("systemd-analyze verify --man=no runner-fleet.service || true")

        reloads(host)

        removed(host)
        host.install(packages.deb())
        assert host.rights(CONFIG) == "root:runner-fleet 640"
        host.sh("systemctl enable --now runner-fleet")
        host.is_active(30)
        host.sh("dpkg --purge runner-fleet")
        assert host.traces() == []
        assert host.sh("getent passwd runner-fleet"), "the user's number must not come to belong to somebody else"


def reloads(host: Machine) -> None:
    """`systemctl reload` reaches the process, which stays the same; a file that it refuses changes nothing."""
    process, before = host.show("MainPID"), host.log().count("\n")
    host.write(CONFIG, host.sh(f"cat {CONFIG}").replace("concurrent = 8", "concurrent = 7"))
    host.sh("systemctl reload runner-fleet")
    wait_for("the reload is told", lambda: host.log().count("\n") > before, 20)
    assert (host.state(), host.show("MainPID"), host.show("NRestarts")) == ("active", process, "0")


def removed(host: Machine) -> None:
    """Removal stops and disables the service, and keeps configuration and key."""
    host.sh("dpkg --remove runner-fleet")
    assert host.ask("systemctl is-active runner-fleet") is None
    assert host.ask("pgrep -x runner-fleet") is None
    host.fails(f"test -L {WANTED_BY}")
    host.sh(f"test -s {CONFIG} && test -s /var/lib/runner-fleet/manager_ed25519")


def test_upgrade_and_downgrade_while_jobs_run(world: World, shelf: pathlib.Path, gitlab: GitLab, manager: Installed) -> None:
    """Jobs go on, and their workers are adopted, in both directions; what the operator has changed stays."""
    newer, older = packages.other_version("99.0.0", shelf), packages.other_version("0.0.1", shelf)
    with machine(world.host, shelf, manager.files) as host:
        host.install(packages.deb())
        host.sh("systemctl enable --now runner-fleet")
        manager.live_on(host)
        jobs = [gitlab.queue(f"running {number}", steps.UNTIL_RELEASED) for number in (1, 2)]
        for job in jobs:
            steps.runs(job)
        host.sh(f"chmod 0600 {CONFIG} && chown runner-fleet:root {CONFIG} && chmod 0751 /etc/runner-fleet")

        for package in (newer, older):
            former = host.show("MainPID")
            host.install(package)
            print(f"{package.name}: the new process is ready after {manager.replaced(former):.1f} s")
            wait_for("the workers are adopted", lambda: len(manager.state()["workers"]) == 2, 30)
            assert [job.status for job in jobs] == ["running", "running"]
            assert (host.rights(CONFIG), host.rights("/etc/runner-fleet")) == ("runner-fleet:root 600", "root:runner-fleet 751")
            assert host.ask("systemctl is-enabled runner-fleet") == "enabled"

        for job in jobs:
            steps.release(manager, job)
        for job in jobs:
            steps.succeeds(job)
        assert [len(job.handed_to) for job in jobs] == [1, 1]
        assert len(manager.all_instances()) == 2, "an upgraded manager launched what was already there"
        aftermath.comes_to_rest(manager)
        manager.kill()


def test_a_configuration_that_is_no_good(world: World, shelf: pathlib.Path) -> None:
    """It fails no installation, no upgrade and no removal; nor does one that is not there."""
    with machine(world.host, shelf, {CONFIG: ("0640", "this is no configuration\n")}) as host:
        host.install(packages.deb())
        host.install(packages.other_version("99.0.1", shelf))
        assert host.state() == "inactive"
        host.sh("systemctl start --no-block runner-fleet")
        wait_for("the configuration is refused", lambda: host.state() == "failed", 30)
        assert (host.show("ExecMainStatus"), host.show("NRestarts")) == ("2", "0")
        host.install(packages.other_version("99.0.2", shelf))
        assert host.state() == "failed"
        host.sh(f"rm {CONFIG}")
        host.install(packages.other_version("99.0.3", shelf))
        host.sh("dpkg --purge runner-fleet")
        assert host.traces() == []


def test_what_an_upgrade_restarts(world: World, shelf: pathlib.Path, manager: Installed) -> None:
    """Where the new version refuses the configuration, the former process goes on, and the upgrade says what to do. A service
    that does not run stays so."""
    refusing = '#!/bin/sh\necho "error: config.toml, line 3: no such key" >&2\nexit 2\n'
    with machine(world.host, shelf, manager.files) as host:
        host.install(packages.deb())
        host.sh("systemctl enable --now runner-fleet")
        host.is_active(30)
        process = host.show("MainPID")
        said = host.install(packages.other_version("99.0.4", shelf, binary=refusing))
        assert "line 3: no such key" in said
        assert "the former one goes on running" in said
        assert (host.state(), host.show("MainPID")) == ("active", process)
        host.install(packages.other_version("99.0.5", shelf))
        manager.live_on(host)
        manager.replaced(process)
        manager.kill()
        host.install(packages.other_version("99.0.6", shelf))
        hold("the service stays stopped", lambda: host.state() == "inactive", 3)


def test_without_a_region(world: World, shelf: pathlib.Path) -> None:
    """It waits inside, and says what is missing: no restart after restart."""
    config = (packages.ROOT / "config/minimal.toml").read_text()
    with machine(world.host, shelf, {CONFIG: ("0640", config), ENVIRONMENT: ("0600", "AWS_EC2_METADATA_DISABLED=true\n")}) as host:
        host.install(packages.deb())
        host.sh("systemctl enable --now --no-block runner-fleet")
        wait_for("systemctl status names what is missing", lambda: "region" in host.show("StatusText").lower(), 60)
        process = host.show("MainPID")
        hold("it waits inside", lambda: host.state() in ("active", "activating") and host.show("MainPID") == process, 10)
        assert host.show("NRestarts") == "0"
        told = [line for line in host.log().splitlines() if "region" in line.lower()]
        assert told and max(len(line) for line in told) < 300, told
        assert len(told) <= 3, told


def test_gitlab_and_ec2_are_dead(cut_off: tuple[Machine, float]) -> None:
    """The service is active all the same after a minute, says so, and is not restarted for somebody else's outage."""
    host, started = cut_off
    host.is_active(max(READY_AT_LATEST_S + 15 - (time.monotonic() - started), 1))
    assert "EC2 has not answered yet" in host.log()
    assert host.show("NRestarts") == "0"
    assert "EC2" in host.show("StatusText")
    host.sh("systemctl reload runner-fleet && runner-fleet status")
    since = int(host.show("ActiveEnterTimestampMonotonic")) - int(host.show("ExecMainStartTimestampMonotonic"))
    assert since < (READY_AT_LATEST_S + 5) * 1e6
