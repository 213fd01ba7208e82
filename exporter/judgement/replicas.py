"""Explains why a replica is not ready.

It names a cause but not its consequences: if a host is lost, nothing else is said of its replicas;
if a container is stopped, nothing is said of what is inside.
"""

from collections.abc import Iterable, Iterator

from exporter.cluster.model import (
    TRANSITIONAL_ROLES,
    ComponentKind,
    FailedAction,
    Replica,
    Resource,
    Role,
    without_number,
)
from exporter.cluster.text import shortened

_REASON_LIMIT = 200


class LastFailures:
    """Finds the last failed action of a resource."""

    def __init__(self, actions: Iterable[FailedAction]) -> None:
        """Args: the failed actions that crm_mon lists."""
        self._by_resource: dict[str, list[FailedAction]] = {}
        for action in actions:
            self._by_resource.setdefault(action.resource, []).append(action)

    def reason(self, resource: str, nodes: Iterable[str] = ()) -> str:
        """Return why a resource failed: the agent's reason, else how the action ended.

        Args:
            resource: id of the resource.
            nodes: the nodes that count; all if none is given.

        Returns:
            The reason; empty if crm_mon lists no failed action.

        """
        configured = without_number(resource)
        found = self._by_resource.get(resource) or self._by_resource.get(configured, [])
        names = set(nodes)
        there = [action for action in found if not names or action.node in names]
        if not there:
            return ""
        last = max(there, key=lambda action: action.last_change or 0.0)
        return shortened(last.reason, _REASON_LIMIT) or _ending(last)


def _ending(action: FailedAction) -> str:
    what = action.operation or "an action"
    if action.status in {"complete", ""}:
        return f"{what} returned {action.rc}" if action.rc else ""
    return f"{what} ended with {action.status!r}"


def why_not_ready(replica: Replica, failures: LastFailures | None = None) -> tuple[str, ...]:
    """Return why a replica is not ready; empty if and only if it is ready.

    Args:
        replica: the replica.
        failures: adds the reasons of failures.

    """
    return tuple(_why_not_ready(replica, failures or LastFailures(())))


def _why_not_ready(replica: Replica, failures: LastFailures) -> Iterator[str]:
    hosts = replica.hosts
    if len(hosts) > 1:
        yield f"runs on {len(hosts)} hosts: {', '.join(host.name for host in hosts)}"
    lost = [host for host in hosts if host.lost]
    for host in lost:
        yield f"host {host.name} is {'unclean' if host.unclean else 'offline'}"
    if lost:
        return
    for kind, resource in replica.components:
        if resource.blocked:
            yield f"{kind} is blocked (a stop failed?){_because(replica, kind, failures)}"
        elif resource.failing:
            yield f"{kind} has failed{_because(replica, kind, failures)}"
        if resource.orphaned:
            yield f"{kind} is orphaned (no longer configured)"
    yield from _first_component_down(replica)


def _because(replica: Replica, kind: ComponentKind, failures: LastFailures) -> str:
    """Return the reason of the failure of a component, as the end of a sentence."""
    resource = dict(replica.components)[kind]
    # The other components have ids of their own; the service has its node: the guest.
    inside = kind is ComponentKind.SERVICE and replica.connection is not None
    nodes = [replica.connection.id] if inside and replica.connection else ()
    reason = failures.reason(resource.id, nodes)
    return f": {reason}" if reason else ""


def _first_component_down(replica: Replica) -> Iterator[str]:
    """Name the first component that is down: the others depend on it."""
    container, connection, guest = replica.container, replica.connection, replica.guest
    if not container.active:
        yield how_down(ComponentKind.CONTAINER, container)
        return
    if not replica.hosts:
        yield "runs on no host"
    if replica.ip and not replica.ip.active:
        yield how_down(ComponentKind.IP, replica.ip)
    if connection and not connection.active:
        yield how_down(ComponentKind.CONNECTION, connection)
    elif connection and guest is None:
        yield f"guest node {connection.id} is not listed"
    elif connection and guest and not guest.online:
        yield f"guest node {guest.name} is offline"
    elif not replica.running:
        # In a bundle without a primitive the container is the service.
        kind = ComponentKind.SERVICE if replica.primitive else ComponentKind.CONTAINER
        yield how_down(kind, replica.service)


def how_down(name: str, resource: Resource) -> str:
    """Return in which way a resource that is not active is down."""
    if resource.role in TRANSITIONAL_ROLES:
        return f"{name} is {resource.role}"
    if resource.in_transition:
        return f"{name} is {resource.pending.lower()}"
    if resource.role is Role.STOPPED:
        node = resource.locked_to
        locked = f" and waits for {node}, which was shut down (shutdown-lock)" if node else ""
        return f"{name} is stopped{locked}"
    if resource.role is Role.UNKNOWN:
        return f"{name} is in an unknown role"
    return f"{name} is not active"
