"""The committed dashboards, as Grafana reads them, and what they ask Prometheus."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser

DIRECTORY = Path("grafana/dashboards")
Json = Mapping[str, Any]


def dashboards() -> dict[str, Json]:
    """Each dashboard by its name."""
    paths = sorted(DIRECTORY.glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


@dataclass(frozen=True)
class Query:
    """Something that a dashboard asks."""

    dashboard: str
    of: str
    """The title of the panel and the letter of the query, or the name of an annotation."""
    expr: str

    def with_(self, values: Mapping[str, str]) -> str:
        """Put values in place of the variables."""
        return re.sub(r"\$\{?([a-z_]\w*)\}?", lambda found: values[found[1]], self.expr)


def queries(name: str, dashboard: Json) -> list[Query]:
    """All queries of panels and annotations."""
    of_panels = (
        Query(name, f"{panel['title']} {target['refId']}", target["expr"])
        for panel in dashboard["panels"]
        for target in panel["targets"]
    )
    of_annotations = (
        Query(name, annotation["name"], annotation["expr"])
        for annotation in dashboard["annotations"].get("list", [])
        if "expr" in annotation
    )
    return [*of_panels, *of_annotations]


def variables(dashboard: Json) -> dict[str, tuple[str, str]]:
    """The query variables: what each asks, and which label's values it takes."""
    found = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert asked, variable["query"]
            found[variable["name"]] = (asked[1], asked[2])
    return found


@dataclass(frozen=True)
class Used:
    """What an expression reads: metrics with the labels matched; labels it goes by, and makes."""

    metrics: tuple[tuple[str, frozenset[str]], ...]
    grouped: frozenset[str]
    made: frozenset[str]


def used(expr: str) -> Used:
    """Parse an expression, variables and all."""
    filled = Query("", "", expr).with_(
        {"__range": "1h", "__rate_interval": "1m"}
        | dict.fromkeys(("cluster", "bundle", "instance"), "x")
    )
    metrics, grouped, made = [], set[str](), set[str]()

    def selected(found: promql_parser.VectorSelector) -> None:
        assert found.name, expr
        metrics.append((found.name, frozenset(m.name for m in found.matchers.matchers)))

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            selected(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            selected(node.vector_selector)
        elif isinstance(node, promql_parser.Call):
            if node.func.name in {"label_replace", "label_join"}:
                made.add(node.args[1].val)
        elif isinstance(node, promql_parser.AggregateExpr):
            grouped.update(node.modifier.labels if node.modifier else ())
            if isinstance(node.param, promql_parser.StringLiteral):
                made.add(node.param.val)
        elif isinstance(node, promql_parser.BinaryExpr) and node.modifier:
            matching = node.modifier.matching
            grouped.update(matching.labels if matching else ())
            grouped.update(node.modifier.group_labels or ())

    promql_parser.walk(promql_parser.parse(filled), visit)
    return Used(tuple(metrics), frozenset(grouped), frozenset(made))


def overlaps(dashboard: Json) -> Iterator[tuple[str, str]]:
    """Pairs of panels that lie over each other."""
    for one, other in itertools.combinations(dashboard["panels"], 2):
        a, b = one["gridPos"], other["gridPos"]
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        if not apart:
            yield one["title"], other["title"]
