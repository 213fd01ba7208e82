"""Finds problems of corosync: whether it answers, votes, quorum device and links.

A node that is off has no link either: that is the problem of the node, not of its links.
"""

from collections.abc import Iterator

from exporter.cluster.corosync import Corosync, CorosyncState, Quorum, QuorumOption
from exporter.judgement.commands import Command
from exporter.judgement.facts import Facts
from exporter.judgement.problem import Finding, Kind, Severity, Subject, SubjectType, about_cluster

_QUORUM = "corosync-quorumtool -s"
_LINKS = "corosync-cfgtool -s"
_PROCESS = "ps -C corosync -o pid,stat,wchan:32,etime,args"
"""T is stopped, D waits for a device."""


def find(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with corosync, as this node sees it."""
    corosync = facts.observation.corosync
    if corosync.unresponsive:
        yield about_cluster(
            Kind.COROSYNC_UNRESPONSIVE,
            Severity.CRITICAL,
            "corosync on this node does not answer: this view may be old, and the other nodes"
            " may have gone on without this one",
            _PROCESS,
            _QUORUM,
        )
    if corosync.state is not CorosyncState.ANSWERED:
        return
    if corosync.quorum:
        yield from _quorum(facts, corosync.quorum)
        if corosync.settings.has_qdevice:
            yield from _qdevice(corosync.quorum)
    yield from _links(facts, corosync)
    yield from _rings(corosync)


def waits_for_all(corosync: Corosync) -> bool:
    """Whether corosync has the votes, but waits until it has seen all nodes at the same time."""
    quorum = corosync.quorum
    return (
        quorum is not None
        and not quorum.quorate
        and quorum.present >= quorum.needed
        and QuorumOption.WAIT_FOR_ALL in quorum.options
    )


def _quorum(facts: Facts, quorum: Quorum) -> Iterator[Finding]:
    quorate = facts.snapshot.cluster.quorate
    if quorate is not None and quorate is not quorum.quorate:
        yield about_cluster(
            Kind.QUORUM_DISAGREES,
            Severity.WARNING,
            f"Pacemaker says that there is {_quorum_word(quorate)}, corosync that there is"
            f" {_quorum_word(quorum.quorate)}",
            _QUORUM,
        )
    if _has_no_margin(quorum):
        yield about_cluster(
            Kind.QUORUM_WITHOUT_MARGIN,
            Severity.WARNING,
            f"the cluster loses quorum with the next vote: {quorum.present} of"
            f" {quorum.expected} votes are present, and {quorum.needed} are needed",
            _QUORUM,
            cause=facts.cause_of_nodes(_absent(facts)),
        )
    if quorum.expected != quorum.expected_highest:
        yield about_cluster(
            Kind.EXPECTED_VOTES_DIFFER,
            Severity.WARNING,
            f"the nodes disagree on the expected votes: {quorum.expected} here, and"
            f" {quorum.expected_highest} elsewhere",
            _QUORUM,
        )


def _has_no_margin(quorum: Quorum) -> bool:
    """Whether quorum is lost with one vote less, although more votes are expected."""
    if not quorum.quorate or quorum.present != quorum.needed or quorum.expected <= quorum.present:
        return False
    # A side of exactly half the votes may keep quorum: votequorum(5).
    breaks_ties = QuorumOption.AUTO_TIE_BREAKER in quorum.options
    half_remains = 2 * (quorum.present - 1) == quorum.expected
    return QuorumOption.TWO_NODE not in quorum.options and not (breaks_ties and half_remains)


def _absent(facts: Facts) -> Iterator[str]:
    """Yield the nodes of the nodelist that are not in this partition."""
    corosync, names = facts.observation.corosync, facts.observation.corosync_names
    for node in corosync.settings.nodes:
        if node.node_id not in corosync.member_ids:
            yield names.of(node.node_id)


def _quorum_word(quorate: bool) -> str:  # noqa: FBT001 - what is put into words
    return "quorum" if quorate else "no quorum"


def _qdevice(quorum: Quorum) -> Iterator[Finding]:
    """Yield that the quorum device casts no vote here; each member has one of its own."""
    own = next((m.qdevice for m in quorum.members if m.node_id == quorum.local_id), None)
    if own is None or own.voting:
        return
    if not own.registered:
        why = "its daemon is not running on this node"
    elif not own.alive:
        why = "its daemon on this node does not answer"
    else:
        why = "it is alive and does not vote: its server may be out of reach"
    yield about_cluster(
        Kind.QDEVICE_NOT_VOTING,
        Severity.WARNING,
        f"the quorum device casts no vote: {why}",
        "corosync-qdevice-tool -sv",
        "pcs quorum device status",
    )


def _links(facts: Facts, corosync: Corosync) -> Iterator[Finding]:
    names = facts.observation.corosync_names
    online = {node.name for node in facts.snapshot.nodes if node.online}
    for peer in dict.fromkeys(link.peer_id for link in corosync.links):
        links = [link for link in corosync.links if link.peer_id == peer]
        lost = [link for link in links if not link.connected]
        if not lost:
            continue
        subject = Subject(SubjectType.NODE, names.of(peer))
        if len(lost) < len(links):
            yield Finding(
                Kind.COROSYNC_LINK_DOWN,
                Severity.WARNING,
                subject,
                tuple(f"link {link.number} is down" for link in lost),
                (Command(_LINKS),),
            )
        elif peer in corosync.member_ids or subject.name in online:
            yield Finding(
                Kind.COROSYNC_ALL_LINKS_DOWN,
                Severity.WARNING,
                subject,
                ("no link to it is connected, and it still counts as a member",),
                (Command(_LINKS),),
            )


def _rings(corosync: Corosync) -> Iterator[Finding]:
    faulty = [str(ring.number) for ring in corosync.rings if ring.faulty]
    if faulty:
        yield about_cluster(
            Kind.COROSYNC_RING_FAULTY,
            Severity.WARNING,
            f"corosync has marked ring {' and ring '.join(faulty)} faulty",
            _LINKS,
        )
