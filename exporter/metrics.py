"""How a metric is declared: once, with its name, help, labels and the function that yields it.

The declarations are the one source of the exposition, of METRICS.md, and of the checks that
dashboards and rules name only what exists.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from exporter.collectors import Collector

Sample = tuple[tuple[str, ...], float]
"""The values of the labels, in their declared order, and the value."""

_NAME = re.compile(r"pacemaker_[a-z0-9]+(_[a-z0-9]+)*")
_LABEL = re.compile(r"[a-z]+(_[a-z]+)*")
_TARGET_LABELS = frozenset({"cluster", "instance", "job"})

Source = TypeVar("Source")
Part = TypeVar("Part")


class Kind(StrEnum):
    """Type of a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Family(Generic[Source]):
    """A metric family, and how to have its samples from what it is a fact about."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    parts: Callable[[Source], Iterable[Any]]
    """What of the source it depends on: as long as a part stays equal, so do its samples."""
    samples: Callable[[Any], Iterable[Sample]]
    """Yields those of one part, and cannot see more."""
    collector: Collector | None = None
    """What it belongs to that can be left out; None is never left out."""

    def __post_init__(self) -> None:
        """Refuse a declaration that Prometheus, or the contract's naming rules, would not take."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name}: not a name that a metric of ours can have")
        if (self.kind is Kind.COUNTER) != self.name.endswith("_total"):
            raise ValueError(f"{self.name}: counters, and nothing else, end with _total")
        for label in self.labels:
            if not _LABEL.fullmatch(label) or label in _TARGET_LABELS:
                raise ValueError(f"{self.name}: {label!r} cannot be a label")
        if re.search(r'[\\"\n]', self.help):
            raise ValueError(f"{self.name}: the help has a character that would need escaping")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{self.name}: a label is declared twice")

    def collect(self, part: object) -> Mapping[tuple[str, ...], float]:
        """Return the values by labels; a wrong number of labels, or a repeated set, is a bug.

        Args:
            part: one of those that `parts` finds. No two of them may have samples in common.

        """
        samples = list(self.samples(part))
        values = dict(samples)
        if not {len(self.labels)}.issuperset(map(len, values)):
            wrong = next(labels for labels in values if len(labels) != len(self.labels))
            raise ValueError(f"{self.name}{wrong}: expected the labels {self.labels}")
        if len(values) < len(samples):
            ((repeated, _),) = Counter(labels for labels, _ in samples).most_common(1)
            raise ValueError(f"{self.name}{repeated}: label set repeated")
        return values


class Declarations(Generic[Source]):
    """The families about one kind of source, in the order of their declaration."""

    def __init__(self) -> None:
        """Start without any."""
        self._families: dict[str, Family[Source]] = {}

    def __iter__(self) -> Iterator[Family[Source]]:
        """Iterate over the families."""
        return iter(self._families.values())

    def about(self, part: Callable[[Source], Part]) -> "About[Source, Part]":
        """Declare families that depend on a part of the source, and on nothing else."""
        return About(self, lambda source: (part(source),))

    def about_each(self, parts: Callable[[Source], Iterable[Part]]) -> "About[Source, Part]":
        """Declare families that have samples of each of several parts, and of nothing else."""
        return About(self, parts)

    def add(self, family: Family[Source]) -> None:
        """Take a family; a name that there is already is a bug."""
        if family.name in self._families:
            raise ValueError(f"{family.name}: declared twice")
        self._families[family.name] = family


@dataclass(frozen=True, slots=True)
class About(Generic[Source, Part]):
    """Declares families about parts of a source; each decorates what yields a part's samples."""

    declarations: Declarations[Source]
    parts: Callable[[Source], Iterable[Part]]

    def gauge(
        self,
        name: str,
        help_text: str,
        labels: tuple[str, ...] = (),
        collector: Collector | None = None,
    ) -> Callable[[Callable[[Part], Iterable[Sample]]], Family[Source]]:
        """Declare a gauge."""
        return self._declare(Kind.GAUGE, name, help_text, labels, collector)

    def counter(
        self, name: str, help_text: str, labels: tuple[str, ...] = ()
    ) -> Callable[[Callable[[Part], Iterable[Sample]]], Family[Source]]:
        """Declare a counter."""
        return self._declare(Kind.COUNTER, name, help_text, labels, None)

    def _declare(
        self,
        kind: Kind,
        name: str,
        help_text: str,
        labels: tuple[str, ...],
        collector: Collector | None,
    ) -> Callable[[Callable[[Part], Iterable[Sample]]], Family[Source]]:
        def declare(samples: Callable[[Part], Iterable[Sample]]) -> Family[Source]:
            family = Family(name, kind, help_text, labels, self.parts, samples, collector)
            self.declarations.add(family)
            return family

        return declare
