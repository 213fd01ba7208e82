"""Judges resources outside bundles."""

from dataclasses import dataclass

from exporter.cluster.model import Instance, Resource
from exporter.judgement.dependencies import HeldBack


@dataclass(frozen=True, slots=True)
class InstanceJudgement:
    """An instance of a resource, and whether it should run."""

    instance: Instance
    held_back: HeldBack | None = None
    has_node: bool = True
    """A node in service may run it, or it still runs on one that is out of service."""
    eligible: frozenset[str] = frozenset()
    """Nodes that may run it if all of them were in service."""

    @property
    def resource(self) -> Resource:
        """The resource."""
        return self.instance.resource

    @property
    def expected(self) -> bool:
        """It should run. Of a clone, which instance should run where is not known: see clones."""
        return (
            self.has_node
            and self.held_back is None
            and not self.resource.disabled
            and not self.resource.orphaned
            and not self.instance.clone
        )

    @property
    def running_well(self) -> bool:
        """It runs and is healthy, on a node that is not lost."""
        nodes = self.resource.nodes
        return (
            self.resource.running
            and self.resource.healthy
            and not (nodes and all(node.lost for node in nodes))
        )

    @property
    def down(self) -> bool:
        """It should run and does not, or not well."""
        return self.expected and not self.running_well
