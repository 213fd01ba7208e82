"""Selects the parts of a cluster that a reader wants to see: all, a summary, or some by name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from exporter.judgement.bundles import BundleJudgement, BundleState
from exporter.judgement.judge import Judgement
from exporter.judgement.problem import Problem, SubjectType, names_with_problems
from exporter.judgement.resources import InstanceJudgement
from exporter.report.tables import (
    LISTED,
    Table,
    exceptions,
    first_rows,
    rows_about,
    without_many_devices,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Decides what is listed. By default what is not well is, and of the rest a summary."""

    patterns: tuple[str, ...] = ()
    """Shell patterns of names; none for all."""
    everything: bool = False
    """List what is well, too, however much there is."""
    problems_only: bool = False

    @property
    def in_full(self) -> bool:
        """Whether what is listed is not summed up."""
        return self.everything or bool(self.patterns)

    def unknown(self, judgement: Judgement) -> list[str]:
        """Return the patterns that match no node, bundle or resource."""
        names = set(_names(judgement))
        return [
            pattern
            for pattern in self.patterns
            if not any(fnmatchcase(name, pattern) for name in names)
        ]

    def problems(self, judgement: Judgement) -> tuple[Problem, ...]:
        """Return the problems of what is wanted, and of the cluster itself."""
        if not self.patterns:
            return judgement.problems
        bundles = {judged.id for judged in self.bundles(judgement)[0]}
        return tuple(
            problem
            for problem in judgement.problems
            if any(
                s.type is SubjectType.CLUSTER or s.name in bundles or self._by_name(s.name)
                for s in problem.subjects
            )
        )

    def rows(self, table: Table | None) -> Table | None:
        """Return the wanted rows of a table of things that may be well."""
        if table is None or self.everything:
            return table
        return rows_about(table, self._by_name) if self.patterns else exceptions(table)

    def history(self, table: Table) -> Table | None:
        """Return the wanted rows of a table of events or left-overs."""
        if self.everything:
            return table
        return rows_about(table, self._by_name) if self.patterns else first_rows(table)

    def instances(
        self, judgement: Judgement
    ) -> tuple[Sequence[InstanceJudgement], Sequence[InstanceJudgement]]:
        """Return the resources outside bundles to list, and the fencing devices to sum up.

        A summary lists remote nodes, not connections.
        """
        if self.in_full:
            return judgement.instances, ()
        nodes = {judged.node.name for judged in judgement.nodes}
        found = [j for j in judgement.instances if j.resource.id not in nodes]
        return without_many_devices(found)

    def bundles(
        self, judgement: Judgement
    ) -> tuple[Sequence[BundleJudgement], Sequence[BundleJudgement]]:
        """Return the bundles to show in full, and those to show in short."""
        if self.everything:
            return judgement.bundles, ()
        if self.patterns:
            return [j for j in judgement.bundles if any(map(self._by_name, _parts(j)))], ()
        told = names_with_problems(judgement.problems, {SubjectType.BUNDLE})
        in_full = [j for j in judgement.bundles if j.state is not BundleState.OK or j.id in told]
        in_full = in_full[:LISTED]
        shown = {judged.id for judged in in_full}
        return in_full, [j for j in judgement.bundles if j.id not in shown]

    def _by_name(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


def _names(judgement: Judgement) -> Iterator[str]:
    """Yield the names of nodes, bundles and their parts, resources, groups and clones."""
    for node in judgement.nodes:
        yield node.node.name
    for bundle in judgement.bundles:
        yield from _parts(bundle)
    for judged in judgement.instances:
        yield from (judged.resource.id, judged.instance.group, judged.instance.clone)


def _parts(judged: BundleJudgement) -> Iterator[str]:
    """Yield the names of a bundle and of what it is made of."""
    yield judged.id
    for replica in judged.bundle.replicas:
        for _, resource in replica.components:
            yield resource.id
