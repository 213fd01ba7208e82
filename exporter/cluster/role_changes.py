"""Counts role changes across polls."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.cluster.model import SETTLED_ROLES, Role, Snapshot


@dataclass(frozen=True, slots=True)
class Changes:
    """Role changes of the replicas of one bundle."""

    role_changes: int = 0
    promotions: int = 0
    settled: Mapping[str, Role] = field(default_factory=dict)
    """Last settled role by replica index."""


@dataclass(frozen=True, slots=True)
class RoleChanges:
    """Role changes by bundle since the exporter started. Immutable, so a scrape sees one poll."""

    bundles: Mapping[str, Changes] = field(default_factory=dict)

    def of(self, bundle: str) -> Changes:
        """Return the role changes of a bundle; zeros before a trusted view has shown it."""
        return self.bundles.get(bundle, Changes())

    def after(self, snapshot: Snapshot) -> "RoleChanges":
        """Return the counts after a snapshot.

        Only snapshots of trusted views count: a partition without quorum sees everything as
        stopped.
        """
        if not snapshot.authoritative:
            return self
        updated: dict[str, Changes] = {}
        for bundle in snapshot.bundles:
            before = self.of(bundle.id)
            settled: dict[str, Role] = {}
            role_changes, promotions = before.role_changes, before.promotions
            for replica in bundle.replicas:
                was = before.settled.get(replica.index)
                # A transitional role keeps the last settled one.
                now = replica.role if replica.role in SETTLED_ROLES else was
                if now is None:
                    continue
                settled[replica.index] = now
                if was is not None and was is not now:
                    role_changes += 1
                    promotions += now is Role.PROMOTED
            updated[bundle.id] = Changes(role_changes, promotions, settled)
        return self if updated == self.bundles else RoleChanges(updated)
