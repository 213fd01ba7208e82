"""Judges bundles: how many replicas should be ready and promoted, and whether they are."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from exporter.cluster.configuration import BundleConfiguration
from exporter.cluster.model import Bundle
from exporter.judgement.dependencies import HeldBack


class BundleState(StrEnum):
    """How a bundle is, compared with what is expected of it."""

    OK = "ok"
    REDUCED = "reduced"
    """As expected, but fewer replicas are ready or promoted than configured."""
    DEGRADED = "degraded"
    """Fewer replicas are ready or promoted than expected."""
    DOWN = "down"
    """No replica is ready, or none is promoted, although some should be."""


@dataclass(frozen=True)
class BundleJudgement:
    """What is expected of a bundle, beside what crm_mon shows of it."""

    bundle: Bundle
    eligible: frozenset[str]
    """Nodes that may host its replicas if all of them were in service."""
    out_of_service: frozenset[str]
    """Those of them that are out of service on request."""
    configuration: BundleConfiguration | None = None
    """Its settings in the CIB; None while the CIB could not be read."""
    held_back: HeldBack | None = None
    promotion_held_back: HeldBack | None = None
    in_maintenance: bool = False
    """The bundle or the whole cluster is in maintenance."""

    @property
    def id(self) -> str:
        """Id of the bundle."""
        return self.bundle.id

    @property
    def replicas(self) -> int:
        """Replicas configured."""
        return len(self.bundle.replicas)

    @cached_property
    def ready(self) -> int:
        """Replicas that are ready."""
        return sum(replica.ready for replica in self.bundle.replicas)

    @cached_property
    def promoted_ready(self) -> int:
        """Replicas that are promoted and ready."""
        return sum(replica.promoted_ready for replica in self.bundle.replicas)

    @property
    def replicas_per_host(self) -> int:
        """Replicas that one node may host; the default while the CIB could not be read."""
        return self.configuration.replicas_per_host if self.configuration else 1

    @property
    def possible(self) -> int:
        """Replicas that could run if every eligible node were in service."""
        return min(self.replicas, self.replicas_per_host * len(self.eligible))

    @cached_property
    def _possible_now(self) -> int:
        """Replicas that the nodes in service can host, and those still ready on the others."""
        in_service = len(self.eligible - self.out_of_service)
        staying = sum(
            replica.ready and replica.hosts[0].name in self.out_of_service
            for replica in self.bundle.replicas
        )
        return min(self.replicas, self.replicas_per_host * in_service + staying)

    @property
    def expected(self) -> int:
        """Replicas that should be ready."""
        return 0 if self.disabled or self.held_back else self._possible_now

    @property
    def promoted_expected(self) -> int | None:
        """Replicas that should be promoted; None while the CIB could not be read."""
        if self.configuration is None:
            return None
        if self.demoted:
            return 0
        return min(self.configuration.promoted_max, self.expected)

    @cached_property
    def state(self) -> BundleState:
        """Compare what is ready and promoted with what is expected."""
        ready, promoted = self.ready, self.promoted_ready
        promoted_expected = self.promoted_expected or 0
        if (self.expected and not ready) or (promoted_expected and not promoted):
            return BundleState.DOWN
        if ready < self.expected or promoted < promoted_expected:
            return BundleState.DEGRADED
        promoted_max = self.configuration.promoted_max if self.configuration else 0
        if ready < self.replicas or promoted < min(promoted_max, self.replicas):
            return BundleState.REDUCED
        return BundleState.OK

    @property
    def disabled(self) -> bool:
        """The bundle or its primitive has the target-role Stopped."""
        return not self.bundle.enabled

    @property
    def demoted(self) -> bool:
        """It could be promoted, and its target-role is Unpromoted or its promotion is held back."""
        promotable = self.configuration is None or self.configuration.promoted_max > 0
        return (
            promotable
            and self.held_back is None
            and (self.promotion_held_back is not None or self.bundle.demoted)
        )

    @property
    def unmanaged(self) -> bool:
        """Pacemaker does not manage the bundle or its primitive."""
        return not self.bundle.managed or self.bundle.primitive_unmanaged

    @property
    def short_of_nodes_in_service(self) -> bool:
        """Nodes that are out of service keep replicas from running."""
        return self._possible_now < self.possible

    @property
    def short_of_nodes(self) -> bool:
        """More replicas are configured than all eligible nodes can host."""
        return self.possible < self.replicas

    @property
    def pending(self) -> bool:
        """An operation other than a monitor is in progress."""
        return any(replica.pending for replica in self.bundle.replicas)
