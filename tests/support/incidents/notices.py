"""The notifications to a person on call, in words, compared with those that a timeline expects."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.support.incidents.alertmanager import Notification
from tests.support.incidents.prometheus import Labels

MINUTE = 60
MANY = 8
SUBJECT = (
    "bundle",
    "bundle_replica",
    "replica",
    "clone",
    "group",
    "resource",
    "constraint",
    "node",
    "target",
    "ticket",
    "instance",
)
"""Labels that say what an alert is about, in this order."""
WORDS = {"pager": "page", "tickets": "ticket"}


def name(labels: Labels) -> str:
    return dict(labels)["alertname"]


def subject(labels: Labels) -> str:
    """What it is about: ``galera-bundle``, ``controller-1``."""
    of = dict(labels)
    found = [of[label].removesuffix(":19664") for label in SUBJECT if of.get(label)]
    return "/".join(dict.fromkeys(found))


def text(labels: Labels) -> str:
    return f"{name(labels)} {subject(labels)}".strip()


def counted(alerts: Iterable[Labels]) -> Iterator[str]:
    """The alerts in words; of many with one name, the first."""
    by_name: dict[str, list[str]] = {}
    for labels in alerts:
        by_name.setdefault(name(labels), []).append(subject(labels))
    for alert, subjects in sorted(by_name.items()):
        if len(subjects) > MANY:
            yield f"{len(subjects)} {alert} ({min(subjects)} ...)"
        else:
            yield from (f"{alert} {subject}".strip() for subject in sorted(subjects))


def moment(seconds: float) -> str:
    """``1h05m``, ``6m``, ``6m15s``."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return (
        (f"{hours}h" if hours else "")
        + (f"{minutes:02}m" if hours else f"{minutes}m")
        + (f"{rest:02}s" if rest else "")
    )


def time(text: str) -> float:
    """Seconds of ``1h05m`` and the like."""
    found = re.findall(r"(\d+)([hms])", text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise ValueError(f"no time: {text!r}")
    return float(sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in found))


# ---- What was told ----


@dataclass(frozen=True)
class Notice:
    """A message as a person understands it: after those before."""

    at: float
    to: str
    """page or ticket."""
    what: str
    """Empty for the first; adds, drops, repeats or resolved; `left open` at the end."""
    cluster: str
    alerts: tuple[Labels, ...]

    def words(self, prefix: str = "") -> str:
        about = ", ".join(counted(self.alerts))
        return " ".join(
            word for word in (prefix + self.to, self.what, moment(self.at), about) if word
        )


def notices(told: Iterable[Notification], until: float) -> Iterator[Notice]:
    """Each message, and what is left open although nothing fires any more."""
    opened: dict[tuple[str, Labels, tuple[int, ...]], frozenset[Labels]] = {}
    for notification in told:
        to = WORDS.get(notification.receiver)
        if to is None:
            continue
        key = (to, notification.group, notification.route)
        before = opened.get(key, frozenset())
        cluster = dict(notification.group).get("cluster", "")
        new = notification.firing - before
        gone = notification.resolved
        opened[key] = notification.firing
        if not notification.firing:
            what, about = "resolved", before
        elif not before:
            what, about = "", notification.firing
        elif new:
            what, about = "adds", new
        elif gone:
            what, about = "drops", gone
        else:
            what, about = "repeats", notification.firing
        yield Notice(notification.at, to, what, cluster, tuple(sorted(about)))


# ---- What is expected ----


@dataclass(frozen=True)
class About:
    """One or several alerts of a notice: ``PacemakerBundleDown galera-*``."""

    names: str
    subjects: tuple[str, ...]
    count: int | None
    """None: any number, at least one."""
    optional: bool

    @classmethod
    def read(cls, words: str) -> "About":
        optional = words.startswith("(") and words.endswith(")")
        parts = words.strip("()").split() if optional else words.split()
        count: int | None = None
        if parts[0].isdigit():
            count = int(parts.pop(0))
        elif not any("*" in part for part in parts[1:]):
            count = 1
        names = parts[0] if parts else "*"
        return cls(names, tuple(parts[1:]), count, optional)

    def matches(self, labels: Labels) -> bool:
        if self.names != "*" and not re.fullmatch(self.names, name(labels)):
            return False
        values = [value.removesuffix(":19664") for _, value in labels]
        values += [f"{dict(labels).get('bundle', '')}-{dict(labels).get(label, '')}"
                   for label in ("replica", "bundle_replica")]  # fmt: skip
        return all(
            any(fnmatchcase(value, subject) for value in values) for subject in self.subjects
        )


@dataclass(frozen=True)
class Expected:
    """A notice that should come, and when."""

    words: str
    cluster: str
    to: str
    what: str
    first: float
    last: float
    alerts: tuple[About, ...]
    optional: bool
    several: bool
    """It stands for any number of notices, all about these alerts."""

    @classmethod
    def read(cls, words: str) -> "Expected":
        """Read ``[perhaps] [east:] page [adds] 6m[..9m] ALERT SUBJECT, ALERT SUBJECT``."""
        found = re.fullmatch(
            r"(?P<perhaps>perhaps )?(?:(?P<cluster>[\w-]+): )?(?P<to>page|ticket)(?P<several>s?)"
            r"(?: (?P<what>adds|drops|repeats|resolved))?"
            r" (?P<first>[\dhms]+)(?:\.\.(?P<last>[\dhms]+))?(?: (?P<about>.+))?",
            words,
        )
        if not found:
            raise ValueError(f"no notice: {words!r}")
        first = time(found["first"])
        last = time(found["last"]) if found["last"] else first + MINUTE
        if not found["last"]:
            first -= MINUTE
        about = found["about"] or ""
        return cls(
            words,
            found["cluster"] or "",
            found["to"],
            found["what"] or "",
            first,
            last,
            tuple(About.read(part.strip()) for part in about.split(",") if part.strip()),
            bool(found["perhaps"]),
            bool(found["several"]),
        )

    def matches(self, notice: Notice) -> bool:
        if self.to != notice.to or not self.first <= notice.at <= self.last:
            return False
        if self.cluster and self.cluster != notice.cluster:
            return False
        if self.several:
            return all(any(about.matches(a) for about in self.alerts) for a in notice.alerts)
        return self.what == notice.what and self._are_about(notice.alerts)

    def _are_about(self, alerts: Sequence[Labels]) -> bool:
        if not self.alerts:
            return self.what != ""
        left = list(alerts)
        for about in sorted(self.alerts, key=lambda about: about.count is None):
            mine = [labels for labels in left if about.matches(labels)]
            if about.count is not None:
                mine = mine[: about.count]
            if len(mine) < (about.count or 1) and not about.optional:
                return False
            left = [labels for labels in left if labels not in mine]
        return not left


def compare(expected: Sequence[Expected], told: Sequence[Notice]) -> list[str]:
    """Differences; nothing if all is as it should be."""
    left = list(told)
    found = []
    for one in sorted(expected, key=lambda one: one.several):
        matching = [notice for notice in left if one.matches(notice)]
        if not one.several:
            matching = matching[:1]
        left = [notice for notice in left if notice not in matching]
        if not matching and not one.optional:
            found.append(f"missing: {one.words}")
    found += [f"not expected: {notice.words()}" for notice in left]
    return found


def firing(times: Mapping[Labels, Sequence[float]], every: float) -> Iterator[str]:
    """Which alerts fired when, in lines."""
    together: dict[tuple[str, str], list[Labels]] = {}
    for labels, when in sorted(times.items(), key=lambda item: (item[1][0], item[0])):
        spans, begins, last = [], when[0], when[0]
        for time in [*when[1:], float("inf")]:
            if time > last + 1.5 * every:
                spans.append(f"{moment(begins)}..{moment(last)}")
                begins = time
            last = time
        together.setdefault((dict(labels)["severity"], ", ".join(spans)), []).append(labels)
    for (severity, spent), alerts in together.items():
        yield from (f"{alert} ({severity}): {spent}" for alert in counted(alerts))
