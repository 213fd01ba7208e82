"""The files for systemd, checked with systemd's own tools."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.harness import see
from tests.support.paths import ROOT

SYSTEMD = ROOT / "deploy" / "systemd"
UNIT = SYSTEMD / "pacemaker-bundle-exporter.service"
SOCKET = UNIT.with_suffix(".socket")
READER = SYSTEMD / "pacemaker-bundle-exporter-corosync@.service"
READER_SOCKET = SYSTEMD / "pacemaker-bundle-exporter-corosync.socket"


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (see.need(argv[0]), *argv[1:]), capture_output=True, check=False, text=True, timeout=60
    )


def test_systemd_understands_every_line_of_the_units(tmp_path: Path) -> None:
    # It looks for the programs, too; the tests of the packages have them where they belong.
    commands = {
        UNIT: "ExecStart=pacemaker-bundle-exporter",
        READER: "ExecStart=/usr/libexec/pacemaker-bundle-exporter/corosync-reader",
    }
    units = []
    for unit, command in commands.items():
        text = unit.read_text(encoding="utf-8")
        assert text.count(command) == 1
        units.append(tmp_path / unit.name.replace("@", "@1"))
        units[-1].write_text(text.replace(command, f"ExecStart={sys.executable}"), encoding="utf-8")
    for listening in (SOCKET, READER_SOCKET):
        units.append(tmp_path / listening.name)
        units[-1].write_bytes(listening.read_bytes())
    (tmp_path / READER.name).write_bytes(units[1].read_bytes())
    found = _run("systemd-analyze", "verify", "--man=no", *map(str, units))
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_unit_continues_after_the_kernel_kills_crm_mon() -> None:
    """systemd's default, OOMPolicy=stop, ends a service with the first of its processes."""
    assert "\nOOMPolicy=continue\n" in UNIT.read_text(encoding="utf-8")


@pytest.mark.parametrize(("unit", "limit"), [(UNIT, 20), (READER, 15)])
def test_security_exposure_of_the_units_is_low(tmp_path: Path, unit: Path, limit: int) -> None:
    instance = tmp_path / unit.name.replace("@", "@1")
    instance.write_bytes(unit.read_bytes())
    argv = ("systemd-analyze", "security", "--offline=true", "--no-pager")
    found = _run(*argv, f"--threshold={limit}", str(instance))
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("unit", [UNIT, READER])
def test_units_keep_the_shared_memory_of_their_group(unit: Path) -> None:
    """tests/deploy/test_installed.py has what happens with a real systemd."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert "Group=haclient" in lines
    assert "RemoveIPC=no" in lines
    assert "DynamicUser=yes" not in lines  # implies RemoveIPC=yes


def test_strict_drop_in_changes_nothing_but_the_groups() -> None:
    text = (SYSTEMD / "strict.conf").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        *("[Service]", "Group=pacemaker-exporter"),
        *("SupplementaryGroups=", "SupplementaryGroups=haclient"),
    ]


def test_sysusers_creates_the_users_and_groups(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    found = _run("systemd-sysusers", f"--root={tmp_path}", str(SYSTEMD / "sysusers.conf"))
    assert found.returncode == 0, found.stderr
    groups = (tmp_path / "etc" / "group").read_text(encoding="utf-8").splitlines()
    # Only its unit puts the reader's user into haclient.
    assert "haclient:x:189:pacemaker-exporter" in groups
    members = {line.split(":")[0]: line.split(":")[2] for line in groups}
    users = (tmp_path / "etc" / "passwd").read_text(encoding="utf-8").splitlines()
    assert len(users) == 2
    for user in ("pacemaker-exporter", "pacemaker-exporter-corosync"):
        (line,) = (line for line in users if line.startswith(f"{user}:x:"))
        assert line.split(":")[3] == members[user]
        assert line.endswith(":/nonexistent:/usr/sbin/nologin")
