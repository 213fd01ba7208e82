"""The past, made in seconds: what a Prometheus would have stored of exporters, hours of it.

The exporter's own poller and pages play stories against a clock of the test's: the demonstration,
from some moment on, held at some scene of it, or lost from sight. Their pages, with times, become
blocks of a real Prometheus. What its rules would have recorded it evaluates itself, afterwards and
level by level, as `promtool tsdb create-blocks-from rules` does, which knows no alerts and no rule
that builds on another.

tools/fleet_hour.py makes an hour of a fleet and serves it, to look at in Grafana.
"""

import contextlib
import itertools
import json
import math
import random
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import yaml
from lxml import etree

from exporter.cluster.outcome import Failure, Outcome
from exporter.metrics.exporter import Identity
from exporter.metrics.process import ProcessMetrics
from exporter.metrics.text import Format
from exporter.pacemaker.demo import DemoCommands
from exporter.pacemaker.runner import Completed
from exporter.polling.poller import Poller
from exporter.runtime.clock import Clock
from exporter.sources.tools import SourceContext, Tools
from exporter.web.metrics_page import MetricsPage
from tests.support.harness import see
from tests.support.harness.programs import Prometheus, prometheus_with
from tests.support.oracle.rules import RULE_FILES, seconds
from tests.support.paths import ROOT

SCRAPE = 15
"""Seconds between scrapes, and between evaluations of the rules."""
POLL = 10
LOOP = 300
"""Seconds of the demonstration."""
HOSTS = ("controller-0", "controller-1", "controller-2")
RULES = tuple(sorted(RULE_FILES))
_AWAY = range(150, 200)
"""When the demonstration's last node is lost, and its exporter with it."""

_FENCED = 168
"""When it is fenced."""
_FENCING = (
    '<fence_event action="reboot" target="controller-2" client="pacemaker-controld.90"'
    ' origin="controller-1" status="success" delegate="controller-0" completed="{:%F %TZ}"/>'
)
_BAN = (
    '<rsc_location id="cli-ban-redis-bundle-on-controller-1" rsc="redis-bundle" role="Promoted"'
    ' node="controller-1" score="-INFINITY"/>'
)
"""Left by whoever moved Redis back at the end of the demonstration."""

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Story:
    """What happens to a cluster; times in seconds since the epoch."""

    begins: float = math.inf
    """When the demonstration begins to play; until then all is well."""
    holds: float = math.inf
    """The scene that it stops at, in seconds of the demonstration."""
    lost: float = math.inf
    """When two of the exporters stop to answer, and the third finds itself without quorum."""
    polls_fail: float = math.inf
    """When crm_mon starts to hang on the first node, the DC."""
    cib_fails: bool = False
    """Whether cibadmin fails on the first node."""
    copies: int = 1
    """Of each bundle."""
    remote: int = 0
    """Number of Pacemaker Remote nodes. A clone should run on all of them. When the story begins,
    half of them are lost, join or go out of service. The cluster has a ticket, too."""
    answer: str = ""
    """A file in tests/captures that crm_mon prints from the beginning of the story on."""


@dataclass
class _Now:
    """The test's clock."""

    seconds: float

    def time(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class _StoryTime:
    """The demonstration's clock: it starts when the story begins, and holds where it says."""

    now: Clock
    story: Story

    def time(self) -> float:
        begins = self.story.begins
        return begins + self.monotonic() if begins < math.inf else self.now.time()

    def monotonic(self) -> float:
        return min(max(self.now.time() - self.story.begins, 0.0), self.story.holds)


class _Node:
    """One node's exporter: its commands answer as the story has it."""

    def __init__(self, cluster: "Cluster", name: str, now: _Now) -> None:
        self.name = name
        self._story = cluster.story
        self._now = now
        self._time = _StoryTime(now, cluster.story)
        self._demo = DemoCommands(self._time, self._time.monotonic())
        self._takes = random.Random(f"{cluster.name} {name}")
        self.poller = Poller(SourceContext(Tools(self, name), now, 30), POLL)
        self._identity = Identity("0.1.0", "", "3.11.2", POLL, 90)
        self._page = MetricsPage(ProcessMetrics(), self._identity)

    @property
    def lost(self) -> bool:
        return self._now.time() >= self._story.lost

    @property
    def answers(self) -> bool:
        """Whether the exporter can be scraped."""
        if self.lost:
            return self.name == HOSTS[0]
        return self.name != HOSTS[-1] or int(self._time.monotonic()) % LOOP not in _AWAY

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        command, now = PurePath(argv[0]).name, self._now.time()
        if command == "crm_node":
            return Completed(tuple(argv), 0, self.name.encode(), "")
        if command.startswith("corosync-"):
            return self._demo.run(argv, timeout)
        if command == "cibadmin" and self.name == HOSTS[0] and self._story.cib_fails:
            return Failure(Outcome.EXIT_STATUS, "cibadmin ended with 1")
        if command == "crm_mon":
            hangs = self.name == HOSTS[0] and now >= self._story.polls_fail
            self._now.seconds += timeout if hangs else self._takes.uniform(0.2, 0.5)
            if hangs:
                return Failure(Outcome.TIMEOUT, f"crm_mon was killed after {timeout} s")
        if command == "cibadmin" and argv[-1].endswith("/tickets"):
            return Completed(tuple(argv), 0, _TICKETS.encode(), "")
        completed = self._demo.run(argv, timeout)
        said = completed.stdout
        said = self._crm_mon(said) if command == "crm_mon" else self._cib(said)
        if self._story.copies > 1:
            said = _copied(said, self._story.copies)
        return replace(completed, stdout=said)

    def _crm_mon(self, said: bytes) -> bytes:
        begun = self._now.time() >= self._story.begins
        if self._story.answer and begun:
            said = self._answer
        else:
            said = said.replace(b"<status ", self._remembered() + b"<status ")
        if self.lost:
            said = said.replace(b'with_quorum="true"', b'with_quorum="false"')
        if self._story.remote:
            said = _with_remote_nodes(said, self._story.remote, trouble=begun)
        return said

    def _cib(self, said: bytes) -> bytes:
        begun = self._now.time() >= self._story.begins
        if self._story.answer and begun:
            said = _without_other_bundles(said, self._answer)
        ban = _BAN if self._time.monotonic() > LOOP else ""
        ticket = _TICKET if self._story.remote else ""
        return said.replace(b"</constraints>", f"{ban}{ticket}</constraints>".encode())

    @property
    def _answer(self) -> bytes:
        return (ROOT / "tests" / "captures" / self._story.answer).read_bytes()

    def _remembered(self) -> bytes:
        """What a live cluster would add, and one that only has a CIB does not know."""
        played = self._time.monotonic()
        last = (
            self._story.begins + played // LOOP * LOOP + _FENCED - (played % LOOP < _FENCED) * LOOP
        )
        history = (
            _FENCING.format(datetime.fromtimestamp(max(last, 0), UTC)) if played > _FENCED else ""
        )
        return f"<fence_history>{history}</fence_history>".encode()

    def page(self) -> str:
        now = self._now.time()
        state = self.poller.state.at(now, self._identity.max_age)
        return self._page.whole(state, now, Format.TEXT, compress=False).decode()


def _copied(said: bytes, copies: int) -> bytes:
    """Repeat each bundle, its guest nodes and their history, under other names."""

    def copy(found: re.Match[bytes]) -> bytes:
        name = found["name"]
        others = (found[0].replace(name, b"%s-n%d" % (name, n)) for n in range(1, copies))
        return b"".join((found[0], *others))

    bundle = rb"(?P<name>[\w-]+-bundle|openstack-cinder-volume)"
    for what in (
        rb'<bundle id="%b".*?</bundle>' % bundle,
        rb'<node name="%b-\d+" id="[^"]*" online=[^>]*/>' % bundle,
        rb'<node name="%b-\d+">.*?</node>' % bundle,
    ):
        said = re.sub(what, copy, said, flags=re.DOTALL)
    return said


def _without_other_bundles(cib: bytes, answer: bytes) -> bytes:
    """Remove the bundles from a CIB that an answer of crm_mon does not list."""
    found = etree.fromstring(cib)
    listed = {bundle.get("id") for bundle in etree.fromstring(answer).iter("bundle")}
    for bundle in [*found.iter("bundle")]:
        parent = bundle.getparent()
        if parent is not None and bundle.get("id") not in listed:
            parent.remove(bundle)
    return etree.tostring(found)


_TICKET = '<rsc_ticket id="ticket-site-a" rsc="trigger-clone" ticket="site-a"/>'
_TICKETS = '<tickets><ticket_state id="site-a" granted="true" standby="false"/></tickets>'


def _with_remote_nodes(said: bytes, count: int, *, trouble: bool) -> bytes:
    """Add remote nodes, in trouble one of ten in every state, connections and a clone."""
    found = etree.fromstring(said)
    nodes, resources = found.find("nodes"), found.find("resources")
    assert nodes is not None
    assert resources is not None
    clone = etree.SubElement(resources, "clone", id="trigger-clone", managed="true")
    flags = dict.fromkeys(("standby", "maintenance", "pending", "unclean"), "false")
    for number in range(count):
        name = f"compute-{number}"
        state = ("standby", "maintenance", "pending", "unclean", "offline") if trouble else ()
        own = dict.fromkeys(state[number % 10 : number % 10 + 1], "true")
        lost = "offline" in own or "unclean" in own
        online = "false" if own.pop("offline", "") else "true"
        node = {**flags, **own, "name": name, "id": name, "online": online, "type": "remote"}
        etree.SubElement(nodes, "node", node)
        _resource(resources, name, "ocf:pacemaker:remote", "" if lost else HOSTS[0])
        _resource(clone, "trigger", "ocf:pacemaker:Dummy", "" if lost or own else name)
    return etree.tostring(found)


def _resource(parent: etree._Element, name: str, agent: str, node: str) -> None:
    role, active = ("Started", "true") if node else ("Stopped", "false")
    flags = dict.fromkeys(("orphaned", "blocked", "failed", "failure_ignored"), "false")
    made = etree.SubElement(
        parent, "resource", flags, id=name, resource_agent=agent, role=role, active=active
    )
    if node:
        etree.SubElement(made, "node", name=node)


@dataclass(frozen=True)
class Cluster:
    """A cluster of three nodes with an exporter each; without a name it has no label cluster."""

    name: str
    story: Story = field(default_factory=Story)


def _scrape(node: _Node, labels: str, at: int) -> Iterator[str]:
    page = node.page() if node.answers else ""
    samples = [line for line in page.splitlines() if not line.startswith("#")]
    yield f"up{{{labels}}} {int(node.answers)} {at}\n"
    yield f"scrape_samples_scraped{{{labels}}} {len(samples)} {at}\n"
    yield f"scrape_duration_seconds{{{labels}}} {0.002 + len(samples) * 2e-6:.6f} {at}\n"
    for line in samples:
        series, _, value = line.rpartition(" ")
        name, brace, rest = series.partition("{")
        yield f"{name}{{{labels}{',' + rest if brace else '}'} {value} {at}\n"


def scrapes(clusters: Iterable[Cluster], start: int, end: int) -> Iterator[str]:
    """What Prometheus would have stored of the exporters, as OpenMetrics with times."""
    nodes = []
    for cluster in clusters:
        for name in HOSTS:
            now = _Now(start)
            label = f'cluster="{cluster.name}",' if cluster.name else ""
            host = f"{cluster.name}-{name}" if cluster.name else name
            labels = f'{label}instance="{host}:19664",job="pacemaker"'
            nodes.append((_Node(cluster, name, now), now, labels))
    for at in range(start - POLL // 2, end + 1, POLL // 2):
        for node, now, labels in nodes:
            now.seconds = at
            if at % SCRAPE == 0:
                yield from _scrape(node, labels, at)
            if at % POLL:
                node.poller.poll()


def block(lines: Iterable[str], tsdb: Path) -> None:
    """Write OpenMetrics lines with times as blocks."""
    path = tsdb.with_suffix(".om")
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.write("# EOF\n")
    if path.stat().st_size > len("# EOF\n"):
        command = [see.need("promtool"), "tsdb", "create-blocks-from", "openmetrics"]
        subprocess.run([*command, path, tsdb], check=True, capture_output=True, timeout=300)
    path.unlink()


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[Prometheus]:
    """A Prometheus over the blocks that scrapes nothing.

    Blocks made from text cannot say that a series ended: at any moment it sees one scrape back.
    """
    flags = ("--storage.tsdb.retention.time=100y", f"--query.lookback-delta={SCRAPE * 1000 - 1}ms")
    with prometheus_with(directory, "{}", *flags) as server:
        yield server


Rule = Mapping[str, Any]


def rules(paths: Iterable[Path] = RULES) -> list[Rule]:
    """The rules of files, in their order."""
    read = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths)
    return [rule for file in read for group in file["groups"] for rule in group["rules"]]


def _levels(every: Sequence[Rule]) -> list[list[Rule]]:
    """Rules in the order of what they build on."""
    recorded = {rule["record"]: rule for rule in every if "record" in rule}

    def depth(rule: Rule) -> int:
        used = set(re.findall(r"[\w:]+", rule["expr"])) & recorded.keys() - {rule.get("record")}
        return max((depth(recorded[name]) for name in used), default=-1) + 1

    grouped = itertools.groupby(sorted(every, key=depth), key=depth)
    return [list(level) for _, level in grouped]


def _line(name: str, labels: Labels, value: float, at: int) -> str:
    pairs = ",".join(f"{label}={json.dumps(text)}" for label, text in labels)
    return f"{name}{{{pairs}}} {value!r} {at}\n"


def _recorded(rule: Rule, found: Mapping[Labels, Mapping[int, float]]) -> Iterator[str]:
    keeps = "_since_" in rule["record"]
    for labels, values in found.items():
        first, last = math.nan, -math.inf
        for at, value in values.items():
            if not keeps or at - last > SCRAPE:
                first = value
            last = at
            yield _line(rule["record"], labels, first if keeps else value, at)


def _alerts(rule: Rule, found: Mapping[Labels, Mapping[int, float]], end: int) -> Iterator[str]:
    wait, keep = seconds(rule.get("for", "0s")), seconds(rule.get("keep_firing_for", "0s"))
    for labels, values in found.items():
        named = {**dict(labels), **rule.get("labels", {}), "alertname": rule["alert"]}
        own = tuple(sorted(named.items()))
        since = last = -math.inf
        fires = False
        for at in range(min(values), end + 1, SCRAPE):
            if at in values:
                since = at if since == -math.inf else since
                last, fires = at, fires or at - since >= wait
            elif not fires or at - last > keep:
                since, fires = -math.inf, False
                continue
            state = "firing" if fires else "pending"
            yield _line("ALERTS", tuple(sorted((*own, ("alertstate", state)))), 1.0, at)
            yield _line("ALERTS_FOR_STATE", own, since, at)


def make(directory: Path, clusters: Iterable[Cluster], start: int, end: int) -> None:
    """Write the blocks of what happened from one moment to another, rules included."""
    tsdb = directory / "tsdb"
    block(scrapes(clusters, start, end), tsdb)
    for level in _levels(rules()):
        lines: list[str] = []
        with serving(directory) as server:
            for rule in level:
                found = server.over(rule["expr"], start, end, SCRAPE)
                written = _recorded(rule, found) if "record" in rule else _alerts(rule, found, end)
                lines.extend(written)
        block(lines, tsdb)


@contextlib.contextmanager
def prometheus_of(
    directory: Path, clusters: Iterable[Cluster], start: int, end: int
) -> Iterator[Prometheus]:
    """A real Prometheus that has seen all that."""
    make(directory, clusters, start, end)
    with serving(directory) as server:
        yield server


EPOCH = 1_767_261_600
"""2026-01-01T10:00:00Z."""
