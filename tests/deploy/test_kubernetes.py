"""The objects for the Prometheus Operator say the same as the plain files.

No operator runs here. A schema of the fields that we use stands for its checks.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _jsonnet  # type: ignore[import-untyped] # one call needs no stubs
import pytest
import yaml

from tests.support.oracle.operator import SCHEMA
from tests.support.oracle.promtool import promtool
from tests.support.oracle.rules import RULE_FILES, read
from tests.support.paths import ROOT
from tools.kubernetes import ALERTMANAGER, DIRECTORY, PROMETHEUS, objects

OBJECTS: Mapping[str, Any] = {path.name: read(path) for path in DIRECTORY.glob("*.yaml")}
RULES = {
    path: OBJECTS[f"{path.name.removesuffix('.rules.yml')}.prometheusrule.yaml"]
    for path in RULE_FILES
}
SCRAPING = OBJECTS["pacemaker.scrapeconfig.yaml"]
ALERTING = OBJECTS["pacemaker.alertmanagerconfig.yaml"]


def test_objects_are_current() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in DIRECTORY.glob("*.yaml")}
    assert found == objects(), "run: make reference"


@pytest.mark.parametrize("name", OBJECTS)
def test_object_has_only_fields_that_the_operator_knows(name: str) -> None:
    assert [error.message for error in SCHEMA.iter_errors(OBJECTS[name])] == []


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("spec.route.group_by", ["cluster"]),
        ("spec.route.matchers", ['alertname="PacemakerBundleDown"']),
        ("spec.route.routes.0.groupWait", "15 seconds"),
        ("spec.route.receiver", None),
        ("spec.receivers.1.webhook_configs", []),
        ("spec.inhibitRules.0.sourceMatch.0.matchType", "=="),
        ("apiVersion", "monitoring.coreos.com/v1"),
    ],
)
def test_schema_finds_a_mistake(path: str, wrong: object) -> None:
    copy = json.loads(json.dumps(ALERTING))
    *parents, key = path.split(".")
    part = copy
    for name in parents:
        part = part[int(name) if name.isdigit() else name]
    if wrong is None:
        del part[key]
    else:
        part[key] = wrong
    assert not SCHEMA.is_valid(copy)


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.name)
def test_rules_are_those_of_the_plain_file(path: Path) -> None:
    assert RULES[path]["spec"] == read(path)


@pytest.mark.prometheus
def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    for path, made in RULES.items():
        (tmp_path / path.name).write_text(yaml.safe_dump(made["spec"]), encoding="utf-8")
    checked = promtool("check", "rules", "--lint-fatal", *sorted(tmp_path.iterdir()))
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", OBJECTS)
def test_object_fits_into_the_annotation_of_kubectl_apply(name: str) -> None:
    """kubectl keeps what was applied as JSON in an annotation; all of them may have 256 KiB."""
    assert len(json.dumps(OBJECTS[name]).encode()) < 240 * 1024


# What the operator makes of the objects.


def _plain(value: Any) -> Any:  # noqa: ANN401 - what YAML holds
    """Name keys as Prometheus and Alertmanager do, and write matchers in one text."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    if "matchType" in value:
        return f'{value["name"]}{value["matchType"]}"{value["value"]}"'
    return {
        re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key): _plain(part)
        for key, part in value.items()
    }


def test_targets_are_those_of_the_plain_configuration() -> None:
    assert [_plain(SCRAPING["spec"])] == read(PROMETHEUS)["scrape_configs"]


def test_routes_and_inhibitions_are_those_of_the_plain_configuration() -> None:
    plain = read(ALERTMANAGER)
    made = _plain(ALERTING["spec"])
    assert [made["route"]] == plain["route"]["routes"]
    assert [{"name": "default"}, *made["receivers"]] == plain["receivers"]
    renamed = [
        {
            "source_matchers": rule["source_match"],
            "target_matchers": rule["target_match"],
            "equal": rule["equal"],
        }
        for rule in made["inhibit_rules"]
    ]
    assert renamed == plain["inhibit_rules"]


# The mixin.


def _jsonnet_of(expression: str) -> Any:  # noqa: ANN401 - what JSON holds
    program = f"local mixin = import '{DIRECTORY}/mixin.libsonnet'; {expression}"
    return json.loads(_jsonnet.evaluate_snippet("test", program))


def test_mixin_has_the_rules_and_dashboards() -> None:
    found = _jsonnet_of(
        "[mixin.prometheusRules, mixin.prometheusAlerts, mixin.grafanaDashboards, mixin]"
    )
    recording, alerting, dashboards, shown = found
    assert [recording, alerting] == [read(path) for path in RULE_FILES]
    assert dashboards == {
        f"pacemaker-{path.name}": json.loads(path.read_text(encoding="utf-8"))
        for path in (ROOT / "grafana/dashboards").glob("*.json")
    }
    assert shown == {}, "its fields are hidden, as in every mixin"


def test_mixin_can_be_added_to_another() -> None:
    other = "{prometheusAlerts+:: {groups+: [{name: 'other'}]}}"
    groups = _jsonnet_of(f"({other} + mixin + {other}).prometheusAlerts.groups")
    names = [group["name"] for group in read(RULE_FILES[1])["groups"]]
    assert [group["name"] for group in groups] == ["other", *names, "other"]
