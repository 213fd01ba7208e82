"""deploy/prometheus/override.py as an operator runs it, on the shipped rules and dashboards."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.oracle import rules
from tests.support.oracle.operator import SCHEMA
from tests.support.oracle.promtool import promtool
from tests.support.oracle.rules import RULE_FILES
from tests.support.paths import ROOT

PROGRAM = ROOT / "deploy/prometheus/override.py"
ALERTS = RULE_FILES[1].name
COMPAT = ROOT / "deploy/prometheus/compat/ha_cluster_exporter.rules.yml"
DASHBOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))


def override(
    directory: Path, changes: str, *arguments: Path | str, into: str = "changed"
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
            *(arguments or RULE_FILES),
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
    """Return the alerts after valid changes that promtool accepts."""
    ran = override(directory, changes)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    return read(directory / "changed" / ALERTS)


SHIPPED = read(RULE_FILES[1])


def differing(found: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name in SHIPPED if found.get(name) != SHIPPED[name]}


def test_rules_are_unchanged_without_overrides(tmp_path: Path) -> None:
    assert changed(tmp_path, "") == SHIPPED
    assert read(tmp_path / "changed" / RULE_FILES[0].name) == read(RULE_FILES[0])


def test_durations_and_severity_are_overridden(tmp_path: Path) -> None:
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


def test_limit_in_an_expression_is_replaced(tmp_path: Path) -> None:
    found = changed(
        tmp_path,
        'alerts: {PacemakerBundleFlapping: {replace: {"6 *": "10 *", "[1h]": "[2h]"}}}',
    )
    expression = found["PacemakerBundleFlapping"]["expr"]
    assert "> 10 *" in expression
    assert "[2h]" in expression
    assert differing(found) == {"PacemakerBundleFlapping"}


def test_alert_set_to_off_is_left_out(tmp_path: Path) -> None:
    found = changed(tmp_path, "alerts: {PacemakerBundleDisabled: off}")
    assert SHIPPED.keys() - found.keys() == {"PacemakerBundleDisabled"}
    assert differing(found) == {"PacemakerBundleDisabled"}


def test_all_changes_every_alert_except_those_named(tmp_path: Path) -> None:
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
def test_promtool_accepts_the_changed_rules(tmp_path: Path) -> None:
    changed(
        tmp_path,
        "all: {for: 1m}\n"
        "alerts:\n"
        '  PacemakerBundleFlapping: {replace: {"6 *": "10 *"}, severity: info}\n'
        "  PacemakerBundleDisabled: off\n"
        "  PacemakerBundleDown: {keep_firing_for: off}\n"
        "job: ha clusters\n",
    )
    files = [tmp_path / "changed" / path.name for path in RULE_FILES]
    checked = promtool("check", "rules", "--lint-fatal", *files)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            "alerts: {PacemakerBundleDegradd: off}",
            "unknown alert PacemakerBundleDegradd; did you mean PacemakerBundleDegraded?",
        ),
        ("alerts: {DiskFull: off}", "unknown alert DiskFull"),
        ("alert: {}", "unknown key alert; known keys: alerts, all, job"),
        ("job: [a, b]", "job: must be the name of a job, not ['a', 'b']"),
        ("""job: 'a"b'""", "job: must be the name of a job"),
        ("all: {severity: info}", "all: unknown key severity; known keys: for, keep_firing_for"),
        ("all: 5m", "all: must be a mapping, not '5m'"),
        ("[PacemakerBundleDown]", "must be a mapping, not ['PacemakerBundleDown']"),
        (
            "alerts: {PacemakerBundleDown: {fore: 5m}}",
            "unknown key fore; known keys: for, keep_firing_for, replace, severity",
        ),
        (
            "alerts: {PacemakerBundleDown: {severity: page}}",
            "PacemakerBundleDown: severity must be one of critical, warning, info",
        ),
        (
            'alerts: {PacemakerBundleFlapping: {replace: {"7 *": "8 *"}}}',
            "PacemakerBundleFlapping: replace: the expression does not contain '7 *'",
        ),
        ("alerts: {PacemakerBundleDown: 5m}", "must be a mapping, not '5m'"),
        (
            "alerts: {PacemakerBundleDown: {for: five minutes}}",
            "for: must be like 90s or 5m, not 'five minutes'",
        ),
        ("all: {for: off}", "all: for: must be like 90s or 5m, not False"),
        ("all: {keep_firing_for: 30}", "keep_firing_for: must be like 90s or 5m, not 30"),
        ("alerts: {", "invalid YAML: "),
    ],
)
def test_mistake_is_reported_in_one_line_and_nothing_is_written(
    tmp_path: Path, changes: str, told: str
) -> None:
    ran = override(tmp_path, changes)
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("override.py: ")
    assert told in line
    assert not any((tmp_path / "changed").iterdir())


def test_name_of_the_job_is_replaced_everywhere(tmp_path: Path) -> None:
    found = changed(tmp_path, "job: ha clusters")
    records = read(tmp_path / "changed" / RULE_FILES[0].name)
    assert 'up{job="ha clusters"}' in records["cluster:pacemaker_exporters:count"]["expr"]
    assert found["PacemakerExporterDown"]["expr"] == 'up{job="ha clusters"} == 0'
    written = [path.read_text(encoding="utf-8") for path in (tmp_path / "changed").iterdir()]
    assert not any('job="pacemaker"' in text for text in written)
    assert not any("job pacemaker" in text for text in written)
    absent = found["PacemakerExporterAbsent"]["annotations"]["description"]
    assert absent.startswith("The job ha clusters has no targets")
    assert differing(found) == {
        name for name, rule in SHIPPED.items() if re.search('job="?pacemaker', repr(rule))
    }


def test_name_of_the_job_is_replaced_in_dashboards(tmp_path: Path) -> None:
    ran = override(tmp_path, "job: ha clusters", *RULE_FILES, *DASHBOARDS)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    replaced = set()
    for path in DASHBOARDS:
        shipped = path.read_text(encoding="utf-8")
        found = (tmp_path / "changed" / path.name).read_text(encoding="utf-8")
        assert found == shipped.replace(r"job=\"pacemaker\"", r"job=\"ha clusters\"")
        assert "pacemaker" not in re.findall(r"\bjob=~?\W+(\w+)", found)
        json.loads(found)
        replaced |= {path.stem} if found != shipped else set()
    assert replaced == {"cluster", "exporter"}


def test_alerts_end_at_once_for_an_old_prometheus(tmp_path: Path) -> None:
    found = changed(tmp_path, "all: {keep_firing_for: off}")
    for name, rule in SHIPPED.items():
        assert found[name] == {k: v for k, v in rule.items() if k != "keep_firing_for"}, name
    assert sum("keep_firing_for" in rule for rule in SHIPPED.values()) > 50


def test_changed_rules_are_written_for_the_prometheus_operator(tmp_path: Path) -> None:
    changes = "alerts: {PacemakerBundleDown: {for: 10m}}"
    plain = changed(tmp_path, changes)
    ran = override(tmp_path, changes, "--prometheusrule", *RULE_FILES, COMPAT)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    made = {path.name: rules.read(path) for path in (tmp_path / "changed").iterdir()}
    assert {name: list(SCHEMA.iter_errors(each)) for name, each in made.items()} == {
        name: [] for name in made
    }
    assert made[COMPAT.name]["metadata"] == {"name": "ha-cluster-exporter"}
    alerting = made[ALERTS]["spec"]["groups"]
    assert {rule["alert"]: rule for group in alerting for rule in group["rules"]} == plain


def test_unchanged_object_is_the_shipped_one(tmp_path: Path) -> None:
    assert override(tmp_path, "", "--prometheusrule", *RULE_FILES).returncode == 0
    for path in RULE_FILES:
        found = rules.read(tmp_path / "changed" / path.name)
        name = path.name.removesuffix(".rules.yml")
        assert found == rules.read(ROOT / f"deploy/kubernetes/{name}.prometheusrule.yaml")


def test_documented_example_is_accepted(tmp_path: Path) -> None:
    readme = (PROGRAM.parent / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(# changes.yml\n.*?)```", readme, re.DOTALL)
    assert changed(tmp_path, example)["PacemakerBundleDown"]["keep_firing_for"] == "20m"


def test_missing_directory_is_not_created(tmp_path: Path) -> None:
    ran = override(tmp_path, "", into="promethues")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"--into {tmp_path}/promethues: the directory does not exist" in ran.stderr
    assert not (tmp_path / "promethues").exists()


def test_missing_rule_file_is_reported(tmp_path: Path) -> None:
    ran = override(tmp_path, "", tmp_path / "no.rules.yml")
    assert ran.returncode == 1
    assert ran.stderr == f"override.py: {tmp_path}/no.rules.yml: No such file or directory\n"


def test_shipped_files_are_not_overwritten(tmp_path: Path) -> None:
    first, second = RULE_FILES
    copy = tmp_path / second.name
    copy.write_bytes(second.read_bytes())
    ran = override(tmp_path, "", first, copy, into=".")
    assert ran.returncode == 1
    assert "this would overwrite" in ran.stderr
    assert copy.read_bytes() == second.read_bytes()
    assert not (tmp_path / first.name).exists()


def test_shipped_dashboard_is_not_overwritten(tmp_path: Path) -> None:
    copy = tmp_path / "exporter.json"
    copy.write_bytes(DASHBOARDS[0].read_bytes())
    ran = override(tmp_path, "job: other", copy, into=".")
    assert ran.returncode == 1
    assert "this would overwrite" in ran.stderr
    assert copy.read_bytes() == DASHBOARDS[0].read_bytes()


def test_wrong_usage_exits_with_status_2() -> None:
    ran = subprocess.run(
        [sys.executable, PROGRAM], capture_output=True, check=False, text=True, timeout=60
    )
    assert ran.returncode == 2
    assert "usage:" in ran.stderr
