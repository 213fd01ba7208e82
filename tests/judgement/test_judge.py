"""What is expected of bundles, clones and resources, and their states."""

from dataclasses import replace
from typing import Any

import pytest

from exporter.cluster.configuration import (
    BundleConfiguration,
    Configuration,
    ConfiguredResource,
    Dependency,
    ResourceKind,
)
from exporter.cluster.model import (
    Bundle,
    Cluster,
    Instance,
    Node,
    NodeType,
    Replica,
    Resource,
    Role,
    Snapshot,
)
from exporter.cluster.observation import Observation
from exporter.judgement.bundles import BundleJudgement, BundleState
from exporter.judgement.clones import CloneJudgement
from exporter.judgement.judge import Judgement, judge
from exporter.judgement.nodes import NodeState
from tests.support.model import status

CLUSTER = Cluster(dc_elected=True, quorate=True)
A, B, C = (Node(name, name, NodeType.MEMBER, online=True) for name in "abc")
STANDBY = replace(C, standby=True)
UNCLEAN = replace(C, unclean=True)


def replica(index: int, host: Node | None, role: Role = Role.STARTED, **fields: Any) -> Replica:  # noqa: ANN401 - fields of Resource
    """Return a replica of the bundle b, on a host or stopped."""
    return status.replica(f"b-podman-{index}", index, host, role, **fields)


PLAIN = BundleConfiguration(promoted_max=0, replicas_per_host=1)


def bundle(*replicas: Replica) -> Bundle:
    return Bundle("b", "podman", "i", False, True, False, False, replicas)


def judged(
    found: Bundle, *nodes: Node, limits: BundleConfiguration | None = PLAIN
) -> BundleJudgement:
    """Judge a bundle in a cluster of some nodes; without limits the CIB is unknown."""
    configuration = Configuration(bundles={"b": limits}) if limits else None
    snapshot = Snapshot(CLUSTER, nodes or (A, B, C), (found,))
    (judgement,) = judge(Observation(snapshot, configuration)).bundles
    return judgement


def test_healthy_bundle_is_ok() -> None:
    found = judged(bundle(replica(0, A), replica(1, B), replica(2, C)))
    assert (found.expected, found.state) == (3, BundleState.OK)
    assert found.eligible == {"a", "b", "c"}


def test_replicas_beyond_the_nodes_are_not_expected() -> None:
    five = bundle(*(replica(i, node) for i, node in enumerate((A, B, C, None, None))))
    found = judged(five)
    assert (found.expected, found.state) == (3, BundleState.REDUCED)
    assert found.short_of_nodes
    assert not found.short_of_nodes_in_service
    crowded = judged(five, limits=BundleConfiguration(0, 2))
    assert (crowded.expected, crowded.state) == (5, BundleState.DEGRADED)


def test_standby_excuses_one_replica_and_not_two() -> None:
    one = judged(bundle(replica(0, A), replica(1, B), replica(2, None)), A, B, STANDBY)
    assert (one.expected, one.state) == (2, BundleState.REDUCED)
    assert one.short_of_nodes_in_service
    two = judged(bundle(replica(0, A), replica(1, None), replica(2, None)), A, B, STANDBY)
    assert (two.expected, two.state) == (2, BundleState.DEGRADED)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (STANDBY, 2),
        (replace(STANDBY, online=False), 2),
        (replace(C, maintenance=True), 2),
        (replace(C, shutdown=True), 2),
        (replace(C, shutdown=True, online=False), 3),
        (replace(STANDBY, standby_onfail=True), 3),
        (replace(STANDBY, pending=True), 3),
        (replace(STANDBY, pending=True, maintenance=True), 2),
        (replace(C, online=False), 3),
        (UNCLEAN, 3),
    ],
)
def test_only_nodes_that_somebody_took_out_excuse(node: Node, expected: int) -> None:
    found = judged(bundle(replica(0, A), replica(1, B), replica(2, None)), A, B, node)
    assert found.expected == expected


def test_replica_that_goes_on_where_maintenance_is_counts() -> None:
    node = replace(C, maintenance=True)
    found = judged(bundle(replica(0, A), replica(1, B), replica(2, node)), A, B, node)
    assert (found.expected, found.state) == (3, BundleState.OK)
    lost = judged(bundle(replica(0, A), replica(1, None), replica(2, node)), A, B, node)
    assert (lost.expected, lost.state) == (3, BundleState.DEGRADED)


def test_promoted_replicas_are_compared_with_promoted_max() -> None:
    roles = Role.PROMOTED, Role.UNPROMOTED, Role.UNPROMOTED
    three = bundle(
        *(replica(i, n, r) for i, (n, r) in enumerate(zip((A, B, C), roles, strict=True)))
    )
    for promoted_max, expected, state in (
        (0, 0, BundleState.OK),
        (1, 1, BundleState.OK),
        (2, 2, BundleState.DEGRADED),
        (5, 3, BundleState.DEGRADED),
    ):
        found = judged(three, limits=BundleConfiguration(promoted_max, 1))
        assert (found.promoted_expected, found.state) == (expected, state)
    assert judged(three, limits=None).promoted_expected is None
    none = bundle(*(replica(i, n, Role.UNPROMOTED) for i, n in enumerate((A, B, C))))
    assert judged(none, limits=BundleConfiguration(1, 1)).state is BundleState.DOWN
    assert judged(none, limits=None).state is BundleState.OK, "the CIB is unknown"


def test_bundle_without_a_ready_replica_is_down() -> None:
    stopped = bundle(replica(0, None), replica(1, None))
    assert judged(stopped).state is BundleState.DOWN
    all_out = judged(stopped, STANDBY)
    assert (all_out.expected, all_out.state) == (0, BundleState.REDUCED)


def test_disabled_bundle_expects_nothing() -> None:
    off = bundle(*(replica(i, None, target_role=role) for i, role in enumerate(("Stopped",) * 3)))
    found = judged(off, limits=BundleConfiguration(3, 1))
    assert (found.expected, found.promoted_expected, found.state) == (0, 0, BundleState.REDUCED)
    assert found.disabled
    assert not found.demoted


def test_demoted_bundle_expects_replicas_and_no_promoted_one() -> None:
    slaves = [replica(i, n, Role.UNPROMOTED, target_role="Slave") for i, n in enumerate((A, B, C))]
    found = judged(bundle(*slaves), limits=BundleConfiguration(1, 1))
    assert (found.expected, found.promoted_expected, found.state) == (3, 0, BundleState.REDUCED)
    assert found.demoted
    assert not judged(bundle(*slaves), limits=BundleConfiguration(0, 1)).demoted


def test_unmanaged_and_maintenance_do_not_change_the_state() -> None:
    loose = replace(bundle(replica(0, A), replica(1, None)), managed=False, maintenance=True)
    found = judged(loose)
    assert (found.state, found.unmanaged, found.in_maintenance) == (
        BundleState.DEGRADED,
        True,
        True,
    )


def test_primitive_that_is_unmanaged_makes_the_bundle_unmanaged() -> None:
    service = Resource("s", "ocf:heartbeat:galera", Role.STARTED, True, managed=False)
    found = judged(bundle(replace(replica(0, A), primitive=service)))
    assert found.unmanaged
    blocked = replace(service, blocked=True)
    assert not judged(bundle(replace(replica(0, A), primitive=blocked))).unmanaged


def test_maintenance_of_every_node_is_maintenance_of_the_cluster() -> None:
    nodes = [replace(node, maintenance=True) for node in (A, B, C)]
    found = bundle(replica(0, nodes[0]))
    assert judged(found, *nodes).in_maintenance
    assert not judged(found, *nodes[:2], C).in_maintenance


# ---- Nodes ----


REMOTE = Node("r", "r", NodeType.REMOTE, online=False)
CONNECTION = Resource("r", "ocf:pacemaker:remote", Role.STOPPED, False)
VM = Node("g", "g", NodeType.GUEST, online=False, resource="vm")
VM_RESOURCE = Resource("vm", "ocf:heartbeat:VirtualDomain", Role.STOPPED, False)


def cluster(
    *resources: Resource,
    nodes: tuple[Node, ...] = (A, B, C),
    clone: str = "",
    **configured: Any,  # noqa: ANN401 - fields of Configuration
) -> Judgement:
    """Judge resources outside bundles."""
    instances = tuple(Instance(resource, clone=clone) for resource in resources)
    snapshot = Snapshot(CLUSTER, nodes, (), instances)
    return judge(Observation(snapshot, Configuration(**configured)))


def out_of_service(judgement: Judgement) -> set[str]:
    return {judged.node.name for judged in judgement.nodes if judged.out_of_service}


@pytest.mark.parametrize(
    ("node", "resource"), [(REMOTE, CONNECTION), (VM, VM_RESOURCE)], ids=["remote", "guest"]
)
def test_remote_node_is_out_of_service_if_its_resource_is_not_to_run(
    node: Node, resource: Resource
) -> None:
    nodes = (A, node)
    assert out_of_service(cluster(resource, nodes=nodes)) == set()
    disabled = replace(resource, target_role="Stopped")
    assert out_of_service(cluster(disabled, nodes=nodes)) == {node.name}
    crashed = replace(node, shutdown=True)
    assert out_of_service(cluster(resource, nodes=(A, crashed))) == set()
    assert out_of_service(cluster(resource, nodes=(A, replace(node, standby=True)))) == {node.name}


def test_guest_of_a_bundle_is_part_of_its_replica() -> None:
    guest = Node("b-0", "b-0", NodeType.GUEST, online=True, maintenance=True, resource="b-podman-0")
    connection = Resource("b-0", "ocf:pacemaker:remote", Role.STARTED, True, nodes=(A,))
    one = replace(replica(0, A), connection=connection, guest=guest)
    judgement = judge(Observation(Snapshot(CLUSTER, (A, guest), (bundle(one),)), None))
    member, inside = judgement.nodes
    assert (member.in_bundle, inside.in_bundle, inside.out_of_service) == (False, True, False)
    assert judgement.bundles[0].eligible == {"a"}


@pytest.mark.parametrize(
    ("node", "state"),
    [
        (C, NodeState.ONLINE),
        (STANDBY, NodeState.STANDBY),
        (replace(C, standby_onfail=True), NodeState.STANDBY),
        (replace(STANDBY, maintenance=True), NodeState.MAINTENANCE),
        (replace(STANDBY, pending=True), NodeState.PENDING),
        (replace(STANDBY, pending=True, online=False), NodeState.OFFLINE),
        (replace(UNCLEAN, online=False), NodeState.UNCLEAN),
    ],
)
def test_state_of_a_node_is_the_worst_that_holds(node: Node, state: NodeState) -> None:
    (found,) = cluster(nodes=(node,)).nodes
    assert found.state is state


# ---- Resources and clones ----


ADDRESS = Resource("ip", "ocf:heartbeat:IPaddr2", Role.STOPPED, False)
RUNNING = replace(ADDRESS, role=Role.STARTED, active=True, nodes=(A,))


@pytest.mark.parametrize(
    ("resource", "down"),
    [
        (RUNNING, False),
        (ADDRESS, True),
        (replace(RUNNING, failed=True), True),
        (replace(RUNNING, failed=True, failure_ignored=True), False),
        (replace(RUNNING, blocked=True), True),
        (replace(RUNNING, role=Role.STARTING), True),
        (replace(RUNNING, nodes=(UNCLEAN,)), True),
        (replace(ADDRESS, target_role="stopped"), False),
        (replace(ADDRESS, orphaned=True), False),
    ],
)
def test_resource_is_down_if_it_should_run_and_does_not(resource: Resource, down: bool) -> None:
    (found,) = cluster(resource).instances
    assert found.down is down


def test_resource_is_not_down_if_all_nodes_are_out_of_service() -> None:
    (found,) = cluster(ADDRESS, nodes=(STANDBY,)).instances
    assert not found.down
    node = replace(C, maintenance=True)
    (found,) = cluster(replace(RUNNING, nodes=(node,), failed=True), nodes=(node,)).instances
    assert found.down, "it runs there, and not well"


def test_held_back_resource_is_not_down() -> None:
    resources = {
        name: ConfiguredResource(name, ResourceKind.PRIMITIVE, target_role=role)
        for name, role in (("ip", ""), ("off", "stopped"))
    }
    dependency = Dependency("c", "ip", ("off",))
    judgement = cluster(ADDRESS, resources=resources, dependencies=(dependency,))
    (found,) = judgement.instances
    assert not found.down
    assert found.held_back is not None
    assert found.held_back.name == "off"


def clone(
    *resources: Resource,
    nodes: tuple[Node, ...] = (A, B, C),
    **limits: Any,  # noqa: ANN401 - fields of ConfiguredResource
) -> CloneJudgement:
    """Judge a clone."""
    configured = ConfiguredResource("k", ResourceKind.CLONE, **limits)
    judgement = cluster(*resources, nodes=nodes, clone="k", resources={"k": configured})
    (found,) = judgement.clones
    return found


def on(*nodes: Node, role: Role = Role.STARTED) -> list[Resource]:
    return [Resource("p", "ocf:pacemaker:ping", role, True, nodes=(node,)) for node in nodes]


NOWHERE = Resource("p", "ocf:pacemaker:ping", Role.STOPPED, False)


def test_clone_runs_on_every_node() -> None:
    found = clone(*on(A, B, C))
    assert (found.instances, found.expected, found.running, found.missing) == (3, 3, 3, 0)
    found = clone(*on(A, B), NOWHERE)
    assert (found.expected, found.running, found.lacking) == (3, 2, ("c",))


def test_lost_node_lacks_no_instance() -> None:
    for node in (UNCLEAN, replace(C, online=False), replace(C, pending=True)):
        found = clone(*on(A, B), NOWHERE, nodes=(A, B, node))
        assert (found.expected, found.running, found.missing) == (3, 2, 0)


def test_node_out_of_service_needs_no_instance() -> None:
    found = clone(*on(A, B), NOWHERE, nodes=(A, B, STANDBY))
    assert (found.instances, found.expected, found.missing) == (3, 2, 0)


def test_limits_of_a_clone_count() -> None:
    found = clone(*on(A), NOWHERE, instances_max=2)
    assert (found.instances, found.expected, found.lacking, found.missing) == (2, 2, ("b", "c"), 1)
    found = clone(*on(A, A, B), instances_max=4, instances_per_node=2)
    assert (found.instances, found.expected, found.running, found.missing) == (4, 4, 3, 1)


def test_disabled_clone_expects_nothing() -> None:
    found = clone(replace(NOWHERE, target_role="Stopped"))
    assert (found.expected, found.missing) == (0, 0)


def test_promoted_instances_are_counted() -> None:
    found = clone(*on(A, role=Role.PROMOTED), *on(B, C, role=Role.UNPROMOTED))
    assert (found.running, found.promoted) == (3, 1)
