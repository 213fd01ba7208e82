"""A model of Alertmanager 0.25: who is notified when, by a configuration such as the shipped one.

It knows routes, groups, group_wait, group_interval, repeat_interval, inhibitions, the log of
notifications and resolved notices. It has no silences and no time intervals. A test holds it
against a real Alertmanager.
"""

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.support.incidents.matching import Matcher
from tests.support.incidents.prometheus import Labels, Sent

DEFAULTS = {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}
CLEANED = 30.0
"""Seconds between two searches for empty groups, which are removed."""


def duration(text: str) -> float:
    """Seconds of a duration such as 1d or 1m30s or 250ms."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
    found = re.findall(r"(\d+)(ms|[smhdwy])", text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise ValueError(f"no duration: {text!r}")
    return float(sum(int(number) * units[unit] for number, unit in found))


# ---- Configuration ----


def _all(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)


@dataclass(frozen=True)
class Route:
    """A route with what it inherits."""

    number: tuple[int, ...]
    receiver: str
    matchers: tuple[Matcher, ...]
    group_by: tuple[str, ...]
    group_wait: float
    group_interval: float
    repeat_interval: float
    goes_on: bool
    routes: tuple["Route", ...]

    @classmethod
    def read(
        cls, given: Mapping[str, Any], above: Mapping[str, Any], number: tuple[int, ...] = ()
    ) -> "Route":
        inherited = ("receiver", "group_by", *DEFAULTS)
        mine = {**above, **{name: given[name] for name in inherited if name in given}}
        below = enumerate(given.get("routes", ()))
        return cls(
            number,
            mine["receiver"],
            tuple(Matcher.read(text) for text in given.get("matchers", ())),
            tuple(mine.get("group_by", ())),
            duration(mine["group_wait"]),
            duration(mine["group_interval"]),
            duration(mine["repeat_interval"]),
            given.get("continue", False),
            tuple(cls.read(route, mine, (*number, n)) for n, route in below),
        )

    def matching(self, labels: Mapping[str, str]) -> list["Route"]:
        """The deepest routes that match."""
        if not _all(self.matchers, labels):
            return []
        found: list[Route] = []
        for route in self.routes:
            below = route.matching(labels)
            found += below
            if below and not route.goes_on:
                break
        return found or [self]


@dataclass(frozen=True)
class Inhibition:
    """An alert that silences others."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Inhibition":
        return cls(
            tuple(Matcher.read(text) for text in given["source_matchers"]),
            tuple(Matcher.read(text) for text in given["target_matchers"]),
            tuple(given.get("equal", ())),
        )

    def silences(self, source: Mapping[str, str], target: Mapping[str, str]) -> bool:
        return (
            _all(self.source, source)
            and _all(self.target, target)
            and all(source.get(name, "") == target.get(name, "") for name in self.equal)
            # Two alerts that both match both sides do not silence each other.
            and not (_all(self.source, target) and _all(self.target, source))
        )


# ---- Notifications ----


@dataclass(frozen=True)
class Notification:
    """A message to a receiver about a group."""

    at: float
    receiver: str
    group: Labels
    firing: frozenset[Labels]
    resolved: frozenset[Labels]
    route: tuple[int, ...] = field(default=(), compare=False)
    """Each route has groups of its own. What Alertmanager sends does not tell it."""


@dataclass
class _Group:
    route: Route
    labels: Labels
    due: float
    alerts: dict[Labels, Sent] = field(default_factory=dict)
    flushed: bool = False


@dataclass(frozen=True)
class _Entry:
    """What the log of notifications holds of a group and receiver."""

    at: float
    firing: frozenset[Labels]
    resolved: frozenset[Labels]
    expires: float


class Alertmanager:
    """Takes alerts as Prometheus sends them, and notifies."""

    def __init__(self, configuration: Mapping[str, Any], cleaned: float = CLEANED) -> None:
        """Args: what alertmanager.yml holds; seconds between removals of empty groups."""
        self._root = Route.read(configuration["route"], DEFAULTS)
        self._inhibitions = [Inhibition.read(r) for r in configuration.get("inhibit_rules", ())]
        self._resolves = {
            receiver["name"]: [
                integration.get("send_resolved", True)
                for kind, integrations in receiver.items()
                if kind.endswith("_configs")
                for integration in integrations
            ]
            for receiver in configuration["receivers"]
        }
        self._cleaned = cleaned
        self._alerts: dict[Labels, Sent] = {}
        self._groups: dict[tuple[tuple[int, ...], Labels], _Group] = {}
        self._log: dict[tuple[str, Labels, tuple[int, ...]], _Entry] = {}
        self._timers: list[tuple[float, int, tuple[tuple[int, ...], Labels]]] = []
        self._order = count()

    def run(
        self, sent: Iterable[tuple[float, Sequence[Sent]]], until: float
    ) -> Iterator[Notification]:
        """Yield the notifications about what is sent at each time, up to the end."""
        cleaned = self._cleaned
        for at, alerts in [*sent, (until, ())]:
            while self._timers and self._timers[0][0] < at:
                due, _, key = heapq.heappop(self._timers)
                while cleaned <= due:
                    self._clean()
                    cleaned += self._cleaned
                group = self._groups.get(key)
                if group is not None and group.due == due:
                    yield from self._flush(key, group, due)
            while cleaned <= at:
                self._clean()
                cleaned += self._cleaned
            for alert in alerts:
                self._take(alert, at)

    def _clean(self) -> None:
        for key, group in list(self._groups.items()):
            if not group.alerts:
                del self._groups[key]

    def _take(self, alert: Sent, at: float) -> None:
        known = self._alerts.get(alert.labels)
        if known is not None and (
            known.starts < alert.ends < known.ends or known.starts < alert.starts < known.ends
        ):
            # They overlap: one alert, which started with the first.
            ends = max(known.ends, alert.ends)
            if alert.ends <= at < known.ends:
                ends = alert.ends
            alert = Sent(alert.labels, min(known.starts, alert.starts), ends)
        self._alerts[alert.labels] = alert
        labels = dict(alert.labels)
        for route in self._root.matching(labels):
            of_group = tuple(sorted((n, labels[n]) for n in route.group_by if n in labels))
            key = (route.number, of_group)
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = _Group(route, of_group, at + route.group_wait)
                self._wait(key, group)
            group.alerts[alert.labels] = alert
            if not group.flushed and alert.starts + route.group_wait < at:
                group.due = at
                self._wait(key, group)

    def _wait(self, key: tuple[tuple[int, ...], Labels], group: _Group) -> None:
        heapq.heappush(self._timers, (group.due, next(self._order), key))

    def _flush(
        self, key: tuple[tuple[int, ...], Labels], group: _Group, now: float
    ) -> Iterator[Notification]:
        group.flushed = True
        group.due = now + group.route.group_interval
        self._wait(key, group)
        alerts = [alert for alert in group.alerts.values() if not self._silenced(alert, now)]
        firing = frozenset(alert.labels for alert in alerts if alert.ends > now)
        resolved = frozenset(alert.labels for alert in alerts if alert.ends <= now)
        group.alerts = {name: alert for name, alert in group.alerts.items() if alert.ends > now}
        if not alerts:
            return
        route = group.route
        for number, resolves in enumerate(self._resolves[route.receiver]):
            logged = (f"{route.receiver}/{number}", group.labels, route.number)
            entry = self._log.get(logged)
            if entry is not None and entry.expires <= now:
                entry = None
            if self._is_news(entry, firing, resolved, resolves, now, route.repeat_interval):
                expires = now + 2 * route.repeat_interval
                self._log[logged] = _Entry(now, firing, resolved, expires)
                if firing or resolves:
                    told = resolved if resolves else frozenset()
                    yield Notification(
                        now, route.receiver, group.labels, firing, told, route.number
                    )

    @staticmethod
    def _is_news(
        entry: _Entry | None,
        firing: frozenset[Labels],
        resolved: frozenset[Labels],
        resolves: bool,
        now: float,
        repeat: float,
    ) -> bool:
        """Whether a notification says what the last did not, or that was long ago."""
        if entry is None:
            return bool(firing)
        if not firing <= entry.firing:
            return True
        if not firing:
            return bool(entry.firing)
        if resolves and not resolved <= entry.resolved:
            return True
        return entry.at < now - repeat

    def _silenced(self, alert: Sent, now: float) -> bool:
        target = dict(alert.labels)
        return any(
            other.ends > now and rule.silences(dict(other.labels), target)
            for rule in self._inhibitions
            if _all(rule.target, target)
            for other in self._alerts.values()
        )
