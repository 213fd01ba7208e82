"""Corosync as words and a table."""

from collections.abc import Iterator

from exporter.cluster.corosync import Corosync, CorosyncState, Member
from exporter.cluster.observation import Observation
from exporter.cluster.text import printable
from exporter.report.tables import Cell, Table, Tone, Words, table_of

_UNANSWERED = {
    CorosyncState.NOT_RUNNING: Words("corosync is not running on this node", Tone.FAILED),
    CorosyncState.UNRESPONSIVE: Words("corosync on this node does not answer", Tone.FAILED),
}


def summary(corosync: Corosync) -> Cell:
    """Return the quorum in words, or why it is unknown; nothing if corosync may not be asked."""
    if corosync.state is not CorosyncState.ANSWERED:
        unanswered = _UNANSWERED.get(corosync.state)
        return (unanswered,) if unanswered else ()
    quorum = corosync.quorum
    if quorum is None:
        return (Words("corosync has no quorum provider"),)
    tone = Tone.STARTED if quorum.quorate else Tone.FAILED
    return (
        Words("corosync has quorum" if quorum.quorate else "corosync has no quorum", tone),
        Words(f"{quorum.present} of {quorum.expected} votes are present"),
        Words(f"{quorum.needed} are needed"),
    )


def links(corosync: Corosync) -> str:
    """Return how many of the links to other nodes are up; empty without links."""
    number = len(corosync.links)
    up = sum(link.connected for link in corosync.links)
    return f"{up} of {number} links from this node are up" if number else ""


def members(observation: Observation) -> Table | None:
    """Return the nodes that corosync knows, with their votes and the links to them."""
    corosync = observation.corosync
    names = observation.corosync_names
    votes = {m.node_id: m for m in corosync.quorum.members} if corosync.quorum else {}
    return table_of(
        "Corosync",
        ("Node", "Membership", "Votes", "Quorum device", "Links"),
        [
            (
                (Words(printable(names.of(node_id))),),
                (_membership(corosync, node_id),),
                _votes(votes.get(node_id)),
                _qdevice(votes.get(node_id)) if corosync.settings.has_qdevice else (),
                tuple(_links(corosync, node_id)),
            )
            for node_id in corosync.node_ids
        ],
    )


def _membership(corosync: Corosync, node_id: int) -> Words:
    here = " (here)" if node_id == corosync.local_id else ""
    if node_id in corosync.member_ids:
        return Words(f"member{here}", Tone.STARTED)
    return Words(f"not a member{here}", Tone.STOPPED)


def _votes(member: Member | None) -> Cell:
    return (Words(str(member.votes)),) if member and member.votes is not None else ()


def _qdevice(member: Member | None) -> Cell:
    if member is None:
        return ()
    status = member.qdevice
    if status.voting:
        return (Words("votes", Tone.STARTED),)
    if not status.registered:
        return (Words("not registered", Tone.FAILED),)
    return (Words("does not vote" if status.alive else "does not answer", Tone.FAILED),)


def _links(corosync: Corosync, node_id: int) -> Iterator[Words]:
    """Yield the states of the links. Those to a node that is off are down, too, as expected."""
    lost = Tone.FAILED if node_id in corosync.member_ids else Tone.STOPPED
    for link in corosync.links:
        if link.peer_id == node_id:
            state, tone = ("up", Tone.STARTED) if link.connected else ("down", lost)
            yield Words(f"{link.number} {state}", tone)
