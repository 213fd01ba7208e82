"""What corosync on this node says: quorum, votes, members, links and totem.

Facts: corosync's cmap_keys(7), votequorum(5), corosync-quorumtool(8) and votequorum.h.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class CorosyncState(StrEnum):
    """Whether corosync on this node answers."""

    UNKNOWN = "unknown"
    """The exporter may not ask, has no tools, was not told to ask, or cannot read the answer."""
    ANSWERED = "answered"
    NOT_RUNNING = "not_running"
    UNRESPONSIVE = "unresponsive"
    """It gave no answer in time. The other nodes then take this one for lost, while crm_mon here
    goes on showing the last view as if it were current."""


class QuorumOption(StrEnum):
    """An option of votequorum."""

    TWO_NODE = "two_node"
    WAIT_FOR_ALL = "wait_for_all"
    LAST_MAN_STANDING = "last_man_standing"
    AUTO_TIE_BREAKER = "auto_tie_breaker"
    ALLOW_DOWNSCALE = "allow_downscale"


@dataclass(frozen=True, slots=True)
class QdeviceStatus:
    """The quorum device as one member sees it."""

    registered: bool = False
    alive: bool = False
    voting: bool = False
    master_wins: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A node of this partition."""

    node_id: int
    votes: int | None
    """None if corosync could not say."""
    qdevice: QdeviceStatus = QdeviceStatus()


@dataclass(frozen=True, slots=True)
class Quorum:
    """The quorum of this node's partition. Votes include those of the quorum device."""

    quorate: bool
    local_id: int
    expected: int
    expected_highest: int
    """The highest number of expected votes that a member reported."""
    present: int
    needed: int
    options: frozenset[QuorumOption] = frozenset()
    members: tuple[Member, ...] = ()
    qdevice_votes: int | None = None
    """Votes that the quorum device casts; None if it is not registered on this node."""


@dataclass(frozen=True, slots=True)
class ConfiguredNode:
    """A node of the nodelist."""

    node_id: int
    name: str = ""
    addresses: tuple[tuple[int, str], ...] = ()
    """Number and address of each link."""


@dataclass(frozen=True, slots=True)
class CorosyncSettings:
    """The configuration that corosync runs with."""

    cluster_name: str = ""
    transport: str = ""
    """knet, udp or udpu; empty if the default is in use."""
    local_id: int | None = None
    nodes: tuple[ConfiguredNode, ...] = ()
    """Empty without a nodelist."""
    has_quorum_provider: bool = False
    has_qdevice: bool = False
    joined: frozenset[int] = frozenset()
    """Ids of the nodes that are members now, for clusters without a quorum provider."""


@dataclass(frozen=True, slots=True)
class Link:
    """A knet link to a peer."""

    peer_id: int
    number: int
    connected: bool


@dataclass(frozen=True, slots=True)
class Ring:
    """A ring of corosync 2."""

    number: int
    faulty: bool


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """The statistics of one link since corosync started. None is unknown."""

    peer_id: int
    number: int
    mtu: int | None
    """Bytes."""
    latency: float | None
    """Average round trip in seconds; None while not connected."""
    downs: int | None
    transmitted: int | None
    """Bytes, pings included."""
    received: int | None
    """Bytes, pings included."""
    transmit_errors: int | None
    transmit_retries: int | None


@dataclass(frozen=True, slots=True)
class TotemCounters:
    """The statistics of the totem protocol since corosync started. None is unknown."""

    token_losses: int | None = None
    memberships: int | None = None
    consensus_timeouts: int | None = None
    retransmitted: int | None = None
    dropped: int | None = None
    firewall_or_nic_failure: int | None = None
    gather_failures: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """The last time that corosync was not scheduled for too long."""

    duration: float
    """Seconds."""
    time: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class CorosyncCounters:
    """What changes at every read, and does not matter for the judgement."""

    links: tuple[LinkCounters, ...] = ()
    totem: TotemCounters = TotemCounters()
    pause: Pause | None = None


@dataclass(frozen=True, slots=True)
class Corosync:
    """All that one poll learnt from corosync. Without an answer there is only the state."""

    state: CorosyncState = CorosyncState.UNKNOWN
    settings: CorosyncSettings = CorosyncSettings()
    quorum: Quorum | None = None
    """None without a quorum provider, or if it could not be read."""
    links: tuple[Link, ...] = ()
    """Links to peers; empty with other transports than knet."""
    rings: tuple[Ring, ...] = ()
    """Only with corosync 2."""
    counters: CorosyncCounters = field(default=CorosyncCounters(), compare=False)
    """Equality ignores them: two answers are equal if they mean the same."""

    @property
    def unresponsive(self) -> bool:
        """Whether corosync was asked and gave no answer in time."""
        return self.state is CorosyncState.UNRESPONSIVE

    @property
    def local_id(self) -> int | None:
        """The id of this node."""
        return self.quorum.local_id if self.quorum else self.settings.local_id

    @property
    def member_ids(self) -> frozenset[int]:
        """Ids of the nodes in this node's partition."""
        if self.quorum is None:
            return self.settings.joined
        return frozenset(member.node_id for member in self.quorum.members)

    @property
    def node_ids(self) -> tuple[int, ...]:
        """Ids of the nodes in the nodelist, then of members that are not in it."""
        listed = (node.node_id for node in self.settings.nodes)
        return tuple(dict.fromkeys((*listed, *sorted(self.member_ids))))

    def names(self, known: Mapping[int, str]) -> "NodeNames":
        """Return the names of nodes: those of the nodelist, else those that Pacemaker uses.

        If two nodes would have the same name, all are called by their ids.

        Args:
            known: Pacemaker's names by node id.

        """
        listed = {node.node_id: node.name for node in self.settings.nodes if node.name}
        ids = {*self.node_ids, *(link.peer_id for link in self.links)}
        names = {i: listed.get(i) or known.get(i) or str(i) for i in ids}
        return NodeNames(names if len(set(names.values())) == len(names) else {})


@dataclass(frozen=True, slots=True)
class NodeNames:
    """Names of nodes by id."""

    by_id: Mapping[int, str] = field(default_factory=dict)

    def of(self, node_id: int) -> str:
        """Return the name of a node, or its id if it has no name."""
        return self.by_id.get(node_id) or str(node_id)
