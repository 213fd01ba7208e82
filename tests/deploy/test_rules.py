"""The shipped recording and alerting rules, Prometheus' and Alertmanager's configuration.

The cases of tests/rules are run by the real promtool; see tests/rules/README.md.
"""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from exporter.cluster.agents import ADDRESS_AGENTS
from exporter.cluster.observation import Observation
from exporter.metrics.declaration import Family
from exporter.metrics.families import EVERY_FAMILY, FAMILIES
from tests.support.harness import see
from tests.support.model.situations import Situations
from tests.support.oracle.rules import (
    RULE_FILES,
    Case,
    cases,
    groups,
    metrics,
    parts,
    read,
    rules,
    seconds,
)
from tests.support.paths import ROOT
from tools import alert_table

DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus/prometheus.yml"
ALERTMANAGER = DEPLOY / "alertmanager/alertmanager.yml"
ANNOTATIONS = ROOT / "tests/golden/alerts.yml"

ALERTS = rules("alert")
RECORDS = rules("record")
CASES = cases()

ALL: tuple[Family[Any], ...] = EVERY_FAMILY
OF_THE_TARGET = {"cluster", "instance", "job"}
DECLARED: dict[str, set[str]] = {
    **{family.name: {*family.labels, *OF_THE_TARGET} for family in ALL},
    # Prometheus' own, and its client library's.
    "up": OF_THE_TARGET,
    "process_start_time_seconds": OF_THE_TARGET,
    "ALERTS": {"alertname", "alertstate", "severity", "cluster", "bundle"},
    # Recorded by whoever wants a cluster, a bundle or a ticket to be forgotten.
    "pacemaker_forgotten": {"cluster", "bundle", "ticket"},
}
HELD = "alert:pacemaker_alerts:held"
LEVELS = {
    "cluster_bundle_replica": ("cluster", "bundle", "bundle_replica"),
    "cluster_target": ("cluster", "target"),
    "alert": ("alertname", "severity", "cluster"),
}
"""Levels in names of recorded series that are not simply lists of labels."""
SEVERITIES = {"critical", "warning", "info"}
DASHBOARDS = {"bundle", "cluster", "exporter", "overview"}


FIRST = [next(case for case in CASES if case.alert == alert and case.is_firing) for alert in ALERTS]
"""The first case of each alert that fires."""
OFTEN = [case for case in FIRST if ALERTS[case.alert]["labels"]["severity"] == "critical"]
"""Those of the pages. `make test-all` runs the others, too."""
RUNS_CASES = "test_alerts_fire_as_the_case_says"


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [see.need(program), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        timeout=300,
    )


# ---- The cases ----


def first_firing() -> set[str]:
    """Return one firing case for each alert, for checks of its annotations."""
    return {case.title for case in (*FIRST, *(case for case in CASES if case.annotations))}


@pytest.fixture(scope="module")
def outcomes(
    observed: Mapping[str, Observation],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Mapping[str, str]:
    """Return promtool's result for each case that is to be tested."""
    see.need("promtool")
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    selected = {item.name for item in items if item.originalname == RUNS_CASES}
    chosen = [case for case in CASES if f"{RUNS_CASES}[{case.title}]" in selected]
    # The file has all cases, so it is written only if all run.
    update = request.config.getoption("--update-goldens") and chosen == CASES
    annotations = {} if update else read(ANNOTATIONS)
    directory = tmp_path_factory.mktemp("rules")
    situations = Situations(directory, dict(observed))
    files = {}
    for number, case in enumerate(chosen):
        files[case.title] = directory / f"{number}.yml"
        annotated = annotations.get(case.title, []) if case.title in first_firing() else None
        group = json.dumps(case.promtool(situations, annotated))
        files[case.title].write_text(group, encoding="utf-8")

    def said(titles: list[str]) -> dict[str, str]:
        ran = run("promtool", "test", "rules", *(files[title] for title in titles))
        _, *answers = re.split(r"Unit Testing: .*\n", ran.stdout)
        assert len(answers) == len(titles), ran.stdout
        return dict(zip(titles, (answer.strip() for answer in answers), strict=True))

    titles = list(files)
    batches = min(20, len(titles))
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(said, (titles[first::batches] for first in range(batches)))
    found = dict(pair for answer in answers for pair in answer.items())
    if update:
        texts = {title: alerts(found[title]) for title in titles if title in first_firing()}
        ANNOTATIONS.write_text(
            "# What each alert says in a case of tests/rules: written by"
            " `pytest tests/deploy/test_rules.py -m '' --update-goldens`.\n"
            + yaml.safe_dump(texts, sort_keys=False, width=100, allow_unicode=True),
            encoding="utf-8",
        )
    return found


def alerts(answer: str) -> list[dict[str, Any]]:
    """Return the alerts that promtool got instead of the expected ones."""
    got = answer.partition("got:[")[2]
    return [
        {"exp_labels": texts(labels), "exp_annotations": texts(annotations)}
        for labels, annotations in re.findall(r"Labels:\{(.*)\}\n\s*Annotations:\{(.*)\}", got)
    ]


def texts(pairs: str) -> dict[str, str]:
    found = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', pairs)
    return {name: json.loads(text) for name, text in found if name != "alertname"}


@pytest.mark.real
@pytest.mark.prometheus
@pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=c.title, marks=() if c in OFTEN else pytest.mark.slow) for c in CASES],
)
def test_alerts_fire_as_the_case_says(case: Case, outcomes: Mapping[str, str]) -> None:
    assert outcomes[case.title] == "SUCCESS"


def test_case_names_are_unique() -> None:
    titles = [case.title for case in CASES]
    assert sorted(set(titles)) == sorted(titles)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_case_that_fires_and_one_that_nearly_does(alert: str) -> None:
    fires = [case.is_firing for case in CASES if case.alert == alert]
    assert set(fires) == {True, False}


def test_cases_name_existing_alerts() -> None:
    assert {case.alert for case in CASES} <= set(ALERTS)


def test_templates_of_annotations_render() -> None:
    text = ANNOTATIONS.read_text(encoding="utf-8")
    assert not re.search(r"<error|<no value>|NaN|\[\]", text)


# ---- Each alert ----


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_the_annotations_a_person_needs(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in SEVERITIES
    assert (DEPLOY / "runbooks" / f"{alert}.md").is_file()
    annotations = rule["annotations"]
    assert annotations["summary"]
    assert annotations["description"]
    assert annotations["runbook_url"] == f"{{{{ $externalLabels.runbooks }}}}/{alert}.md"
    dashboard = re.fullmatch(
        r"\{\{ \$externalLabels\.grafana \}\}/d/pacemaker-(\w+)(\?var-cluster=.*)?",
        annotations["dashboard_url"],
    )
    assert dashboard
    assert dashboard[1] in DASHBOARDS


@pytest.mark.parametrize("alert", ALERTS)
def test_critical_alert_fires_until_somebody_sees_the_cluster_again(alert: str) -> None:
    """A cluster that nobody sees has not recovered."""
    rule = ALERTS[alert]
    held = f'{HELD}{{alertname="{alert}"}}'
    of_the_view = {"instance:pacemaker_view:chosen", *RECORDS} & metrics(rule["expr"])
    of_the_view -= {name for name in RECORDS if name.startswith("cluster:")}
    of_the_view -= {"instance:pacemaker_view:current"}  # there are current views that do not count
    if rule["labels"]["severity"] == "critical" and of_the_view and alert not in SELF_HEALING:
        assert held in rule["expr"]
        assert seconds(rule["keep_firing_for"]) >= 60
    assert rule["expr"].count(HELD) == (held in rule["expr"])


SELF_HEALING = {"PacemakerBundleCrashLooping"}
"""Alerts on the past, which ends without data too."""


@pytest.mark.parametrize("alert", ALERTS)
def test_advice_leaves_containers_to_pacemaker(alert: str) -> None:
    for text in ALERTS[alert]["annotations"].values():
        assert not re.search(r"\b(podman|docker)\b", text)
        own = re.sub(r"systemctl \w+ pacemaker-bundle-exporter", "", text)
        assert "systemctl" not in own


# ---- Expressions: only what the exporter declares ----


@cache
def labels_of(expression: str, record: str = "") -> frozenset[str]:
    """The labels that an expression's result can have.

    Args:
        expression: the expression.
        record: the recorded series that it defines, which it may use.

    Raises:
        ValueError: the expression uses an unknown metric or label.

    """
    return _LabelsOf(record).node(promql_parser.parse(expression))


def level_of(record: str) -> frozenset[str]:
    """The labels in the name of a recorded series."""
    level = record.partition(":")[0]
    return frozenset(LEVELS.get(level) or level.split("_"))


def known(wanted: Any, there: frozenset[str], where: Any) -> frozenset[str]:  # noqa: ANN401
    unknown = set(wanted) - there
    if unknown:
        raise ValueError(f"no label {', '.join(sorted(unknown))} in {where}")
    return frozenset(wanted)


@dataclass(frozen=True)
class _LabelsOf:
    """Finds the labels of a parsed expression's result."""

    record: str
    """The recorded series that the expression defines."""

    def metric(self, name: str) -> frozenset[str]:
        # The alerts that are held have the labels of the alerts that use them.
        if name in {self.record, HELD}:
            return level_of(name)
        if name in RECORDS:
            return labels_of(RECORDS[name]["expr"], name)
        if name not in DECLARED:
            raise ValueError(f"no metric {name}")
        return frozenset(DECLARED[name])

    def node(self, node: Any) -> frozenset[str]:  # noqa: ANN401, PLR0911 - one for each kind of node
        match node:
            case promql_parser.VectorSelector():
                there = self.metric(node.name or "")
                known((m.name for m in node.matchers.matchers), there, node)
                return there
            case promql_parser.MatrixSelector():
                return self.node(node.vector_selector)
            case (
                promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr()
            ):
                return self.node(node.expr)
            case promql_parser.AggregateExpr():
                there = self.node(node.expr)
                if node.modifier is None:
                    return frozenset()
                named = known(node.modifier.labels, there, node)
                by = node.modifier.type == promql_parser.AggModifierType.By
                return named if by else there - named
            case promql_parser.BinaryExpr():
                return self.pair(node)
            case promql_parser.Call():
                return self.call(node)
            case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
                return frozenset()
        raise TypeError(node)

    def pair(self, node: Any) -> frozenset[str]:  # noqa: ANN401 - see parts
        left, right = self.node(node.lhs), self.node(node.rhs)
        modifier = node.modifier
        matching = modifier.matching if modifier else None
        if matching:
            on = matching.type == promql_parser.LabelModifierType.Include
            known(matching.labels, right if on else right | left, node)
            if "pacemaker_forgotten" not in str(node.rhs):  # it has labels that clusters lack
                known(matching.labels, left if on else right | left, node)
        match str(node.op):
            case "and" | "unless":
                return left
            case "or":
                return left | right
        if isinstance(node.lhs, promql_parser.NumberLiteral) or not left:
            return right
        if isinstance(node.rhs, promql_parser.NumberLiteral) or not right or not matching:
            return left
        many = modifier.card != promql_parser.VectorMatchCardinality.OneToOne
        if many:
            return left
        return frozenset(matching.labels) if on else left - frozenset(matching.labels)

    def call(self, node: Any) -> frozenset[str]:  # noqa: ANN401 - see parts
        match node.func.name:
            case "label_replace":
                vector, target, _, source, _ = node.args
                there = self.node(vector)
                known([source.val], there, node)
                return there | {target.val}
            case "absent":
                self.node(node.args[0])
                return frozenset(m.name for m in node.args[0].matchers.matchers)
        return frozenset[str]().union(*map(self.node, node.args))


@pytest.mark.parametrize("name", [*RECORDS, *ALERTS])
def test_expressions_use_only_declared_metrics(name: str) -> None:
    rule = RECORDS.get(name) or ALERTS[name]
    assert labels_of(rule["expr"], rule.get("record", "")) is not None


@pytest.mark.parametrize(
    ("expression", "mistake"),
    [
        ("pacemaker_bundle_replica == 0", "no metric pacemaker_bundle_replica"),
        ("sum by (cluster, node) (pacemaker_bundle_replicas)", "no label node"),
        ('pacemaker_bundle_replicas{bundle_replica="0"}', "no label bundle_replica"),
        ("pacemaker_up and on (bundle) pacemaker_bundle_state", "no label bundle"),
        ("pacemaker_bundle_state unless on (bundle) pacemaker_up", "no label bundle"),
        ("max by (instance) (cluster:pacemaker_members:max)", "no label instance"),
        ("increase(pacemaker_bundle_changes_total[1h]) > 3", "no metric"),
        ('label_replace(pacemaker_up, "node", "$1", "resource", "(.*)")', "no label resource"),
    ],
)
def test_undeclared_metric_in_an_expression_is_found(expression: str, mistake: str) -> None:
    with pytest.raises(ValueError, match=mistake):
        labels_of(expression)


@pytest.mark.parametrize("alert", ALERTS)
def test_annotations_use_only_labels_of_the_expression(alert: str) -> None:
    there = labels_of(ALERTS[alert]["expr"])
    for text in ALERTS[alert]["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= there
        for query in re.findall(r"`(.*?)`", text):
            assert labels_of(query.replace("%q", '"x"'))


@pytest.mark.parametrize("name", RECORDS)
def test_recorded_series_have_no_instance_except_views(name: str) -> None:
    found = labels_of(RECORDS[name]["expr"], name)
    assert found >= level_of(name)
    assert ("instance" in found) == name.startswith("instance:")


@pytest.mark.parametrize("name", [*RECORDS, *ALERTS])
def test_only_exporter_alerts_have_an_instance(name: str) -> None:
    rule = RECORDS.get(name) or ALERTS[name]
    group = next(group["name"] for group in groups() if rule in group["rules"])
    if name in ALERTS and "instance" in labels_of(rule["expr"]):
        assert group == "pacemaker-exporter-alerts" or name in ABOUT_ONE_NODE


ABOUT_ONE_NODE = {"CorosyncUnresponsive", "CorosyncPaused", "CorosyncQuorumDisagrees"}
"""Alerts about corosync on one node, which only the exporter there can see."""


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_about_a_cluster_uses_the_view_that_counts(alert: str) -> None:
    used = metrics(ALERTS[alert]["expr"])
    about_the_cluster = {family.name for family in FAMILIES} & used
    if about_the_cluster - OF_ANY_VIEW and alert not in OF_ITS_OWN_NODE:
        wanted = "current" if alert in OF_EVERY_NODE else "chosen"
        assert f"instance:pacemaker_view:{wanted}" in used


OF_ITS_OWN_NODE = {"SbdDaemonDown"}
"""Alerts on problems that each exporter only knows of its own node."""
OF_EVERY_NODE = {
    "PacemakerSplitView",
    "CorosyncAllLinksDown",
    "CorosyncQdeviceNotVoting",
    "CorosyncQuorumDisagrees",
}
"""Alerts that use what each node has for itself, unless its corosync does not answer."""
OF_ANY_VIEW = {
    "pacemaker_local_node_info",
    "pacemaker_cluster_info",
    "pacemaker_cluster_quorate",
    "pacemaker_cluster_dc_elected",
    "pacemaker_configuration_current",
    "pacemaker_bundle_configured",
    "pacemaker_fencing_history_missing",
    "sbd_running",
    # Counters of each exporter, which an alert compares with their own past.
    "pacemaker_bundle_role_changes_total",
    "pacemaker_bundle_promotions_total",
}
"""Metrics by which alerts compare views, or that every node has for itself."""


@pytest.mark.parametrize("alert", ALERTS)
def test_durations_survive_a_restart_of_prometheus(alert: str) -> None:
    """Prometheus restores `for` only from 10 minutes on; Alertmanager waits about 4 minutes."""
    waits = ALERTS[alert].get("for", "0s")
    assert seconds(waits) <= 90 or seconds(waits) >= 600


def test_addresses_are_those_of_the_list_of_agents() -> None:
    found = {
        alert: [
            matcher.value
            for part in parts(promql_parser.parse(ALERTS[alert]["expr"]))
            if isinstance(part, promql_parser.VectorSelector)
            for matcher in part.matchers.matchers
            if matcher.name == "agent"
        ]
        for alert in ("PacemakerVirtualIPDown", "PacemakerResourceStopped")
    }
    (down,), (stopped,) = found.values()
    assert sorted(alternatives(down)) == sorted(ADDRESS_AGENTS)
    assert sorted(alternatives(stopped)) == sorted((*ADDRESS_AGENTS, "ocf:pacemaker:remote"))


def test_job_is_called_pacemaker_everywhere() -> None:
    jobs = {
        matcher.value
        for rule in (*RECORDS.values(), *ALERTS.values())
        for part in parts(promql_parser.parse(rule["expr"]))
        if isinstance(part, promql_parser.VectorSelector)
        for matcher in part.matchers.matchers
        if matcher.name == "job"
    }
    assert jobs == {"pacemaker"}
    scraped = read(PROMETHEUS)["scrape_configs"]
    assert [job["job_name"] for job in scraped] == ["pacemaker"]


# ---- Alertmanager ----

CONFIGURATION = read(ALERTMANAGER)
INHIBITIONS = CONFIGURATION["inhibit_rules"]


def patterns(matchers: list[str]) -> list[str]:
    """The patterns of alert names, one for each alternative."""
    (matcher,) = matchers
    found = re.fullmatch(r'alertname=~?"(.*)"', matcher)
    assert found, matcher
    return list(alternatives(found[1]))


def alternatives(pattern: str) -> Iterator[str]:
    """Resolve `|` within parentheses, and outside: a(b|c)|d to ab, ac and d."""
    for branch in re.split(r"\|(?![^(]*\))", pattern):
        pieces = re.split(r"\(([^()]*)\)", branch)
        yield from map("".join, itertools.product(*(piece.split("|") for piece in pieces)))


def named(matchers: list[str]) -> set[str]:
    return {alert for p in patterns(matchers) for alert in ALERTS if re.fullmatch(p, alert)}


@pytest.mark.parametrize("rule", INHIBITIONS, ids=lambda rule: rule["source_matchers"][0])
def test_inhibitions_name_existing_alerts(rule: dict[str, Any]) -> None:
    for side in ("source_matchers", "target_matchers"):
        for pattern in patterns(rule[side]):
            assert any(re.fullmatch(pattern, alert) for alert in ALERTS), pattern


@pytest.mark.parametrize("rule", INHIBITIONS, ids=lambda rule: rule["source_matchers"][0])
def test_labels_that_must_be_equal_exist_on_both_alerts(rule: dict[str, Any]) -> None:
    equal = set(rule["equal"]) - {"prometheus"}  # an external label, of every alert or of none
    for alert in named(rule["source_matchers"]) | named(rule["target_matchers"]):
        assert equal <= labels_of(ALERTS[alert]["expr"]), alert


def test_maintenance_never_inhibits_the_blocked_alert() -> None:
    blocked = {alert for alert in ALERTS if alert.endswith("Blocked")}
    assert blocked == {"PacemakerBundleReplicaBlocked", "PacemakerResourceBlocked"}
    silencing = [
        rule
        for rule in INHIBITIONS
        if any(
            re.search("Maintenance|Unmanaged|Disabled", a) for a in named(rule["source_matchers"])
        )
    ]
    assert len(silencing) >= 3
    for rule in silencing:
        assert not blocked & named(rule["target_matchers"])


def test_no_alert_inhibits_itself() -> None:
    for rule in INHIBITIONS:
        assert not named(rule["source_matchers"]) & named(rule["target_matchers"])


def test_inhibiting_bundle_alert_outlasts_the_inhibited_one() -> None:
    """Otherwise replicas that return one after the other would notify at its end."""
    pairs = [
        (source, target)
        for rule in INHIBITIONS
        if "bundle" in rule["equal"]
        for source in named(rule["source_matchers"])
        for target in named(rule["target_matchers"])
        if ALERTS[source]["labels"]["severity"] == "critical"
    ]
    assert ("PacemakerBundleDown", "PacemakerBundleDegraded") in pairs
    for pair in pairs:
        longer, shorter = (seconds(ALERTS[alert]["keep_firing_for"]) for alert in pair)
        assert longer > shorter, pair


@pytest.mark.prometheus
@pytest.mark.parametrize("alert", ALERTS)
def test_alert_is_routed_by_its_severity(alert: str) -> None:
    severity = ALERTS[alert]["labels"]["severity"]
    receiver = {"critical": "pager", "warning": "tickets", "info": "nobody"}[severity]
    labels = (f"alertname={alert}", f"severity={severity}", "cluster=east")
    options = (f"--config.file={ALERTMANAGER}", f"--verify.receivers={receiver}")
    tested = run("amtool", "config", "routes", "test", *options, *labels)
    assert (tested.returncode, tested.stdout.splitlines()[-1]) == (0, receiver), tested.stdout


@pytest.mark.prometheus
def test_alert_of_another_project_keeps_its_route() -> None:
    options = (f"--config.file={ALERTMANAGER}", "alertname=DiskFull", "severity=critical")
    tested = run("amtool", "config", "routes", "test", *options)
    assert tested.stdout.splitlines()[-1] == "default"


# ---- The dead man's switch, which is off ----


def switched_on() -> str:
    """Return Alertmanager's configuration with the route and the receiver of the switch."""
    first = r'(?:matchers: \[alertname="DeadMansSwitch"\]|name: dead-mans-switch)'
    text, count = re.subn(
        rf"^ *# - {first}\n(?: *#   .*\n)+",
        lambda block: re.sub(r"(?m)^( *)# ", r"\1", block[0]),
        ALERTMANAGER.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert count == 2
    return text


@pytest.mark.prometheus
def test_dead_mans_switch_always_fires() -> None:
    tested = run("promtool", "test", "rules", ROOT / "tests/rules/optional/dead-mans-switch.yml")
    assert tested.returncode == 0, tested.stdout


def test_dead_mans_switch_is_off() -> None:
    assert not [path for path in read(PROMETHEUS)["rule_files"] if "switch" in path]
    assert switched_on() != ALERTMANAGER.read_text(encoding="utf-8")
    assert "DeadMansSwitch" not in json.dumps(read(ALERTMANAGER))
    assert "DeadMansSwitch" not in ALERTS


@pytest.mark.prometheus
@pytest.mark.parametrize("on", [True, False])
def test_dead_mans_switch_reaches_only_its_own_receiver(tmp_path: Path, on: bool) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(switched_on() if on else ALERTMANAGER.read_text("utf-8"), encoding="utf-8")
    labels = ("alertname=DeadMansSwitch", "severity=info", "prometheus=east")
    tested = run("amtool", "config", "routes", "test", f"--config.file={file}", *labels)
    assert tested.stdout.splitlines()[-1] == ("dead-mans-switch" if on else "default")
    assert {"name": "default"} in CONFIGURATION["receivers"], "it notifies nobody"


# ---- The programs' own checks ----


@pytest.mark.prometheus
def test_promtool_accepts_the_rules() -> None:
    checked = run("promtool", "check", "rules", "--lint-fatal", *RULE_FILES)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.prometheus
def test_promtool_accepts_the_configuration() -> None:
    checked = run("promtool", "check", "config", "--lint-fatal", PROMETHEUS)
    assert checked.returncode == 0, checked.stdout
    assert "2 rule files found" in checked.stdout


@pytest.mark.prometheus
def test_amtool_accepts_the_configuration() -> None:
    checked = run("amtool", "check-config", ALERTMANAGER)
    assert checked.returncode == 0, checked.stdout


# ---- Beside the rules of one cluster ----


def test_table_of_alerts_is_current() -> None:
    assert alert_table.PAGE.read_text(encoding="utf-8") == alert_table.page(), "run: make reference"


@pytest.mark.prometheus
def test_fleet_alert_fires_for_a_silent_cluster() -> None:
    """It has its own file: a central Prometheus evaluates it, on recorded series only."""
    tested = run("promtool", "test", "rules", ROOT / "tests/rules/fleet/silent.yml")
    assert tested.returncode == 0, tested.stdout
