"""The dashboards are valid and current, and a real Prometheus answers their queries."""

import functools
import itertools
import json
import math
import operator
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from exporter.judgement.bundles import BundleState
from exporter.metrics.families import EVERY_FAMILY
from exporter.metrics.process import ProcessMetrics
from exporter.metrics.text import Format
from grafana import palette
from grafana.__main__ import DASHBOARDS, text
from tests.support.harness import past
from tests.support.harness.past import Cluster, Story
from tests.support.harness.programs import Prometheus, exporter, prometheus
from tests.support.oracle.dashboards import (
    DIRECTORY,
    Json,
    Query,
    dashboards,
    overlaps,
    queries,
    used,
    variables,
)
from tests.support.oracle.promtool import promtool
from tests.support.oracle.rules import RULE_FILES
from tests.support.paths import ROOT

SCHEMAS = ROOT / "tests" / "grafana" / "schema"
FOUND = dashboards()
each = pytest.mark.parametrize("name", FOUND)


def test_committed_dashboards_are_current() -> None:
    assert FOUND.keys() == DASHBOARDS.keys()
    for name, made in DASHBOARDS.items():
        committed = (DIRECTORY / f"{name}.json").read_text(encoding="utf-8")
        assert text(made) == committed, "run: make dashboards"


@functools.cache
def _schema(name: str, *, partial: bool) -> Draft7Validator:
    def relaxed(schema: Any) -> Any:  # noqa: ANN401 - a part of a schema is any JSON
        """Make every option optional: Grafana fills in missing ones."""
        if isinstance(schema, dict):
            return {key: relaxed(part) for key, part in schema.items() if key != "required"}
        return [relaxed(part) for part in schema] if isinstance(schema, list) else schema

    file = "dashboard" if name == "field" else name
    schema = json.loads((SCHEMAS / f"{file}.json").read_text(encoding="utf-8"))
    if name == "field":
        schema["$ref"] = "#/definitions/FieldConfig"
    return Draft7Validator(relaxed(schema) if partial else schema)


def _deepest(error: Any) -> Any:  # noqa: ANN401 - jsonschema's error type is not generic enough
    while error.context:
        error = max(error.context, key=lambda each: len(each.absolute_path))
    return error


def _problems(dashboard: Json) -> Iterator[str]:
    for error in map(_deepest, _schema("dashboard", partial=False).iter_errors(dashboard)):
        # The type leaves annotations of Prometheus out, which have their query in `expr`.
        if "'expr'" not in error.message:
            yield f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
    for panel in dashboard["panels"]:
        checked = [(f"{panel['type']}.options", panel["options"])]
        config = panel["fieldConfig"]
        fields = [config["defaults"]]
        for override in config["overrides"]:
            field: dict[str, Any] = {"custom": {}}
            for each in override["properties"]:
                name = each["id"].removeprefix("custom.")
                (field if name == each["id"] else field["custom"])[name] = each["value"]
            fields.append(field)
        for field in fields:
            checked.append(("field", field))
            if field.get("custom"):
                checked.append((f"{panel['type']}.custom", field["custom"]))
        for name, part in checked:
            for error in _schema(name, partial=True).iter_errors(part):
                yield f"{panel['title']} {name}: {_deepest(error).message[:200]}"


@each
def test_dashboards_are_valid_by_the_schema_of_grafana(name: str) -> None:
    assert list(_problems(FOUND[name])) == []


def test_schema_refuses_an_invalid_dashboard() -> None:
    broken = json.loads(json.dumps(FOUND["bundle"]))
    broken["panels"][0]["options"]["colorMode"] = "loud"
    broken["panels"][1]["gridPos"]["w"] = "wide"
    timeline = next(panel for panel in broken["panels"] if panel["type"] == "state-timeline")
    timeline["fieldConfig"]["overrides"] = [
        {"matcher": {"id": "byName"}, "properties": [{"id": "custom.loud", "value": True}]}
    ]
    broken["panels"][7]["fieldConfig"]["defaults"]["custom"]["loud"] = True
    broken["refresh"] = 5
    assert len(list(_problems(broken))) == 5


@each
def test_every_panel_explains_its_content_and_its_empty_state(name: str) -> None:
    dashboard = FOUND[name]
    panels = dashboard["panels"]
    assert dashboard["uid"] == f"pacemaker-{name}"
    assert dashboard["tags"] == ["pacemaker"]
    assert dashboard["links"][0]["tags"] == ["pacemaker"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert max(Counter(panel["title"] for panel in panels).values()) == 1
    for panel in panels:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
        assert panel["type"] in {"stat", "state-timeline", "table", "timeseries"}
        if panel["type"] in {"stat", "timeseries"}:
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["description"], variable["name"]
    sources = re.findall(r'"datasource": {[^}]*"uid": "([^"]*)"', json.dumps(dashboard))
    assert set(sources) == {"${datasource}"}


@each
def test_panels_do_not_overlap(name: str) -> None:
    assert list(overlaps(FOUND[name])) == []
    assert all(
        panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in FOUND[name]["panels"]
    )


def test_overview_fits_on_one_screen() -> None:
    rows = max(
        panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in FOUND["overview"]["panels"]
    )
    bars, unit = 104, 38  # pixels: Grafana's bars on top; a unit of its grid
    assert bars + rows * unit <= 1080


@each
def test_colours_come_from_the_palette_and_have_words(name: str) -> None:
    known = {color for _, color in COLORS} | {palette.NOTHING}
    whole = json.dumps(FOUND[name])
    assert set(re.findall(r'"(?:color|fixedColor|iconColor)": "([^"]*)"', whole)) <= known
    assert re.findall(r'{"color": "[^"]+", "index": \d+, "text": ""}', whole) == []


COLORS = [
    (name, getattr(palette, name))
    for name in ("PROMOTED", "STARTED", "UNPROMOTED", "TRANSITION", "STOPPED", "FAILED")
]


def _linear(color: str) -> tuple[float, ...]:
    shares = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)


def _contrast(one: str, other: str) -> float:
    """Return the contrast by WCAG 2."""
    light = (0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(_linear, (one, other)))
    dark, bright = sorted(light)
    return (bright + 0.05) / (dark + 0.05)


def _seen(color: str, kind: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return a colour in Oklab as seen without one kind of cone (Machado et al. 2009)."""
    given = _linear(color)
    shown = [min(max(sum(map(operator.mul, row, given)), 0.0), 1.0) for row in kind]
    lms = [sum(map(operator.mul, row, shown)) ** (1 / 3) for row in OKLAB[:3]]
    return tuple(sum(map(operator.mul, row, lms)) for row in OKLAB[3:])


OKLAB = (
    (0.4122, 0.5363, 0.0514),
    (0.2119, 0.6807, 0.1074),
    (0.0883, 0.2817, 0.6300),
    (0.2105, 0.7936, -0.0041),
    (1.9780, -2.4286, 0.4506),
    (0.0259, 0.7828, -0.8087),
)
KINDS = {
    "normal": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "tritanopia": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}


@pytest.mark.parametrize(("name", "color"), COLORS)
def test_text_on_colours_has_enough_contrast(name: str, color: str) -> None:
    """Grafana writes in black on colours brighter than 180, and in white on others."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    bright = (299 * red + 587 * green + 114 * blue) / 1000
    assert _contrast(color, "#202226" if bright > 180 else "#F7F8FA") >= 4.5, name


@pytest.mark.parametrize("kind", KINDS)
def test_colour_blind_people_can_distinguish_the_colours(kind: str) -> None:
    """With a just noticeable difference of about 0.02; nearest are blue and green in tritanopia."""
    apart = {
        (one, other): math.dist(_seen(a, KINDS[kind]), _seen(b, KINDS[kind]))
        for (one, a), (other, b) in itertools.combinations(COLORS, 2)
    }
    assert min(apart.values()) > (0.04 if kind == "tritanopia" else 0.075), apart


# ---- Only what there is is asked for ----

TARGET = frozenset({"cluster", "instance", "job"})
PROMETHEUS = {
    "up": TARGET,
    "scrape_duration_seconds": TARGET,
    "scrape_samples_scraped": TARGET,
}
ALERT = frozenset({"alertname", "alertstate", "severity"})
LEVELS = {
    "alert": ALERT,
    "cluster_bundle": frozenset({"cluster", "bundle", "condition", "state"}),
    "cluster_bundle_replica": frozenset({"cluster", "bundle", "bundle_replica"}),
    "cluster_resource": frozenset({"cluster", "resource", "node", "bundle", "bundle_replica"}),
    "cluster_target": frozenset({"cluster", "target"}),
    "cluster": frozenset({"cluster", "node_type", "state"}),
    "cluster_node": frozenset({"cluster", "node"}),
    "instance": TARGET,
}


@pytest.fixture(scope="module")
def known() -> dict[str, frozenset[str]]:
    """Every existing metric with its labels."""
    found = {family.name: frozenset(family.labels) | TARGET for family in EVERY_FAMILY}
    every = frozenset[str]().union(*found.values())
    process = re.findall(
        r"^([a-z_]+)[{ ]", ProcessMetrics().text(Format.TEXT).decode(), re.MULTILINE
    )
    return {
        **found,
        **dict.fromkeys(process, TARGET),
        **PROMETHEUS,
        **dict.fromkeys(("ALERTS", "ALERTS_FOR_STATE"), ALERT | every),
        **{
            rule["record"]: LEVELS[rule["record"].partition(":")[0]]
            for rule in past.rules()
            if "record" in rule
        },
    }


@each
def test_queries_use_only_existing_metrics_and_labels(
    name: str, known: dict[str, frozenset[str]]
) -> None:
    dashboard = FOUND[name]
    asked = [query.expr for query in queries(name, dashboard)]
    asked += [expr for expr, _ in variables(dashboard).values()]
    reads = [used(expr) for expr in asked]
    for expr, read in zip(asked, reads, strict=True):
        for metric, matched in read.metrics:
            assert metric in known, expr
            assert matched <= known[metric], (metric, expr)
        of_these = frozenset[str]().union(*(known[metric] for metric, _ in read.metrics))
        assert read.grouped <= of_these | read.made, expr
    legends = set(re.findall(r"{{(\w+)}}", json.dumps(dashboard)))
    assert legends <= frozenset[str]().union(*(read.grouped | read.made for read in reads))


def test_dashboard_links_of_alerts_resolve() -> None:
    links = {
        link
        for rule in past.rules()
        for link in re.findall(
            r"/d/(\S+?)\?(.*)", rule.get("annotations", {}).get("dashboard_url", "")
        )
    }
    assert links
    for uid, parameters in links:
        (dashboard,) = (found for found in FOUND.values() if found["uid"] == uid)
        given = set(re.findall(r"var-(\w+)=", parameters))
        assert given <= {variable["name"] for variable in dashboard["templating"]["list"]}


def test_links_between_dashboards_resolve() -> None:
    known = {
        found["uid"]: {variable["name"] for variable in found["templating"]["list"]}
        for found in FOUND.values()
    }
    checked = Counter[str]()
    for panel in (panel for found in FOUND.values() for panel in found["panels"]):
        asked = " ".join(target["expr"] for target in panel["targets"])
        given = set(re.findall(r"var-(\w+)=", asked))
        for uid, parameters in re.findall(r"/d/([\w-]+)\?([^\"]*)", json.dumps(panel)):
            assert "${datasource:queryparam}" in parameters
            assert "${__url_time_range}" in parameters
            assert re.search(r"\${__(field\.labels|data\.fields)\.to:raw}", parameters)
            assert given <= known[uid] | {"bundle"}
            assert known[uid] <= given | {"datasource"}, panel["title"]
            checked[uid] += 1
    assert checked.keys() == {"pacemaker-bundle", "pacemaker-cluster"}


# ---- A real Prometheus answers ----

END = past.EPOCH
LONG = 720
CLUSTERS = (
    Cluster("", Story(begins=END - 660)),
    Cluster("west", Story(END - 700, holds=100, polls_fail=END - 300, cib_fails=True)),
    Cluster("lost", Story(lost=END - 330)),
    Cluster("cloud", Story(begins=END - 300, remote=70)),
    Cluster("edge", Story(begins=END - 300, remote=4)),
    Cluster("planned", Story(begins=END - 300, answer="live-2.1.5/05-node-standby.xml")),
)
NOT_IN_DEMONSTRATION = {
    "Clones A",
    "Clones B",
    "Clones C",
    "Clones D",
    "Clones E",
    "Remote online A",
    "Nodes that are not well C",
    "Nodes by state C",
    "Nodes by state D",
    "Nodes by state E",
    "Nodes B",
    "Planned work B",
    "Tickets A",
    "Tickets B",
}
"""Queries about remote nodes, clones, tickets, nodes that join or are out of service, and what a
panel has no room for."""
NEVER = {f"What is wrong, and for how long {letter}" for letter in "CGI"}
"""In no story are many bundles or addresses down, or are there critical problems of other kinds."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with an incident, a degraded bundle and a lost cluster, one without label."""
    directory = tmp_path_factory.mktemp("past")
    with past.prometheus_of(directory, CLUSTERS, END - LONG, END) as found:
        yield found


Time = tuple[float, float, float]
"""Start, end, and step from one to the other."""


def _choices(server: Prometheus, dashboard: Json, over: Time) -> Iterator[dict[str, str]]:
    """Yield every combination of values of the variables."""
    start, end, step = over
    built_in = {"__range": f"{end - start:.0f}s", "__rate_interval": f"{4 * step:.0f}s"}
    several = {
        variable["name"]
        for variable in dashboard["templating"]["list"]
        if variable.get("includeAll")
    }

    def chosen(left: list[tuple[str, tuple[str, str]]], so_far: dict[str, str]) -> Iterator[Any]:
        if not left:
            yield so_far
            return
        (name, (expr, label)), *rest = left
        asked = Query("", "", expr).with_(so_far)
        found = {dict(labels).get(label, "") for labels in server.over(asked, *over)}
        assert found, asked
        for value in [".*"] if name in several else sorted(found):
            yield from chosen(rest, {**so_far, name: value})

    yield from chosen(list(variables(dashboard).items()), built_in)


def _answers(server: Prometheus, name: str, over: Time) -> dict[str, dict[str, int]]:
    """Return the number of series for each query, by chosen cluster."""
    found: dict[str, dict[str, int]] = {}
    for choice in _choices(server, FOUND[name], over):
        of_cluster = found.setdefault(choice["cluster"], Counter())
        for query in queries(name, FOUND[name]):
            series = server.over(query.with_(choice), *over)
            assert len(series) <= 100, query
            of_cluster[query.of] += len(series)
    return found


def _together(found: dict[str, dict[str, int]]) -> dict[str, int]:
    every = next(iter(found.values()))
    return {of: sum(counts[of] for counts in found.values()) for of in every}


@pytest.mark.prometheus
@each
def test_real_prometheus_answers_every_query(name: str, server: Prometheus) -> None:
    found = _answers(server, name, (END - LONG, END, past.SCRAPE))
    unanswered = {of for of, count in _together(found).items() if not count}
    assert unanswered == (NEVER if name == "overview" else set())
    if name in {"bundle", "cluster"}:
        # The demonstration plays in the cluster that has no label; no fault of it lasts long enough
        # for some alerts.
        unlabelled = {of for of, count in found[""].items() if not count}
        assert unlabelled <= NOT_IN_DEMONSTRATION | {"Alerts", "Critical alerts"}


@pytest.mark.prometheus
def test_bans_are_not_shown_as_preferences(server: Prometheus) -> None:
    (ban,) = (each for each in queries("cluster", FOUND["cluster"]) if each.of.startswith("Bans"))
    (scores,) = server.over(ban.with_({"cluster": ""}), END, END, past.SCRAPE).values()
    assert set(scores.values()) == {-1_000_000}


@pytest.mark.prometheus
def test_hundred_bundles_in_trouble_do_not_fill_the_overview(tmp_path: Path) -> None:
    """All bundles are degraded, each with a failed replica, an alert, and one of another name."""
    counts = {
        "replicas:max": 3,
        "replicas_expected:max": 3,
        "replicas_ready:min": 2,
        "replicas_promoted_ready:min": 0,
        "replicas_promoted_expected:max": 0,
        "degraded_since_timestamp_seconds:min": END - 3600,
    }

    def lines() -> Iterator[str]:
        for bundle in range(100):
            of = f'cluster="east",bundle="b{bundle}"'
            for state in BundleState:
                present = int(state is BundleState.DEGRADED)
                name = f'cluster_bundle:pacemaker_bundle_state:max{{{of},state="{state}"}}'
                yield f"{name} {present} {END}\n"
            for name, value in counts.items():
                yield f"cluster_bundle:pacemaker_bundle_{name}{{{of}}} {value} {END}\n"
            for named, age in (
                ('alertname="PacemakerBundleDegraded",severity="critical"', 60),
                (f'alertname="PacemakerOther{bundle}",severity="warning"', 3600),
            ):
                yield f'ALERTS{{{named},{of},alertstate="firing"}} 1 {END}\n'
                yield f"ALERTS_FOR_STATE{{{named},{of}}} {END - age} {END}\n"
        for cluster in "north", "south":
            since = "cluster:pacemaker_view_lost_since_timestamp_seconds:min"
            yield f'{since}{{cluster="{cluster}"}} {END - 60} {END}\n'

    past.block(lines(), tmp_path / "tsdb")
    values = {"cluster": ".*", "__range": "1h", "__rate_interval": "1m"}
    with past.serving(tmp_path) as server:
        answers = {
            query.of: server.over(query.with_(values), END, END, 15)
            for query in queries("overview", FOUND["overview"])
        }
    found = {of: len(series) for of, series in answers.items()}
    tiles = [found[f"What is wrong, and for how long {of}"] for of in "ABCDEFGHIJKLM"]
    assert tiles == [2, 0, 0, 0, 1, *[0] * 8]
    (together,) = answers["What is wrong, and for how long E"]
    assert dict(together)["have"] == "100"
    assert found["Bundles in trouble in this time range A"] == 6
    assert found["Firing alerts A"] == 51
    alerts = {dict(labels)["severity"]: labels for labels in answers["Firing alerts A"]}
    assert dict(alerts["1"])["what"] == "100 of them"
    assert dict(alerts["4"])["what"] == "51 more are not shown"
    assert max(found.values()) == 51


MOST = {"stat": 8, "timeseries": 10, "state-timeline": 40, "table": 100}
"""Series that a panel of a kind can show, so that one still sees something."""


@pytest.mark.slow
@pytest.mark.prometheus
def test_panels_stay_readable_with_a_hundred_bundles_and_300_nodes(tmp_path: Path) -> None:
    """Each bundle of the incident exists twenty times; half of the remote nodes are not online."""
    cluster = Cluster("east", Story(begins=END - past.LOOP, copies=20, remote=300))
    values = {"cluster": "east", "instance": ".*", "__range": "5m", "__rate_interval": "1m"}
    with past.prometheus_of(tmp_path, [cluster], END - past.LOOP, END) as server:
        bundles = server.over("count by (bundle) (pacemaker_bundle_replicas == 3)", END, END, 15)
        assert len(bundles) == 80
        for dashboard in FOUND.values():
            for panel in dashboard["panels"]:
                kind = panel["type"]
                asked = [
                    query.with_({**values, "bundle": "galera-bundle-n7"})
                    for query in queries("", {"panels": [panel], "annotations": {}})
                ]
                # Tables and tiles show one moment, here each of them.
                start, times = END - past.LOOP, range(END - past.LOOP, END + 1, past.SCRAPE)
                over = [(at, at) for at in times] if kind in {"stat", "table"} else [(start, END)]
                for first, last in over:
                    found = [len(server.over(expr, first, last, past.SCRAPE)) for expr in asked]
                    shown = max(found) if kind == "table" else sum(found)
                    assert shown <= MOST[kind], (dashboard["uid"], panel["title"], found)


def _tested(directory: Path, text: str) -> None:
    """Let promtool run a test of the recording rules."""
    file = directory / "test.yml"
    head = f"rule_files: [{RULE_FILES[0]}]\nevaluation_interval: 15s\n"
    file.write_text(head + text, encoding="utf-8")
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


_LETTERS = {"o": "ok", "r": "reduced", "d": "degraded", "D": "down"}


def _test_since(directory: Path, states: str, expected: Sequence[int | None]) -> None:
    """Check since when a bundle is in trouble, at each step of 15 seconds.

    Args:
        directory: for the test of promtool.
        states: a letter for the state at each step; - if nobody sees the bundle.
        expected: the time at each step; None if the bundle is not in trouble.

    """
    of = 'cluster_bundle:pacemaker_bundle_{}{{bundle="b"{}}}'.format
    series = {
        of("state:max", f',state="{name}"'): " ".join(
            "stale" if each == "-" else str(int(each == letter)) for each in states
        )
        for letter, name in _LETTERS.items()
    }
    asked = [
        {
            "expr": "cluster_bundle:pacemaker_bundle_degraded_since_timestamp_seconds:min",
            "eval_time": f"{15 * step}s",
            "exp_samples": []
            if since is None
            else [{"labels": of("degraded_since_timestamp_seconds:min", ""), "value": since}],
        }
        for step, since in enumerate(expected)
    ]
    given = [{"series": name, "values": values} for name, values in series.items()]
    trusted = " ".join(str(int(each != "-")) for each in states)
    given.append({"series": 'pacemaker_view_trusted{instance="a"}', "values": trusted})
    test = {"interval": "15s", "input_series": given, "promql_expr_test": asked}
    _tested(directory, f"tests: {json.dumps([test])}\n")


@pytest.mark.prometheus
def test_since_when_a_bundle_is_degraded_is_shown(tmp_path: Path) -> None:
    none = None
    since = [none, 15, 15, 15, 15, none, none, 105, none, none, 150, none]
    _test_since(tmp_path, "oddDdorDorDo", since)


@pytest.mark.prometheus
def test_time_without_data_keeps_the_start_of_degradation(tmp_path: Path) -> None:
    """Nobody sees the bundle for six minutes, longer than Prometheus looks back."""
    states = "od" + "-" * 24 + "dod"
    _test_since(tmp_path, states, [None, *[15] * 26, None, 420])


TOO_SHORT = {
    ("bundle", "Alerts"),
    ("bundle", "Firing alerts A"),
    ("cluster", "Critical alerts"),
    ("cluster", "Bans and leftovers of moves A"),
    ("cluster", "Fencing"),
    ("cluster", "Fencing history A"),
    ("cluster", "Fencing history B"),
    ("exporter", "Firing alerts A"),
    ("exporter", "Failed reads of the CIB, by outcome A"),
    ("exporter", "Failed polls, by outcome A"),
    *(("overview", f"What is wrong, and for how long {letter}") for letter in "ACEFGHIKLM"),
    ("overview", "Firing alerts A"),
    ("overview", "Bundles in trouble in this time range A"),
}
"""Asks for what does not happen in the demonstration, or perhaps not for long enough."""


@pytest.mark.suite
def test_live_demonstration_answers_every_query(tmp_path: Path) -> None:
    """Prometheus scrapes the program for a whole loop and evaluates the rules."""
    with (
        exporter(tmp_path, "--demo", "--poll.interval=2s") as base,
        prometheus(tmp_path, [base.removeprefix("http://")], rules=past.RULES) as server,
    ):
        start = time.time()
        time.sleep(past.LOOP + 15)
        when = (start, time.time(), 1)
        found = {name: _together(_answers(server, name, when)) for name in FOUND}
    unanswered = {
        (name, of) for name, counts in found.items() for of, count in counts.items() if not count
    }
    silent = {("cluster", of) for of in NOT_IN_DEMONSTRATION}
    assert unanswered <= silent | TOO_SHORT
