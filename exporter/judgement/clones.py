"""Judges clones: how many instances there should be, and how many run."""

from dataclasses import dataclass

from exporter.cluster.model import Node, Role
from exporter.judgement.dependencies import HeldBack


@dataclass(frozen=True, slots=True)
class CloneLimits:
    """How many instances a clone may have."""

    instances: int | None = None
    """clone-max; None for its default, one for each node."""
    per_node: int = 1
    """clone-node-max."""

    def possible(self, on_nodes: int, staying: int = 0) -> int:
        """Return how many instances so many nodes can run, beside some that stay elsewhere."""
        most = self.per_node * on_nodes + staying
        return most if self.instances is None else min(self.instances, most)


@dataclass(frozen=True, slots=True)
class CloneJudgement:
    """A clone and one resource of it: its primitive, or a member of its group."""

    clone: str
    resource: str
    eligible: tuple[Node, ...]
    """Nodes that may run an instance if all of them were in service."""
    out_of_service: frozenset[str]
    """Nodes that are out of service on request."""
    placed: tuple[tuple[Node, Role], ...]
    """Node and role of each instance that runs well."""
    limits: CloneLimits = CloneLimits()
    held_back: HeldBack | None = None
    disabled: bool = False

    @property
    def instances(self) -> int:
        """Instances that there could be if every eligible node were in service."""
        return self.limits.possible(len(self.eligible))

    @property
    def expected(self) -> int:
        """Instances that should run."""
        if self.disabled or self.held_back:
            return 0
        in_service = sum(node.name not in self.out_of_service for node in self.eligible)
        staying = sum(node.name in self.out_of_service for node, _ in self.placed)
        return self.limits.possible(in_service, staying)

    @property
    def running(self) -> int:
        """Instances that run well."""
        return len(self.placed)

    @property
    def promoted(self) -> int:
        """Instances that are promoted."""
        return sum(role is Role.PROMOTED for _, role in self.placed)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Nodes in service, online and clean, without an instance, while instances are missing."""
        if self.running >= self.expected:
            return ()
        used = {node.name for node, _ in self.placed}
        return tuple(
            node.name
            for node in self.eligible
            if node.name not in used | self.out_of_service and not node.lost and not node.pending
        )

    @property
    def missing(self) -> int:
        """Instances that a node in service could run and does not."""
        return min(len(self.lacking), max(self.expected - self.running, 0))
