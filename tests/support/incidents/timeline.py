"""Timelines as YAML tells them, and how they are played."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.support.incidents import steps
from tests.support.incidents.alertmanager import Alertmanager
from tests.support.incidents.exporters import Moment, Run, scrapes, series, view
from tests.support.incidents.notices import (
    Expected,
    Notice,
    compare,
    firing,
    moment,
    notices,
    time,
)
from tests.support.incidents.picture import Reader
from tests.support.incidents.prometheus import (
    UNSCRAPED,
    Alerts,
    Labels,
    Outage,
    Sent,
    evaluate,
)
from tests.support.incidents.sites import KINDS
from tests.support.incidents.world import World
from tests.support.oracle.rules import read
from tests.support.paths import ROOT

ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"
DIRECTORY = ROOT / "tests/incidents"
EVERY = 60
RESTART = 40.0
"""How long Prometheus takes to restart."""


@dataclass(frozen=True)
class Timeline:
    """What happens in clusters, and who should be told what and when."""

    name: str
    clusters: Mapping[str, str]
    """Kind by name."""
    story: tuple[tuple[float, str, str], ...]
    """Time, cluster and sentence."""
    end: float
    expected: tuple[Expected, ...]
    every: int = EVERY
    alone: bool = False
    """In a Prometheus of its own."""
    outages: tuple[Outage, ...] = ()
    fleet: bool = False
    labels: Mapping[str, str | None] = field(default_factory=dict)
    """The label `cluster` by name of cluster, where that is another."""
    file: str = ""

    @cached_property
    def moments(self) -> Mapping[str, Sequence[Moment]]:
        """How each cluster is from each time on."""
        return {name: self._moments(name) for name in self.clusters}

    def _moments(self, cluster: str) -> list[Moment]:
        world = KINDS[self.clusters[cluster]]()
        found = [Moment(-1, world)]
        for at, of, sentence in self.story:
            if of == cluster:
                world = steps.after(world, sentence, at)
                if found[-1].at == at:
                    found.pop()
                found.append(Moment(at, world))
        return found

    def label(self, cluster: str) -> str | None:
        return self.labels.get(cluster, cluster)

    @property
    def steps(self) -> int:
        return int(self.end / self.every) + 1


# ---- Reading ----


def timelines() -> list[Timeline]:
    """All of tests/incidents."""
    return [
        timeline(entry, path.stem)
        for path in sorted(DIRECTORY.glob("*.yml"))
        for entry in read(path)
    ]


def timeline(entry: Mapping[str, Any], file: str = "") -> Timeline:
    """One, as YAML holds it."""
    known = {"timeline", "cluster", "clusters", "story", "end", "told", "every", "labels", "fleet",
             "alone"}  # fmt: skip
    if entry.keys() - known:
        raise ValueError(f"{entry['timeline']}: no such key: {entry.keys() - known}")
    clusters = entry.get("clusters") or {"cluster": entry["cluster"]}
    story: list[tuple[float, str, str]] = []
    outages: list[Outage] = []
    down: float | None = None
    for key, said in entry["story"].items():
        for at in _times(str(key)):
            for sentence in [said] if isinstance(said, str) else said:
                if sentence == "prometheus restarts":
                    outages.append(Outage(at, at + RESTART))
                elif sentence == "prometheus stops":
                    down = at
                elif sentence == "prometheus starts":
                    assert down is not None
                    outages.append(Outage(down, at))
                else:
                    of, _, rest = sentence.partition(": ")
                    named = of in clusters
                    mine = [of] if named else list(clusters)
                    story += [(at, name, rest if named else sentence) for name in mine]
    story.sort(key=lambda step: step[0])
    return Timeline(
        entry["timeline"],
        clusters,
        tuple(story),
        time(str(entry["end"])),
        tuple(Expected.read(words) for words in entry["told"] or ()),
        int(time(str(entry.get("every", f"{EVERY}s")))),
        bool(entry.get("alone") or outages or entry.get("labels") or entry.get("fleet")),
        tuple(outages),
        entry.get("fleet", False),
        entry.get("labels", {}),
        file,
    )


def _times(key: str) -> Iterator[float]:
    """``10m``, or ``10m to 6h every 8m``."""
    first, _, rest = key.partition(" to ")
    if not rest:
        yield time(first)
        return
    last, _, every = rest.partition(" every ")
    at = time(first)
    while at <= time(last):
        yield at
        at += time(every)


# ---- Playing ----


@dataclass(frozen=True)
class Played:
    """What came of a timeline."""

    timeline: Timeline
    firing: Mapping[Labels, Sequence[float]]
    sent: Sequence[tuple[float, Sequence[Sent]]]
    told: Sequence[Notice]

    @property
    def differences(self) -> list[str]:
        return compare(self.timeline.expected, self.told)

    def explain(self) -> str:
        """All that somebody needs who sees that it failed."""
        several = len(self.timeline.clusters) > 1
        lines = [f"{self.timeline.name}: not as {self.timeline.file}.yml expects", ""]
        lines += [f"  {line}" for line in self.differences]
        lines += ["", "story:"]
        lines += [
            f"  {moment(at)} {of + ': ' if several else ''}{sentence}"
            for at, of, sentence in self.timeline.story[:40]
        ]
        lines += ["", "expected:", *(f"  - {one.words}" for one in self.timeline.expected)]
        lines += ["", "told:"]
        lines += [
            f"  - {notice.words(f'{notice.cluster}: ' if several else '')}" for notice in self.told
        ]
        lines += ["", "firing:"]
        lines += [f"  {line}" for line in firing(self.firing, self.timeline.every)]
        return "\n".join(lines)


def batches(found: Sequence[Timeline], size: int = 12) -> list[list[Timeline]]:
    """Timelines that one Prometheus can play, each as a cluster; the longest first."""
    alone = [[timeline] for timeline in found if timeline.alone]
    together: dict[int, list[Timeline]] = {}
    for timeline in sorted(found, key=lambda timeline: timeline.end):
        if not timeline.alone:
            together.setdefault(timeline.every, []).append(timeline)
    made = [
        same[begin : begin + size]
        for same in together.values()
        for begin in range(0, len(same), size)
    ]
    return sorted([*alone, *made], key=lambda batch: -max(t.end / t.every for t in batch))


def worlds(found: Sequence[Timeline]) -> list[World]:
    """All that crm_mon has to show."""
    return [
        view(moment.world, node)
        for timeline in found
        for cluster in timeline.clusters
        for moment in timeline.moments[cluster]
        for node in moment.world.exporters
    ]


def play(
    batch: Sequence[Timeline], reader: Reader, directory: Path, *, modelled: bool = False
) -> list[Played]:
    """Scrape, evaluate and notify: all timelines of a batch in one Prometheus.

    Args:
        batch: timelines.
        reader: reads their worlds.
        directory: for files.
        modelled: let the model of alerts decide when they fire, as after a restart.

    """
    every = batch[0].every
    count = max(timeline.steps for timeline in batch)
    scraped: dict[str, list[Run]] = {}
    for number, timeline in enumerate(batch):
        for cluster in timeline.clusters:
            for name, runs in _scraped(timeline, cluster, _label(batch, number, cluster), reader):
                scraped.setdefault(name, []).extend(runs)
    outages = batch[0].outages
    fleet = any(timeline.fleet for timeline in batch)
    modelled = modelled or bool(outages)
    holds = evaluate(directory, scraped, every, count, outages, conditions_of=modelled, fleet=fleet)
    return [
        _notified(timeline, _of(batch, number, holds), Alerts(decided=not modelled))
        for number, timeline in enumerate(batch)
    ]


def _label(batch: Sequence[Timeline], number: int, cluster: str) -> str | None:
    label = batch[number].label(cluster)
    return label if len(batch) == 1 else f"t{number}-{label}"


def _scraped(
    timeline: Timeline, cluster: str, label: str | None, reader: Reader
) -> Iterator[tuple[str, list[Run]]]:
    moments = timeline.moments[cluster]
    nodes = sorted({node for moment in moments for node in moment.world.exporters})
    domain = "" if len(timeline.clusters) == 1 else f".{cluster}"
    for number, node in enumerate(nodes):
        shown = list(scrapes(reader, moments, node, timeline.every, timeline.steps, -3600 - number))
        labels = {"instance": f"{node}{domain}:19664"}
        if label is not None:
            labels["cluster"] = label
        for name, runs in series(shown, labels).items():
            yield name, list(_with_outages(runs, timeline))


def _with_outages(runs: Sequence[Run], timeline: Timeline) -> Iterator[Run]:
    """Without the scrapes that Prometheus did not make, and the first after its start."""
    if not timeline.outages:
        yield from runs
        return
    every = timeline.every
    at = 0
    for run in runs:
        for index in range(run.times):
            now = at * every
            value = None if run.first is None else run.first + index * run.step
            out = any(o.begins <= now < o.ends + every for o in timeline.outages)
            yield Run(None, UNSCRAPED, 1) if out else Run(value, 0.0, 1)
            at += 1


def _of(
    batch: Sequence[Timeline], number: int, holds: Mapping[Labels, frozenset[float]]
) -> Mapping[Labels, frozenset[float]]:
    """The alerts of one timeline of a batch, under the names of its clusters."""
    if len(batch) == 1:
        return holds
    found = {}
    for labels, times in holds.items():
        cluster = dict(labels).get("cluster", "")
        begins, _, name = cluster.partition("-")
        if begins == f"t{number}":
            mine = tuple(sorted({**dict(labels), "cluster": name}.items()))
            found[mine] = times
    return found


def _notified(
    timeline: Timeline, holds: Mapping[Labels, frozenset[float]], alerts: Alerts
) -> Played:
    times = [float(step * timeline.every) for step in range(timeline.steps)]
    sent = list(alerts.run(holds, times, timeline.outages))
    alertmanager = Alertmanager(read(ALERTMANAGER))
    told = list(notices(alertmanager.run(sent, timeline.end + 1), timeline.end))
    return Played(timeline, alerts.firing, sent, told)
