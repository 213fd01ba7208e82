"""Which nodes may run each resource of an observation, if all of them were in service."""

from exporter.cluster.agents import is_connection, is_fencing_device
from exporter.cluster.configuration import ResourceKind
from exporter.cluster.model import Instance, NodeType
from exporter.cluster.observation import Observation
from exporter.judgement.placement import Placement

_HOSTS_OF_BUNDLES = frozenset({NodeType.MEMBER, NodeType.REMOTE, NodeType.UNKNOWN})
_HOSTS_OF_CONNECTIONS = frozenset({NodeType.MEMBER, NodeType.UNKNOWN})


class Eligible:
    """Answers for bundles, clones and instances of resources."""

    def __init__(self, observation: Observation) -> None:
        """Take nodes and constraints of an observation."""
        self._configuration = observation.configuration_or_empty
        snapshot, locations = observation.snapshot, self._configuration.locations
        permanent = {name for found in locations.node_attributes.values() for name in found}
        self._placement = Placement(
            [node for node in snapshot.nodes if snapshot.hosts(node)],
            locations,
            transient={found.name for found in snapshot.attributes} - permanent,
            aliases=self._configuration.aliases,
        )

    @staticmethod
    def key(observation: Observation) -> object:
        """Return what the answers depend on."""
        snapshot = observation.snapshot
        return (
            observation.configuration,
            [(n.name, n.id, n.type, snapshot.hosts(n)) for n in snapshot.nodes],
            {attribute.name for attribute in snapshot.attributes},
        )

    def for_bundle(self, bundle: str) -> frozenset[str]:
        """Return the nodes for the containers of a bundle: never guest nodes."""
        return self._placement.eligible_nodes(bundle, types=_HOSTS_OF_BUNDLES)

    def for_clone(self, clone: str) -> frozenset[str]:
        """Return the nodes for the instances of a clone."""
        return self._placement.eligible_nodes(clone, inner=self._inside(clone))

    def for_instance(self, instance: Instance) -> frozenset[str]:
        """Return the nodes for a resource outside bundles."""
        if instance.clone:
            return self.for_clone(instance.clone)
        resource = instance.resource
        on_members = is_fencing_device(resource) or is_connection(resource)
        types = _HOSTS_OF_CONNECTIONS if on_members else None
        if instance.group:
            members = self._inside(instance.group) or (resource.id,)
            return self._placement.eligible_nodes(instance.group, members=members, types=types)
        return self._placement.eligible_nodes(resource.id, types=types)

    def _inside(self, resource: str) -> tuple[str, ...]:
        """Return the ids of all resources in a group or clone."""
        found = self._configuration.resources.get(resource)
        if found is None or found.kind is ResourceKind.PRIMITIVE:
            return ()
        return tuple(inner for child in found.children for inner in (child, *self._inside(child)))
