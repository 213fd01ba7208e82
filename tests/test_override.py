"""deploy/prometheus/override.py as an operator runs it, on the shipped rules."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import rules, see
from tests.support.rules import ROOT, RULE_FILES

PROGRAM = ROOT / "deploy/prometheus/override.py"
ALERTS = RULE_FILES[1].name


def override(
    directory: Path, changes: str, *rule_files: Path, into: str = "changed"
) -> subprocess.CompletedProcess[str]:
    (directory / "changed").mkdir(exist_ok=True)
    file = directory / "changes.yml"
    file.write_text(changes, encoding="utf-8")
    return subprocess.run(
        [
            sys.executable,
            PROGRAM,
            file,
            "--into",
            directory / into,
            *(rule_files or RULE_FILES),
        ],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The rules of a file by name."""
    return {
        rule.get("alert") or rule["record"]: rule
        for group in rules.read(path)["groups"]
        for rule in group["rules"]
    }


def changed(directory: Path, changes: str) -> dict[str, dict[str, Any]]:
    """The alerts after changes that fit, of which promtool has nothing to say."""
    ran = override(directory, changes)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    return read(directory / "changed" / ALERTS)


SHIPPED = read(RULE_FILES[1])


def differing(found: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name in SHIPPED if found.get(name) != SHIPPED[name]}


def test_without_changes_the_rules_are_the_same(tmp_path: Path) -> None:
    assert changed(tmp_path, "") == SHIPPED
    assert read(tmp_path / "changed" / RULE_FILES[0].name) == read(RULE_FILES[0])


def test_durations_and_severity(tmp_path: Path) -> None:
    found = changed(
        tmp_path,
        "alerts:\n"
        "  PacemakerBundleDegraded: {for: 10m, severity: warning}\n"
        "  PacemakerNodeStandby: {for: 12h}\n"
        "  PacemakerBundleDown: {keep_firing_for: 23m}\n",
    )
    degraded = found["PacemakerBundleDegraded"]
    assert (degraded["for"], degraded["labels"]) == ("10m", {"severity": "warning"})
    assert found["PacemakerNodeStandby"]["for"] == "12h"
    assert found["PacemakerBundleDown"]["keep_firing_for"] == "23m"
    assert differing(found) == {
        "PacemakerBundleDegraded",
        "PacemakerNodeStandby",
        "PacemakerBundleDown",
    }


def test_a_limit_in_the_expression(tmp_path: Path) -> None:
    found = changed(
        tmp_path,
        'alerts: {PacemakerBundleFlapping: {replace: {"6 *": "10 *", "[1h]": "[2h]"}}}',
    )
    expression = found["PacemakerBundleFlapping"]["expr"]
    assert "> 10 *" in expression
    assert "[2h]" in expression
    assert differing(found) == {"PacemakerBundleFlapping"}


def test_an_alert_is_left_out(tmp_path: Path) -> None:
    found = changed(tmp_path, "alerts: {PacemakerBundleDisabled: off}")
    assert SHIPPED.keys() - found.keys() == {"PacemakerBundleDisabled"}
    assert differing(found) == {"PacemakerBundleDisabled"}


def test_all_alerts_that_have_such_a_duration_but_for_those_that_are_named(tmp_path: Path) -> None:
    found = changed(
        tmp_path,
        "all: {keep_firing_for: 20m}\nalerts: {PacemakerBundleDown: {keep_firing_for: 22m}}",
    )
    for name, rule in SHIPPED.items():
        expected = "20m" if "keep_firing_for" in rule else None
        if name == "PacemakerBundleDown":
            expected = "22m"
        assert found[name].get("keep_firing_for") == expected, name


@pytest.mark.prometheus
def test_prometheus_loads_what_comes_out(tmp_path: Path) -> None:
    changed(
        tmp_path,
        "all: {for: 1m}\n"
        "alerts:\n"
        '  PacemakerBundleFlapping: {replace: {"6 *": "10 *"}, severity: info}\n'
        "  PacemakerBundleDisabled: off\n",
    )
    files = [tmp_path / "changed" / path.name for path in RULE_FILES]
    checked = subprocess.run(
        [see.need("promtool"), "check", "rules", "--lint-fatal", *files],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            "alerts: {PacemakerBundleDegradd: off}",
            "there is no PacemakerBundleDegradd; is it PacemakerBundleDegraded?",
        ),
        ("alerts: {DiskFull: off}", "there is no DiskFull"),
        ("alert: {}", "unknown alert; there are alerts, all"),
        ("all: {severity: info}", "all: unknown severity; there are for, keep_firing_for"),
        ("all: 5m", "all: expected names with values, not '5m'"),
        ("[PacemakerBundleDown]", "expected names with values, not ['PacemakerBundleDown']"),
        (
            "alerts: {PacemakerBundleDown: {fore: 5m}}",
            "PacemakerBundleDown: unknown fore; there are for, keep_firing_for, replace, severity",
        ),
        (
            "alerts: {PacemakerBundleDown: {severity: page}}",
            "PacemakerBundleDown: severity is one of critical, warning, info",
        ),
        (
            'alerts: {PacemakerBundleFlapping: {replace: {"7 *": "8 *"}}}',
            "PacemakerBundleFlapping: replace: its expression has no '7 *'",
        ),
        ("alerts: {PacemakerBundleDown: 5m}", "expected names with values, not '5m'"),
        ("alerts: {PacemakerBundleDown: {for: five minutes}}", "for: no duration: 'five minutes'"),
        ("all: {keep_firing_for: 30}", "keep_firing_for: no duration: 30"),
        ("alerts: {", "no YAML: "),
    ],
)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(
    tmp_path: Path, changes: str, told: str
) -> None:
    ran = override(tmp_path, changes)
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("override.py: ")
    assert told in line
    assert not any((tmp_path / "changed").iterdir())


EXPLAINING = ("PacemakerMaintenanceMode", "PacemakerBundleMaintenance", "PacemakerStopAllResources")


def test_what_outlasts_its_explanation_is_warned_of(tmp_path: Path) -> None:
    ran = override(
        tmp_path,
        "all: {keep_firing_for: 10m}\nalerts: {PacemakerBundleDown: {keep_firing_for: 24m}}",
    )
    assert ran.returncode == 0
    assert {line.partition(": warning: ")[2] for line in ran.stderr.splitlines()} == {
        f"PacemakerBundleDown goes on for 2m and 24m without data, {name} silences for 25m:"
        " replace its [25m]"
        for name in EXPLAINING
    }
    assert read(tmp_path / "changed" / ALERTS)["PacemakerBundleDown"]["keep_firing_for"] == "24m"


def test_longer_durations_with_longer_ranges_are_fine(tmp_path: Path) -> None:
    replaced = "".join(f'  {name}: {{replace: {{"[25m]": "[45m]"}}}}\n' for name in EXPLAINING)
    found = changed(tmp_path, f"all: {{keep_firing_for: 30m}}\nalerts:\n{replaced}")
    assert found["PacemakerBundleDown"]["keep_firing_for"] == "30m"


def test_the_example_is_fine(tmp_path: Path) -> None:
    readme = (PROGRAM.parent / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(# changes.yml\n.*?)```", readme, re.DOTALL)
    assert changed(tmp_path, example)["PacemakerBundleDown"]["keep_firing_for"] == "20m"


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    ran = override(tmp_path, "", into="promethues")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"--into {tmp_path}/promethues: there is no such directory" in ran.stderr
    assert not (tmp_path / "promethues").exists()


def test_a_rule_file_that_is_not_there(tmp_path: Path) -> None:
    ran = override(tmp_path, "", tmp_path / "no.rules.yml")
    assert ran.returncode == 1
    assert ran.stderr == f"override.py: {tmp_path}/no.rules.yml: No such file or directory\n"


def test_the_shipped_files_are_not_overwritten(tmp_path: Path) -> None:
    first, second = RULE_FILES
    copy = tmp_path / second.name
    copy.write_bytes(second.read_bytes())
    ran = override(tmp_path, "", first, copy, into=".")
    assert ran.returncode == 1
    assert "would be overwritten" in ran.stderr
    assert copy.read_bytes() == second.read_bytes()
    assert not (tmp_path / first.name).exists()


def test_wrong_usage(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, PROGRAM], capture_output=True, check=False, text=True, timeout=60
    )
    assert ran.returncode == 2
    assert "usage:" in ran.stderr
