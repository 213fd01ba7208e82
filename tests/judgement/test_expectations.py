"""Random clusters, constraints and outages, beside an independent model of what is expected."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from exporter.cluster.configuration import BundleConfiguration, Configuration
from exporter.cluster.location import LocationConstraint, Locations
from exporter.cluster.model import (
    INFINITY,
    Bundle,
    Cluster,
    Node,
    NodeType,
    Replica,
    Role,
    Snapshot,
)
from exporter.cluster.observation import Observation
from exporter.judgement.bundles import BundleJudgement
from exporter.judgement.judge import judge
from tests.support.model import status
from tests.support.oracle.expectations import Place, most_replicas, state_of

FLAGS = st.sampled_from([False, False, False, True])


@dataclass(frozen=True)
class World:
    """A cluster with one bundle, and what the test knows about it."""

    nodes: tuple[Node, ...]
    banned: frozenset[str]
    """Nodes that a constraint forbids."""
    replicas: tuple[Replica, ...]
    limits: BundleConfiguration
    target_role: str

    def judged(self) -> BundleJudgement:
        """Judge the bundle."""
        bundle = Bundle("b", "podman", "i", False, True, False, False, self.replicas)
        bans = tuple(
            LocationConstraint(f"ban-{name}", ("b",), node=name, score=-INFINITY)
            for name in sorted(self.banned)
        )
        configuration = Configuration(
            bundles={"b": self.limits}, locations=Locations(constraints=bans)
        )
        snapshot = Snapshot(Cluster(dc_elected=True, quorate=True), self.nodes, (bundle,))
        (found,) = judge(Observation(snapshot, configuration)).bundles
        return found

    def places(self) -> list[Place]:
        """Return the nodes as the model sees them."""
        return [
            Place(
                node.name,
                node.name not in self.banned,
                asked_out(node),
                sum(r.ready and r.hosts[0].name == node.name for r in self.replicas),
            )
            for node in self.nodes
        ]


def asked_out(node: Node) -> bool:
    """Whether somebody took a node out of service, by the words of pcs."""
    standby_was_asked_for = node.standby and not (node.standby_onfail or node.pending)
    leaves = node.shutdown and node.online
    return node.maintenance or standby_was_asked_for or leaves


@st.composite
def worlds(draw: st.DrawFn) -> World:
    nodes = tuple(
        draw(
            st.builds(
                Node,
                name=st.just(f"n{i}"),
                type=st.sampled_from([NodeType.MEMBER, NodeType.REMOTE]),
                online=st.sampled_from([True, True, True, False]),
                standby=FLAGS,
                standby_onfail=FLAGS,
                maintenance=FLAGS,
                pending=FLAGS,
                unclean=FLAGS,
                shutdown=FLAGS,
            )
        )
        for i in range(draw(st.integers(1, 6)))
    )
    target_role = draw(st.sampled_from(["", "", "", "Stopped", "Unpromoted"]))
    replicas = tuple(
        replica(
            i,
            draw(st.none() | st.sampled_from(nodes)),
            draw(st.sampled_from([Role.PROMOTED, Role.UNPROMOTED])),
            target_role,
            failed=draw(FLAGS),
        )
        for i in range(draw(st.integers(1, 5)))
    )
    banned = draw(st.frozensets(st.sampled_from([node.name for node in nodes])))
    limits = BundleConfiguration(draw(st.integers(0, 3)), draw(st.integers(1, 2)))
    return World(nodes, banned, replicas, limits, target_role)


def replica(
    index: int, host: Node | None, role: Role, target_role: str, *, failed: bool = False
) -> Replica:
    """Return a replica on a host, or one that is stopped."""
    failed = failed and host is not None
    return status.replica(
        f"b-podman-{index}", index, host, role, failed=failed, target_role=target_role
    )


@given(worlds())
def test_expected_replicas_are_those_that_can_be_placed(world: World) -> None:
    found = world.judged()
    expected = most_replicas(world.places(), len(world.replicas), world.limits.replicas_per_host)
    if world.target_role == "Stopped":
        expected = 0
    demoted = world.target_role != ""
    promoted_expected = 0 if demoted else min(world.limits.promoted_max, expected)
    assert found.expected == expected
    assert found.promoted_expected == promoted_expected
    ready = [replica for replica in world.replicas if replica.ready]
    promoted = sum(replica.role is Role.PROMOTED for replica in ready)
    configured = min(world.limits.promoted_max, len(world.replicas))
    full = len(ready) == len(world.replicas) and promoted >= configured
    assert found.state == state_of(expected, len(ready), promoted_expected, promoted, full=full)


@given(worlds(), st.data())
def test_failure_is_never_an_excuse(world: World, data: st.DataObject) -> None:
    """Losing a replica where nobody took the node out, or a whole node, changes no expectation."""
    before = world.judged().expected
    place = data.draw(st.integers(0, len(world.replicas) - 1))
    lost = world.replicas[place]
    if any(host.name in world.judged().out_of_service for host in lost.hosts):
        return
    stopped = replica(place, None, Role.STOPPED, world.target_role)
    replicas = (*world.replicas[:place], stopped, *world.replicas[place + 1 :])
    assert replace(world, replicas=replicas).judged().expected == before


@given(worlds(), st.data())
def test_standby_excuses_no_more_than_the_node_could_hold(
    world: World, data: st.DataObject
) -> None:
    before = world.judged()
    place = data.draw(st.integers(0, len(world.nodes) - 1))
    node = world.nodes[place]
    away = replace(node, standby=True, standby_onfail=False, pending=False)
    nodes = (*world.nodes[:place], away, *world.nodes[place + 1 :])
    after = replace(world, nodes=nodes).judged()
    if node.name in world.banned:
        assert after.expected == before.expected
    else:
        assert before.expected - after.expected <= world.limits.replicas_per_host
