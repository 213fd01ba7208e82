"""What is shown of polls before the last: how often replicas changed their role."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.model import SETTLED_ROLES, Role, Snapshot


@dataclass(frozen=True, slots=True)
class Changes:
    """What was seen to happen to the replicas of one bundle."""

    role_changes: int = 0
    promotions: int = 0
    settled: Mapping[str, Role] = field(default_factory=dict)
    """By replica, the last settled role that it was seen in."""


@dataclass(frozen=True, slots=True)
class History:
    """Counts since the exporter started, by bundle; immutable, so that a scrape sees one poll."""

    bundles: Mapping[str, Changes] = field(default_factory=dict)

    def of(self, bundle: str) -> Changes:
        """Return the counts of a bundle: zeros before a trusted view has shown it."""
        return self.bundles.get(bundle, Changes())

    def after(self, snapshot: Snapshot) -> "History":
        """Return the history that includes a snapshot.

        Only what this node may be trusted to know is compared: a partition without quorum sees
        everything stopped, and nothing of that happened.
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
                # A role on the way keeps the one before.
                now = replica.role if replica.role in SETTLED_ROLES else was
                if now is None:
                    continue
                settled[replica.index] = now
                if was is not None and was is not now:
                    role_changes += 1
                    promotions += now is Role.PROMOTED
            updated[bundle.id] = Changes(role_changes, promotions, settled)
        return self if updated == self.bundles else History(updated)
