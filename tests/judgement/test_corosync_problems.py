"""Problems of corosync, and near misses."""

from dataclasses import replace

import pytest

from exporter.cluster.corosync import (
    ConfiguredNode,
    Corosync,
    CorosyncSettings,
    CorosyncState,
    Link,
    Member,
    QdeviceStatus,
    Quorum,
    QuorumOption,
    Ring,
)
from exporter.cluster.model import Cluster, Node, NodeType, Snapshot
from exporter.cluster.observation import Observation
from exporter.judgement.judge import judge
from exporter.judgement.problem import Kind, Problem, Severity
from exporter.judgement.problems import has_failures

NAMES = ("a", "b", "c")
NODES = tuple(
    Node(name, str(number), NodeType.MEMBER, online=True) for number, name in enumerate(NAMES, 1)
)
GOOD = Cluster(dc_elected=True, quorate=True, fencing_enabled=True)
VOTING = QdeviceStatus(registered=True, alive=True, voting=True)
SETTINGS = CorosyncSettings(
    local_id=1,
    nodes=tuple(ConfiguredNode(number, name) for number, name in enumerate(NAMES, 1)),
    has_quorum_provider=True,
)
QUORUM = Quorum(
    quorate=True, local_id=1, expected=3, expected_highest=3, present=3, needed=2,
    members=tuple(Member(number, 1) for number in (1, 2, 3)),
)  # fmt: skip
LINKS = tuple(Link(peer, number, connected=True) for peer in (2, 3) for number in (0, 1))
HEALTHY = Corosync(CorosyncState.ANSWERED, SETTINGS, QUORUM, LINKS)


def found(
    corosync: Corosync, nodes: tuple[Node, ...] = NODES, cluster: Cluster = GOOD
) -> tuple[Problem, ...]:
    """The problems of a cluster that is otherwise well."""
    observation = Observation(
        Snapshot(cluster, nodes=nodes), configuration_current=True, corosync=corosync
    )
    return judge(observation).problems


def without(*lost: tuple[int, int]) -> tuple[Link, ...]:
    """All links, some of which are down."""
    return tuple(replace(link, connected=(link.peer_id, link.number) not in lost) for link in LINKS)


def off(node: Node) -> tuple[Node, ...]:
    """The nodes; one is offline."""
    return tuple(replace(n, online=n is not node) for n in NODES)


def test_healthy() -> None:
    assert found(HEALTHY) == ()


@pytest.mark.parametrize("state", [CorosyncState.UNKNOWN, CorosyncState.NOT_RUNNING])
def test_what_is_unknown_is_no_problem(state: CorosyncState) -> None:
    """Where corosync is not running, Pacemaker is not, either."""
    assert found(Corosync(state)) == ()


def test_corosync_that_does_not_answer_is_critical() -> None:
    (problem,) = found(Corosync(CorosyncState.UNRESPONSIVE))
    assert (problem.kind, problem.severity) == (Kind.COROSYNC_UNRESPONSIVE, Severity.CRITICAL)
    assert has_failures((problem,))
    assert "corosync on this node does not answer" in problem.sentence


class TestLinks:
    def test_link_is_down_and_another_holds(self) -> None:
        (problem,) = found(replace(HEALTHY, links=without((3, 1))))
        assert (problem.kind, problem.severity) == (Kind.COROSYNC_LINK_DOWN, Severity.WARNING)
        assert [subject.name for subject in problem.subjects] == ["c"]
        assert problem.all_texts == ("link 1 is down",)

    def test_a_broken_card_takes_one_link_to_each_peer(self) -> None:
        (problem,) = found(replace(HEALTHY, links=without((2, 1), (3, 1))))
        assert [subject.name for subject in problem.subjects] == ["b", "c"]

    def test_node_that_is_off_has_no_links(self) -> None:
        quorum = replace(QUORUM, present=2, members=QUORUM.members[:2], needed=1)
        corosync = replace(HEALTHY, links=without((3, 0), (3, 1)), quorum=quorum)
        assert [problem.kind for problem in found(corosync, off(NODES[2]))] == [Kind.NODE_OFFLINE]

    @pytest.mark.parametrize("member_of", ["corosync", "pacemaker"])
    def test_member_without_links_is_about_to_be_cut_off(self, member_of: str) -> None:
        of_corosync = QUORUM.members if member_of == "corosync" else QUORUM.members[:2]
        quorum = replace(QUORUM, members=of_corosync)
        nodes = NODES if member_of == "pacemaker" else off(NODES[2])
        corosync = replace(HEALTHY, links=without((3, 0), (3, 1)), quorum=quorum)
        assert Kind.COROSYNC_ALL_LINKS_DOWN in {problem.kind for problem in found(corosync, nodes)}

    def test_only_link_to_a_member(self) -> None:
        links = (Link(2, 0, connected=True), Link(3, 0, connected=False))
        (problem,) = found(replace(HEALTHY, links=links))
        assert problem.kind is Kind.COROSYNC_ALL_LINKS_DOWN

    def test_names_of_pacemaker_where_the_nodelist_has_none(self) -> None:
        (problem,) = found(
            replace(HEALTHY, settings=CorosyncSettings(local_id=1), links=without((3, 1)))
        )
        assert [subject.name for subject in problem.subjects] == ["c"]

    def test_faulty_ring(self) -> None:
        rings = (Ring(0, faulty=False), Ring(1, faulty=True))
        (problem,) = found(replace(HEALTHY, links=(), rings=rings))
        assert problem.kind is Kind.COROSYNC_RING_FAULTY
        assert "ring 1 faulty" in problem.sentence


class TestVotes:
    LAST = replace(QUORUM, present=2, members=QUORUM.members[:2])

    def test_no_margin(self) -> None:
        problems = found(replace(HEALTHY, quorum=self.LAST), off(NODES[2]))
        (problem,) = (p for p in problems if p.kind is Kind.QUORUM_WITHOUT_MARGIN)
        assert problem.severity is Severity.WARNING
        assert "2 of 3 votes are present, and 2 are needed" in problem.sentence
        assert problem.cause is not None
        assert (problem.cause.kind, [s.name for s in problem.cause.subjects]) == (
            Kind.NODE_OFFLINE,
            ["c"],
        )

    @pytest.mark.parametrize(
        "quorum",
        [
            # Both nodes of two.
            replace(QUORUM, present=2, expected=2, expected_highest=2),
            replace(QUORUM, present=4, expected=5, expected_highest=5, needed=3),
            replace(
                QUORUM, present=3, needed=3, expected=4, expected_highest=4,
                options=frozenset({QuorumOption.AUTO_TIE_BREAKER}),
            ),
            replace(
                QUORUM, present=1, needed=1, expected=2, expected_highest=2,
                options=frozenset({QuorumOption.TWO_NODE}),
            ),
        ],
    )  # fmt: skip
    def test_margin(self, quorum: Quorum) -> None:
        assert found(replace(HEALTHY, quorum=quorum)) == ()

    @pytest.mark.parametrize(
        "quorum",
        [
            replace(QUORUM, present=3, needed=3, expected=4, expected_highest=4),
            # The next one would leave less than half.
            replace(
                QUORUM, present=3, needed=3, expected=5, expected_highest=5,
                options=frozenset({QuorumOption.AUTO_TIE_BREAKER}),
            ),
        ],
    )  # fmt: skip
    def test_no_margin_of_other_sizes(self, quorum: Quorum) -> None:
        assert Kind.QUORUM_WITHOUT_MARGIN in {
            problem.kind for problem in found(replace(HEALTHY, quorum=quorum))
        }

    def test_expected_votes_differ(self) -> None:
        (problem,) = found(replace(HEALTHY, quorum=replace(QUORUM, expected_highest=5)))
        assert problem.kind is Kind.EXPECTED_VOTES_DIFFER
        assert "3 here, and 5 elsewhere" in problem.sentence

    @pytest.mark.parametrize("quorate", [True, False])
    def test_corosync_and_pacemaker_disagree(self, quorate: bool) -> None:
        problems = found(
            replace(HEALTHY, quorum=replace(QUORUM, quorate=not quorate)),
            cluster=replace(GOOD, quorate=quorate),
        )
        assert Kind.QUORUM_DISAGREES in {problem.kind for problem in problems}

    def test_quorum_that_crm_mon_does_not_tell_cannot_differ(self) -> None:
        problems = found(HEALTHY, cluster=replace(GOOD, quorate=None))
        assert [problem.kind for problem in problems] == [Kind.QUORUM_UNKNOWN]

    @pytest.mark.parametrize("waits", [True, False])
    def test_enough_votes_without_quorum_are_explained(self, waits: bool) -> None:
        quorum = replace(
            QUORUM, quorate=False, present=1, needed=1, expected=2, expected_highest=2,
            members=QUORUM.members[:1],
            options=frozenset({QuorumOption.WAIT_FOR_ALL}) if waits else frozenset(),
        )  # fmt: skip
        problems = found(replace(HEALTHY, quorum=quorum), cluster=replace(GOOD, quorate=False))
        (problem,) = (p for p in problems if p.kind is Kind.NO_QUORUM)
        assert ("wait_for_all" in problem.sentence) is waits


class TestQdevice:
    @staticmethod
    def with_device(own: QdeviceStatus, *, configured: bool = True) -> Corosync:
        members = (Member(1, 1, own), Member(2, 1, VOTING))
        return replace(
            HEALTHY,
            settings=replace(SETTINGS, has_qdevice=configured),
            quorum=replace(QUORUM, members=members, qdevice_votes=1),
        )

    @pytest.mark.parametrize(
        ("own", "words"),
        [
            (QdeviceStatus(), "its daemon is not running"),
            (QdeviceStatus(registered=True), "does not answer"),
            (QdeviceStatus(registered=True, alive=True), "does not vote"),
        ],
    )
    def test_casts_no_vote(self, own: QdeviceStatus, words: str) -> None:
        (problem,) = found(self.with_device(own))
        assert (problem.kind, problem.severity) == (Kind.QDEVICE_NOT_VOTING, Severity.WARNING)
        assert words in problem.sentence

    @pytest.mark.parametrize(
        "corosync", [with_device(VOTING), with_device(QdeviceStatus(), configured=False)]
    )
    def test_votes_or_does_not_exist(self, corosync: Corosync) -> None:
        assert found(corosync) == ()
