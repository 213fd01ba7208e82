"""What is wrong with a cluster, in plain words, and the command that leads on.

Pure functions of the model. A cause is named, and what merely follows from it is not: of a
replica whose host is lost nothing else is known, and where a container is stopped all in it is.
The commands are pcs's: what Pacemaker runs is never touched with podman, docker or systemctl.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from exporter.errors import Outcome
from exporter.model import (
    TRANSITIONAL_ROLES,
    Bundle,
    BundleConfiguration,
    ComponentKind,
    Configuration,
    FencingEvent,
    Instance,
    Node,
    NodeType,
    Replica,
    Resource,
    ResourceHistory,
    Role,
    Snapshot,
)
from exporter.xml import INFINITY

STATUS = "pcs status --full"


_CHANGING = ("set ", "enable ", "manage ", "cleanup ", "unstandby ", "unmaintenance ", "start ")


class Subject(StrEnum):
    """What a problem is of."""

    CLUSTER = "cluster"
    NODE = "node"
    BUNDLE = "bundle"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True)
class Problem:
    """All that is wrong with one thing, and the commands to look further or to mend it."""

    subject: Subject
    name: str
    """Empty for the cluster."""
    texts: tuple[str, ...]
    commands: tuple[str, ...]

    @property
    def title(self) -> str:
        """Say of what it is; a bundle's name says itself that it is one."""
        named = self.subject in {Subject.NODE, Subject.RESOURCE}
        return f"{self.subject} {self.name}" if named else self.name or "cluster"


class Finding(NamedTuple):
    """One thing that is wrong, in words, and the commands that lead on."""

    text: str
    commands: tuple[str, ...] = ()


_FAILED_POLLS = {
    Outcome.NOT_CONNECTED: Finding(
        "Pacemaker is not running on this node", ("pcs status", "pcs cluster start")
    ),
    Outcome.PERMISSION_DENIED: Finding(
        "the exporter's user may not ask the cluster: make it a member of group haclient, and"
        " start the exporter anew",
        ("getent group haclient",),
    ),
    Outcome.TIMEOUT: Finding(
        "crm_mon gave no answer in time: a daemon of Pacemaker hangs, or the machine is overloaded",
        (STATUS,),
    ),
    Outcome.NOT_FOUND: Finding(
        "crm_mon could not be started: look at --crm_mon.path, --command.prefix and the"
        " exporter's log"
    ),
    Outcome.EXIT_STATUS: Finding(
        "crm_mon failed: its message is in the exporter's log",
        ("crm_mon --one-shot --inactive",),
    ),
    Outcome.MALFORMED: Finding(
        "crm_mon printed something else than its XML: the exporter's log says where",
        ("crm_mon --output-as=xml --inactive",),
    ),
    Outcome.INCOMPLETE: Finding(
        "crm_mon ended well but had no status to show: one of Pacemaker's daemons on this node"
        " does not answer, or ACLs keep the exporter's user from reading",
        (STATUS, "pcs acl"),
    ),
    Outcome.TOO_LARGE: Finding("crm_mon printed more than 64 MiB: the exporter reads no further"),
}


def changes_cluster(command: str) -> bool:
    """Whether a command does more than look; it may undo what somebody did on purpose."""
    return any(f" {word}" in f"{command} " for word in _CHANGING)


def failed_poll(outcome: Outcome) -> Finding:
    """Say what it means that a poll ended so, which is not as a success."""
    return _FAILED_POLLS[outcome]


def why_not_ready(replica: Replica) -> tuple[str, ...]:
    """Say why a replica is not ready; empty if and only if it is."""
    return tuple(_why_not_ready(replica))


def bundle_problems(bundle: Bundle, configuration: BundleConfiguration | None) -> tuple[str, ...]:
    """Say what is wrong with a bundle as a whole; None while the CIB has not been read."""
    return tuple(finding.text for finding in _bundle(bundle, configuration))


def node_problems(node: Node) -> tuple[str, ...]:
    """Say what is wrong with a node."""
    return tuple(finding.text for finding in _node(node))


def cluster_problems(snapshot: Snapshot) -> tuple[str, ...]:
    """Say what is wrong with the cluster itself: its quorum, its options."""
    return tuple(finding.text for finding in _cluster(snapshot))


def problems(snapshot: Snapshot, configuration: Configuration | None) -> tuple[Problem, ...]:
    """Say all that is wrong, causes first: the cluster, its nodes, bundles, other resources.

    Guest nodes are told with their replicas.
    """
    return tuple(
        Problem(
            subject,
            name,
            tuple(dict.fromkeys(finding.text for finding in findings)),
            tuple(dict.fromkeys(c for finding in findings for c in finding.commands)),
        )
        for subject, name, findings in _all(snapshot, configuration)
        if findings
    )


def grave(snapshot: Snapshot, configuration: Configuration | None) -> bool:
    """Tell failures from what is on the way, or was done on purpose."""
    limits = configuration.bundles if configuration else {}
    return (
        not snapshot.authoritative
        or any(_grave(bundle, limits.get(bundle.id)) for bundle in snapshot.bundles)
        or any(
            node.unclean or not node.online
            for node in snapshot.nodes
            if node.type is not NodeType.GUEST  # told with their replicas
        )
        or any(
            i.resource.blocked or (i.resource.failed and not i.resource.failure_ignored)
            for i in snapshot.instances
        )
    )


def _grave(bundle: Bundle, limits: BundleConfiguration | None) -> bool:
    if not bundle.enabled:
        return False
    if limits and bundle.in_role(Role.PROMOTED) > limits.promoted_max:
        return True
    if limits and limits.promoted_max and not any(r.promoted_ready for r in bundle.replicas):
        return True
    return any(not r.ready and (r.failed or not r.pending) for r in bundle.replicas)


def told_once(found: Sequence[Problem]) -> Iterator[tuple[Problem, tuple[str, ...]]]:
    """Yield problems, each with those of its commands that none before it has."""
    told: set[str] = set()
    for problem in found:
        yield problem, tuple(command for command in problem.commands if command not in told)
        told.update(problem.commands)


def _all(
    snapshot: Snapshot, configuration: Configuration | None
) -> Iterator[tuple[Subject, str, list[Finding]]]:
    yield Subject.CLUSTER, "", list(_cluster(snapshot))
    for node in snapshot.nodes:
        if node.type is not NodeType.GUEST:
            yield Subject.NODE, node.name, list(_node(node))
    exhausted: dict[str, list[Finding]] = {}
    for entry in snapshot.history:
        owner, _ = snapshot.replicas.of(entry.resource, entry.node)
        exhausted.setdefault(owner or entry.resource, []).extend(_exhausted(entry, owner))
    # In maintenance mode everything is unmanaged: said once, of the cluster.
    told = snapshot.cluster.maintenance_mode is True
    for bundle in snapshot.bundles:
        limits = configuration.bundles.get(bundle.id) if configuration else None
        findings = [*_bundle(bundle, limits, told=told), *_replicas(bundle)]
        yield Subject.BUNDLE, bundle.id, findings + exhausted.pop(bundle.id, [])
    by_id: dict[str, list[Instance]] = {}
    for instance in snapshot.instances:
        by_id.setdefault(instance.resource.id, []).append(instance)
    for name, instances in by_id.items():
        findings = list(_resource(instances, told=told))
        yield Subject.RESOURCE, name, findings + exhausted.pop(name, [])
    for name, findings in exhausted.items():
        yield Subject.RESOURCE, name, findings


def _why_not_ready(replica: Replica) -> Iterator[str]:
    hosts = replica.hosts
    if len(hosts) > 1:
        yield f"runs on {len(hosts)} hosts: {', '.join(host.name for host in hosts)}"
    lost = [host for host in hosts if host.unclean or not host.online]
    for host in lost:
        yield f"host {host.name} is {'unclean' if host.unclean else 'offline'}"
    if lost:
        return
    for kind, resource in replica.components:
        if resource.blocked:
            yield f"{kind} is blocked (a stop failed?)"
        elif resource.failed and not resource.failure_ignored:
            yield f"{kind} has failed"
        if resource.orphaned:
            yield f"{kind} is orphaned (no longer configured)"
    yield from _what_is_down(replica)


def _what_is_down(replica: Replica) -> Iterator[str]:
    """Name the first link of the chain that is down: the rest depends on it."""
    container, connection, guest = replica.container, replica.connection, replica.guest
    if not container.active:
        yield _down(ComponentKind.CONTAINER, container)
        return
    if not replica.hosts:
        yield "runs on no host"
    if replica.ip and not replica.ip.active:
        yield _down(ComponentKind.IP, replica.ip)
    if connection and not connection.active:
        yield _down(ComponentKind.CONNECTION, connection)
    elif connection and guest is None:
        yield f"guest node {connection.id} is not listed"
    elif connection and guest and not guest.online:
        yield f"guest node {guest.name} is offline"
    elif not replica.running:
        # In a bundle without a primitive the container is the service.
        kind = ComponentKind.SERVICE if replica.primitive else ComponentKind.CONTAINER
        yield _down(kind, replica.service)


def _down(kind: ComponentKind, resource: Resource) -> str:
    if resource.role in TRANSITIONAL_ROLES:
        return f"{kind} is {resource.role}"
    if resource.in_transition:
        return f"{kind} is {resource.pending.lower()}"
    if resource.role is Role.STOPPED:
        return f"{kind} is stopped"
    if resource.role is Role.UNKNOWN:
        return f"{kind} is in an unknown role"
    return f"{kind} is not active"


def _cluster(snapshot: Snapshot) -> Iterator[Finding]:
    cluster = snapshot.cluster
    if cluster.dc_elected is False:
        yield Finding("no DC is elected: what is shown is not to be believed yet", (STATUS,))
    if cluster.quorate is False:
        yield Finding(
            "no quorum: this partition does not know what runs elsewhere",
            ("corosync-quorumtool -s",),  # without quorum `pcs quorum status` is but an error
        )
    if cluster.maintenance_mode:
        yield Finding(
            "maintenance mode is on: Pacemaker starts, stops and recovers nothing",
            ("pcs property set maintenance-mode=false",),
        )
    if cluster.stop_all_resources:
        yield Finding("stop-all-resources is set", ("pcs property set stop-all-resources=false",))
    if cluster.fencing_enabled is False:
        yield Finding(
            "fencing is disabled: what a lost node ran cannot be recovered safely",
            ("pcs stonith status", "pcs stonith config"),
        )
    if cluster.mixed_version:
        yield Finding("the nodes run different versions of Pacemaker", (STATUS,))
    if snapshot.fencing is None:
        yield Finding("the fencer gave no history of fencing", ("pcs stonith history",))
    for target in dict.fromkeys(event.target for event in snapshot.fencing or ()):
        yield from _fencing(target, [e for e in snapshot.fencing or () if e.target == target])


def _fencing(target: str, events: Sequence[FencingEvent]) -> Iterator[Finding]:
    """Say what became of the attempts to fence a node: nothing once one of them worked."""
    look = (f"pcs stonith history show {shlex.quote(target)}",)
    if any(event.status == "pending" for event in events):
        yield Finding(f"fencing of {target} is under way", look)
    failed = [event for event in events if event.status == "failed"]
    worked = max((e.completed or 0 for e in events if e.status == "success"), default=-1)
    last = max(failed, key=lambda event: event.completed or 0, default=None)
    if last is not None and (last.completed or 0) > worked:
        reason = f": {last.reason}" if last.reason else ""
        yield Finding(f"fencing of {target} failed{reason}", look)


def _node(node: Node) -> Iterator[Finding]:
    name = shlex.quote(node.name)
    if node.unclean:
        yield Finding(
            "is unclean: what it runs is not known until it is fenced",
            (f"pcs stonith history show {name}", STATUS),
        )
    elif node.pending:
        yield Finding("is joining the cluster")
    elif not node.online:
        member = node.type is not NodeType.REMOTE
        start = f"pcs cluster start {name}" if member else f"pcs resource cleanup {name}"
        yield Finding("is offline", (start,))
    if node.shutdown:
        yield Finding("is shutting down")
    if node.standby_onfail:
        yield Finding("is in standby after a failure", ("pcs resource failcount show", STATUS))
    elif node.standby and not node.pending:  # Pacemaker's own doing while a node joins
        yield Finding("is in standby", (f"pcs node unstandby {name}",))
    if node.maintenance:
        yield Finding("is in maintenance", (f"pcs node unmaintenance {name}",))
    if node.health not in {None, "green"}:
        yield Finding(
            f"has health {node.health}", ("cibadmin --query --xpath //transient_attributes",)
        )


def _bundle(
    bundle: Bundle, limits: BundleConfiguration | None, *, told: bool = False
) -> Iterator[Finding]:
    """Say what is wrong; that nothing is managed only if that is not told of the cluster."""
    name = shlex.quote(bundle.id)
    if not bundle.enabled:
        yield Finding("is disabled (target-role is Stopped)", (f"pcs resource enable {name}",))
    if bundle.maintenance and not told:
        yield Finding("is in maintenance", (f"pcs resource config {name}",))
    if not bundle.managed and not told:
        yield Finding(
            "is unmanaged: Pacemaker starts, stops and recovers none of it",
            (f"pcs resource manage {name}",),
        )
    if bundle.failed:
        yield Finding("is marked failed", (f"pcs resource cleanup {name}",))
    total, ready = len(bundle.replicas), sum(replica.ready for replica in bundle.replicas)
    if ready < total:
        yield Finding(f"{ready} of {total} replicas {_are(ready)} ready")
    if limits:
        yield from _beyond(bundle, limits)


def _beyond(bundle: Bundle, limits: BundleConfiguration) -> Iterator[Finding]:
    """Compare what runs with what the CIB asks for, and allows."""
    promoted = bundle.in_role(Role.PROMOTED)
    sound = sum(replica.promoted_ready for replica in bundle.replicas)
    wanted = min(limits.promoted_max, len(bundle.replicas)) if bundle.enabled else 0
    if wanted and not promoted:
        yield Finding("no replica is promoted", (STATUS,))
    elif sound < wanted:
        yield Finding(f"{sound} of {wanted} replicas {_are(sound)} promoted and ready")
    if promoted > limits.promoted_max:
        yield Finding(
            f"{promoted} replicas {_are(promoted)} promoted, promoted-max is {limits.promoted_max}",
            (STATUS,),
        )
    for host, count in bundle.running_by_host.items():
        if count > limits.replicas_per_host:
            yield Finding(
                f"{count} replicas run on {host}, replicas-per-host is {limits.replicas_per_host}",
                (STATUS,),
            )


def _replicas(bundle: Bundle) -> Iterator[Finding]:
    """Say which replicas are not ready, those for the same reason together."""
    by_reason: dict[tuple[str, ...], list[Replica]] = {}
    for replica in bundle.replicas:
        reasons = why_not_ready(replica)
        if reasons and not _stopped_as_asked(replica):
            by_reason.setdefault(reasons, []).append(replica)
    for reasons, replicas in by_reason.items():
        indices = ", ".join(replica.index for replica in replicas)
        word = "replica" if len(replicas) == 1 else "replicas"
        commands = dict.fromkeys(c for replica in replicas for c in _mend(bundle, replica))
        yield Finding(f"{word} {indices}: {', '.join(reasons)}", tuple(commands))


def _stopped_as_asked(replica: Replica) -> bool:
    return (
        replica.service.disabled
        and not replica.container.active
        and not replica.failed
        and not replica.blocked
    )


def _mend(bundle: Bundle, replica: Replica) -> Iterator[str]:
    """Yield what to do about a replica; nothing where a node is the cause, or time will do."""
    if any(host.unclean or not host.online for host in replica.hosts):
        return
    failed = [r for _, r in replica.components if r.failed or r.blocked]
    for resource in failed:
        configured = bundle.primitive_id if resource is replica.primitive else resource.id
        yield f"pcs resource failcount show {shlex.quote(configured)}"
    if failed and not replica.pending:
        yield f"pcs resource cleanup {shlex.quote(bundle.id)}"
    elif not replica.pending:
        yield STATUS


def _resource(instances: list[Instance], *, told: bool) -> Iterator[Finding]:
    """Say what is wrong with a resource outside bundles."""
    name = shlex.quote(instances[0].resource.id)
    resources = [instance.resource for instance in instances]
    clone = any(instance.clone for instance in instances)
    whole = shlex.quote(instances[0].clone or instances[0].resource.id)
    enable = f"{_pcs(resources[0])} enable {whole}"
    if all(resource.disabled for resource in resources):
        yield Finding("is disabled (target-role is Stopped)", (enable,))
    # Not of each instance: crm_mon lists more stopped members of a clone than there can be.
    elif all(r.role is Role.STOPPED and not r.blocked for r in resources):
        yield Finding("is stopped" if not clone else "is stopped everywhere", (STATUS,))
    for resource in resources:
        yield from _instance(resource, name)
        if not (resource.managed or resource.blocked or told) and not any(
            node.maintenance for node in resource.nodes
        ):
            yield Finding("is unmanaged", (f"pcs resource manage {name}",))
        if len(resource.nodes) > 1:
            where = ", ".join(node.name for node in resource.nodes)
            yield Finding(f"runs on {len(resource.nodes)} nodes: {where}", (STATUS,))


def _instance(resource: Resource, name: str) -> Iterator[Finding]:
    look = f"pcs resource failcount show {name}"
    mend = f"{_pcs(resource)} cleanup {name}"
    lost = [node.name for node in resource.nodes if node.unclean]
    where = _on([node.name for node in resource.nodes])
    if lost:
        yield Finding(f"runs on {', '.join(lost)}, which is unclean")
    elif resource.blocked:
        yield Finding(
            f"is blocked{where} (a stop failed?): make sure that it is stopped before a cleanup",
            (look, mend),
        )
    elif resource.failed and not resource.failure_ignored:
        yield Finding(f"has failed{where}", (look, mend))
    if resource.orphaned:
        yield Finding(f"is orphaned{where} (no longer configured)", (STATUS,))


def _exhausted(entry: ResourceHistory, bundle: str) -> Iterator[Finding]:
    """Say where failures have reached the limit, so that nothing is tried there any more."""
    if not entry.migration_threshold or entry.fail_count < entry.migration_threshold:
        return
    count = "INFINITY" if entry.fail_count >= INFINITY else str(entry.fail_count)
    yield Finding(
        f"{f'{entry.resource} ' if bundle else ''}is kept off {entry.node} until a cleanup:"
        f" fail-count {count}",
        (f"pcs resource cleanup {shlex.quote(bundle or entry.resource)}",),
    )


def _pcs(resource: Resource) -> str:
    """Return what has `enable` and `cleanup`. Other verbs are in `pcs resource` for all."""
    return "pcs stonith" if resource.agent.startswith("stonith:") else "pcs resource"


def _on(names: list[str]) -> str:
    return f" on {', '.join(names)}" if names else ""


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
