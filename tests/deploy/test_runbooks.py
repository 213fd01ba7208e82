"""Runbooks agree with the rules and use only existing commands and metrics."""

import os
import re
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
import yaml

from exporter.metrics.families import EVERY_FAMILY
from tests.support.harness import corosync, see
from tests.support.harness.call_pcs import refused
from tests.support.model.cib import RemoteNode, controllers
from tests.support.model.states import FIRST, NOW, STATES
from tests.support.oracle.promtool import promtool
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
RUNBOOKS = DEPLOY / "runbooks"
INDEX = RUNBOOKS / "README.md"
DOCUMENTS = sorted(RUNBOOKS.glob("*.md"))
PAGES = [path for path in DOCUMENTS if path != INDEX]


def _yaml(path: str) -> Any:  # noqa: ANN401 - what YAML holds
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))


ALERTS = {
    rule["alert"]: rule
    for file in ("pacemaker-alerts", "fleet/pacemaker-fleet", "optional/dead-mans-switch")
    for group in _yaml(f"prometheus/{file}.rules.yml")["groups"]
    for rule in group["rules"]
}
RECORDS = [
    rule["record"]
    for group in _yaml("prometheus/pacemaker-recording.rules.yml")["groups"]
    for rule in group["rules"]
]
INHIBITIONS = _yaml("alertmanager/alertmanager.yml")["inhibit_rules"]
HEADINGS = [
    "Meaning",
    "Impact",
    "Diagnosis",
    "Mitigation",
    "When to ignore",
    "Alert rule",
]

SECTIONS = ["--show-node-attributes", "--failcounts", "--neg-locations", "--tickets"]

NAMES = {
    "BUNDLE": "redis-bundle",
    "BUNDLE-REPLICA": "redis-bundle-0",
    "RESOURCE": "ip-192.0.2.10",
    "DEVICE": "fence-controller-0",
    "NODE": "compute-0",
    "TARGET": "controller-0",
    "TICKET": "ticket-1",
}
"""What is in CIB, for what the runbooks have in capitals."""
CIB = replace(
    STATES["healthy-fenced"].cluster, nodes=(*controllers(), RemoteNode("compute-0", FIRST))
).xml(NOW)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _blocks(text: str) -> list[tuple[str, str]]:
    """Yield each fenced block with the line before it."""
    return re.findall(r"^([^\n]*)\n *```\w*\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)


def _commands(text: str, program: str) -> list[str]:
    """The commands in fenced blocks and in the running text."""
    lines = [line.strip() for _, block in _blocks(text) for line in block.splitlines()]
    spans = re.findall(
        r"`([^`]+)`", re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    )
    return [
        " ".join(part.split())
        for part in (*lines, *spans)
        if re.match(rf"{program} ", " ".join(part.split()))
    ]


def _told(description: str) -> list[str]:
    """Return the pcs commands of an annotation, with its labels in capitals."""
    text = re.sub(r"{{ else }}.*?{{ end }}|{{ if .*?}}", "", description)
    text = re.sub(r"{{ \$labels\.(\w+) }}", lambda label: label[1].upper(), text)
    found = re.findall(r"\bpcs [a-z][^.,;:]*", text)
    return [re.split(r" (?:and|on|shows) ", command)[0].strip() for command in found]


def _filled(command: str) -> str:
    """Return a command for CIB."""
    resource = NAMES["DEVICE" if command.startswith("pcs stonith ") else "RESOURCE"]
    names = {**NAMES, "RESOURCE": resource}
    command = re.sub(r" -f \S+", "", command)
    return re.sub(r"\b[A-Z]+(-[A-Z]+)?\b", lambda word: names.get(word[0], word[0]), command)


def _alerts(matchers: list[str]) -> set[str]:
    (matcher,) = matchers
    pattern = re.fullmatch(r'alertname=~?"(.*)"', matcher)
    assert pattern, matcher
    return {alert for alert in ALERTS if re.fullmatch(pattern[1], alert)}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in PAGES} == set(ALERTS)
    for name, alert in ALERTS.items():
        assert alert["annotations"]["runbook_url"].endswith(f"/{name}.md")


def test_index_lists_every_runbook_under_its_severity() -> None:
    parts = re.split(r"^### (\w+).*$", _read(INDEX), flags=re.MULTILINE)[1:]
    for severity, part in zip(parts[::2], parts[1::2], strict=True):
        listed = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| \S", part, re.MULTILINE)
        assert sorted(listed) == sorted(
            path.stem
            for path in PAGES
            if ALERTS[path.stem]["labels"]["severity"] == severity.lower()
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_runbook_has_the_same_headings(page: Path) -> None:
    text = _read(page)
    assert text.startswith(f"# {page.stem}\n\n**Look first:** ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert all(re.split(r"^## .*$", text, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_runbook_agrees_with_the_rules(page: Path) -> None:
    text = " ".join(_read(page).split("## Alert rule")[1].split())
    rule = ALERTS[page.stem]
    assert f"Severity `{rule['labels']['severity']}`" in text
    for key in ("for", "keep_firing_for"):
        said = re.findall(rf"\(`{key}: (\w+)`\)", text)
        assert said == ([rule[key]] if key in rule else []), key
    (changes,) = (
        yaml.safe_load(block) for _, block in _blocks(_read(page)) if block.startswith("  alerts:")
    )
    ((alert, fields),) = changes["alerts"].items()
    assert alert == page.stem
    for old in fields.get("replace", {}):
        assert old in rule["expr"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_runbook_names_the_alerts_that_inhibit_its_alert(page: Path) -> None:
    by = {
        source
        for rule in INHIBITIONS
        if page.stem in _alerts(rule["target_matchers"])
        for source in _alerts(rule["source_matchers"]) - {page.stem}
    }
    said = re.search(
        r"^- Silenced while one of these fires: (.*?)\.$", _read(page), re.MULTILINE | re.DOTALL
    )
    assert set(re.findall(r"\[(\w+)\]", said[1]) if said else []) == by


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_silence_names_the_alert_and_its_labels(page: Path) -> None:
    text = _read(page).split("## When to ignore")[1].replace("\\\n", " ")
    (silence,) = _commands(text, "amtool silence add")
    matchers = dict(re.findall(r"(\w+)=(\S+)", silence.split("who' ")[1]))
    assert matchers.pop("alertname") == page.stem
    assert matchers == {label: label.upper() for label in matchers}
    annotations = " ".join(ALERTS[page.stem]["annotations"].values())
    assert matchers.keys() <= set(re.findall(r"\$labels\.(\w+)", annotations))


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.stem)
def test_links_in_runbooks_resolve(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", _read(page)):
        path, _, heading = link.partition("#")
        assert (RUNBOOKS / path).exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", _read(RUNBOOKS / path), re.MULTILINE)
            assert heading in {re.sub(r"[^a-z -]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.stem)
def test_commands_of_runbooks_leave_containers_to_pacemaker(page: Path) -> None:
    text = _read(page)
    assert "pcs resource meta BUNDLE" not in text  # pcs 0.11: "unable to find a resource"
    for command in _commands(text, "systemctl"):
        assert "pacemaker-bundle-exporter" in command
    outside = re.sub(r"<!-- crm_mon: .*? -->\n```\n.*?```", "", text, flags=re.DOTALL)
    for block in (*(block for _, block in _blocks(outside)), *re.findall(r"`([^`]+)`", outside)):
        assert not re.match(r"\s*(sudo )?(podman|docker)\b", block), block


@pytest.mark.pcs
def test_pcs_accepts_the_commands_of_runbooks() -> None:
    commands = [command for page in DOCUMENTS for command in _commands(_read(page), "pcs")]
    told = [
        command
        for alert in ALERTS.values()
        for command in _told(alert["annotations"]["description"])
    ]
    assert len(set(commands)) > 80
    assert len(set(told)) > 40
    calls = ((CIB, _filled(command)) for command in (*commands, *told))
    assert refused(see.need("pcs"), calls) == {}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.stem)
def test_runbooks_name_only_declared_metrics(page: Path) -> None:
    named = set(re.findall(r"\b(?:pacemaker|corosync)_[a-z_]+[a-z]\b", _read(page)))
    declared = {family.name for family in EVERY_FAMILY}
    other = {"pacemaker_remote", "pacemaker_remoted", "pacemaker_forgotten"}
    assert named - declared - other - {name.split(":")[1] for name in RECORDS} == set()


@pytest.mark.prometheus
def test_promtool_accepts_the_expressions_of_runbooks(tmp_path: Path) -> None:
    expressions = [
        line
        for page in PAGES
        for block in re.findall(r"```promql\n(.*?)```", _read(page), re.DOTALL)
        for line in block.splitlines()
    ]
    rules = [{"record": f"page:{n}", "expr": expr} for n, expr in enumerate(expressions)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}))
    checked = promtool("check", "rules", file)
    assert checked.returncode == 0, checked.stderr


@cache
def _said(state: str) -> list[str]:
    """Return the text of crm_mon as `pcs status --full` requests it, or a capture of crm_mon."""
    if "/" in state:
        captured = re.sub(r"<[^>]+>", "", see.captured(state).decode())
        return [" ".join(line.split()) for line in captured.splitlines()]
    with NamedTemporaryFile("w", encoding="utf-8", suffix=".xml") as cib:
        cib.write(STATES[state].xml())
        cib.flush()
        completed = subprocess.run(
            [see.need("crm_mon"), "-1", "--inactive", "--show-detail", *SECTIONS],
            env={**os.environ, "CIB_file": cib.name},
            capture_output=True,
            text=True,
            check=True,
        )
    return [" ".join(line.split()) for line in completed.stdout.splitlines()]


@pytest.mark.real
@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.stem)
def test_excerpts_match_what_crm_mon_prints(page: Path) -> None:
    for before, block in _blocks(_read(page)):
        if state := re.fullmatch(r"<!-- crm_mon: ([\w./-]+) -->", before):
            left = iter(_said(state[1]))
            for line in block.splitlines():
                assert " ".join(line.split()) in left, f"{state[1]}, in this order: {line}"


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.stem)
def test_excerpts_match_what_corosync_printed(page: Path) -> None:
    for before, block in _blocks(_read(page)):
        if capture := re.fullmatch(r"<!-- corosync: (\S+) -->", before):
            printed = corosync.printed(capture[1])
            left = iter([" ".join(line.split()) for line in printed.splitlines()])
            for line in block.splitlines():
                assert " ".join(line.split()) in left, f"{capture[1]}, in this order: {line}"
