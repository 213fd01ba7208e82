"""Prometheus: the real promtool evaluates the shipped rules, a model of its alerts does the rest.

promtool cannot restart in the middle. Where a timeline wants that, it records where each alert's
expression holds, and the states of the alerts (pending, firing, kept firing, resolved) follow from
that as in Prometheus' rules/alerting.go: see `Alerts`. A test compares both for the same timelines.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.support.incidents.exporters import Run
from tests.support.oracle.promtool import promtool
from tests.support.oracle.rules import (
    EXTERNAL_LABELS,
    FLEET_FILE,
    RULE_FILES,
    read,
    rules,
    seconds,
)

Labels = tuple[tuple[str, str], ...]
"""The labels of an alert, sorted, alertname and severity included."""

CONDITION = "incident:condition"
OUTAGE = "incident:outage"
LOOKBACK = 300
RESEND = 60
"""Prometheus' --rules.alert.resend-delay."""
GRACE = 600
"""Its --rules.alert.for-grace-period."""
TOLERANCE = 3600
"""Its --rules.alert.for-outage-tolerance."""
RETENTION = 900
"""How long it goes on sending that an alert is resolved."""


@dataclass(frozen=True)
class Outage:
    """Prometheus does not run: it neither scrapes nor evaluates."""

    begins: float
    ends: float


# ---- Where expressions hold ----


def fleet_rules() -> Mapping[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in read(FLEET_FILE)["groups"] for rule in group["rules"]}


def evaluate(
    directory: Path,
    series: Mapping[str, Sequence[Run]],
    every: int,
    steps: int,
    outages: Sequence[Outage] = (),
    *,
    conditions_of: bool = False,
    fleet: bool = False,
) -> Mapping[Labels, frozenset[float]]:
    """Evaluate the rules; return by alert when it fires, or when its expression holds.

    Args:
        directory: for promtool's files.
        series: what was scraped.
        every: seconds between scrapes, and between evaluations.
        steps: number of evaluations.
        outages: when Prometheus does not run.
        conditions_of: return when the expressions hold.
        fleet: evaluate the rules of a central Prometheus too.

    """
    directory.mkdir(parents=True, exist_ok=True)
    long = [outage for outage in outages if outage.ends - outage.begins > LOOKBACK]
    files = []
    for path in (*RULE_FILES, *([FLEET_FILE] if fleet else [])):
        groups = read(path)["groups"]
        if conditions_of:
            groups = [_with_conditions(group, bool(long)) for group in groups]
        files.append(directory / path.name)
        files[-1].write_text(json.dumps({"groups": groups}), encoding="utf-8")
    names = [group["name"] for path in files for group in read(path)["groups"]]
    given = [{"series": name, "values": notation(runs)} for name, runs in series.items()]
    for outage in long:
        begins, ends = int(outage.begins / every), int(outage.ends / every)
        given.append({"series": OUTAGE, "values": f"_x{begins} 1+0x{ends - begins - 1} stale"})
    wanted = CONDITION if conditions_of else 'ALERTS{alertstate="firing"}'
    test = {
        "interval": f"{every}s",
        "external_labels": EXTERNAL_LABELS,
        "input_series": given,
        "promql_expr_test": [
            {"expr": wanted, "eval_time": f"{step * every}s", "exp_samples": []}
            for step in range(steps)
        ],
    }
    file = directory / "test.yml"
    content = {
        "rule_files": [str(path) for path in files],
        "evaluation_interval": f"{every}s",
        "group_eval_order": names,
        "tests": [test],
    }
    file.write_text(json.dumps(content), encoding="utf-8")
    ran = promtool("test", "rules", file, GOGC="400")  # a fifth less time, for some memory
    return _parsed(ran.stdout + ran.stderr)


def _with_conditions(group: Mapping[str, Any], stops: bool) -> dict[str, Any]:
    """The group with its conditions as series; where it stops, nothing holds in an outage."""
    found = []
    for rule in group["rules"]:
        expression = rule["expr"]
        if stops:
            expression = f"({expression}) unless on () {OUTAGE}"
        found.append({**rule, "expr": expression})
        if "alert" in rule:
            labels = {"alertname": rule["alert"], **rule["labels"]}
            found.append({"record": CONDITION, "labels": labels, "expr": expression})
    return {**group, "rules": found}


_SAMPLE = re.compile(r'\{(?:\w+="(?:[^"\\]|\\.)*"(?:, )?)*\}')
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*")')


def _parsed(output: str) -> Mapping[Labels, frozenset[float]]:
    """The samples that promtool got where none was expected."""
    found: dict[Labels, set[float]] = {}
    time: float | None = None
    for line in output.splitlines():
        at = re.search(r", time: ([0-9hms.]+),", line)
        if at:
            time = seconds(at[1])
        elif line.lstrip().startswith("got: {") and time is not None:
            for sample in _SAMPLE.findall(line):
                labels = {name: json.loads(value) for name, value in _PAIR.findall(sample)}
                del labels["__name__"]
                labels.pop("alertstate", None)
                found.setdefault(tuple(sorted(labels.items())), set()).add(time)
    if ("FAILED" not in output and "SUCCESS" not in output) or "parse error" in output:
        raise ValueError(output[:3000])
    return {labels: frozenset(times) for labels, times in found.items()}


def notation(runs: Iterable[Run]) -> str:
    """Samples as promtool has them; a series that a scrape lacks is marked stale."""
    words: list[str] = []
    present = False
    for run in _merged(runs):
        if run.first is not None:
            words.append(_evenly(run))
            present = True
        elif run.step:  # nothing was scraped at all
            words.append(f"_x{run.times}")
            present = False
        elif present:
            words += ["stale", *([f"_x{run.times - 1}"] if run.times > 1 else [])]
            present = False
        else:
            words.append(f"_x{run.times}")
    return " ".join(words)


def _evenly(run: Run) -> str:
    assert run.first is not None
    if run.times == 1:
        return _number(run.first)
    sign = "-" if run.step < 0 else "+"
    return f"{_number(run.first)}{sign}{_number(abs(run.step))}x{run.times - 1}"


def _number(value: float) -> str:
    return repr(value) if value % 1 else str(int(value))


def _merged(runs: Iterable[Run]) -> Iterator[Run]:
    """Join constant runs of the same value."""
    for (first, step), same in groupby(runs, key=lambda run: (run.first, run.step)):
        group = list(same)
        if first is None or step == 0 or all(run.times == 1 for run in group):
            yield Run(first, step, sum(run.times for run in group))
        else:
            yield from group


UNSCRAPED = 1.0
"""The step of a run without samples while Prometheus does not run: no staleness marks."""


# ---- The states of alerts ----


@dataclass(frozen=True)
class Sent:
    """An alert as Prometheus sends it to Alertmanager."""

    labels: Labels
    starts: float
    ends: float


@dataclass(frozen=True)
class _Alert:
    active_at: float
    fired_at: float | None = None
    kept_since: float | None = None
    resolved_at: float | None = None
    sent_at: float = float("-inf")


@dataclass
class Alerts:
    """The alerts of a Prometheus, as rules/alerting.go and rules/group.go of 2.42 treat them.

    After a restart alerts begin again as pending. Only those whose `for` is at least the grace
    period get their old start back, at the second evaluation, shifted by the time of the outage;
    what is left of `for` is at least the grace period unless it was over. That an alert was
    firing, or kept firing, is lost.
    """

    decided: bool = False
    """Whether it is given when alerts fire, rather than when their expressions hold."""
    grace: float = GRACE
    firing: dict[Labels, list[float]] = field(default_factory=dict)
    """At which evaluations each alert fires."""
    pending: dict[Labels, list[float]] = field(default_factory=dict)
    _active: dict[Labels, _Alert] = field(default_factory=dict)
    _before: dict[Labels, float] = field(default_factory=dict)
    """Active since when, before the restart."""
    _last: float = 0.0
    """When the last evaluation before the restart was."""
    _evaluations: int = 2

    def run(
        self,
        holds: Mapping[Labels, frozenset[float]],
        times: Sequence[float],
        outages: Sequence[Outage] = (),
    ) -> Iterator[tuple[float, list[Sent]]]:
        """Yield what is sent at each evaluation."""
        at: dict[float, set[Labels]] = {}
        for labels, when in holds.items():
            for time in when:
                at.setdefault(time, set()).add(labels)
        down, last = False, 0.0
        for time in times:
            if any(outage.begins <= time < outage.ends for outage in outages):
                if not down:
                    self._stop(last)
                down = True
                continue
            if down:
                down = False
                self._evaluations = 0
            last = time
            yield time, self._evaluate(time, at.get(time, set()))

    def _stop(self, last: float) -> None:
        self._last = last
        self._before = {
            labels: alert.active_at
            for labels, alert in self._active.items()
            if alert.resolved_at is None
        }
        self._active = {}

    def _evaluate(self, now: float, holds: set[Labels]) -> list[Sent]:
        for labels in holds:
            alert = self._active.get(labels)
            if alert is None or alert.resolved_at is not None:
                self._active[labels] = _Alert(now)
        for labels, alert in list(self._active.items()):
            after = self._after(labels, alert, now, labels in holds)
            if after is None:
                del self._active[labels]
            else:
                self._active[labels] = after
        self._evaluations += 1
        if self._evaluations == 2:
            self._restore(now)
        return list(self._sent(now))

    def _after(self, labels: Labels, alert: _Alert, now: float, holds: bool) -> _Alert | None:
        rule = self._rule(labels)
        if holds:
            alert = replace(alert, kept_since=None)
            if alert.fired_at is None and now - alert.active_at >= rule.hold:
                alert = replace(alert, fired_at=now)
        elif alert.fired_at is None:
            return None
        elif alert.resolved_at is not None:
            if now - alert.resolved_at > RETENTION:
                return None
        else:
            since = now if alert.kept_since is None else alert.kept_since
            if rule.keep and now - since < rule.keep:
                alert = replace(alert, kept_since=since)
            else:
                alert = replace(alert, resolved_at=now)
        if alert.resolved_at is None:
            where = self.pending if alert.fired_at is None else self.firing
            where.setdefault(labels, []).append(now)
        return alert

    def _rule(self, labels: Labels) -> "_Times":
        return _Times(0, 0) if self.decided else _times(dict(labels)["alertname"])

    def _restore(self, now: float) -> None:
        for labels, alert in self._active.items():
            rule = self._rule(labels)
            before = self._before.get(labels)
            down_at = self._last
            if before is None or rule.hold < self.grace or now - down_at > TOLERANCE:
                continue
            remaining = rule.hold - (down_at - before)
            if remaining <= 0:
                active_at = before
            elif remaining < self.grace:
                active_at = now + self.grace - rule.hold
            else:
                active_at = before + (now - down_at)
            self._active[labels] = replace(alert, active_at=active_at)
        self._before = {}

    def _sent(self, now: float) -> Iterator[Sent]:
        for labels, alert in self._active.items():
            if alert.fired_at is None:
                continue
            resolved = alert.resolved_at is not None and alert.resolved_at > alert.sent_at
            if resolved or alert.sent_at + RESEND < now:
                self._active[labels] = replace(alert, sent_at=now)
                ends = now + 4 * RESEND if alert.resolved_at is None else alert.resolved_at
                yield Sent(labels, alert.fired_at, ends)


@dataclass(frozen=True)
class _Times:
    hold: float
    keep: float


@cache
def _times(name: str) -> _Times:
    rule = {**rules("alert"), **fleet_rules()}[name]
    return _Times(seconds(rule.get("for", "0s")), seconds(rule.get("keep_firing_for", "0s")))
