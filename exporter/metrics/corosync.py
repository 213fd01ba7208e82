"""Metrics of corosync, as this node sees it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from exporter.cluster.corosync import (
    Corosync,
    CorosyncCounters,
    CorosyncSettings,
    CorosyncState,
    Link,
    LinkCounters,
    Member,
    NodeNames,
    QdeviceStatus,
    Quorum,
    QuorumOption,
    Ring,
    TotemCounters,
)
from exporter.metrics.declaration import Declarations, Sample


@dataclass(frozen=True, slots=True)
class CorosyncView:
    """What corosync said, and the names of its nodes."""

    corosync: Corosync
    names: NodeNames


COROSYNC: Declarations[CorosyncView] = Declarations()
"""Rendered at every poll, whether crm_mon answers or not."""

STATE = COROSYNC.for_part(lambda view: view.corosync.state)
SETTINGS = COROSYNC.for_part(
    lambda view: (view.corosync.state, view.corosync.settings, view.corosync.local_id)
)
QUORUM = COROSYNC.for_part(lambda view: view.corosync.quorum)
QDEVICE = COROSYNC.for_part(
    lambda view: (view.corosync.quorum, view.corosync.settings.has_qdevice, view.names)
)
MEMBERS = COROSYNC.for_part(
    lambda view: (view.corosync.node_ids, view.corosync.member_ids, view.names)
)
VOTES = COROSYNC.for_part(lambda view: (view.corosync.quorum, view.names))
ADDRESSES = COROSYNC.for_part(
    lambda view: (view.corosync.settings, view.corosync.links, view.corosync.local_id, view.names)
)
LINKS = COROSYNC.for_part(lambda view: (view.corosync.links, view.names))
RINGS = COROSYNC.for_part(lambda view: view.corosync.rings)
LINK_COUNTERS = COROSYNC.for_part(lambda view: (view.corosync.counters.links, view.names))
TOTEM = COROSYNC.for_part(lambda view: view.corosync.counters.totem)
COUNTERS = COROSYNC.for_part(lambda view: view.corosync.counters)

_UP = {
    CorosyncState.ANSWERED: 1,
    CorosyncState.NOT_RUNNING: 0,
    CorosyncState.UNRESPONSIVE: 0,
}

STATE.value(
    "corosync_up",
    "1 when corosync on this node answered in time. 0 when it is not running, or gives no answer."
    " Absent when the exporter may not ask it, has no tools for that, or cannot read the answer.",
    _UP.get,
)


@SETTINGS.gauge(
    "corosync_info",
    "Always 1: name of the cluster, transport (knet, udp or udpu; empty for the default), and id of"
    " the local node.",
    ("cluster_name", "transport", "node_id"),
)
def info(part: tuple[CorosyncState, CorosyncSettings, int | None]) -> Iterator[Sample]:
    """All text facts about corosync."""
    state, settings, local_id = part
    if state is CorosyncState.ANSWERED:
        node_id = "" if local_id is None else str(local_id)
        yield (settings.cluster_name, settings.transport, node_id), 1


def _quorum_gauge(name: str, help_text: str, value: Callable[[Quorum], float]) -> None:
    QUORUM.value(
        name,
        f"{help_text} Absent without a quorum provider.",
        lambda quorum: None if quorum is None else value(quorum),
    )


_quorum_gauge(
    "corosync_quorate",
    "1 when this node's partition has quorum, as corosync says.",
    lambda quorum: quorum.quorate,
)
_quorum_gauge(
    "corosync_votes_expected",
    "Votes expected, as this node has them configured or adjusted.",
    lambda quorum: quorum.expected,
)
_quorum_gauge(
    "corosync_votes_expected_highest",
    "Highest number of expected votes that a member reported.",
    lambda quorum: quorum.expected_highest,
)
_quorum_gauge(
    "corosync_votes_present",
    "Votes in this partition, those of the quorum device included.",
    lambda quorum: quorum.present,
)
_quorum_gauge(
    "corosync_votes_needed",
    "Votes needed for quorum. With wait_for_all so many votes may be present without quorum.",
    lambda quorum: quorum.needed,
)


@QUORUM.gauge(
    "corosync_quorum_option",
    "1 when the option of votequorum is on.",
    ("option",),
)
def quorum_option(quorum: Quorum | None) -> Iterator[Sample]:
    """All options, zeros included."""
    if quorum is not None:
        for option in QuorumOption:
            yield (option.value,), option in quorum.options


@MEMBERS.gauge(
    "corosync_node_member",
    "1 for each node of the nodelist that is in this node's partition, 0 for one that is not.",
    ("node",),
)
def node_member(
    part: tuple[tuple[int, ...], frozenset[int], NodeNames],
) -> Iterator[Sample]:
    """The nodes of the nodelist, and members without an entry there."""
    node_ids, members, names = part
    for node_id in node_ids:
        yield (names.of(node_id),), node_id in members


@VOTES.gauge(
    "corosync_node_votes",
    "Votes of each member. Absent for a node that is not in the partition.",
    ("node",),
)
def node_votes(part: tuple[Quorum | None, NodeNames]) -> Iterator[Sample]:
    """Corosync does not say it of other nodes."""
    quorum, names = part
    for member in quorum.members if quorum else ():
        if member.votes is not None:
            yield (names.of(member.node_id),), member.votes


SETTINGS.value(
    "corosync_qdevice_configured",
    "1 when a quorum device is configured.",
    lambda part: part[1].has_qdevice if part[0] is CorosyncState.ANSWERED else None,
)


def _qdevice_votes(part: tuple[Quorum | None, bool, NodeNames]) -> int | None:
    quorum, has_qdevice, _ = part
    return (quorum.qdevice_votes or 0) if quorum and has_qdevice else None


QDEVICE.value(
    "corosync_qdevice_votes",
    "Votes that the quorum device casts for this partition; 0 when it casts none. Absent without a"
    " quorum device.",
    _qdevice_votes,
)

_QDEVICE_CONDITIONS: tuple[tuple[str, Callable[[QdeviceStatus], bool]], ...] = (
    ("registered", lambda status: status.registered),
    ("alive", lambda status: status.alive),
    ("voting", lambda status: status.voting),
    ("master_wins", lambda status: status.master_wins),
)


@QDEVICE.gauge(
    "corosync_qdevice_condition",
    "1 when a condition of the quorum device holds on a member: registered, alive, voting or"
    " master_wins. Absent without a quorum device.",
    ("node", "condition"),
)
def qdevice_condition(part: tuple[Quorum | None, bool, NodeNames]) -> Iterator[Sample]:
    """All members: each tells the others of its quorum device."""
    quorum, has_qdevice, names = part
    members: tuple[Member, ...] = quorum.members if quorum and has_qdevice else ()
    for member in members:
        for condition, holds in _QDEVICE_CONDITIONS:
            yield (names.of(member.node_id), condition), holds(member.qdevice)


@ADDRESSES.gauge(
    "corosync_link_info",
    "Always 1: id of a peer, and the addresses of both ends of a link, from the nodelist.",
    ("peer", "peer_id", "link", "address", "peer_address"),
)
def link_info(
    part: tuple[CorosyncSettings, tuple[Link, ...], int | None, NodeNames],
) -> Iterator[Sample]:
    """One for each link that has a state."""
    settings, links, local_id, names = part
    addresses = {node.node_id: dict(node.addresses) for node in settings.nodes}
    mine = addresses.get(local_id, {}) if local_id is not None else {}
    for link in links:
        number, peer = link.number, addresses.get(link.peer_id, {})
        labels = (names.of(link.peer_id), str(link.peer_id), str(number))
        yield (*labels, mine.get(number, ""), peer.get(number, "")), 1


@LINKS.gauge(
    "corosync_link_connected",
    "1 when the peer answers on this link. All links of a node that is off are 0. Only with the"
    " transport knet: with others corosync does not know.",
    ("peer", "link"),
)
def link_connected(part: tuple[tuple[Link, ...], NodeNames]) -> Iterator[Sample]:
    """The main fact about a link."""
    links, names = part
    for link in links:
        yield (names.of(link.peer_id), str(link.number)), link.connected


@RINGS.gauge(
    "corosync_ring_faulty",
    "1 when this node has marked the ring faulty. Only corosync 2. If a node has lost all rings,"
    " none is faulty.",
    ("ring",),
)
def ring_faulty(rings: tuple[Ring, ...]) -> Iterator[Sample]:
    """Corosync 3 has links in place of rings."""
    for ring in rings:
        yield (str(ring.number),), ring.faulty


_LinkPart = tuple[tuple[LinkCounters, ...], NodeNames]


def _of_links(
    value: Callable[[LinkCounters], float | None],
) -> Callable[[_LinkPart], Iterator[Sample]]:
    def samples(part: _LinkPart) -> Iterator[Sample]:
        links, names = part
        for link in links:
            number = value(link)
            if number is not None:
                yield (names.of(link.peer_id), str(link.number)), number

    return samples


_LINK = ("peer", "link")


def _link_gauge(name: str, help_text: str, value: Callable[[LinkCounters], float | None]) -> None:
    LINK_COUNTERS.gauge(name, help_text, _LINK)(_of_links(value))


def _link_counter(name: str, help_text: str, value: Callable[[LinkCounters], float | None]) -> None:
    LINK_COUNTERS.counter(name, help_text, _LINK)(_of_links(value))


_link_gauge(
    "corosync_link_mtu_bytes",
    "MTU that was found for the link; corosync keeps it when the link is lost.",
    lambda link: link.mtu,
)
_link_gauge(
    "corosync_link_latency_average_seconds",
    "Average round trip of up to 2048 pings, about 20 minutes by default: it shows a lasting"
    " change, and never a spike. Absent while the link is not connected.",
    lambda link: link.latency,
)
_link_counter(
    "corosync_link_downs_total",
    "Times that the link went down. It is 1 from the start, so only its increase means anything.",
    lambda link: link.downs,
)
_link_counter(
    "corosync_link_transmitted_bytes_total",
    "Bytes sent on the link, pings included.",
    lambda link: link.transmitted,
)
_link_counter(
    "corosync_link_received_bytes_total",
    "Bytes received on the link, pings included.",
    lambda link: link.received,
)
_link_counter(
    "corosync_link_transmit_errors_total",
    "Packets that could not be sent on the link.",
    lambda link: link.transmit_errors,
)
_link_counter(
    "corosync_link_transmit_retries_total",
    "Times that sending a packet on the link was tried again.",
    lambda link: link.transmit_retries,
)


def _totem_counter(name: str, help_text: str, value: Callable[[TotemCounters], int | None]) -> None:
    TOTEM.total(name, f"{help_text} Counted since corosync started.", value)


_totem_counter(
    "corosync_token_losses_total",
    "Times that the token was lost in normal operation.",
    lambda totem: totem.token_losses,
)
_totem_counter(
    "corosync_memberships_total", "Memberships that were formed.", lambda totem: totem.memberships
)
_totem_counter(
    "corosync_consensus_timeouts_total",
    "Times that the nodes did not agree on a membership in time.",
    lambda totem: totem.consensus_timeouts,
)
_totem_counter(
    "corosync_messages_retransmitted_total",
    "Messages that were sent again, because a node had missed them.",
    lambda totem: totem.retransmitted,
)
_totem_counter(
    "corosync_messages_dropped_total",
    "Messages that were received and dropped.",
    lambda totem: totem.dropped,
)
TOTEM.value(
    "corosync_firewall_or_nic_failure",
    "1 when corosync suspects a firewall or a failed network card, after a long time without a"
    " membership.",
    lambda totem: totem.firewall_or_nic_failure,
)
TOTEM.value(
    "corosync_gather_failures",
    "Attempts in a row to form a membership without success.",
    lambda totem: totem.gather_failures,
)


def _of_pause(index: int) -> Callable[[CorosyncCounters], float | None]:
    return lambda counters: (
        (counters.pause.duration, counters.pause.time)[index] if counters.pause else None
    )


COUNTERS.value(
    "corosync_last_pause_seconds",
    "How long corosync was not scheduled, the last time that this took too long for its token"
    " timeout. Absent if it never did, and in corosync 3.0.0 to 3.0.3.",
    _of_pause(0),
)
COUNTERS.value(
    "corosync_last_pause_timestamp_seconds",
    "When corosync noticed that pause. Absent like its duration.",
    _of_pause(1),
)
