"""What is installed for systemd, as systemd's own tools see it."""

import subprocess
import sys
from pathlib import Path

from tests.support import see

SYSTEMD = Path(__file__).parents[1] / "deploy" / "systemd"
UNIT = SYSTEMD / "pacemaker-bundle-exporter.service"


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (see.need(argv[0]), *argv[1:]), capture_output=True, check=False, text=True, timeout=60
    )


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    # It looks for the program, too; the tests of the packages have that where it belongs.
    command = "ExecStart=pacemaker-bundle-exporter"
    text = UNIT.read_text(encoding="utf-8")
    assert text.count(command) == 1
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(command, f"ExecStart={sys.executable}"), encoding="utf-8")
    found = _run("systemd-analyze", "verify", "--man=no", str(unit))
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_the_exposure_is_at_most_2() -> None:
    argv = ("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager")
    found = _run(*argv, str(UNIT))
    assert found.returncode == 0, found.stdout


def test_the_user_is_in_the_group_that_may_ask_the_cluster(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    found = _run("systemd-sysusers", f"--root={tmp_path}", str(SYSTEMD / "sysusers.conf"))
    assert found.returncode == 0, found.stderr
    groups = (tmp_path / "etc" / "group").read_text(encoding="utf-8").splitlines()
    assert "haclient:x:189:pacemaker-exporter" in groups
    users = (tmp_path / "etc" / "passwd").read_text(encoding="utf-8")
    assert users.startswith("pacemaker-exporter:x:")
    assert users.endswith(":/nonexistent:/usr/sbin/nologin\n")
