"""The shipped rules, and cases for them that promtool runs.

A case says how clusters went on, in the words of tests/support/model/situations.py, and which
alerts fire when. What the exporters of the nodes show at each moment is rendered with the real
families. See tests/rules/README.md.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import yaml

from exporter.cli import flags
from exporter.cluster.corosync import Corosync, CorosyncState
from exporter.cluster.model import Cluster, Snapshot
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure, Outcome, SourceStatus
from exporter.cluster.role_changes import RoleChanges
from exporter.judgement.judge import judge
from exporter.metrics.corosync import COROSYNC, CorosyncView
from exporter.metrics.exporter import EXPORTER, Identity
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import Block, render
from exporter.polling.state import State
from tests.support.harness import see
from tests.support.model.corosync import answered
from tests.support.model.situations import Situations
from tests.support.model.states import HOSTS
from tests.support.paths import ROOT

RULE_FILES = (
    ROOT / "deploy/prometheus/pacemaker-recording.rules.yml",
    ROOT / "deploy/prometheus/pacemaker-alerts.rules.yml",
)
FLEET_FILE = ROOT / "deploy/prometheus/fleet/pacemaker-fleet.rules.yml"
SWITCH_FILE = ROOT / "deploy/prometheus/optional/dead-mans-switch.rules.yml"
CASE_FILES = sorted((ROOT / "tests/rules").glob("*.yml"))
EXTERNAL_LABELS = {"runbooks": "https://runbooks.example", "grafana": "https://grafana.example"}


def read(path: Path) -> Any:  # noqa: ANN401 - what YAML holds
    """A file of YAML, with the loader that is ten times as fast."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


@cache
def groups() -> list[dict[str, Any]]:
    """The rule groups in the order of the files."""
    return [group for path in RULE_FILES for group in read(path)["groups"]]


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """The rules of a kind, `alert` or `record`, by name."""
    return {rule[kind]: rule for group in groups() for rule in group["rules"] if kind in rule}


# ---- Expressions ----


def parts(node: Any) -> Iterator[Any]:  # noqa: ANN401 - the parser's nodes have no common type
    """All nodes of a parsed expression."""
    yield node
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        part = getattr(node, name, None)
        if part is not None:
            yield from parts(part)
    for part in getattr(node, "args", ()):
        yield from parts(part)


def metrics(expression: str) -> set[str]:
    """The metrics that an expression selects."""
    return {
        part.name or ""
        for part in parts(promql_parser.parse(expression))
        if isinstance(part, promql_parser.VectorSelector)
    }


# ---- Time ----

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    """Seconds of a duration such as 1m30s."""
    if not re.fullmatch(r"(\d+[smhd])+", text):
        raise ValueError(f"no duration: {text!r}")
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", text))


class Stretch(NamedTuple):
    """A situation and when it ends."""

    situation: str
    until: float


def timeline(text: str) -> list[Stretch]:
    """Read ``SITUATION 5m > (SITUATION 1m > SITUATION 1m) x 3 > SITUATION``."""

    def repeated(found: re.Match[str]) -> str:
        return " > ".join([found[1]] * int(found[2]))

    stretches, at = [], 0.0
    *steps, last = re.sub(r"\(([^()]*)\) x (\d+)", repeated, text).split(" > ")
    for step in steps:
        situation, _, duration = step.rpartition(" ")
        at += seconds(duration)
        stretches.append(Stretch(situation, at))
    return [*stretches, Stretch(last, float("inf"))]


# ---- What a target shows ----

Page = dict[str, float]
"""Samples by series, its labels as in the text format; empty while there is no target."""


@dataclass(frozen=True)
class Target:
    """The exporter of one node, and how things go on there.

    Beside situations it knows: ``down`` (no answer), ``absent`` (no longer a target), and the
    outcomes of failed polls. ``exporter slow``, ``exporter version VERSION`` and ``exporter clock
    SECONDS`` are edits that are about the exporter. ``corosync`` and ``corosync=WORDS`` are about
    what corosync on this node says (tests/support/model/corosync.py); without one of them the
    exporter does not ask it.
    """

    cluster: str
    node: str
    story: str
    knows_its_name: bool = True
    job: str = "pacemaker"
    port: int = 19664

    def pages(self, situations: Situations, every: int, steps: int) -> Iterator[Page]:
        """Scrape after scrape."""
        stretches = iter(timeline(self.story))
        stretch = next(stretches)
        process = _Process(self, situations, 0)
        for now in range(0, (steps + 1) * every, every):
            while now >= stretch.until:
                stretch = next(stretches)
            match stretch.situation:
                case "absent":
                    yield {}
                case "down":
                    process = _Process(self, situations, now + every)
                    yield self._labelled({"up": 0})
                case situation:
                    yield self._labelled({"up": 1, **process.scrape(situation, now)})

    def _labelled(self, page: Page) -> Page:
        own = {"instance": f"{self.node}:{self.port}", "job": self.job}
        if self.cluster != "unlabelled":
            own["cluster"] = self.cluster
        text = ",".join(f"{name}={json.dumps(value)}" for name, value in own.items())
        return {
            f"{series[:-1]},{text}}}" if series.endswith("}") else f"{series}{{{text}}}": value
            for series, value in page.items()
        }


class _Process:
    """An exporter from its start on; a poll at each scrape."""

    def __init__(self, target: Target, situations: Situations, start: float) -> None:
        self._target = target
        self._situations = situations
        self._start = start
        self._history = RoleChanges()
        self._state = State()
        self._crm_mon = SourceStatus("status")
        self._of_corosync = SourceStatus("corosync")
        self._source: tuple[Observation | None, Corosync] = (None, Corosync())
        self._seen = _NOTHING
        self._page: Page = {}

    def scrape(self, situation: str, now: float) -> Page:
        situation, corosync = self._ask_corosync(situation)
        name, _, edits = situation.partition(" + exporter ")
        if name in Outcome.__members__.values():
            outcome = Outcome(name)
        else:
            outcome = Outcome.SUCCESS
            self._see(self._situations.of(name), now)
        if outcome is Outcome.NOT_CONNECTED:
            self._state = replace(self._state, judgement=None)
        duration = 31.0 if edits == "slow" else 0.5
        failure = None if outcome is Outcome.SUCCESS else Failure(outcome, "")
        self._crm_mon = self._crm_mon.after(failure, duration)
        self._state = replace(
            self._state,
            last_outcome=outcome, last_poll_time=now, poll_duration=duration,
            sources=(
                *corosync, self._crm_mon, SourceStatus("configuration"), SourceStatus("local_node"),
            ),
        )  # fmt: skip
        version = edits.removeprefix("version ") if edits.startswith("version ") else "1.0.0"
        clock = float(edits.removeprefix("clock ")) if edits.startswith("clock ") else 0.0
        identity = Identity(version, "", "3.11", _SETTINGS.poll_interval, _SETTINGS.poll_max_age)
        state = self._state.at(now, identity.max_age)
        status = state.status(identity)
        if status.snapshot_time is not None:
            status = replace(status, snapshot_time=status.snapshot_time + clock)
        seen = _samples(render(_USED_OF_EXPORTER, status))
        if state.observation is not None:
            seen |= self._page
        if corosync and state.corosync.state is not CorosyncState.UNKNOWN:
            known = state.observation.node_names if state.observation else {}
            view = CorosyncView(state.corosync, state.corosync.names(known))
            seen |= _samples(render(_USED_OF_COROSYNC, view))
        return {"process_start_time_seconds": self._start, **seen}

    def _ask_corosync(self, situation: str) -> tuple[str, tuple[SourceStatus, ...]]:
        """Return the situation without what corosync says, and the status of that source."""
        edits = situation.split(" + ")
        asked = [edit for edit in edits if re.fullmatch(r"corosync(=.*)?", edit)]
        if not asked:
            self._state = replace(self._state, corosync=Corosync())
            return situation, ()
        answer = answered(asked[0].partition("=")[2], self._target.node)
        self._of_corosync = self._of_corosync.after(answer.failure, 0.1)
        self._state = replace(self._state, corosync=answer.corosync)
        return " + ".join(edit for edit in edits if edit not in asked), (self._of_corosync,)

    def _see(self, observation: Observation, now: float) -> None:
        history = self._history.after(observation.snapshot)
        corosync = self._state.corosync
        seen, said = self._source
        if seen is not observation or said != corosync or history != self._history:
            node = self._target.node if self._target.knows_its_name else ""
            self._seen = judge(
                replace(observation, role_changes=history, local_node=node, corosync=corosync)
            )
            self._page = _samples(render(_USED_OF_CLUSTER, self._seen))
        self._source, self._history = (observation, corosync), history
        self._state = replace(self._state, judgement=self._seen, started=now, snapshot_time=now)


def _samples(blocks: tuple[Block, ...]) -> Page:
    return dict(see.series("".join(lines for block in blocks for lines in block.lines)))


_NOTHING = judge(Observation(Snapshot(Cluster())))
_SETTINGS = flags.parse(["--poll.timeout=30s", "--poll.max-age=90s"])
_USED = {
    name
    for rule in (*rules("alert").values(), *rules("record").values())
    for name in metrics(rule["expr"])
}
_USED_OF_CLUSTER = [family for family in FAMILIES if family.name in _USED]
_USED_OF_COROSYNC = [family for family in COROSYNC if family.name in _USED]
_USED_OF_EXPORTER = [family for family in EXPORTER if family.name in _USED]


# ---- Cases ----


@dataclass(frozen=True)
class Case:
    """A situation, and what fires when."""

    alert: str
    """The alert that it is about."""
    name: str
    targets: tuple[Target, ...]
    every: int
    """Seconds between scrapes, and between evaluations."""
    fires: Mapping[int, tuple[str, ...]]
    """At a time, all alerts that fire: those of other names too."""
    annotations: bool
    """Whether to look also at what the alert says."""
    recorded: Mapping[str, str]
    """Further series that somebody records, as promtool has them."""

    @property
    def is_firing(self) -> bool:
        """Whether the alert that it is about fires at any time."""
        return any(self.alert in _names(found) for found in self.fires.values())

    @property
    def title(self) -> str:
        """Name of the case, as promtool tells it."""
        return f"{self.alert}: {self.name}"

    @property
    def end(self) -> int:
        """When the last look is."""
        return max(self.fires)

    def series(self, situations: Situations) -> list[dict[str, str]]:
        """The series that Prometheus scrapes."""
        steps = self.end // self.every
        pages = [list(target.pages(situations, self.every, steps)) for target in self.targets]
        found = [{"series": name, "values": text} for name, text in self.recorded.items()]
        for of_target in pages:
            names = dict.fromkeys(series for page in of_target for series in page)
            for series in names:
                values = [page.get(series) for page in of_target]
                found.append({"series": series, "values": _notation(values)})
        return found

    @property
    def last_fire(self) -> int:
        """The last time at which the alert that it is about fires."""
        return max(time for time, found in self.fires.items() if self.alert in _names(found))

    def promtool(
        self, situations: Situations, annotated: list[dict[str, Any]] | None
    ) -> dict[str, Any]:
        """The case as a file of promtool's; also with what the alert says, as promtool has it."""
        group: dict[str, Any] = {
            "interval": f"{self.every}s",
            "external_labels": EXTERNAL_LABELS,
            "input_series": self.series(situations),
            "promql_expr_test": [
                {
                    "expr": 'sum without (alertstate, severity, job) (ALERTS{alertstate="firing"})',
                    "eval_time": f"{time}s",
                    "exp_samples": [{"labels": _labels(alert), "value": 1} for alert in found],
                }
                for time, found in self.fires.items()
            ],
        }
        if annotated is not None:
            group["alert_rule_test"] = [
                {
                    "eval_time": f"{self.last_fire}s",
                    "alertname": self.alert,
                    "exp_alerts": annotated,
                }
            ]
        return {
            "rule_files": [str(path) for path in RULE_FILES],
            "evaluation_interval": f"{self.every}s",
            "group_eval_order": [group["name"] for group in groups()],
            "tests": [group],
        }


def _names(found: tuple[str, ...]) -> set[str]:
    return {alert.partition("{")[0] for alert in found}


def _labels(alert: str) -> str:
    """``NAME{...}`` as what is left of ALERTS."""
    name, _, rest = alert.partition("{")
    return f'{{alertname="{name}"' + (f", {rest}" if rest else "}")


def _notation(values: list[float | None]) -> str:
    """Samples as promtool has them; a series that a scrape lacks is marked stale."""
    words: list[str] = []
    for value, run in groupby(values):
        count = len(list(run))
        if value is not None:
            number = repr(value) if value % 1 else str(int(value))
            words.append(f"{number}+0x{count - 1}" if count > 1 else number)
        elif words:
            words += ["stale", *([f"_x{count - 1}"] if count > 1 else [])]
        else:
            words.append(f"_x{count}")
    return " ".join(words)


CASE_KEYS = {"case", "every", "fires", "annotations", "recorded"}


def cases() -> list[Case]:
    """All cases of tests/rules."""
    return [
        _case(alert, entry)
        for path in CASE_FILES
        for alert, entries in read(path).items()
        for entry in entries
    ]


def _case(alert: str, entry: dict[str, Any]) -> Case:
    targets = []
    for cluster in entry.keys() - CASE_KEYS:
        stories = entry[cluster]
        if isinstance(stories, str):
            stories = {"all": stories}
        for node in HOSTS:
            story = stories.get(node, stories.get("all"))
            targets += [
                Target(cluster, node, story, stories.get("names", True), job, port)
                for job in stories.get("jobs", ["pacemaker"])
                for port in stories.get("ports", [19664])
            ]
    return Case(
        alert,
        entry["case"],
        tuple(sorted(targets, key=lambda target: (target.cluster, target.node))),
        seconds(entry.get("every", "1m")),
        {seconds(time): tuple(found) for time, found in entry["fires"].items()},
        entry.get("annotations", False),
        entry.get("recorded", {}),
    )
