"""Declares metrics: name, help, labels, and the function that yields the samples.

The metrics page, METRICS.md, and the checks of names in dashboards and rules all use these
declarations.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any, Generic, TypeVar

from exporter.cluster.selection import Collector

Sample = tuple[tuple[str, ...], float]
"""Label values in declared order, and the value of the sample."""

_NAME = re.compile(r"(pacemaker|corosync|sbd)_[a-z0-9]+(_[a-z0-9]+)*")
"""The prefix is the daemon that a metric is about."""
_LABEL = re.compile(r"[a-z]+(_[a-z]+)*")
_TARGET_LABELS = frozenset({"cluster", "instance", "job"})

Source = TypeVar("Source")
Part = TypeVar("Part")


class Kind(StrEnum):
    """Type of a metric family."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Family(Generic[Source]):
    """A metric family and the function that yields its samples."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    parts: Callable[[Source], Iterable[Any]]
    """Returns the parts of the source that it depends on. Equal parts have equal samples."""
    samples: Callable[[Any], Iterable[Sample]]
    """Yields the samples of one part."""
    collector: Collector | None = None
    """The optional part that it belongs to; None for a family that is always exported."""

    def __post_init__(self) -> None:
        """Raise ValueError if Prometheus or our naming rules forbid the declaration."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name}: not a valid name for one of our metrics")
        if (self.kind is Kind.COUNTER) != self.name.endswith("_total"):
            raise ValueError(
                f"{self.name}: a name must end with _total if and only if it is a counter"
            )
        for label in self.labels:
            if not _LABEL.fullmatch(label) or label in _TARGET_LABELS:
                raise ValueError(f"{self.name}: {label!r} cannot be a label")
        if re.search(r'[\\"\n]', self.help):
            raise ValueError(
                f"{self.name}: the help must not contain characters that need escaping"
            )
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{self.name}: a label is declared twice")

    def collect(self, part: object) -> Mapping[tuple[str, ...], float]:
        """Return the sample values by label values.

        Args:
            part: one of the parts that `parts` returns. Two parts must not share a label set.

        Raises:
            ValueError: a sample has a wrong number of labels, or a label set repeats.

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
    """The families about one kind of source, in order of declaration."""

    def __init__(self) -> None:
        """Start empty."""
        self._families: dict[str, Family[Source]] = {}

    def __iter__(self) -> Iterator[Family[Source]]:
        """Iterate over the families."""
        return iter(self._families.values())

    def for_part(self, part: Callable[[Source], Part]) -> "Scope[Source, Part]":
        """Declare families that depend on one part of the source."""
        return Scope(self, lambda source: (part(source),))

    def for_each(self, parts: Callable[[Source], Iterable[Part]]) -> "Scope[Source, Part]":
        """Declare families that yield samples for each of several parts."""
        return Scope(self, parts)

    def add(self, family: Family[Source]) -> None:
        """Add a family; raise ValueError if the name is taken."""
        if family.name in self._families:
            raise ValueError(f"{family.name}: declared twice")
        self._families[family.name] = family


def combine(*declarations: Iterable[Family[Source]]) -> tuple[Family[Source], ...]:
    """Join declarations; raise ValueError if two have a family of the same name."""
    families = tuple(chain.from_iterable(declarations))
    counts = Counter(family.name for family in families)
    for name, count in counts.items():
        if count > 1:
            raise ValueError(f"{name}: declared twice")
    return families


@dataclass(frozen=True, slots=True)
class Scope(Generic[Source, Part]):
    """Declares families about parts of a source, by decorating functions that yield samples."""

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

    def value(
        self, name: str, help_text: str, value: Callable[[Part], float | None]
    ) -> Family[Source]:
        """Declare a gauge without labels; it has no sample while the value is None."""
        return self.gauge(name, help_text)(_single(value))

    def total(
        self, name: str, help_text: str, value: Callable[[Part], float | None]
    ) -> Family[Source]:
        """Declare a counter without labels; it has no sample while the value is None."""
        return self.counter(name, help_text)(_single(value))

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


def _single(value: Callable[[Part], float | None]) -> Callable[[Part], Iterator[Sample]]:
    def samples(part: Part) -> Iterator[Sample]:
        present = value(part)
        if present is not None:
            yield (), present

    return samples
