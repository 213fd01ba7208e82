"""The files for systemd, checked with systemd's own tools."""

import subprocess
import sys
from pathlib import Path

from tests.support.harness import see
from tests.support.paths import ROOT

SYSTEMD = ROOT / "deploy" / "systemd"
UNIT = SYSTEMD / "pacemaker-bundle-exporter.service"
SOCKET = UNIT.with_suffix(".socket")


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (see.need(argv[0]), *argv[1:]), capture_output=True, check=False, text=True, timeout=60
    )


def test_systemd_understands_every_line_of_the_units(tmp_path: Path) -> None:
    # It looks for the program, too; the tests of the packages have that where it belongs.
    command = "ExecStart=pacemaker-bundle-exporter"
    text = UNIT.read_text(encoding="utf-8")
    assert text.count(command) == 1
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(command, f"ExecStart={sys.executable}"), encoding="utf-8")
    listening = tmp_path / SOCKET.name
    listening.write_bytes(SOCKET.read_bytes())
    found = _run("systemd-analyze", "verify", "--man=no", str(unit), str(listening))
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_unit_continues_after_the_kernel_kills_crm_mon() -> None:
    """systemd's default, OOMPolicy=stop, ends a service with the first of its processes."""
    assert "\nOOMPolicy=continue\n" in UNIT.read_text(encoding="utf-8")


def test_security_exposure_of_the_unit_is_at_most_2() -> None:
    argv = ("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager")
    found = _run(*argv, str(UNIT))
    assert found.returncode == 0, found.stdout


def test_sysusers_puts_the_user_into_haclient(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    found = _run("systemd-sysusers", f"--root={tmp_path}", str(SYSTEMD / "sysusers.conf"))
    assert found.returncode == 0, found.stderr
    groups = (tmp_path / "etc" / "group").read_text(encoding="utf-8").splitlines()
    assert "haclient:x:189:pacemaker-exporter" in groups
    users = (tmp_path / "etc" / "passwd").read_text(encoding="utf-8")
    assert users.startswith("pacemaker-exporter:x:")
    assert users.endswith(":/nonexistent:/usr/sbin/nologin\n")
