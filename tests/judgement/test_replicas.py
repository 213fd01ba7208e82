"""Why a replica is not ready, in words."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cluster.model import FailedAction, Node, NodeType, Replica, Resource, Role
from exporter.cluster.observation import Observation
from exporter.judgement.replicas import LastFailures, why_not_ready

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
SECOND = Node("other", type=NodeType.MEMBER, online=True)
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


@given(REPLICAS)
def test_replica_has_a_reason_exactly_when_it_is_not_ready(replica: Replica) -> None:
    assert bool(why_not_ready(replica)) is not replica.ready
    assert len(set(why_not_ready(replica))) == len(why_not_ready(replica))


@pytest.mark.real
def test_replicas_of_every_state_have_a_reason_exactly_when_not_ready(
    observed: Mapping[str, Observation],
) -> None:
    for name, seen in observed.items():
        for found in seen.snapshot.bundles:
            for replica in found.replicas:
                assert bool(why_not_ready(replica)) is not replica.ready, name


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
            replace(STOPPED, container=replace(STOPPED.container, locked_to="n")),
            ("container is stopped and waits for n, which was shut down (shutdown-lock)",),
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
def test_reasons_name_the_component_that_is_not_ready(
    replica: Replica, reasons: tuple[str, ...]
) -> None:
    assert why_not_ready(replica) == reasons


FAILED = replace(REPLICA, primitive=replace(SERVICE, failed=True))
OLD = FailedAction("s", "b-0", "monitor", "complete", "1", "old reason", 100.0)
NEW = replace(OLD, reason="new reason", last_change=200.0)


@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        ((), ""),
        ((OLD, NEW), ": new reason"),
        ((NEW, OLD), ": new reason"),
        ((OLD, replace(NEW, node="b-1")), ": old reason"),
        ((replace(OLD, resource="other"),), ""),
        ((replace(OLD, reason=""),), ": monitor returned 1"),
        ((replace(OLD, reason="", status="Timed Out"),), ": monitor ended with 'Timed Out'"),
        ((replace(OLD, reason="", rc=""),), ""),
    ],
)
def test_failure_is_told_with_the_reason_of_the_last_failed_action(
    actions: tuple[FailedAction, ...], reason: str
) -> None:
    assert why_not_ready(FAILED, LastFailures(actions)) == (f"service has failed{reason}",)


def test_failed_action_of_an_instance_may_lack_its_number() -> None:
    unique = replace(FAILED, primitive=replace(SERVICE, id="s:0", failed=True))
    assert why_not_ready(unique, LastFailures((OLD,))) == ("service has failed: old reason",)


def test_long_reason_is_shortened() -> None:
    (text,) = why_not_ready(FAILED, LastFailures((replace(OLD, reason="x" * 1000),)))
    assert len(text) < 300
    assert text.endswith("more characters)")
