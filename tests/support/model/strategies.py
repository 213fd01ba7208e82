"""Whole clusters, as far as crm_mon could print them and its reader promises to read them back.

What XML carries only in part is left out of them: ids are those that a CIB can have; what crm_mon
writes as a number or a time has the range of that; what belongs together (an attribute's value and
its number, a time and its text) comes together.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hypothesis import strategies as st

from exporter.cluster.model import (
    RUNNING_ROLES,
    Ban,
    Bundle,
    Cluster,
    FailedAction,
    FencingEvent,
    Instance,
    Node,
    NodeAttribute,
    NodeType,
    Replica,
    Resource,
    ResourceHistory,
    Role,
    Snapshot,
    Ticket,
)

INFINITY = 1_000_000

TEXT = st.text(
    # What XML 1.0 can hold; most often what could upset a writer or parser of metrics.
    st.sampled_from("ab0 \\\"'\n\t\r<>&{},=#:;_-é\x85\u2028\ufeff\U0001f600")
    | st.characters(
        exclude_categories=["Cs", "Cc"],
        include_characters="\t\n\r",
        exclude_characters="\ufffe\uffff",
    ),
    max_size=8,
)
NAMES = TEXT.filter(bool)

IDS = st.builds(
    str.__add__,
    st.sampled_from("aZ_é"),
    st.text(st.sampled_from("abz019._-é·"), max_size=6),
)
"""Ids of the CIB: XML's NCName."""

COUNTS = st.integers(0, 10_000)
SCORES = st.integers(-INFINITY, INFINITY)
TIMES = st.integers(0, 2**32).map(float)
BOOLEANS = st.booleans()

AGENTS = st.builds(
    str.__add__,
    st.sampled_from(
        ["ocf:heartbeat:", "ocf:pacemaker:", "ocf:.isolation:", "systemd:", "stonith:"]
    ),
    st.sampled_from(["IPaddr2", "podman", "remote", "galera", "ping", "getty@tty1", 'a"b\\<&']),
)
OPERATIONS = st.sampled_from(
    ["start", "stop", "monitor", "promote", "demote", "notify", "migrate_to", "migrate_from"]
)

_VALUES = st.sampled_from(
    [
        ("10", 10),
        ("-5", -5),
        ("INFINITY", INFINITY),
        ("+INFINITY", INFINITY),
        ("-INFINITY", -INFINITY),
        ("0.25", 0.25),
        ("1e3", 1000),
        ("1e999", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("0x10", None),
    ]
) | TEXT.map(lambda text: (f"x{text}", None))
"""Values of node attributes, and the number that each is."""


def _ctime(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).ctime()


_CHANGES = (
    st.sampled_from([("", None, 0), ("never", None, 1)])
    | TIMES.map(lambda seconds: (_ctime(seconds), seconds, 0))
)  # fmt: skip
"""Text, time, and how many of these could not be read."""


@st.composite
def clusters(draw: st.DrawFn) -> tuple[Cluster, int]:
    """A summary, and how many of its times are unreadable."""
    elected = draw(st.sampled_from([True, True, True, False, None]))
    text, seconds, unreadable = draw(_CHANGES)
    cluster = Cluster(
        pacemaker_version=draw(TEXT) if elected else "",
        api_version=draw(st.sampled_from(["2.25", "2.42"])),
        stack=draw(st.sampled_from(["", "corosync", "cman"])),
        dc_elected=elected,
        dc_name=draw(TEXT) if elected else "",
        quorate=draw(BOOLEANS) if elected else None,
        mixed_version=draw(BOOLEANS) if elected else None,
        last_change=text,
        last_change_time=seconds,
        last_change_user=draw(TEXT),
        last_change_client=draw(TEXT),
        last_change_origin=draw(TEXT),
        nodes_configured=draw(st.none() | COUNTS),
        resources_configured=draw(st.none() | COUNTS),
        resources_disabled=draw(st.none() | COUNTS),
        resources_blocked=draw(st.none() | COUNTS),
        fencing_enabled=draw(st.none() | BOOLEANS),
        symmetric=draw(st.none() | BOOLEANS),
        maintenance_mode=draw(st.none() | BOOLEANS),
        stop_all_resources=draw(st.none() | BOOLEANS),
    )
    return cluster, unreadable


def nodes(
    names: st.SearchStrategy[str], kinds: st.SearchStrategy[NodeType]
) -> st.SearchStrategy[Node]:
    """Nodes in any condition."""
    return st.builds(
        Node,
        name=names,
        id=TEXT,
        type=kinds,
        online=st.sampled_from([True, True, False]),
        standby=BOOLEANS,
        standby_onfail=BOOLEANS,
        maintenance=BOOLEANS,
        pending=BOOLEANS,
        unclean=st.sampled_from([False, False, True]),
        shutdown=BOOLEANS,
        expected_up=BOOLEANS,
        dc=BOOLEANS,
        health=st.none() | st.sampled_from(["green", "yellow", "red", "unknown"]),
        feature_set=st.sampled_from(["", "3.16.2", "<3.15.1"]),
    ).map(_in_a_container)


def _in_a_container(node: Node) -> Node:
    """Give a guest node its container."""
    guest = node.type is NodeType.GUEST
    return replace(node, resource=f"{node.name}-container") if guest else node


def resources(
    ids: st.SearchStrategy[str],
    agents: st.SearchStrategy[str],
    places: st.SearchStrategy[tuple[Node, ...]],
    *,
    sound: bool = False,
) -> st.SearchStrategy[Resource]:
    """Instances of primitives: sound ones, or in any role and condition."""
    trouble = st.just(False) if sound else BOOLEANS
    return st.builds(
        Resource,
        id=ids,
        agent=agents,
        role=st.sampled_from([*sorted(RUNNING_ROLES) * sound * 5, *Role]),
        active=st.just(True) if sound else BOOLEANS,
        orphaned=trouble,
        blocked=trouble,
        managed=BOOLEANS,
        failed=trouble,
        failure_ignored=BOOLEANS,
        maintenance=BOOLEANS,
        target_role=st.sampled_from(["", "Stopped", "stopped", "Started", "Slave", "Promoted"]),
        pending=st.sampled_from(["", "Monitoring", "Starting", "Migrating"]),
        locked_to=st.sampled_from(["", "", "node-a"]),
        nodes=places,
    )


def _places(known: tuple[Node, ...]) -> st.SearchStrategy[tuple[Node, ...]]:
    """Some of the nodes, and at times one that is not listed: all of it that is known is a name."""
    names = {node.name for node in known}
    # No id begins so: it cannot become the guest node of a bundle to come.
    stranger = TEXT.map("?{}".format).filter(lambda name: name not in names).map(Node)
    some = st.sampled_from(known) | stranger if known else stranger
    return st.lists(some, max_size=2, unique_by=lambda node: node.name).map(tuple)


@dataclass(frozen=True)
class _Plan:
    """What the replicas of a bundle have in common."""

    bundle: str
    engine: str
    primitive: str
    """Its id; empty in a bundle without one."""
    agent: str
    unique: bool
    networked: bool


PLANS = st.builds(
    _Plan,
    bundle=IDS,
    engine=st.sampled_from(["podman", "podman", "docker", "rkt", "unknown"]),
    primitive=st.just("") | IDS,
    agent=AGENTS,
    unique=BOOLEANS,
    networked=BOOLEANS,
    # Ids that a bundle's implicit resources could have are no good for its primitive.
).filter(lambda plan: not plan.primitive.startswith(f"{plan.bundle}-"))


@st.composite
def _replica(draw: st.DrawFn, plan: _Plan, index: str, known: tuple[Node, ...]) -> Replica:
    """A replica on some nodes; its guest node is listed, or not."""
    sound = draw(BOOLEANS)
    places = st.sampled_from(known).map(lambda node: (node,)) if sound and known else _places(known)

    def component(name: str, agent: str, where: st.SearchStrategy[tuple[Node, ...]]) -> Resource:
        return draw(resources(st.just(name), st.just(agent), where, sound=sound))

    container_id = f"{plan.bundle}-{plan.engine}-{index}"
    container = component(container_id, f"ocf:heartbeat:{plan.engine}", places)
    ip = connection = primitive = guest = None
    if plan.networked:
        address = draw(st.sampled_from(["192.168.1.9", "fd00..1", "..1"]))
        ip = component(f"{plan.bundle}-ip-{address}", "ocf:heartbeat:IPaddr2", places)
    if plan.primitive:
        name = f"{plan.bundle}-{index}"
        guest = next((node for node in known if node.name == name), None)
        if guest is None and draw(st.sampled_from([True, True, False])):
            guest = draw(nodes(st.just(name), st.just(NodeType.GUEST)))
        inside = st.just((guest or Node(name),)) | st.just(())
        connection = component(name, "ocf:pacemaker:remote", places)
        number = f":{index}" if plan.unique else ""
        primitive = component(f"{plan.primitive}{number}", plan.agent, inside)
    return Replica(index, container, ip, connection, primitive, guest)


@st.composite
def bundles(draw: st.DrawFn, plan: _Plan, known: tuple[Node, ...]) -> Bundle:
    """A bundle of up to three replicas."""
    numbers = range(draw(st.integers(0, 3)))
    return Bundle(
        plan.bundle,
        plan.engine,
        image=draw(TEXT),
        unique=plan.unique,
        managed=draw(BOOLEANS),
        failed=draw(BOOLEANS),
        maintenance=draw(BOOLEANS),
        replicas=tuple(draw(_replica(plan, str(number), known)) for number in numbers),
    )


def _instances(known: tuple[Node, ...]) -> st.SearchStrategy[list[Instance]]:
    """Resources outside bundles: ids repeat, in clones and as orphans."""
    names = st.sampled_from(["", "", "g", "group.é"])
    ids = st.sampled_from(["vip", "fence-1", "clone-member:0"]) | IDS
    return st.lists(
        st.builds(
            Instance,
            resource=resources(ids, AGENTS, _places(known)),
            group=names,
            clone=st.sampled_from(["", "", "c-clone"]),
        ),
        max_size=4,
    )


FAILED_ACTIONS = st.builds(
    FailedAction,
    resource=st.sampled_from(["galera", "a_b:0", "a_monitor_0", "web-bundle-podman-0"]) | IDS,
    node=TEXT,
    operation=OPERATIONS,
    status=st.sampled_from(["complete", "Timed Out", "Error", ""]),
    rc=COUNTS.map(str),
    # crm_mon prints `none` for an empty reason.
    reason=TEXT.filter(lambda text: text != "none")
    | st.sampled_from(["&lt;b&gt;", "&amp;lt;", "&#0;"]),
    last_change=st.none() | TIMES,
)


def _microseconds_after(seconds: float, microseconds: int) -> float:
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds).timestamp()


FENCING = st.none() | st.lists(
    st.builds(
        FencingEvent,
        target=TEXT,
        action=st.sampled_from(["reboot", "off", "on"]),
        status=st.sampled_from(["success", "failed", "pending"]),
        completed=st.none()
        | TIMES
        | st.builds(_microseconds_after, TIMES, st.integers(0, 999_999)),
        origin=TEXT,
        reason=TEXT,
    ),
    max_size=3,
).map(tuple)

BANS = st.builds(
    Ban,
    constraint=st.sampled_from(["cli-ban-web-on-n1", "cli-prefer-web", "location-1"]) | IDS,
    resource=IDS,
    node=TEXT,
    score=SCORES,
    promoted_only=BOOLEANS,
)

TICKETS = st.builds(Ticket, id=st.just("t") | TEXT, granted=BOOLEANS, standby=BOOLEANS)


@st.composite
def _attributes(draw: st.DrawFn, node_names: list[str]) -> list[NodeAttribute]:
    # By node, as crm_mon lists them.
    return [
        NodeAttribute(node, name, *draw(_VALUES))
        for node in node_names
        for name in draw(st.lists(st.just("pingd") | TEXT, max_size=3))
    ]


@st.composite
def _history(draw: st.DrawFn, node_names: list[str], ids: list[str]) -> list[ResourceHistory]:
    resource_ids = st.sampled_from(ids) | IDS if ids else IDS
    return [
        ResourceHistory(
            resource=resource,
            node=node,
            fail_count=draw(st.just(0) | st.integers(0, INFINITY)),
            migration_threshold=draw(st.none() | st.integers(0, INFINITY)),
            last_failure=draw(st.none() | TIMES),
        )
        for node in node_names
        for resource in draw(st.lists(resource_ids, max_size=3, unique=True))
    ]


_KINDS = st.sampled_from(NodeType)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Whole clusters."""
    cluster, unreadable = draw(clusters())
    known = tuple(
        # Without nodes, resources make it an answer about a part of the cluster.
        draw(
            st.lists(nodes(NAMES, _KINDS), min_size=1, max_size=3, unique_by=lambda node: node.name)
        )
    )
    made: list[Bundle] = []
    for plan in draw(st.lists(PLANS, max_size=2, unique_by=lambda plan: plan.bundle)):
        bundle = draw(bundles(plan, known))
        names = {node.name for node in known}
        guests = [replica.guest for replica in bundle.replicas if replica.guest is not None]
        known += tuple(guest for guest in guests if guest.name not in names)
        made.append(bundle)
    node_names = list(dict.fromkeys([*(node.name for node in known[:3]), "gone"]))
    ids = [r.id for bundle in made for replica in bundle.replicas for _, r in replica.components]
    return Snapshot(
        cluster=cluster,
        nodes=known,
        bundles=tuple(made),
        instances=tuple(draw(_instances(known))),
        history=tuple(draw(_history(node_names, ids))),
        failed_actions=tuple(draw(st.lists(FAILED_ACTIONS, max_size=3))),
        fencing=draw(FENCING),
        bans=tuple(draw(st.lists(BANS, max_size=3))),
        tickets=tuple(draw(st.lists(TICKETS, max_size=2))),
        attributes=tuple(draw(_attributes(node_names))),
        unreadable_elsewhere=unreadable,
        resources_running=draw(
            st.fixed_dictionaries({}, optional={node.name: COUNTS for node in known})
        ),
    )


@st.composite
def successions(draw: st.DrawFn) -> list[Snapshot]:
    """One poll after another of bundles that come, go, scale, and whose replicas change roles."""
    polls = draw(
        st.lists(
            st.tuples(
                st.sampled_from([True, True, True, False]),
                st.dictionaries(
                    st.sampled_from(["a", "b"]), st.lists(st.sampled_from(Role), max_size=3)
                ),
            ),
            max_size=8,
        )
    )
    return [
        Snapshot(
            Cluster(dc_elected=True, quorate=quorate),
            bundles=tuple(_plain(bundle, roles) for bundle, roles in states.items()),
        )
        for quorate, states in polls
    ]


def _plain(bundle: str, roles: list[Role]) -> Bundle:
    replicas = tuple(
        Replica(str(index), Resource(f"c{index}", "ocf:heartbeat:podman", role, active=True))
        for index, role in enumerate(roles)
    )
    return Bundle(bundle, "podman", "", unique=False, managed=True, failed=False,
                  maintenance=False, replicas=replicas)  # fmt: skip
