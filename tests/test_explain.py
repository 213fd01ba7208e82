"""What is wrong, in words: consistent with what is ready, and with a command that leads on."""

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.explain import (
    Problem,
    Subject,
    bundle_problems,
    changes_cluster,
    cluster_problems,
    node_problems,
    problems,
    why_not_ready,
)
from exporter.model import (
    Bundle,
    BundleConfiguration,
    Cluster,
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
from exporter.state import Observation
from tests.support import see
from tests.support.call_pcs import refused
from tests.support.states import STATES

NAMES = st.sampled_from(["a", "b", "c"])
FLAGS = st.booleans()
NODES = st.builds(
    Node, name=NAMES, type=st.sampled_from(NodeType), online=FLAGS, unclean=FLAGS, standby=FLAGS
)
RESOURCES = st.builds(
    Resource,
    id=NAMES,
    agent=st.just("ocf:x:y"),
    role=st.sampled_from(Role),
    active=FLAGS,
    orphaned=FLAGS,
    blocked=FLAGS,
    managed=FLAGS,
    failed=FLAGS,
    failure_ignored=FLAGS,
    target_role=st.sampled_from(["", "Stopped"]),
    pending=st.sampled_from(["", "Monitoring", "Starting"]),
    nodes=st.lists(NODES, max_size=2, unique_by=lambda node: node.name).map(tuple),
)
REPLICAS = st.builds(
    Replica,
    index=NAMES,
    container=RESOURCES,
    ip=st.none() | RESOURCES,
    connection=st.none() | RESOURCES,
    primitive=st.none() | RESOURCES,
    guest=st.none() | NODES,
)

HOST = Node("host", type=NodeType.MEMBER, online=True)
GUEST = Node("b-0", type=NodeType.GUEST, online=True)
CONTAINER = Resource("b-podman-0", "ocf:heartbeat:podman", Role.STARTED, active=True, nodes=(HOST,))
CONNECTION = Resource("b-0", "ocf:pacemaker:remote", Role.STARTED, active=True, nodes=(HOST,))
SERVICE = Resource("s", "ocf:heartbeat:galera", Role.PROMOTED, active=True, nodes=(GUEST,))
REPLICA = Replica("0", CONTAINER, connection=CONNECTION, primitive=SERVICE, guest=GUEST)
STOPPED = replace(
    REPLICA,
    container=replace(CONTAINER, role=Role.STOPPED, active=False, nodes=()),
    connection=replace(CONNECTION, role=Role.STOPPED, active=False, nodes=()),
    primitive=replace(SERVICE, role=Role.STOPPED, active=False, nodes=()),
    guest=replace(GUEST, online=False),
)
LIMITS = BundleConfiguration(promoted_max=1, replicas_per_host=1)
GOOD = Cluster(dc_elected=True, quorate=True, fencing_enabled=True, maintenance_mode=False)


def bundle(*replicas: Replica) -> Bundle:
    return Bundle(
        "b",
        "podman",
        "image",
        unique=False,
        managed=True,
        failed=False,
        maintenance=False,
        replicas=replicas or (REPLICA,),
    )


@given(REPLICAS)
def test_there_is_a_reason_if_and_only_if_a_replica_is_not_ready(replica: Replica) -> None:
    assert bool(why_not_ready(replica)) is not replica.ready
    assert len(set(why_not_ready(replica))) == len(why_not_ready(replica))


@pytest.mark.real
def test_so_it_is_in_every_state(observed: Mapping[str, Observation]) -> None:
    for name, seen in observed.items():
        for found in seen.snapshot.bundles:
            for replica in found.replicas:
                assert bool(why_not_ready(replica)) is not replica.ready, name
            told = any("ready" in text for text in bundle_problems(found, None))
            assert told is not all(replica.ready for replica in found.replicas), name


@pytest.mark.real
def test_commands_never_go_behind_pacemakers_back(observed: Mapping[str, Observation]) -> None:
    commands = {
        command
        for seen in observed.values()
        for problem in problems(seen.snapshot, seen.configuration)
        for command in problem.commands
    }
    assert len(commands) > 20
    for command in commands:
        assert re.match(
            r"(pcs (status|resource|node|cluster|stonith|property)"
            r"|cibadmin --query|corosync-quorumtool -s\b)",
            command,
        )


@pytest.mark.pcs
def test_pcs_takes_them(observed: Mapping[str, Observation]) -> None:
    fence = replace(FENCE, id="fence-controller-0")
    devices = [
        replace(fence, managed=False),
        replace(fence, failed=True),
        replace(fence, role=Role.STOPPED, active=False, target_role="Stopped"),
    ]
    of_devices = (Snapshot(GOOD, instances=(Instance(device),)) for device in devices)
    calls = [
        (STATES[state].xml(), command)
        for state, told in (
            *(
                (name, problems(seen.snapshot, seen.configuration))
                for name, seen in observed.items()
            ),
            *(("healthy-fenced", problems(snapshot, None)) for snapshot in of_devices),
        )
        for problem in told
        for command in problem.commands
        if command.startswith("pcs ")
    ]
    assert len(calls) > 100
    assert refused(see.need("pcs"), calls) == {}


@pytest.mark.real
@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (
            "node-unclean",
            Problem(
                Subject.BUNDLE,
                "galera-bundle",
                (
                    "2 of 3 replicas are ready",
                    "2 of 3 replicas are promoted and ready",
                    "replica 2: host controller-2 is unclean",
                ),
                (),  # the node is the cause
            ),
        ),
        (
            "redis-promoted-none",
            Problem(
                Subject.BUNDLE, "redis-bundle", ("no replica is promoted",), ("pcs status --full",)
            ),
        ),
        (
            "redis-promoted-two",
            Problem(
                Subject.BUNDLE,
                "redis-bundle",
                ("2 replicas are promoted, promoted-max is 1",),
                ("pcs status --full",),
            ),
        ),
        (
            "blocked",
            Problem(
                Subject.BUNDLE,
                "rabbitmq-bundle",
                (
                    "2 of 3 replicas are ready",
                    "replica 1: service is blocked (a stop failed?)",
                    "rabbitmq is kept off rabbitmq-bundle-1 until a cleanup: fail-count INFINITY",
                ),
                (
                    "pcs resource failcount show rabbitmq",
                    "pcs resource cleanup rabbitmq-bundle",
                ),
            ),
        ),
        (
            "bundle-unmanaged",
            Problem(
                Subject.BUNDLE,
                "redis-bundle",
                ("is unmanaged: Pacemaker starts, stops and recovers none of it",),
                ("pcs resource manage redis-bundle",),
            ),
        ),
        (
            "node-standby",
            Problem(
                Subject.NODE,
                "controller-2",
                ("is in standby",),
                ("pcs node unstandby controller-2",),
            ),
        ),
    ],
)
def test_what_a_state_is_said_to_suffer_from(
    state: str, problem: Problem, observed: Mapping[str, Observation]
) -> None:
    seen = observed[state]
    assert problem in problems(seen.snapshot, seen.configuration)


@pytest.mark.real
def test_maintenance_mode_is_said_once(observed: Mapping[str, Observation]) -> None:
    seen = observed["cluster-maintenance"]
    (problem,) = problems(seen.snapshot, seen.configuration)
    assert problem.subject is Subject.CLUSTER
    assert problem.texts[0].startswith("maintenance mode is on")


@pytest.mark.real
def test_nothing_is_wrong_where_all_is_well(observed: Mapping[str, Observation]) -> None:
    seen = observed["healthy-fenced"]
    assert problems(seen.snapshot, seen.configuration) == ()


SECOND = Node("other", online=True)


@pytest.mark.parametrize(
    ("replica", "reasons"),
    [
        (REPLICA, ()),
        (STOPPED, ("container is stopped",)),
        (
            replace(REPLICA, primitive=replace(SERVICE, role=Role.STOPPED, active=False)),
            ("service is stopped",),
        ),
        (
            replace(REPLICA, primitive=replace(SERVICE, role=Role.STARTING)),
            ("service is starting",),
        ),
        (
            replace(STOPPED, container=replace(STOPPED.container, pending="Starting")),
            ("container is starting",),
        ),
        (
            replace(REPLICA, primitive=replace(SERVICE, role=Role.UNKNOWN)),
            ("service is in an unknown role",),
        ),
        (replace(REPLICA, primitive=replace(SERVICE, active=False)), ("service is not active",)),
        (replace(REPLICA, primitive=replace(SERVICE, failed=True)), ("service has failed",)),
        (replace(REPLICA, primitive=replace(SERVICE, failed=True, failure_ignored=True)), ()),
        (
            replace(REPLICA, container=replace(CONTAINER, failed=True, blocked=True)),
            ("container is blocked (a stop failed?)",),
        ),
        (
            replace(REPLICA, connection=replace(CONNECTION, orphaned=True)),
            ("connection is orphaned (no longer configured)",),
        ),
        (
            replace(REPLICA, connection=replace(CONNECTION, active=False)),
            ("connection is not active",),
        ),
        (
            replace(
                REPLICA, ip=Resource("ip", "ocf:heartbeat:IPaddr2", Role.STOPPED, active=False)
            ),
            ("ip is stopped",),
        ),
        (replace(REPLICA, guest=replace(GUEST, online=False)), ("guest node b-0 is offline",)),
        (replace(REPLICA, guest=None), ("guest node b-0 is not listed",)),
        (
            replace(REPLICA, container=replace(CONTAINER, nodes=(HOST, SECOND))),
            ("runs on 2 hosts: host, other",),
        ),
        (replace(REPLICA, container=replace(CONTAINER, nodes=())), ("runs on no host",)),
        (
            replace(REPLICA, container=replace(CONTAINER, nodes=(replace(HOST, online=False),))),
            ("host host is offline",),
        ),
        (
            # Of what was there nothing is known, and so nothing is said.
            replace(
                REPLICA,
                container=replace(CONTAINER, failed=True, nodes=(replace(HOST, unclean=True),)),
            ),
            ("host host is unclean",),
        ),
    ],
)
def test_why_not_ready(replica: Replica, reasons: tuple[str, ...]) -> None:
    assert why_not_ready(replica) == reasons


def test_a_bundle_is_compared_with_its_configuration() -> None:
    two = bundle(REPLICA, replace(REPLICA, index="1"))
    assert bundle_problems(two, None) == ()
    assert bundle_problems(two, LIMITS) == (
        "2 replicas are promoted, promoted-max is 1",
        "2 replicas run on host, replicas-per-host is 1",
    )
    assert bundle_problems(two, BundleConfiguration(3, 2)) == ()
    assert bundle_problems(bundle(STOPPED), LIMITS) == (
        "0 of 1 replicas are ready",
        "no replica is promoted",
    )


def test_a_disabled_bundle_is_not_asked_why_it_is_stopped() -> None:
    assert STOPPED.primitive is not None
    asked = replace(STOPPED, primitive=replace(STOPPED.primitive, target_role="stopped"))
    expected = ("is disabled (target-role is Stopped)", "0 of 1 replicas are ready")
    assert bundle_problems(bundle(asked), LIMITS) == expected
    (problem,) = problems(Snapshot(GOOD, bundles=(bundle(asked),)), None)
    assert (problem.texts, problem.commands) == (expected, ("pcs resource enable b",))


def test_a_bundles_own_marks() -> None:
    marked = replace(bundle(), managed=False, failed=True, maintenance=True)
    texts = bundle_problems(marked, None)
    assert [text.partition(":")[0] for text in texts] == [
        "is in maintenance",
        "is unmanaged",
        "is marked failed",
    ]


@pytest.mark.parametrize(
    ("node", "texts"),
    [
        (HOST, ()),
        (replace(HOST, online=False), ("is offline",)),
        (
            replace(HOST, online=False, unclean=True),
            ("is unclean: what it runs is not known until it is fenced",),
        ),
        (replace(HOST, online=False, pending=True), ("is joining the cluster",)),
        (replace(HOST, standby=True, maintenance=True), ("is in standby", "is in maintenance")),
        (replace(HOST, standby=True, standby_onfail=True), ("is in standby after a failure",)),
        (replace(HOST, shutdown=True, health="red"), ("is shutting down", "has health red")),
        (replace(HOST, health="green"), ()),
    ],
)
def test_nodes(node: Node, texts: tuple[str, ...]) -> None:
    assert node_problems(node) == texts


def test_the_cluster() -> None:
    assert cluster_problems(Snapshot(GOOD)) == ()
    assert cluster_problems(Snapshot(Cluster())) == ()  # what is not said is not wrong
    bad = Cluster(
        dc_elected=False,
        quorate=False,
        fencing_enabled=False,
        maintenance_mode=True,
        stop_all_resources=True,
        mixed_version=True,
    )
    assert len(cluster_problems(Snapshot(bad, fencing=None))) == 7


def test_guest_nodes_are_told_with_their_replicas() -> None:
    assert problems(Snapshot(GOOD, nodes=(replace(GUEST, online=False),)), None) == ()


BLOCKED = "is blocked on host (a stop failed?)"
FENCE = Resource("fence", "stonith:fence_x", Role.STARTED, active=True, nodes=(HOST,))


@pytest.mark.parametrize(
    ("instances", "texts", "commands"),
    [
        ([FENCE], (), ()),
        (
            [replace(FENCE, failed=True)],
            ("has failed on host",),
            ("pcs resource failcount show fence", "pcs stonith cleanup fence"),
        ),
        (
            [replace(FENCE, role=Role.STOPPED, active=False, nodes=(), target_role="Stopped")],
            ("is disabled (target-role is Stopped)",),
            ("pcs stonith enable fence",),
        ),
        (
            [replace(FENCE, role=Role.STOPPED, active=False, nodes=())],
            ("is stopped",),
            ("pcs status --full",),
        ),
        (
            [replace(FENCE, managed=False, nodes=(HOST, SECOND))],
            ("is unmanaged", "runs on 2 nodes: host, other"),
            ("pcs resource manage fence", "pcs status --full"),
        ),
        (
            [replace(FENCE, failed=True, nodes=(replace(HOST, unclean=True),))],
            ("runs on host, which is unclean",),
            (),
        ),
        (
            [replace(FENCE, agent="ocf:x:y", orphaned=True, blocked=True)],
            (
                f"{BLOCKED}: make sure that it is stopped before a cleanup",
                "is orphaned on host (no longer configured)",
            ),
            (
                "pcs resource failcount show fence",
                "pcs resource cleanup fence",
                "pcs status --full",
            ),
        ),
    ],
)
def test_resources_outside_bundles(
    instances: list[Resource], texts: tuple[str, ...], commands: tuple[str, ...]
) -> None:
    found = problems(Snapshot(GOOD, instances=tuple(map(Instance, instances))), None)
    assert [(p.texts, p.commands) for p in found] == ([(texts, commands)] if texts else [])


def test_stopped_members_of_a_clone_are_not_wrong_while_another_runs() -> None:
    stopped = replace(FENCE, role=Role.STOPPED, active=False, nodes=())
    members = (Instance(FENCE, clone="c"), Instance(stopped, clone="c"))
    assert problems(Snapshot(GOOD, instances=members), None) == ()
    (problem,) = problems(Snapshot(GOOD, instances=members[1:]), None)
    assert problem.texts == ("is stopped everywhere",)


def test_failures_that_reached_their_limit() -> None:
    history = (
        ResourceHistory("s", "b-0", 3, 3),
        ResourceHistory("vip", "host", 1_000_000, 1_000_000),
        ResourceHistory("vip", "other", 2, 3),
        ResourceHistory("gone", "other", 2, None),
    )
    found = problems(Snapshot(GOOD, bundles=(bundle(),), history=history), None)
    assert [(p.subject, p.name, p.texts, p.commands) for p in found] == [
        (
            Subject.BUNDLE,
            "b",
            ("s is kept off b-0 until a cleanup: fail-count 3",),
            ("pcs resource cleanup b",),
        ),
        (
            Subject.RESOURCE,
            "vip",
            ("is kept off host until a cleanup: fail-count INFINITY",),
            ("pcs resource cleanup vip",),
        ),
    ]


def test_names_in_commands_are_one_word_for_a_shell() -> None:
    odd = replace(bundle(STOPPED), id="b; reboot", managed=False)
    (problem,) = problems(Snapshot(GOOD, bundles=(odd,)), Configuration("", {}))
    assert "pcs resource manage 'b; reboot'" in problem.commands


class TestFencing:
    FAILED = FencingEvent("b", "reboot", "failed", 100.0, reason="No route to IPMI")

    def told(self, *events: FencingEvent) -> list[str]:
        return [t for t in cluster_problems(Snapshot(GOOD, fencing=events)) if "fencing of" in t]

    def test_a_failure_is_told_until_it_worked(self) -> None:
        assert self.told(self.FAILED) == ["fencing of b failed: No route to IPMI"]
        worked = FencingEvent("b", "reboot", "success", 100.0)
        assert self.told(self.FAILED, worked) == []
        assert self.told(replace(self.FAILED, completed=101.0), worked) != []
        assert self.told(self.FAILED, replace(worked, target="c")) != []

    def test_one_that_is_under_way(self) -> None:
        assert self.told(FencingEvent("b", "reboot", "pending")) == ["fencing of b is under way"]


def test_a_node_that_joins_is_not_in_standby() -> None:
    joining = Node("a", type=NodeType.MEMBER, online=True, pending=True, standby=True)
    assert node_problems(joining) == ("is joining the cluster",)


def test_what_changes_the_cluster_is_known_from_what_looks() -> None:
    assert changes_cluster("pcs property set maintenance-mode=false")
    assert changes_cluster("pcs resource cleanup x")
    assert changes_cluster("pcs node unstandby x")
    assert not changes_cluster("pcs status --full")
    assert not changes_cluster("pcs stonith history show x")
    assert not changes_cluster("pcs resource failcount show x")
