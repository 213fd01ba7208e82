"""What Prometheus scrapes from the exporters of a cluster, scrape after scrape.

The exporter's own code renders each observation. Between two changes every series is constant or
grows evenly, so a series is a list of runs rather than of samples.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

import promql_parser

from exporter.cli import flags
from exporter.cluster.corosync import Corosync, CorosyncState
from exporter.cluster.model import Cluster, Snapshot
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure, Outcome, SourceStatus
from exporter.cluster.role_changes import RoleChanges
from exporter.judgement.judge import judge
from exporter.metrics.exporter import EXPORTER, ExporterStatus, Identity
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import render
from exporter.polling.state import State
from tests.support.harness import see
from tests.support.incidents.matching import Matcher
from tests.support.incidents.picture import Reader
from tests.support.incidents.world import Exporter, World
from tests.support.oracle.rules import FLEET_FILE, parts, read, rules

Page = Mapping[str, float]

SETTINGS = flags.parse(["--poll.timeout=30s", "--poll.max-age=90s"])


def _selected() -> dict[str, list[Any]]:
    """The matchers of each selector in the rules, by metric."""
    found: dict[str, list[Any]] = {}
    of_fleet = [rule for group in read(FLEET_FILE)["groups"] for rule in group["rules"]]
    for rule in (*rules("alert").values(), *rules("record").values(), *of_fleet):
        for part in parts(promql_parser.parse(rule["expr"])):
            if isinstance(part, promql_parser.VectorSelector):
                found.setdefault(part.name or "", []).append(part.matchers.matchers)
    return found


SELECTED = _selected()
OF_CLUSTER = [family for family in FAMILIES if family.name in SELECTED]
OF_EXPORTER = [family for family in EXPORTER if family.name in SELECTED]
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


@cache
def _matters(series: str) -> bool:
    """Whether a rule selects it; Prometheus need not store others, of which there are many."""
    name, _, rest = series.partition("{")
    labels = dict(_LABEL.findall(rest))
    return any(
        all(
            Matcher(m.name, _OPERATORS[str(m.op).rpartition(".")[2]], m.value).matches(labels)
            for m in matchers
            if m.name not in {"cluster", "instance", "job"}
        )
        for matchers in SELECTED[name]
    )


class Run(NamedTuple):
    """Samples of a series: the first, what each adds, and how many; None where it is absent."""

    first: float | None
    step: float
    times: int


@dataclass(frozen=True)
class Moment:
    """How things are from a time on."""

    at: float
    world: World


class Shown(NamedTuple):
    """The samples of one scrape of one target. There are none while it is not a target."""

    key: object
    """Equal for scrapes that differ in nothing but what grows evenly."""
    of_cluster: Page
    status: ExporterStatus | None
    labels: tuple[tuple[str, str], ...]
    up: float | None
    start: float


def view(world: World, node: str) -> World:
    """The cluster as a node sees it."""
    if node in world.blind and world.before is not None:
        return world.before
    if node not in world.cut_off:
        return world
    alone = replace(world, quorate=False, dc=node, cut_off=(), events=())
    for host in world.hosts.values():
        if host.name != node and not host.remote:
            alone = alone.host(host.name, state="unclean" if world.fencing else "offline")
        if host.name == node:
            alone = alone.host(node, state="online")
    stopped = {
        name: replace(
            thing, parts=tuple(replace(p, host=None, role="stopped") for p in thing.parts)
        )
        for name, thing in alone.things.items()
    }
    return replace(alone, things=stopped)


class _Process:
    """An exporter from its start on; a poll before each scrape."""

    def __init__(self, reader: Reader, node: str, start: float) -> None:
        self._reader = reader
        self._node = node
        self.start = start
        self._history = RoleChanges()
        self._read = Observation(Snapshot(Cluster()))
        """The last in which the CIB was read."""
        self._changed = False
        """Whether the CIB changed since it was read last."""
        self._of_corosync = SourceStatus("corosync")
        self._of_status = SourceStatus("status")
        self._of_configuration = SourceStatus("configuration")
        self._of_node = SourceStatus("local_node")
        self._state = State()
        self._seen: tuple[object, ...] = ()
        self._page: Page = {}

    def scrape(
        self, exporter: Exporter, mode: str, moment: Moment, now: float, every: float
    ) -> tuple[object, Page, ExporterStatus]:
        """A poll and what it leaves to see."""
        outcome = Outcome.SUCCESS if mode == "up" else Outcome(mode)
        unanswered = _corosync(exporter, outcome, self._node in moment.world.blind)
        self._of_corosync = self._of_corosync.after(unanswered, 0.1)
        hangs = unanswered is not None and unanswered.outcome is Outcome.TIMEOUT
        corosync = Corosync(CorosyncState.UNRESPONSIVE if hangs else CorosyncState.UNKNOWN)
        self._state = replace(self._state, corosync=corosync)
        if outcome is Outcome.SUCCESS:
            self._see(exporter, moment, now)
        elif outcome is Outcome.NOT_CONNECTED:
            self._state = replace(self._state, judgement=None)
        duration = 31.0 if exporter.slow else 0.5
        failure = None if outcome is Outcome.SUCCESS else Failure(outcome, "")
        self._of_status = self._of_status.after(failure, duration)
        unread = None if exporter.cib else Failure(Outcome.PERMISSION_DENIED, "")
        if outcome is Outcome.SUCCESS:
            self._of_configuration = self._of_configuration.after(unread, 0.1)
            self._of_node = self._of_node.after(None, 0.1)
        seen_at = now + exporter.clock
        self._state = replace(
            self._state,
            last_outcome=outcome,
            last_poll_time=seen_at,
            poll_duration=duration,
            sources=(self._of_corosync, self._of_status, self._of_configuration, self._of_node),
        )
        identity = Identity(
            exporter.version, "", "3.11", SETTINGS.poll_interval, SETTINGS.poll_max_age
        )
        # Between two scrapes there were polls: what is too old is too old at the scrape.
        state = self._state.at(now, identity.max_age)
        page = self._page if state.judgement is not None else {}
        key = (outcome, exporter, id(page), state.trusted, state.dc, hangs)
        return key, page, state.status(identity)

    def _see(self, exporter: Exporter, moment: Moment, now: float) -> None:
        knows = self._node if exporter.knows_its_name else ""
        seen = (moment.at, exporter.cib, knows, self._state.corosync)
        if self._seen != seen:
            observation = self._reader.observe(view(moment.world, self._node), moment.at)
            history = self._history.after(observation.snapshot)
            if exporter.cib:
                self._read, self._changed = observation, False
            elif observation.configuration != self._read.configuration:
                self._changed = True
            judgement = judge(
                replace(
                    observation,
                    configuration=self._read.configuration,
                    configuration_current=self._read.configuration_current and not self._changed,
                    role_changes=history,
                    local_node=knows,
                    corosync=self._state.corosync,
                )
            )
            self._page = _samples(OF_CLUSTER, judgement)
            self._history, self._seen = history, seen
            self._state = replace(self._state, judgement=judgement)
        seen_at = now + exporter.clock
        self._state = replace(self._state, started=now, snapshot_time=seen_at)
        if self._state.judgement is None:  # it was withdrawn
            self._seen = ()
            self._see(exporter, moment, now)


def _corosync(exporter: Exporter, crm_mon: Outcome, hangs: bool) -> Failure | None:
    """Return why corosync gives no answer; None if it does."""
    if not exporter.may_ask_corosync:
        return Failure(Outcome.PERMISSION_DENIED, "")
    if hangs:
        return Failure(Outcome.TIMEOUT, "")
    return Failure(Outcome.NOT_CONNECTED, "") if crm_mon is Outcome.NOT_CONNECTED else None


def _samples(families: Sequence[object], about: object) -> Page:
    blocks = render(families, about)  # type: ignore[arg-type]
    page = see.series("".join(lines for block in blocks for lines in block.lines))
    return {series: value for series, value in page.items() if _matters(series)}


def scrapes(
    reader: Reader, moments: Sequence[Moment], node: str, every: int, steps: int, start: float
) -> Iterator[Shown]:
    """What each scrape of a node's exporter brings."""
    process = _Process(reader, node, start)
    running = True
    number = 0
    for now in range(0, steps * every, every):
        while number + 1 < len(moments) and moments[number + 1].at <= now:
            number += 1
        world = moments[number].world
        exporter, host = world.exporters[node], world.hosts[node]
        mode = exporter.mode
        if mode == "up" and host.state in {"offline", "unclean"} and node not in world.cut_off:
            mode = "up" if node in world.blind else "not_connected"
        if not host.power or mode == "down":
            mode = "down" if exporter.mode != "absent" else "absent"
        labels = (("job", exporter.job),)
        match mode:
            case "absent":
                running = False
                yield Shown(("absent",), {}, None, labels, None, 0)
            case "down":
                running = False
                yield Shown(("down", labels), {}, None, labels, 0, 0)
            case _:
                if not running:
                    process, running = _Process(reader, node, now), True
                key, page, status = process.scrape(exporter, mode, moments[number], now, every)
                if exporter.dropped:
                    yield Shown(("dropped", labels), {}, None, labels, 0, 0)
                else:
                    key = (key, labels, process.start)
                    yield Shown(key, page, status, labels, 1, process.start)


def series(shown: Sequence[Shown], labels: Mapping[str, str]) -> dict[str, list[Run]]:
    """The series of a target, with the labels that Prometheus adds."""
    found: dict[str, list[Run]] = {}
    done = 0
    for _, same in groupby(shown, key=lambda one: one.key):
        scraped = list(same)
        first, last, count = scraped[0], scraped[-1], len(scraped)
        begins, ends = _page(first), _page(last)
        text = ",".join(f"{k}={json.dumps(v)}" for k, v in {**labels, **dict(first.labels)}.items())
        for name, value in begins.items():
            step = (ends[name] - value) / (count - 1) if count > 1 else 0.0
            whole = f"{name[:-1]},{text}}}" if name.endswith("}") else f"{name}{{{text}}}"
            runs = found.setdefault(whole, [])
            missing = done - sum(run.times for run in runs)
            if missing:
                runs.append(Run(None, 0, missing))
            runs.append(Run(value, step, count))
        done += count
    for runs in found.values():
        missing = done - sum(run.times for run in runs)
        if missing:
            runs.append(Run(None, 0, missing))
    return found


def _page(shown: Shown) -> dict[str, float]:
    if shown.up is None:
        return {}
    page = {"up": shown.up}
    if shown.status is not None:
        page["process_start_time_seconds"] = shown.start
        page |= shown.of_cluster
        page |= _samples(OF_EXPORTER, shown.status)
    return page
