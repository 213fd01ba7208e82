"""The dashboards: valid, current, asking only for what there is, and answered by a Prometheus."""

import functools
import itertools
import json
import math
import operator
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from exporter.exposition import Format
from exporter.families import CLUSTER, EXPORTER
from exporter.process import ProcessMetrics
from grafana import palette
from grafana.__main__ import DASHBOARDS, text
from tests.support import past, see
from tests.support.dashboards import (
    DIRECTORY,
    Json,
    Query,
    dashboards,
    overlaps,
    queries,
    used,
    variables,
)
from tests.support.past import Cluster, Story
from tests.support.programs import Prometheus, exporter, prometheus

SCHEMAS = Path(__file__).parent / "support" / "grafana_schema"
FOUND = dashboards()
each = pytest.mark.parametrize("name", FOUND)


def test_the_committed_dashboards_are_those_of_the_code() -> None:
    assert FOUND.keys() == DASHBOARDS.keys()
    for name, made in DASHBOARDS.items():
        committed = (DIRECTORY / f"{name}.json").read_text(encoding="utf-8")
        assert text(made) == committed, "run: make dashboards"


@functools.cache
def _schema(name: str, *, partial: bool) -> Draft7Validator:
    def relaxed(schema: Any) -> Any:  # noqa: ANN401 - a part of a schema is any JSON
        """Grafana fills options in: none of them is required."""
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
def test_grafanas_own_schema_accepts_them(name: str) -> None:
    assert list(_problems(FOUND[name])) == []


def test_the_schema_would_not_accept_everything() -> None:
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
def test_every_panel_says_what_it_shows_and_what_empty_means(name: str) -> None:
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
def test_panels_lie_beside_each_other(name: str) -> None:
    assert list(overlaps(FOUND[name])) == []
    assert all(
        panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in FOUND[name]["panels"]
    )


def test_the_overview_needs_no_scrolling() -> None:
    rows = max(
        panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in FOUND["overview"]["panels"]
    )
    bars, unit = 104, 38  # pixels: Grafana's bars on top; a unit of its grid
    assert bars + rows * unit <= 1080


@each
def test_colours_are_those_of_the_palette_and_none_is_without_a_word(name: str) -> None:
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
    """Of WCAG 2."""
    light = (0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(_linear, (one, other)))
    dark, bright = sorted(light)
    return (bright + 0.05) / (dark + 0.05)


def _seen(color: str, kind: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Where a colour is in Oklab, for somebody who lacks a kind of cone (Machado et al. 2009)."""
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
def test_the_words_that_grafana_writes_on_a_colour_can_be_read(name: str, color: str) -> None:
    """It writes in black on what is brighter than 180, and in white on everything else."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    bright = (299 * red + 587 * green + 114 * blue) / 1000
    assert _contrast(color, "#202226" if bright > 180 else "#F7F8FA") >= 4.5, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_colour_blind_can_tell_the_colours_apart(kind: str) -> None:
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
    "cluster_bundle": frozenset({"cluster", "bundle"}),
    "cluster_resource": frozenset({"cluster", "resource", "node", "bundle", "replica"}),
    "cluster": frozenset({"cluster"}),
    "instance": TARGET,
}


@pytest.fixture(scope="module")
def known() -> dict[str, frozenset[str]]:
    """Each metric that there is, and its labels."""
    found = {
        family.name: frozenset(family.labels) | TARGET
        for declared in (CLUSTER, EXPORTER)
        for family in declared
    }
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
def test_only_metrics_and_labels_that_there_are(
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


def test_alerts_lead_to_dashboards_that_there_are() -> None:
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


def test_links_between_dashboards_lead_somewhere() -> None:
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
)
SILENT = {
    ("cluster", "Tickets A"): "the demonstration has none",
    ("cluster", "Tickets B"): "same",
}
"""Queries whose emptiness is their message, and why nothing here gives them something."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Three clusters, one without the label: the incident, a degraded bundle, a lost cluster."""
    directory = tmp_path_factory.mktemp("past")
    with past.prometheus_of(directory, CLUSTERS, END - LONG, END) as found:
        yield found


Time = tuple[float, float, float]
"""Start, end, and step from one to the other."""


def _choices(server: Prometheus, dashboard: Json, over: Time) -> Iterator[dict[str, str]]:
    """Yield every choice that an operator can make of the variables."""
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
    """How many series answer each query, by the cluster that is chosen."""
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
def test_every_query_is_answered_by_what_the_exporter_says(name: str, server: Prometheus) -> None:
    found = _answers(server, name, (END - LONG, END, past.SCRAPE))
    silent = {of for where, of in SILENT if where == name}
    told = {query.of for query in queries(name, FOUND[name]) if "NOT SEEN" in query.expr}
    assert {of for of, count in _together(found).items() if not count} == silent - told
    if name in {"bundle", "cluster"}:
        # The demonstration plays in the cluster that has no label; no fault of it lasts long enough
        # for some alerts.
        unlabelled = {of for of, count in found[""].items() if not count}
        assert unlabelled - {"Critical alerts"} == silent


@pytest.mark.prometheus
def test_a_ban_is_not_shown_as_a_preference(server: Prometheus) -> None:
    (ban,) = (each for each in queries("cluster", FOUND["cluster"]) if each.of.startswith("Bans"))
    (scores,) = server.over(ban.with_({"cluster": ""}), END, END, past.SCRAPE).values()
    assert set(scores.values()) == {-1_000_000}


@pytest.mark.prometheus
def test_a_hundred_bundles_in_trouble_are_no_hundred_tiles_and_rows(tmp_path: Path) -> None:
    """All of them degraded, a replica of each failed and an alert firing."""
    counts = {
        "state:max": 2,
        "replicas:max": 3,
        "replicas_ready:min": 2,
        "replicas_missing:max": 1,
        "replicas_promoted_ready:min": 0,
        "replicas_promoted_expected:max": 0,
        "degraded_since_timestamp_seconds:min": END - 3600,
    }

    def lines() -> Iterator[str]:
        for bundle in range(100):
            of = f'cluster="east",bundle="b{bundle}"'
            for name, value in counts.items():
                yield f"cluster_bundle:pacemaker_bundle_{name}{{{of}}} {value} {END}\n"
            alert = f'alertname="PacemakerBundleDegraded",severity="critical",{of}'
            yield f'ALERTS{{{alert},alertstate="firing"}} 1 {END}\n'
            yield f"ALERTS_FOR_STATE{{{alert}}} {END - 3600} {END}\n"
        for cluster in "north", "south":
            since = "cluster:pacemaker_view_lost_since_timestamp_seconds:min"
            yield f'{since}{{cluster="{cluster}"}} {END - 60} {END}\n'

    past.block(lines(), tmp_path / "tsdb")
    values = {"cluster": ".*", "__range": "1h", "__rate_interval": "1m"}
    with past.serving(tmp_path) as server:
        found = {
            query.of: len(server.over(query.with_(values), END, END, 15))
            for query in queries("overview", FOUND["overview"])
        }
    assert [found[f"What is wrong, and for how long {of}"] for of in "ABCDE"] == [2, 0, 6, 0, 0]
    assert found["Bundles that were in trouble in this time A"] == 6
    assert found["Firing alerts A"] == 50
    assert max(found.values()) == 50


MOST = {"stat": 8, "timeseries": 10, "state-timeline": 40, "table": 100}
"""Series that a panel of a kind can show, so that one still sees something."""


@pytest.mark.prometheus
def test_panels_stay_readable_with_a_hundred_bundles_of_three_replicas(tmp_path: Path) -> None:
    """Each bundle is there twenty times, and all of them play the incident."""
    cluster = Cluster("east", Story(begins=END - past.LOOP, copies=20))
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


RULE_TEST = """
tests:
  - interval: 15s
    input_series:
      - {{series: '{of}enabled:max{{bundle="b"}}', values: 1+0x10 0 0 0}}
      - {{series: '{of}wanted:max{{bundle="b"}}', values: 1+0x8 0 0 0 0 0}}
      - {{series: '{of}replicas:max{{bundle="b"}}', values: 3+0x13}}
      - {{series: '{of}replicas_ready:min{{bundle="b"}}', values: 3 2 2 0 2 3 2 3 3 2 0 0 0 0}}
      - {{series: '{of}replicas_missing:max{{bundle="b"}}', values: 0 1 1 3 1 0 1 0 0 1 3 3 3 3}}
      - {{series: '{of}replicas_away:min{{bundle="b"}}', values: 0 0 0 0 0 0 1 1 0 0 0 0 0 0}}
      - {{series: '{of}replicas_promoted_ready:min{{bundle="b"}}', values: 1+0x6 0 1+0x5}}
      - {{series: '{of}replicas_promoted_expected:max{{bundle="b"}}', values: 1+0x13}}
    promql_expr_test:
{expected}
"""


def _tested(directory: Path, text: str) -> None:
    """Let promtool run a test of the recording rules."""
    rules = Path("deploy/prometheus/pacemaker-recording.rules.yml").resolve()
    file = directory / "test.yml"
    head = f"rule_files: [{rules}]\nevaluation_interval: 15s\n"
    file.write_text(head + text, encoding="utf-8")
    command = [see.need("promtool"), "test", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
def test_the_state_of_a_bundle_and_since_when(tmp_path: Path) -> None:
    """Steps of 15 s: degraded, down, degraded, well, a node away, none promoted, well, planned."""
    states = [0, 2, 2, 3, 2, 0, 1, 3, 0, 1, 3, 1, 1, 1]
    since = [None, 15, 15, 15, 15, None, None, 105, None, None, 150, None, None, None]
    expected = []
    for step, (state, began) in enumerate(zip(states, since, strict=True)):
        for name, value in (
            ("state:max", state),
            ("degraded_since_timestamp_seconds:min", began),
        ):
            metric = f"cluster_bundle:pacemaker_bundle_{name}"
            labels = json.dumps(f'{metric}{{bundle="b"}}')
            samples = [] if value is None else [{"labels": json.loads(labels), "value": value}]
            asked = {"expr": metric, "eval_time": f"{15 * step}s", "exp_samples": samples}
            expected.append(f"      - {json.dumps(asked)}")
    filled = RULE_TEST.format(of="cluster_bundle:pacemaker_bundle_", expected="\n".join(expected))
    _tested(tmp_path, filled)


@pytest.mark.prometheus
def test_a_bundle_that_nobody_sees_for_a_moment_is_degraded_since_as_before(tmp_path: Path) -> None:
    """Degraded from 15 s on; unseen for a minute of the seventh; well for a moment at last."""
    ready = "3 2+0x24 stale stale stale stale 2 2 2 3 2 2"
    series = {
        "enabled:max": "1+0x40",
        "wanted:max": "1+0x40",
        "replicas:max": "3+0x25 stale stale stale stale 3+0x9",
        "replicas_ready:min": ready,
        "replicas_missing:max": "0 1+0x24 stale stale stale stale 1 1 1 0 1 1",
        "replicas_away:min": "0+0x40",
    }
    given = [
        {"series": f'cluster_bundle:pacemaker_bundle_{name}{{bundle="b"}}', "values": values}
        for name, values in series.items()
    ]
    metric = "cluster_bundle:pacemaker_bundle_degraded_since_timestamp_seconds:min"
    asked = [
        {
            "expr": metric,
            "eval_time": f"{15 * step}s",
            "exp_samples": [{"labels": f'{metric}{{bundle="b"}}', "value": since}] if since else [],
        }
        for step, since in ((25, 15), (30, 15), (32, 15), (33, 0), (34, 510), (35, 510))
    ]
    test = {"interval": "15s", "input_series": given, "promql_expr_test": asked}
    _tested(tmp_path, f"tests: {json.dumps([test])}\n")


TOO_SHORT = {
    ("bundle", "Alerts"),
    ("bundle", "Firing alerts A"),
    ("cluster", "Critical alerts"),
    ("cluster", "Bans and left-overs of moves A"),
    ("cluster", "Fencing"),
    ("cluster", "Fencing history A"),
    ("cluster", "Fencing history B"),
    ("exporter", "Firing alerts A"),
    ("exporter", "Reads of the CIB that failed, by outcome A"),
    ("exporter", "Polls that failed, by outcome A"),
    ("overview", "What is wrong, and for how long A"),
    ("overview", "Firing alerts A"),
    ("overview", "Bundles that were in trouble in this time A"),
}
"""Asks for what does not happen in the demonstration, or perhaps not for long enough."""


@pytest.mark.suite
def test_a_live_demonstration_answers_every_query(tmp_path: Path) -> None:
    """The program itself, scraped over HTTP for a whole loop, its rules evaluated as it plays."""
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
    assert unanswered <= SILENT.keys() | TOO_SHORT
