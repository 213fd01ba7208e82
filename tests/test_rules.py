"""The shipped recording and alerting rules, Prometheus' and Alertmanager's configuration.

The cases of tests/rules are run by the real promtool; see tests/rules/README.md.
"""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from exporter.families import CLUSTER, EXPORTER
from exporter.metrics import Family
from exporter.state import Observation
from tests.support import alert_table, see
from tests.support.rules import (
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
from tests.support.situations import Situations

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus/prometheus.yml"
ALERTMANAGER = DEPLOY / "alertmanager/alertmanager.yml"
ANNOTATIONS = ROOT / "tests/golden/alerts.yml"

ALERTS = rules("alert")
RECORDS = rules("record")
CASES = cases()

FAMILIES: list[Family[Any]] = [*CLUSTER, *EXPORTER]
OF_THE_TARGET = {"cluster", "instance", "job"}
DECLARED: dict[str, set[str]] = {
    **{family.name: {*family.labels, *OF_THE_TARGET} for family in FAMILIES},
    # Prometheus' own, and its client library's.
    "up": OF_THE_TARGET,
    "process_start_time_seconds": OF_THE_TARGET,
}
SEVERITIES = {"critical", "warning", "info"}
DASHBOARDS = {"bundle", "cluster", "exporter", "overview"}


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
    """One case in which each alert fires: what it says is looked at there."""
    titles = {case.alert: case.title for case in reversed(CASES) if case.is_firing}
    return {*titles.values(), *(case.title for case in CASES if case.annotations)}


@pytest.fixture(scope="module")
def outcomes(
    observed: Mapping[str, Observation],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Mapping[str, str]:
    """What promtool says of each case: nothing, or how it went instead."""
    see.need("promtool")
    update = request.config.getoption("--update-goldens")
    annotations = {} if update else read(ANNOTATIONS)
    directory = tmp_path_factory.mktemp("rules")
    situations = Situations(directory, dict(observed))
    files = {}
    for number, case in enumerate(CASES):
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
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(said, (titles[::2], titles[1::2]))
    found = {**first, **second}
    if update:
        texts = {title: alerts(found[title]) for title in titles if title in first_firing()}
        ANNOTATIONS.write_text(
            "# What each alert says in a case of tests/rules: written by"
            " `pytest tests/test_rules.py --update-goldens`.\n"
            + yaml.safe_dump(texts, sort_keys=False, width=100, allow_unicode=True),
            encoding="utf-8",
        )
    return found


def alerts(answer: str) -> list[dict[str, Any]]:
    """The alerts that promtool got where it expected others."""
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
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_it_goes_as_the_case_says(case: Case, outcomes: Mapping[str, str]) -> None:
    assert outcomes[case.title] == "SUCCESS"


def test_every_case_has_a_name_of_its_own() -> None:
    titles = [case.title for case in CASES]
    assert sorted(set(titles)) == sorted(titles)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_case_that_fires_and_one_that_nearly_does(alert: str) -> None:
    fires = [case.is_firing for case in CASES if case.alert == alert]
    assert set(fires) == {True, False}


def test_cases_are_about_alerts_that_there_are() -> None:
    assert {case.alert for case in CASES} <= set(ALERTS)


def test_annotations_have_no_mistake_in_a_template() -> None:
    text = ANNOTATIONS.read_text(encoding="utf-8")
    assert not re.search(r"<error|<no value>|NaN|\[\]", text)


# ---- Each alert ----


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_what_a_person_needs(alert: str) -> None:
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
def test_an_alert_on_a_bundle_that_wakes_somebody_does_not_resolve_with_its_data(
    alert: str,
) -> None:
    rule = ALERTS[alert]
    if rule["labels"]["severity"] == "critical" and "bundle" in labels_of(rule["expr"]):
        assert seconds(rule["keep_firing_for"]) >= 900


@pytest.mark.parametrize("alert", ALERTS)
def test_advice_keeps_away_from_what_pacemaker_manages(alert: str) -> None:
    for text in ALERTS[alert]["annotations"].values():
        assert not re.search(r"\b(podman|docker)\b", text)
        own = re.sub(r"systemctl \w+ pacemaker-bundle-exporter", "", text)
        assert "systemctl" not in own


# ---- Expressions: only what the exporter declares ----


@cache
def labels_of(expression: str) -> frozenset[str]:
    """The labels that an expression's result can have.

    Raises:
        ValueError: it names a metric that there is not, or a label that is not there to be named.

    """
    return labels_of_node(promql_parser.parse(expression))


def known(wanted: Any, there: frozenset[str], where: Any) -> frozenset[str]:  # noqa: ANN401
    unknown = set(wanted) - there
    if unknown:
        raise ValueError(f"no label {', '.join(sorted(unknown))} in {where}")
    return frozenset(wanted)


def labels_of_metric(name: str) -> frozenset[str]:
    if name in RECORDS:
        expression = RECORDS[name]["expr"]
        if name in metrics(expression):  # one that keeps its own value
            return frozenset(name.partition(":")[0].split("_"))
        return labels_of(expression)
    if name not in DECLARED:
        raise ValueError(f"no metric {name}")
    return frozenset(DECLARED[name])


def labels_of_node(node: Any) -> frozenset[str]:  # noqa: ANN401, PLR0911 - one for each kind of node
    match node:
        case promql_parser.VectorSelector():
            there = labels_of_metric(node.name or "")
            known((m.name for m in node.matchers.matchers), there, node)
            return there
        case promql_parser.MatrixSelector():
            return labels_of_node(node.vector_selector)
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            return labels_of_node(node.expr)
        case promql_parser.AggregateExpr():
            there = labels_of_node(node.expr)
            if node.modifier is None:
                return frozenset()
            named = known(node.modifier.labels, there, node)
            by = node.modifier.type == promql_parser.AggModifierType.By
            return named if by else there - named
        case promql_parser.BinaryExpr():
            return labels_of_pair(node)
        case promql_parser.Call():
            return labels_of_call(node)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return frozenset()
    raise TypeError(node)


def labels_of_pair(node: Any) -> frozenset[str]:  # noqa: ANN401 - see parts
    left, right = labels_of_node(node.lhs), labels_of_node(node.rhs)
    modifier = node.modifier
    matching = modifier.matching if modifier else None
    if matching:
        on = matching.type == promql_parser.LabelModifierType.Include
        known(matching.labels, left, node)
        known(matching.labels, right if on else right | left, node)
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


def labels_of_call(node: Any) -> frozenset[str]:  # noqa: ANN401 - see parts
    match node.func.name:
        case "label_replace":
            vector, target, _, source, _ = node.args
            there = labels_of_node(vector)
            known([source.val], there, node)
            return there | {target.val}
        case "absent":
            labels_of_node(node.args[0])
            return frozenset(m.name for m in node.args[0].matchers.matchers)
    return frozenset[str]().union(*map(labels_of_node, node.args))


@pytest.mark.parametrize("name", [*RECORDS, *ALERTS])
def test_an_expression_names_only_what_is_declared(name: str) -> None:
    rule = RECORDS.get(name) or ALERTS[name]
    assert labels_of(rule["expr"]) is not None


@pytest.mark.parametrize(
    ("expression", "mistake"),
    [
        ("pacemaker_bundle_replica == 0", "no metric pacemaker_bundle_replica"),
        ("sum by (cluster, node) (pacemaker_bundle_replicas)", "no label node"),
        ('pacemaker_bundle_replicas{replica="0"}', "no label replica"),
        ("pacemaker_up and on (bundle) pacemaker_bundle_enabled", "no label bundle"),
        ("pacemaker_bundle_enabled unless on (bundle) pacemaker_up", "no label bundle"),
        ("max by (instance) (cluster:pacemaker_members:max)", "no label instance"),
        ("increase(pacemaker_bundle_changes_total[1h]) > 3", "no metric"),
        ('label_replace(pacemaker_up, "node", "$1", "resource", "(.*)")', "no label resource"),
    ],
)
def test_a_mistake_in_an_expression_is_found(expression: str, mistake: str) -> None:
    with pytest.raises(ValueError, match=mistake):
        labels_of(expression)


@pytest.mark.parametrize("alert", ALERTS)
def test_annotations_name_only_what_the_expression_gives(alert: str) -> None:
    there = labels_of(ALERTS[alert]["expr"])
    for text in ALERTS[alert]["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= there
        for query in re.findall(r"`(.*?)`", text):
            assert labels_of(query.replace("%q", '"x"'))


@pytest.mark.parametrize("name", RECORDS)
def test_records_but_for_the_choice_of_views_have_no_instance(name: str) -> None:
    level = name.partition(":")[0]
    assert labels_of(RECORDS[name]["expr"]) >= set(level.split("_"))
    assert ("instance" in labels_of(RECORDS[name]["expr"])) == (level == "instance")


@pytest.mark.parametrize("name", [*RECORDS, *ALERTS])
def test_an_alert_does_not_come_from_each_exporter_unless_it_is_about_exporters(name: str) -> None:
    rule = RECORDS.get(name) or ALERTS[name]
    group = next(group["name"] for group in groups() if rule in group["rules"])
    if name in ALERTS and "instance" in labels_of(rule["expr"]):
        assert group == "pacemaker-exporter-alerts"


def test_the_job_is_called_pacemaker_everywhere() -> None:
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
def test_an_inhibition_names_alerts_that_there_are(rule: dict[str, Any]) -> None:
    for side in ("source_matchers", "target_matchers"):
        for pattern in patterns(rule[side]):
            assert any(re.fullmatch(pattern, alert) for alert in ALERTS), pattern


@pytest.mark.parametrize("rule", INHIBITIONS, ids=lambda rule: rule["source_matchers"][0])
def test_what_has_to_be_equal_is_a_label_of_both(rule: dict[str, Any]) -> None:
    equal = set(rule["equal"]) - {"prometheus"}  # an external label, of every alert or of none
    for alert in named(rule["source_matchers"]) | named(rule["target_matchers"]):
        assert equal <= labels_of(ALERTS[alert]["expr"]), alert


def test_blocked_is_never_silenced_by_maintenance() -> None:
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


def test_nothing_that_informs_or_is_silenced_silences_itself() -> None:
    for rule in INHIBITIONS:
        assert not named(rule["source_matchers"]) & named(rule["target_matchers"])


def test_what_silences_a_bundles_alert_goes_on_for_longer() -> None:
    """Or replicas that come back one after the other would be told when it ends."""
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
def test_an_alert_goes_where_its_severity_says(alert: str) -> None:
    severity = ALERTS[alert]["labels"]["severity"]
    receiver = {"critical": "pager", "warning": "tickets", "info": "nobody"}[severity]
    labels = (f"alertname={alert}", f"severity={severity}", "cluster=east")
    options = (f"--config.file={ALERTMANAGER}", f"--verify.receivers={receiver}")
    tested = run("amtool", "config", "routes", "test", *options, *labels)
    assert (tested.returncode, tested.stdout.splitlines()[-1]) == (0, receiver), tested.stdout


@pytest.mark.prometheus
def test_an_alert_of_somebody_else_goes_where_it_went_before() -> None:
    options = (f"--config.file={ALERTMANAGER}", "alertname=DiskFull", "severity=critical")
    tested = run("amtool", "config", "routes", "test", *options)
    assert tested.stdout.splitlines()[-1] == "default"


# ---- The programs' own checks ----


@pytest.mark.prometheus
def test_promtool_has_nothing_to_say_about_the_rules() -> None:
    checked = run("promtool", "check", "rules", "--lint-fatal", *RULE_FILES)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.prometheus
def test_promtool_has_nothing_to_say_about_the_configuration() -> None:
    checked = run("promtool", "check", "config", "--lint-fatal", PROMETHEUS)
    assert checked.returncode == 0, checked.stdout
    assert "2 rule files found" in checked.stdout


@pytest.mark.prometheus
def test_amtool_has_nothing_to_say_about_the_configuration() -> None:
    checked = run("amtool", "check-config", ALERTMANAGER)
    assert checked.returncode == 0, checked.stdout


# ---- Beside the rules of one cluster ----


def test_the_table_of_alerts_is_current() -> None:
    assert alert_table.PAGE.read_text(encoding="utf-8") == alert_table.page(), "run: make reference"


@pytest.mark.prometheus
def test_where_many_clusters_are_gathered() -> None:
    """Not in the cases above: it is evaluated elsewhere, and knows recorded series only."""
    tested = run("promtool", "test", "rules", ROOT / "tests/rules/fleet/silent.yml")
    assert tested.returncode == 0, tested.stdout
