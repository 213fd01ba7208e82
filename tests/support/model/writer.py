"""Writes a snapshot as crm_mon prints it: the way back from the model to XML."""

import html
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from typing import Any, TypeVar

from lxml import etree

from exporter.cluster.model import (
    Ban,
    Bundle,
    Cluster,
    FailedAction,
    FencingEvent,
    Instance,
    Node,
    NodeType,
    Replica,
    Resource,
    ResourceHistory,
    Role,
    Snapshot,
    Ticket,
)

T = TypeVar("T")


class Flavour(StrEnum):
    """The version of crm_mon that is imitated."""

    LEGACY = "1.1.18"
    """--as-xml. Values are escaped; 1.1 does not escape them, so that some answers are not XML. The
    fencing history is that of 1.1.19."""
    MODERN = "2.1.9"
    LATEST = "3.0.2"


_LEGACY_ROLES = {Role.PROMOTED: "Master", Role.UNPROMOTED: "Slave"}


def spoken(snapshot: Snapshot, flavour: Flavour) -> Snapshot:
    """What is left of a snapshot in a flavour's words: everything but in the oldest."""
    if flavour is not Flavour.LEGACY:
        return snapshot
    cluster = replace(
        snapshot.cluster,
        # Without the DC's, the root has that of crm_mon itself.
        pacemaker_version=snapshot.cluster.pacemaker_version or flavour.value,
        api_version="",
        mixed_version=None,
        stop_all_resources=None,
    )
    # No attribute says that the history could not be had.
    fencing = _each(snapshot.fencing or (), _in_legacy_words)
    return replace(_each(snapshot, _in_legacy_words), cluster=cluster, fencing=fencing)


def _in_legacy_words(value: object) -> object:
    match value:
        case Node():
            return replace(value, health=None, feature_set="")
        case Resource():
            return replace(value, maintenance=False, locked_to="")
        case Bundle():
            return replace(value, maintenance=False)
        case FailedAction():
            # Escaped once there, and the reader expects twice.
            return replace(value, reason=html.unescape(value.reason))
        case FencingEvent():
            whole = None if value.completed is None else float(int(value.completed))
            return replace(value, completed=whole, reason="")
        case _:
            return value


def _each(value: T, change: Callable[[object], object]) -> T:
    """Change every object of a model, from the inside out."""
    result: Any = value
    if isinstance(value, tuple):
        result = tuple(_each(item, change) for item in value)
    elif is_dataclass(value) and not isinstance(value, type):
        changes = {f.name: _each(getattr(value, f.name), change) for f in fields(value)}
        result = change(replace(value, **changes))
    return result  # type: ignore[no-any-return] # what `change` makes of a T is a T


def write(snapshot: Snapshot, flavour: Flavour) -> bytes:
    """Write the output of crm_mon that shows this cluster."""
    return _Writer(flavour).document(snapshot)


class _Writer:
    def __init__(self, flavour: Flavour) -> None:
        self._flavour = flavour
        self._legacy = flavour is Flavour.LEGACY

    def document(self, snapshot: Snapshot) -> bytes:
        if self._legacy:
            root = etree.Element("crm_mon", version=self._flavour.value)
        else:
            root = etree.Element("pacemaker-result")
            if snapshot.cluster.api_version:
                root.set("api-version", snapshot.cluster.api_version)
            root.set("request", "crm_mon --output-as=xml --inactive")
        self._summary(root, snapshot.cluster)
        nodes = self._section(root, "nodes", snapshot.nodes)
        for node in snapshot.nodes:
            self._node(nodes, node, snapshot.resources_running.get(node.name))
        resources = self._section(root, "resources", (*snapshot.bundles, *snapshot.instances))
        for bundle in snapshot.bundles:
            self._bundle(resources, bundle)
        self._instances(resources, snapshot.instances)
        self._attributes(root, snapshot)
        self._history(root, snapshot.history)
        failures = self._section(root, "failures", snapshot.failed_actions)
        for action in snapshot.failed_actions:
            self._failed_action(failures, action)
        self._fencing(root, snapshot.fencing)
        tickets = self._section(root, "tickets", snapshot.tickets)
        for ticket in snapshot.tickets:
            self._ticket(tickets, ticket)
        bans = self._section(root, "bans", snapshot.bans)
        for ban in snapshot.bans:
            self._ban(bans, ban)
        if not self._legacy:
            _add(root, "status", code=0, message="OK")
        return etree.tostring(
            root,
            pretty_print=True,
            xml_declaration=self._legacy,
            encoding="UTF-8" if self._legacy else "ASCII",  # the others have &#xFC; and the like
        )

    def _section(self, root: etree._Element, tag: str, content: object) -> etree._Element:
        """Open a section; the modern ones leave out what is empty."""
        parent = root if content or self._legacy else etree.Element("dropped")
        return etree.SubElement(parent, tag)

    def _summary(self, root: etree._Element, cluster: Cluster) -> None:
        summary = _add(root, "summary")
        if cluster.stack:
            _add(summary, "stack", type=cluster.stack)
        if cluster.dc_elected is not None:
            _add(
                summary,
                "current_dc",
                present=cluster.dc_elected,
                version=cluster.pacemaker_version or None,
                name=cluster.dc_name or None,
                with_quorum=cluster.quorate,
                mixed_version=None if self._legacy else cluster.mixed_version,
            )
        _add(summary, "last_update", time="Sun Nov 22 17:28:21 2026")
        _add(
            summary,
            "last_change",
            time=cluster.last_change,
            user=cluster.last_change_user,
            client=cluster.last_change_client,
            origin=cluster.last_change_origin,
        )
        if cluster.nodes_configured is not None:
            _add(summary, "nodes_configured", number=cluster.nodes_configured)
        _add(
            summary,
            "resources_configured",
            number=cluster.resources_configured,
            disabled=cluster.resources_disabled,
            blocked=cluster.resources_blocked,
        )
        latest = self._flavour is Flavour.LATEST
        options = {
            "fencing-enabled": cluster.fencing_enabled if latest else None,
            "symmetric-cluster": cluster.symmetric,
            "no-quorum-policy": "stop",
            "maintenance-mode": cluster.maintenance_mode,
            "stop-all-resources": None if self._legacy else cluster.stop_all_resources,
            "stonith-enabled": cluster.fencing_enabled,
        }
        _add(summary, "cluster_options", **options)

    def _node(self, parent: etree._Element, node: Node, running: int | None) -> None:
        guest = node.type is NodeType.GUEST
        modern = not self._legacy
        _add(
            parent,
            "node",
            name=node.name,
            id=node.id,
            online=node.online,
            standby=node.standby,
            standby_onfail=node.standby_onfail,
            maintenance=node.maintenance,
            pending=node.pending,
            unclean=node.unclean,
            health=node.health if modern else None,
            feature_set=node.feature_set or None if modern else None,
            shutdown=node.shutdown,
            expected_up=node.expected_up,
            is_dc=node.dc,
            resources_running=running,
            type=NodeType.REMOTE if guest else node.type,
            id_as_resource=node.resource if guest else None,
        )

    def _bundle(self, parent: etree._Element, bundle: Bundle) -> None:
        element = _add(
            parent,
            "bundle",
            id=bundle.id,
            type=bundle.engine,
            image=bundle.image,
            unique=bundle.unique,
            maintenance=None if self._legacy else bundle.maintenance,
            managed=bundle.managed,
            failed=bundle.failed,
        )
        for replica in bundle.replicas:
            self._replica(_add(element, "replica", id=replica.index), replica)

    def _replica(self, element: etree._Element, replica: Replica) -> None:
        for resource in (replica.ip, replica.primitive, replica.container, replica.connection):
            if resource is not None:
                self._resource(element, resource)

    def _resource(self, parent: etree._Element, resource: Resource) -> None:
        role = resource.role.capitalize()
        agent = resource.agent
        if self._legacy:
            role = _LEGACY_ROLES.get(resource.role, role)
            agent = agent.replace("ocf:", "ocf::", 1) if agent.startswith("ocf:") else agent
        element = _add(
            parent,
            "resource",
            id=resource.id,
            resource_agent=agent,
            role=role,
            target_role=resource.target_role or None,
            active=resource.active,
            orphaned=resource.orphaned,
            removed=resource.orphaned if self._flavour is Flavour.LATEST else None,
            blocked=resource.blocked,
            maintenance=None if self._legacy else resource.maintenance,
            managed=resource.managed,
            failed=resource.failed,
            failure_ignored=resource.failure_ignored,
            nodes_running_on=len(resource.nodes),
            pending=resource.pending or None,
            locked_to=None if self._legacy else resource.locked_to or None,
        )
        for node in resource.nodes:
            _add(element, "node", name=node.name, id=node.id, cached=node.online)

    def _instances(self, parent: etree._Element, instances: Iterable[Instance]) -> None:
        """Nest them again: neighbours in one clone, and in it in one group."""
        for clone, cloned in groupby(instances, lambda instance: instance.clone):
            within = self._collective(parent, "clone", clone) if clone else parent
            for group, grouped in groupby(cloned, lambda instance: instance.group):
                if not group:
                    for instance in grouped:
                        self._resource(within, instance.resource)
                    continue
                # In a clone, a member that repeats begins the next instance of the group.
                number, element, members = -1, None, set[str]()
                for instance in grouped:
                    if element is None or (clone and instance.resource.id in members):
                        number, members = number + 1, set()
                        name = f"{group}:{number}" if clone else group
                        element = self._collective(within, "group", name)
                    members.add(instance.resource.id)
                    self._resource(element, instance.resource)

    def _collective(self, parent: etree._Element, tag: str, name: str) -> etree._Element:
        maintenance = None if self._legacy else False
        return _add(parent, tag, id=name, maintenance=maintenance, managed=True)

    def _attributes(self, root: etree._Element, snapshot: Snapshot) -> None:
        section = self._section(root, "node_attributes", snapshot.attributes)
        for node, attributes in groupby(snapshot.attributes, lambda attribute: attribute.node):
            element = _add(section, "node", name=node)
            for attribute in attributes:
                _add(element, "attribute", name=attribute.name, value=attribute.value)

    def _history(self, root: etree._Element, history: Iterable[ResourceHistory]) -> None:
        section = self._section(root, "node_history", history)
        for node, entries in groupby(history, lambda entry: entry.node):
            element = _add(section, "node", name=node)
            for entry in entries:
                attributes = {
                    "id": entry.resource,
                    "orphan": False,
                    "removed": False if self._flavour is Flavour.LATEST else None,
                    "migration-threshold": entry.migration_threshold,
                    "fail-count": entry.fail_count or None,
                    "last-failure": _ctime(entry.last_failure),
                }
                remembered = _add(element, "resource_history", **attributes)
                _add(remembered, "operation_history", call=1, task="monitor", rc=0)

    def _failed_action(self, parent: etree._Element, action: FailedAction) -> None:
        written = _ctime if self._legacy else _iso
        attributes = {
            "op_key": f"{action.resource}_{action.operation}_10000",
            "node": action.node,
            "exitstatus": "not running",
            "exitreason": action.reason if self._legacy else html.escape(action.reason),
            "exitcode": action.rc,
            "call": 7,
            "status": action.status,
            "last-rc-change": written(action.last_change),
            "task": action.operation,
        }
        _add(parent, "failure", **attributes)

    def _fencing(self, root: etree._Element, events: tuple[FencingEvent, ...] | None) -> None:
        if events is None:
            if not self._legacy:
                _add(root, "fence_history", status=102)
            return
        history = self._section(root, "fence_history", events)
        written = _ctime if self._legacy else _microseconds
        for event in events:
            attributes = {
                "action": event.action,
                "target": event.target,
                "client": "pacemaker-controld.90",
                "origin": event.origin,
                "state" if self._legacy else "status": event.status,
                "exit-reason": None if self._legacy else event.reason,
                "delegate": event.origin,
                "completed": written(event.completed),
            }
            _add(history, "fence_event", **attributes)

    def _ticket(self, parent: etree._Element, ticket: Ticket) -> None:
        _add(
            parent,
            "ticket",
            id=ticket.id,
            status="granted" if ticket.granted else "revoked",
            standby=ticket.standby,
            granted=None if self._legacy else ticket.granted,
        )

    def _ban(self, parent: etree._Element, ban: Ban) -> None:
        attributes = {
            "id": ban.constraint,
            "resource": ban.resource,
            "node": ban.node,
            "weight": ban.score,
            "promoted-only": None if self._legacy else ban.promoted_only,
            "master_only": ban.promoted_only,
        }
        _add(parent, "ban", **attributes)


def _add(parent: etree._Element, tag: str, /, **attributes: object) -> etree._Element:
    """Add an element with the attributes that have a value."""
    element = etree.SubElement(parent, tag)
    for name, value in attributes.items():
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            element.set(name, text)
    return element


def _ctime(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%a %b} {moment.day:2} {moment:%H:%M:%S} {moment.year:04}"


def _microseconds(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S.%f}Z"


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"
