"""What crm_mon's text says, against the exporter's metrics of the same moment.

The texts are those of ``crm_mon`` with PLAIN and with DETAILED: each says what the other does not.
"""

import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from tests.support.oracle import crm_mon_text, crm_mon_text_resources
from tests.support.oracle.crm_mon_text import Bundle, Line, Status
from tests.support.oracle.crm_mon_text_resources import FailCount, Instance, Listed, Rest

PLAIN = (
    *("-1", "--inactive", "--failcounts", "--neg-locations", "--tickets"),
    "--show-node-attributes",
)
DETAILED = (*PLAIN, "--show-detail", "--operations")

# ------------------------------------------------- the bundles, and what the text says of them

Labels = tuple[str, ...]
RUNNING = frozenset({"Started", "Unpromoted", "Promoted"})
TRANSITIONAL = frozenset({"Starting", "Stopping", "Promoting", "Demoting", "Migrating"})
ROLES = RUNNING | TRANSITIONAL | {"Stopped", "Unknown"}

UNSAID = frozenset(
    {
        *("configured", "promoted_max", "replicas_per_host_limit"),
        *("role_changes", "promotions"),
        *("state", "replicas_expected", "replicas_promoted_expected", "eligible_nodes"),
    }
)
"""Families whose values the text lacks: what the CIB says, what is judged, the past."""

SAID_OF_BUNDLES = ("disabled", "unmanaged", "maintenance")
"""The conditions of a bundle that the text has. The others are judged, or crm_mon's own mark."""


@dataclass
class Expected:
    """The samples that crm_mon's text asks for, by family and labels' values."""

    samples: dict[str, dict[Labels, float | None]] = field(default_factory=dict)
    """None: there has to be one, and the text leaves its value open."""
    roles: dict[Labels, frozenset[str]] = field(default_factory=dict)
    """The roles that a replica of a bundle may be in: several where the text leaves it open."""

    def add(self, name: str, labels: Labels, value: float | None) -> None:
        self.samples.setdefault(name, {})[labels] = value


def possible_roles(line: Line) -> frozenset[str]:
    """Return the roles that a line may stand for.

    crm_mon prints FAILED in the place of any role but Promoted, while its XML, and so the
    exporter, has the role all the same. That there is a host says that it is not stopped.
    """
    if line.role is not None:
        return frozenset({line.role})
    return frozenset({"Started", "Unpromoted"} if line.hosts else {"Stopped"})


def is_online(status: str) -> bool:
    return status.startswith(("online", "standby", "maintenance", "UNCLEAN (online)"))


def is_active(line: Line, nodes: Mapping[str, str]) -> bool:
    """Whether it is on a node that is up, or that is lost and not known to be down.

    What Pacemaker does not manage, it does not take for ended with its node either.
    """
    unmanaged = not line.flags.isdisjoint({"unmanaged", "blocked"})
    return any(
        unmanaged or is_online(status) or status.startswith("UNCLEAN")
        for status in (nodes.get(host, "") for host in line.hosts)
    )


def expected_of(plain: Status, detailed: Status) -> Expected:
    """Turn crm_mon's text, with and without --show-detail, into the samples of the bundles."""
    expected = Expected()
    assert [b.id for b in plain.bundles] == [b.id for b in detailed.bundles]
    for short, bundle in zip(plain.bundles, detailed.bundles, strict=True):
        assert [r.index for r in short.replicas] == [r.index for r in bundle.replicas]
        running_on: Counter[str] = Counter()
        running = ready = promoted_ready = 0
        services = []
        for summed_up, replica in zip(short.replicas, bundle.replicas, strict=True):
            (line,) = summed_up.lines
            parts = replica.components
            service = parts.get("service", parts["container"])
            assert (line.agent, line.role) == (service.agent, service.role)
            services.append(service)
            runs = possible_roles(service) <= RUNNING and is_active(service, detailed.nodes)
            sound = runs and is_sound(parts, line.hosts, detailed.nodes)
            running += runs
            ready += sound
            promoted_ready += sound and service.role == "Promoted"
            running_on.update(line.hosts if runs else ())
            labels = (bundle.id, replica.index)
            expected.roles[labels] = frozenset(r.lower() for r in possible_roles(line))
            expected.add("replica_ready", labels, sound)
            for host in line.hosts:
                expected.add("replica_node", (*labels, host), 1)
            for kind, part in parts.items():
                # Of what is on the way the text names the node where that happens, be it active
                # there or not: it prints "Demoting web-bundle-0" with nodes_running_on="0".
                open_ = part.role in TRANSITIONAL
                active = None if open_ else is_active(part, detailed.nodes)
                expected.add("replica_component_active", (*labels, kind, part.name), active)
            for condition, holds in conditions(parts, line.hosts, detailed):
                expected.add("replica_condition", (*labels, condition), holds)
        expected.add("info", information(bundle), 1)
        for name, value in {
            "replicas": len(bundle.replicas),
            "replicas_running": running,
            "replicas_ready": ready,
            "replicas_promoted_ready": promoted_ready,
            "running_nodes": len(running_on),
            "replicas_per_host_max": max(running_on.values(), default=0),
        }.items():
            expected.add(name, (bundle.id,), value)
        said = (
            all("disabled" in service.flags for service in services),
            not short.managed or all("unmanaged" in service.flags for service in services),
            plain.maintenance,
        )
        for name, holds in zip(SAID_OF_BUNDLES, said, strict=True):
            expected.add("condition", (bundle.id, name), holds)
    return expected


def information(bundle: Bundle) -> Labels:
    """Return the labels of pacemaker_bundle_info."""
    parts = bundle.replicas[0].components
    engine = parts["container"].agent.rpartition(":")[2]
    agent = id_ = ""
    if "service" in parts:
        agent, id_ = parts["service"].agent, parts["service"].name
    if bundle.unique:
        id_ = id_.rpartition(":")[0]
    return bundle.id, engine, bundle.image, "true" if bundle.unique else "false", agent, id_


def is_sound(parts: Mapping[str, Line], hosts: Labels, nodes: Mapping[str, str]) -> bool:
    """Whether a running replica is ready."""
    return (
        all(
            is_active(part, nodes)
            and not (part.failed and "failure ignored" not in part.flags)
            and "blocked" not in part.flags
            and not part.orphaned
            for part in parts.values()
        )
        and len(hosts) == 1
        and is_online(nodes[hosts[0]])
        and "UNCLEAN" not in nodes[hosts[0]]
        and ("connection" not in parts or is_online(nodes.get(parts["connection"].name, "")))
    )


def conditions(
    parts: Mapping[str, Line], hosts: Labels, status: Status
) -> Iterator[tuple[str, bool]]:
    lines = parts.values()
    yield "failed", any(line.failed for line in lines)
    yield "blocked", any("blocked" in line.flags for line in lines)
    yield "orphaned", any(line.orphaned for line in lines)
    yield "unmanaged", any("unmanaged" in line.flags for line in lines)
    in_maintenance = (host for host in hosts if "maintenance" in status.nodes[host])
    yield "maintenance", status.maintenance or any(in_maintenance)
    yield "pending", any(line.role in TRANSITIONAL for line in lines)


def exported(page: str, prefix: str) -> dict[str, dict[Labels, float]]:
    """Return the samples of the families whose names begin so, by the rest of the name."""
    return {
        family.name.removeprefix(prefix): {
            tuple(sample.labels.values()): sample.value for sample in family.samples
        }
        for family in text_string_to_metric_families(page)
        if family.name.startswith(prefix)
    }


def disagreements(expected: Expected, page: str) -> Iterator[str]:
    found = exported(page, "pacemaker_bundle_")
    yield from disagreements_on_roles(
        expected.roles, found.pop("replica_role", {}), found.pop("replicas_in_role", {})
    )
    found["condition"] = {
        labels: holds
        for labels, holds in found.get("condition", {}).items()
        if labels[1] in SAID_OF_BUNDLES
    }
    for name in sorted((found.keys() | expected.samples.keys()) - UNSAID):
        ours, theirs = found.get(name, {}), expected.samples.get(name, {})
        for labels in sorted(ours.keys() | theirs.keys()):
            left_open = labels in ours and theirs.get(labels, math.nan) is None
            if not left_open and ours.get(labels) != theirs.get(labels):
                said = theirs.get(labels, "no such series")
                yield f"{name}{labels}: {ours.get(labels, 'no series')}, by the text {said}"


def disagreements_on_roles(
    expected: Mapping[Labels, frozenset[str]],
    replica_role: Mapping[Labels, float],
    in_role: Mapping[Labels, float],
) -> Iterator[str]:
    of_replica: dict[Labels, list[str]] = {labels[:2]: [] for labels in (*replica_role, *expected)}
    for *replica, role in replica_role:
        of_replica[tuple(replica)].append(role)
    for labels, roles in of_replica.items():
        possible = expected.get(labels, frozenset())
        if len(roles) != 1 or not possible.issuperset(roles):
            yield f"replica_role of {labels}: {roles}, by the text {sorted(possible)}"
    bundles = {bundle for bundle, _ in expected}
    counted = Counter((bundle, role) for bundle, _, role in replica_role)
    every = {(bundle, role.lower()): 0 for bundle in bundles for role in ROLES}
    if in_role != every | counted:
        yield f"replicas_in_role is {in_role}, but the replicas' roles are {counted}"


# ------------------------------------------ what the text says of everything beside the bundles


@dataclass(frozen=True, slots=True)
class Place:
    """One instance in one place."""

    said: Instance | Listed
    series: tuple[Labels, ...]
    """The series of pacemaker_resource_role that may have it, the likeliest first."""


def labels_of(instance: Instance) -> Labels:
    """Return resource, agent, group and clone: the group without the number of its instance."""
    line = instance.line
    return line.name, line.agent, instance.group.partition(":")[0], instance.clone


def nodes_of(line: Line) -> Labels:
    """Return the nodes that an instance is on: not the one that a stopped one is locked to."""
    return () if "LOCKED" in line.flags else line.hosts


def role_of(instance: Instance) -> str:
    """Return the role.

    In its place crm_mon prints FAILED, unless it is Promoted. Of the others a promotable clone
    knows another than the rest, and what is on no node is stopped.
    """
    if instance.line.role is not None:
        return instance.line.role.lower()
    if not nodes_of(instance.line):
        return "stopped"
    return "unpromoted" if instance.promotable else "started"


def places(instance: Instance) -> Iterator[Place]:
    labels, role = labels_of(instance), role_of(instance)
    for node in nodes_of(instance.line) or ("",):
        # Of what is on the way the text names the node where that happens, be it there or not.
        nodes = (node, "") if instance.line.role in TRANSITIONAL else (node,)
        yield Place(instance, tuple((*labels, name, role) for name in nodes))


def listed_places(listed: Listed, members: Iterable[Labels]) -> Iterator[Place]:
    """Each node in a list has all that an instance of the clone is made of."""
    for node in listed.nodes:
        for member in members:
            roles = [listed.role.lower()]
            if listed.role == "Promoted" and member[2]:
                # A group is listed by the highest role in it: one of it may have been demoted.
                roles.append("unpromoted")
            yield Place(listed, tuple((*member, node, role) for role in roles))


def settled(
    expected: Iterable[Place], found: Mapping[Labels, float]
) -> tuple[list[tuple[Place, Labels]], Counter[Labels]]:
    """Find for each place the series that counts it, if any, and what is counted beside."""
    left = Counter({labels: int(count) for labels, count in found.items()})
    taken: list[tuple[Place, Labels]] = []
    for place in sorted(expected, key=lambda place: len(place.series)):
        series = next((labels for labels in place.series if left[labels] > 0), ())
        left[series] -= 1
        taken.append((place, series))
    return taken, +left


def disagreements_on_resources(
    plain: Rest, detailed: Rest, everywhere: bool, found: Mapping[str, Mapping[Labels, float]]
) -> Iterator[str]:
    roles, conditions = found.get("role", {}), found.get("condition", {})
    # With --show-detail every instance has a line: all must agree, how many are stopped included.
    expected = (place for instance in detailed.instances for place in places(instance))
    taken, left = settled(expected, roles)
    yield from (f"no resource_role for {place}" for place, series in taken if not series)
    yield from (f"resource_role{series}: {left[series]} too many" for series in left)
    yield from disagreements_on_conditions(taken, detailed, everywhere, conditions)
    yield from disagreements_on_lists(plain, detailed, roles)


def disagreements_on_lists(
    plain: Rest, detailed: Rest, roles: Mapping[Labels, float]
) -> Iterator[str]:
    """Compare the roles with the text without --show-detail."""
    members: dict[str, dict[Labels, None]] = {}
    for instance in detailed.instances:
        members.setdefault(instance.clone, {})[labels_of(instance)] = None
    expected = [place for instance in plain.instances for place in places(instance)]
    for listed in plain.lists:
        if listed.role != "Stopped":
            expected.extend(listed_places(listed, members[listed.clone]))
    taken, left = settled(expected, roles)
    yield from (f"no resource_role, by the lists, for {place}" for place, s in taken if not s)
    yield from (
        f"resource_role{series}: {left[series]} too many, by the lists"
        for series in left
        if not only_in_detail(series, detailed)
    )
    # What has failed has a line of its own, and is in the list of the stopped for all that.
    apart = {(instance.clone, host) for instance in plain.instances for host in instance.line.hosts}
    for listed in plain.lists:
        for node in listed.nodes:
            has = {s[5] for s in roles if s[3] == listed.clone and s[4] == node}
            if listed.role == "Stopped":
                wrong = (
                    bool(has) and (listed.clone, node) not in apart and node not in down(detailed)
                )
            else:
                wrong = listed.role.lower() not in has
            if wrong:
                yield f"resource_role has {has} on {node}, by the text {listed}"


def down(detailed: Rest) -> frozenset[str]:
    return frozenset(node.name for node in detailed.nodes if node.status.startswith("OFFLINE"))


def only_in_detail(series: Labels, detailed: Rest) -> bool:
    """Whether only --show-detail says it."""
    resource, agent, _, clone, node, role = series
    anonymous = {instance.clone for instance in detailed.instances if instance.anonymous}
    guests = {node.name for node in detailed.nodes if node.kind == "Guest"}
    return (
        # Of an anonymous clone the lists name nodes that it might run on for what is stopped, and
        # take for stopped, too, what is still recorded on a node that is down for certain.
        (clone in anonymous and (role == "stopped" or node in down(detailed)))
        # The connection that Pacemaker makes for a guest node is shown in detail only.
        or (resource in guests and agent == "ocf:pacemaker:remote")
    )


def disagreements_on_conditions(
    taken: Iterable[tuple[Place, Labels]],
    detailed: Rest,
    everywhere: bool,
    found: Mapping[Labels, float],
) -> Iterator[str]:
    statuses = {node.name: node.status for node in detailed.nodes}
    least: Counter[Labels] = Counter()
    most: Counter[Labels] = Counter()
    for place, series in taken:
        if isinstance(place.said, Instance) and series:
            for condition, holds in resource_conditions(
                place.said.line, series[4] != "", statuses, everywhere
            ):
                least[*series[:5], condition] += holds is True
                most[*series[:5], condition] += holds is not False
    for series in sorted(least.keys() | found.keys()):
        if series[5] in UNSAID_OF_RESOURCES:
            continue
        if not least[series] <= found.get(series, 0) <= most[series] or found.get(series) == 0:
            bounds = f"{least[series]} to {most[series]}"
            yield f"resource_condition{series}: {found.get(series)}, by the text {bounds}"


UNSAID_OF_RESOURCES = frozenset({"held_back", "down"})
"""Conditions that are judged: crm_mon does not print them."""


def resource_conditions(
    line: Line, placed: bool, statuses: Mapping[str, str], everywhere: bool
) -> Iterator[tuple[str, bool | None]]:
    """Yield conditions; None is one that the text leaves open."""
    yield "active", placed and is_active(line, statuses)
    yield "failed", line.failed
    yield "orphaned", line.orphaned
    yield "failure_ignored", "failure ignored" in line.flags
    yield "blocked", "blocked" in line.flags
    yield "unmanaged", "unmanaged" in line.flags
    yield "disabled", "disabled" in line.flags
    yield "pending", line.role in TRANSITIONAL
    hosts = nodes_of(line) if placed else ()
    of_hosts = {node_conditions(statuses.get(host, "")).get("maintenance") for host in hosts}
    in_maintenance = everywhere or True in of_hosts
    yield "maintenance", None if None in of_hosts and not in_maintenance else in_maintenance


NOT_MORE = {"standby": False, "standby_onfail": False, "maintenance": False}
SOUND = {"unclean": False, "pending": False}
NODE_CONDITIONS: Mapping[str, Mapping[str, bool]] = {
    "UNCLEAN (online)": {"unclean": True, "online": True},
    "UNCLEAN (pending)": {"unclean": True, "online": False, "pending": True},
    "UNCLEAN (offline)": {"unclean": True, "online": False, "pending": False},
    "pending": {"unclean": False, "pending": True},
    "standby (on-fail)": {**SOUND, "online": True, "standby_onfail": True},
    "standby": {**SOUND, "online": True, "standby_onfail": False, "standby": True},
    "OFFLINE (standby)": {**SOUND, "online": False, "standby": True},
    "maintenance": {**SOUND, **NOT_MORE, "online": True, "maintenance": True},
    "OFFLINE (maintenance)": {**SOUND, "online": False, "standby": False, "maintenance": True},
    "online": {**SOUND, **NOT_MORE, "online": True},
    "OFFLINE": {**SOUND, "online": False, "standby": False, "maintenance": False},
}
"""What a status of a node says. Of several the text has the first: unclean, pending, standby on
failure (of what is online only), standby, maintenance. So one leaves open those after it."""


def node_conditions(status: str) -> Mapping[str, bool]:
    return NODE_CONDITIONS.get(status.removesuffix(" (with active resources)"), {})


NODE_TYPES = {"": "member", "Remote": "remote", "Guest": "guest"}
OF_GUESTS = frozenset({"online", "maintenance", "unclean"})
"""The conditions of a guest node of a bundle. One that is a virtual machine has all."""
UNSAID_OF_NODES = frozenset({"shutdown", "expected_up", "out_of_service"})


def disagreements_on_nodes(
    plain: Rest,
    detailed: Rest,
    found: Mapping[str, Mapping[Labels, float]],
    of_bundles: Container[str],
) -> Iterator[str]:
    conditions = dict(found.get("condition", {}))
    for text in (plain, detailed):
        for node in text.nodes:
            kind = NODE_TYPES[node.kind]
            said = dict(node_conditions(node.status))
            if not said:
                yield f"no known status of a node: {node}"
            if node.name in of_bundles:
                said = {name: holds for name, holds in said.items() if name in OF_GUESTS}
            else:
                said["dc"] = node.name == text.summary.dc
            for condition, holds in said.items():
                value = conditions.get((node.name, kind, condition))
                if value != holds:
                    yield f"node_condition {condition} of {node}: {value}"
            # Green is not said, and neither is any health in the lists of nodes.
            if node.health:
                healths = {
                    series[2] for series in found.get("health", {}) if series[0] == node.name
                }
                if healths != {node.health.lower()}:
                    yield f"node_health of {node}: {healths}"
    # Only with --show-detail are there guest nodes that are offline, ids and feature sets.
    expected: set[Labels] = {
        (node.name, NODE_TYPES[node.kind], condition)
        for node in detailed.nodes
        for condition in (
            OF_GUESTS if node.name in of_bundles else {*NOT_MORE, *OF_GUESTS, "pending", "dc"}
        )
    }
    said_of = {series for series in conditions if series[2] not in UNSAID_OF_NODES}
    yield from (f"node_condition{series}: in one only" for series in sorted(expected ^ said_of))
    infos: set[Labels] = {
        (node.name, node.id or node.name, NODE_TYPES[node.kind], node.feature_set or "")
        for node in detailed.nodes
    }
    for series in sorted(infos ^ found.get("info", {}).keys()):
        yield f"node_info{series}: in one only"


def disagreements_on_summary(
    text: Rest, page: Mapping[str, Mapping[Labels, float]]
) -> Iterator[str]:
    said = text.summary
    for name, value in {
        "quorate": said.quorum,
        "dc_elected": said.dc is not None,
        "nodes_configured": said.counts["node"],
    }.items():
        shown = page.get(name, {}).get(())
        if shown != value:
            yield f"cluster_{name}: {shown}, by the text {value}"
    instances = {
        ("configured",): said.counts["resource instance"],
        ("disabled",): said.counts["DISABLED"],
        ("blocked",): said.counts["BLOCKED"],
    }
    if page.get("resource_instances") != instances:
        yield f"cluster_resource_instances: {page.get('resource_instances')}, not {instances}"


def differences(
    name: str, found: Mapping[Labels, float], expected: Mapping[Labels, float]
) -> Iterator[str]:
    for labels in sorted(found.keys() | expected.keys()):
        ours, theirs = found.get(labels, "no series"), expected.get(labels, "no such series")
        if ours != theirs:
            yield f"{name}{labels}: {ours}, by the text {theirs}"


def replicas_of(status: Status) -> Mapping[str, Labels]:
    """Return bundle and replica by the name of what Pacemaker made for it, guest nodes included."""
    return {
        part.name: (bundle.id, replica.index)
        for bundle in status.bundles
        for replica in bundle.replicas
        for kind, part in replica.components.items()
        if kind != "service"
    }


def failed_actions(plain: Rest, detailed: Rest, replicas: Mapping[str, Labels]) -> Counter[Labels]:
    """Count the failed actions.

    Only without --show-detail are resource and operation apart, only with it are there numbers.
    """
    counts: Counter[Labels] = Counter()
    for short, full in zip(plain.failures, detailed.failures, strict=True):
        # A monitor that is run once, to see whether it runs there.
        operation = "monitor" if short.operation == "probe" else short.operation
        assert full.operation.startswith(f"{short.resource}_{operation}_")
        assert short.node == full.node
        replica = replicas.get(short.node) or replicas.get(short.resource) or ("", "")
        how = (operation, full.status, full.rc)
        counts[short.resource, short.node, *replica, *how] += 1
    return counts


def disagreements_on_failures(
    plain: Rest,
    detailed: Rest,
    replicas: Mapping[str, Labels],
    found: Mapping[str, Mapping[Labels, float]],
) -> Iterator[str]:
    def labels_of_count(said: FailCount) -> Labels:
        replica = replicas.get(said.node) or replicas.get(said.resource) or ("", "")
        return (said.resource, said.node, *replica)

    # A member of an anonymous clone may have a history twice, by old numbers: the worst counts.
    history = {labels_of_count(h): h for h in sorted(detailed.history, key=lambda h: h.count)}
    counts: dict[Labels, float] = {labels: h.count for labels, h in history.items()}
    thresholds: dict[Labels, float] = {labels: h.threshold for labels, h in history.items()}
    times = {labels: seconds(h.last) for labels, h in history.items() if h.last}
    for name, expected in {
        "failures": counts,
        "migration_threshold": thresholds,
        "last_failure_timestamp_seconds": times,
    }.items():
        yield from differences(f"resource_{name}", found.get(name, {}), expected)
    # The migration summary numbers the members of anonymous clones, and counts for each what has
    # failed of all. Beside the history it has resources that were found not running when last
    # probed, and did nothing since: crm_mon's XML is without them where it has the history.
    numbered = {instance.line.name for instance in detailed.instances if instance.anonymous}
    for said in plain.fail_counts:
        name = said.resource.rpartition(":")[0]
        labels = labels_of_count(replace(said, resource=name) if name in numbered else said)
        shown = found.get("failures", {}).get(labels)
        if labels in history and shown != said.count:
            yield f"resource_failures{labels}: {shown}, by the summary {said.count}"


def seconds(time: str) -> float:
    return datetime.strptime(time, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp()


def disagreements_on_bans(text: Rest, found: Mapping[Labels, float]) -> Iterator[str]:
    # The text does not say how negative, nor lists what draws a resource to a node. The id of
    # what a command left begins with cli-, as does that of a rule in it, which may turn it around.
    banned = {labels: -1.0 for labels, score in found.items() if score < 0}
    for labels, score in found.items():
        if score >= 0 and not (labels[0].startswith("cli-prefer-") and labels[4] == "cli"):
            yield f"location_ban_score{labels}: {score}"
    expected: dict[Labels, float] = {
        (
            ban.constraint,
            ban.resource,
            ban.node,
            "true" if ban.promoted else "false",
            "cli" if ban.constraint.startswith(("cli-ban-", "cli-prefer-")) else "config",
        ): -1.0
        for ban in text.bans
    }
    yield from differences("location_ban_score", banned, expected)


NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
INFINITIES = {"INFINITY": 1e6, "+INFINITY": 1e6, "-INFINITY": -1e6}


def numbers(attributes: Mapping[tuple[str, str], str]) -> dict[Labels, float]:
    return {
        labels: INFINITIES[value] if value in INFINITIES else float(value)
        for labels, value in attributes.items()
        if value in INFINITIES or NUMBER.fullmatch(value)
    }


def disagreements_on_bundles(plain: str, detailed: str, page: str) -> Iterator[str]:
    """Compare all about bundles; the texts need no more than --inactive and --show-detail."""
    status, in_detail = crm_mon_text.read(plain), crm_mon_text.read(detailed)
    yield from disagreements(expected_of(status, in_detail), page)


def disagreements_on_the_rest(plain: str, detailed: str, page: str) -> Iterator[str]:
    """Compare everything beside the bundles. All node attributes have to be shown."""
    short, full = map(crm_mon_text_resources.read, (plain, detailed))
    status = crm_mon_text.read(detailed)
    replicas = replicas_of(status)
    found = exported(page, "pacemaker_")

    def of(prefix: str) -> dict[str, dict[Labels, float]]:
        return {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}

    yield from disagreements_on_resources(short, full, status.maintenance, of("resource_"))
    yield from differences(
        "failed_actions", found.get("failed_actions", {}), failed_actions(short, full, replicas)
    )
    yield from disagreements_on_bans(short, found.get("location_ban_score", {}))
    for position, name in enumerate(("ticket_granted", "ticket_standby")):
        tickets: dict[Labels, float] = {(t,): said[position] for t, said in short.tickets.items()}
        yield from differences(name, found.get(name, {}), tickets)
    yield from disagreements_on_nodes(short, full, of("node_"), replicas.keys())
    yield from disagreements_on_failures(short, full, replicas, of("resource_"))
    fencing = {labels for labels in found.get("fencing_actions", {}) if labels[2] != "success"}
    if fencing != short.fencing:
        yield f"fencing_actions are {fencing}, by the text {short.fencing}"
    attributes = found.get("node_attribute", {})
    yield from differences("node_attribute", attributes, numbers(short.attributes))
    yield from disagreements_on_summary(short, of("cluster_"))
