"""What corosync says on a node, in the words of the cases for the alerting rules.

Words are separated by `; `. Without a word all is well: three members with a vote each, two links
to each peer. Counters are totals, times are seconds of the case. See tests/rules/README.md.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from exporter.cluster.corosync import (
    ConfiguredNode,
    Corosync,
    CorosyncCounters,
    CorosyncSettings,
    CorosyncState,
    Link,
    LinkCounters,
    Member,
    Pause,
    QdeviceStatus,
    Quorum,
    QuorumOption,
    Ring,
    TotemCounters,
)
from exporter.cluster.outcome import Failure, Outcome
from tests.support.model.states import HOSTS

IDS = {name: number for number, name in enumerate(HOSTS, 1)}
NUMBERS = (0, 1)

_STATES = {
    Outcome.NOT_CONNECTED: CorosyncState.NOT_RUNNING,
    Outcome.TIMEOUT: CorosyncState.UNRESPONSIVE,
}


@dataclass(frozen=True)
class Answered:
    """The outcome of a read, and what the exporter makes of it."""

    failure: Failure | None
    corosync: Corosync


@dataclass(frozen=True)
class _Draft:
    """All that words change."""

    gone: frozenset[str] = frozenset()
    """Nodes that are not members, with all links down."""
    lost: frozenset[tuple[str, int]] = frozenset()
    """Peers and numbers of further links that are down."""
    rings: tuple[Ring, ...] = ()
    quorate: bool | None = None
    expected: int = 3
    expected_highest: int = 3
    needed: int = 2
    options: frozenset[QuorumOption] = frozenset()
    qdevice: QdeviceStatus | None = None
    downs: Mapping[tuple[str, int], int] | None = None
    token_losses: int = 0
    pause: Pause | None = None


def answered(words: str, node: str) -> Answered:
    """Return what a read of corosync on a node brings."""
    if words in Outcome.__members__.values():
        failure = Failure(Outcome(words), "")
        return Answered(failure, Corosync(_STATES.get(failure.outcome, CorosyncState.UNKNOWN)))
    draft = _Draft()
    for word in words.split("; ") if words else ():
        draft = _after(draft, word)
    return Answered(None, _corosync(draft, node))


def _after(draft: _Draft, word: str) -> _Draft:
    for pattern, change in _WORDS.items():
        if found := re.fullmatch(pattern, word):
            return change(draft, *found.groups())
    raise ValueError(f"corosync does not know: {word}")


def _corosync(draft: _Draft, node: str) -> Corosync:
    peers = [(name, IDS[name]) for name in HOSTS if name != node]
    present = [name for name in HOSTS if name not in draft.gone]
    qdevice = draft.qdevice
    votes = len(present) + (1 if qdevice and qdevice.voting else 0)
    quorate = votes >= draft.needed if draft.quorate is None else draft.quorate
    links = [] if draft.rings else [(name, ident, n) for name, ident in peers for n in NUMBERS]
    downs = draft.downs or {}
    return Corosync(
        CorosyncState.ANSWERED,
        CorosyncSettings(
            "lab", "knet", IDS[node],
            tuple(ConfiguredNode(ident, name) for name, ident in IDS.items()),
            has_quorum_provider=True, has_qdevice=qdevice is not None,
        ),
        Quorum(
            quorate, IDS[node], draft.expected, draft.expected_highest, votes, draft.needed,
            draft.options,
            tuple(Member(IDS[name], 1, qdevice or QdeviceStatus()) for name in present),
        ),
        tuple(
            Link(ident, n, name not in draft.gone and (name, n) not in draft.lost)
            for name, ident, n in links
        ),
        draft.rings,
        CorosyncCounters(
            tuple(
                LinkCounters(ident, n, 1446, None, downs.get((name, n), 1), 0, 0, 0, 0)
                for name, ident, n in links
            ),
            TotemCounters(token_losses=draft.token_losses),
            draft.pause,
        ),
    )  # fmt: skip


def _lost(draft: _Draft, links: Iterable[tuple[str, int]]) -> _Draft:
    return replace(draft, lost=draft.lost | frozenset(links))


def _downs(draft: _Draft, number: str, peer: str, count: str) -> _Draft:
    return replace(draft, downs={**(draft.downs or {}), (peer, int(number)): int(count)})


_WORDS: Mapping[str, Callable[..., _Draft]] = {
    r"without (\S+)": lambda draft, node: replace(draft, gone=draft.gone | {node}),
    r"link (\d) to (\S+) is down": lambda draft, number, peer: _lost(draft, [(peer, int(number))]),
    r"no link to (\S+)": lambda draft, peer: _lost(draft, ((peer, n) for n in NUMBERS)),
    r"link (\d) to (\S+) went down (\d+) times": _downs,
    r"ring (\d) is (faulty|fine)": lambda draft, number, how: replace(
        draft, rings=(*draft.rings, Ring(int(number), how == "faulty"))
    ),
    r"no quorum": lambda draft: replace(draft, quorate=False),
    r"expects (\d), highest (\d)": lambda draft, votes, highest: replace(
        draft, expected=int(votes), expected_highest=int(highest)
    ),
    r"needs (\d)": lambda draft, votes: replace(draft, needed=int(votes)),
    r"two_node": lambda draft: replace(draft, options=frozenset({QuorumOption.TWO_NODE})),
    r"qdevice votes": lambda draft: replace(draft, qdevice=QdeviceStatus(True, True, True)),
    r"qdevice without a vote": lambda draft: replace(draft, qdevice=QdeviceStatus(True, True)),
    r"token lost (\d+) times": lambda draft, count: replace(draft, token_losses=int(count)),
    r"paused (\d+)s at (\d+)": lambda draft, duration, time: replace(
        draft, pause=Pause(float(duration), float(time))
    ),
}
