"""Reads corosync's map with corosync-cmapctl: statistics, nodelist and quorum settings.

Keys: cmap_keys(7). They did not change from corosync 3.0.0 to 3.1.10; corosync 2 has the statistics
under other keys, in the map that option -m does not exist for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exporter.cluster.corosync import (
    ConfiguredNode,
    CorosyncCounters,
    CorosyncSettings,
    Link,
    LinkCounters,
    Pause,
    Ring,
    TotemCounters,
)
from exporter.cluster.outcome import Failure, Outcome
from exporter.corosync import text_of
from exporter.pacemaker.runner import Completed, last_line

STATISTICS = ("-m", "stats", "stats.knet.node", "stats.srp.", "stats.schedmiss.")
"""Never the whole map, nor the prefix totem.: it may hold the key of the cluster."""
SETTINGS = (
    "nodelist.",
    "quorum.",
    "totem.cluster_name",
    "totem.transport",
    "runtime.votequorum.",
    "runtime.members.",
)
SETTINGS_2 = (
    "nodelist.",
    "quorum.",
    "totem.cluster_name",
    "totem.transport",
    "runtime.votequorum.",
    "runtime.totem.pg.mrp.",
    "runtime.schedmiss.",
)
"""Corosync 2: settings and statistics."""

HIGHEST = 2**63
"""Larger numbers mean "none yet", such as the least of no values."""

_LINE = re.compile(r"(\S+) \((\w+)\) = (.*)")
_ID, _INDEX = r"(0|[1-9][0-9]{0,9})", r"(0|[1-9][0-9]{0,2})"
"""As corosync prints numbers: without zeros in front, so that equal numbers are equal keys."""
_LINK = re.compile(rf"stats\.knet\.node{_ID}\.link{_INDEX}\.connected")
_NODE = re.compile(rf"nodelist\.node\.{_ID}\.nodeid")
_ADDRESS = re.compile(rf"nodelist\.node\.{_ID}\.ring{_INDEX}_addr")
_MEMBER = re.compile(rf"runtime\.(?:totem\.pg\.mrp\.srp\.)?members\.{_ID}\.status")
_RING = re.compile(rf"runtime\.totem\.pg\.mrp\.rrp\.{_INDEX}\.faulty")
_ERRORS = {
    "CS_ERR_ACCESS": Failure(
        Outcome.PERMISSION_DENIED,
        "corosync refuses to answer: it answers processes whose main group is haclient"
        " (Group=haclient in the exporter's unit), once Pacemaker was started after it; or use"
        " --corosync.socket with the drop-in"
        " /usr/share/pacemaker-bundle-exporter/deploy/systemd/strict.conf",
    ),
    "CS_ERR_LIBRARY": Failure(Outcome.NOT_CONNECTED, "corosync is not running on this node"),
    "CS_ERR_TRY_AGAIN": Failure(
        Outcome.NOT_CONNECTED, "corosync is busy and asks to try again later"
    ),
}

Keys = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics of corosync 3, or those of corosync 2."""

    links: tuple[Link, ...]
    rings: tuple[Ring, ...]
    counters: CorosyncCounters


def keys(answer: Completed | Failure) -> Keys | Failure:
    """Return the keys that corosync-cmapctl printed, or why there are none.

    The exit status does not matter: it is 1 if one of the requested keys is missing (3.1).
    """
    if isinstance(answer, Failure):
        return answer
    text = text_of(answer, "corosync-cmapctl")
    if isinstance(text, Failure):
        return text
    found = {match[1]: match[3] for line in text.splitlines() if (match := _LINE.fullmatch(line))}
    if found:
        return found
    for word, failure in _ERRORS.items():
        if word in answer.stderr:
            return failure
    if not answer.stderr.strip():
        return Failure(
            Outcome.INCOMPLETE, f"corosync-cmapctl printed none of the keys ({answer.ending})"
        )
    reason = last_line(answer.stderr)
    return Failure(Outcome.EXIT_STATUS, f"corosync-cmapctl failed ({answer.ending}): {reason}")


def lacks_statistics(answer: Completed | Failure) -> bool:
    """Whether this corosync-cmapctl is that of corosync 2, which has no map of statistics."""
    return isinstance(answer, Completed) and "invalid option -- 'm'" in answer.stderr


def statistics(found: Keys, local_id: int | None) -> Statistics | Failure:
    """Return the statistics in the keys of either version.

    Args:
        found: the keys.
        local_id: id of this node. Its "link" to itself, a loopback, is left out.

    """
    if "stats.srp.operational_entered" in found:
        totem, pauses = "stats.srp.", "stats.schedmiss.0."
    elif "runtime.totem.pg.mrp.srp.operational_entered" in found:
        totem, pauses = "runtime.totem.pg.mrp.srp.", "runtime.schedmiss.0."
    else:
        return Failure(
            Outcome.INCOMPLETE, "corosync-cmapctl did not print the statistics of totem to the end"
        )
    links = tuple(_links(found, local_id))
    counters = CorosyncCounters(
        links=tuple(_link_counters(found, link) for link in links),
        totem=_totem(found, totem),
        pause=_pause(found, pauses),
    )
    return Statistics(links, tuple(_rings(found)), counters)


def memberships(found: Keys) -> int | None:
    """Return how often a membership was formed: after a change the settings are read again."""
    return _number(found, "stats.srp.operational_entered")


def settings(found: Keys) -> CorosyncSettings | Failure:
    """Return the configuration that corosync runs with."""
    if not any(key.startswith(("nodelist.", "runtime.", "quorum.")) for key in found):
        return Failure(Outcome.INCOMPLETE, "corosync-cmapctl did not print corosync's settings")
    nodes = tuple(_nodes(found))
    return CorosyncSettings(
        cluster_name=found.get("totem.cluster_name", ""),
        transport=found.get("totem.transport", ""),
        local_id=_local_id(found),
        nodes=nodes,
        has_quorum_provider=bool(found.get("quorum.provider")),
        has_qdevice=bool(found.get("quorum.device.model")),
        joined=frozenset(
            int(match[1])
            for key, value in found.items()
            if (match := _MEMBER.fullmatch(key)) and value == "joined"
        ),
    )


def _number(found: Keys, key: str) -> int | None:
    """Return a whole number; None if it is missing, not a number, or means "none yet"."""
    text = found.get(key, "")
    if not text.isascii() or not text.isdigit() or len(text) > len(str(HIGHEST)):
        return None
    number = int(text)
    return number if number < HIGHEST else None


def _local_id(found: Keys) -> int | None:
    known = _number(found, "runtime.votequorum.this_node_id")
    if known is not None:
        return known
    # Without a quorum provider only the nodelist says it.
    position = _number(found, "nodelist.local_node_pos")
    return None if position is None else _number(found, f"nodelist.node.{position}.nodeid")


def _nodes(found: Keys) -> Iterator[ConfiguredNode]:
    """Yield the nodes of the nodelist, one for each id."""
    seen: set[int] = set()
    addresses: dict[str, list[tuple[int, str]]] = {}
    for key, value in found.items():
        if match := _ADDRESS.fullmatch(key):
            addresses.setdefault(match[1], []).append((int(match[2]), value))
    for key in found:
        if (match := _NODE.fullmatch(key)) and (node_id := _number(found, key)) is not None:
            if node_id in seen:
                continue
            seen.add(node_id)
            position = match[1]
            yield ConfiguredNode(
                node_id,
                name=found.get(f"nodelist.node.{position}.name", ""),
                addresses=tuple(sorted(addresses.get(position, ()))),
            )


def _links(found: Keys, local_id: int | None) -> Iterator[Link]:
    for key, value in found.items():
        if (match := _LINK.fullmatch(key)) and int(match[1]) != local_id:
            yield Link(int(match[1]), int(match[2]), connected=value == "1")


def _link_counters(found: Keys, link: Link) -> LinkCounters:
    prefix = f"stats.knet.node{link.peer_id}.link{link.number}."
    latency = _number(found, f"{prefix}latency_ave")
    has_latency = link.connected and _number(found, f"{prefix}latency_samples")
    return LinkCounters(
        link.peer_id,
        link.number,
        mtu=_number(found, f"{prefix}mtu") or None,
        # Microseconds: libknet.h. The average of a lost link is that of before.
        latency=latency / 1e6 if latency is not None and has_latency else None,
        downs=_number(found, f"{prefix}down_count"),
        transmitted=_number(found, f"{prefix}tx_total_bytes"),
        received=_number(found, f"{prefix}rx_total_bytes"),
        transmit_errors=_number(found, f"{prefix}tx_total_errors"),
        # Despite its name these are the retries of sending: corosync fills it from
        # tx_total_retries (exec/stats.c).
        transmit_retries=_number(found, f"{prefix}rx_total_retries"),
    )


def _rings(found: Keys) -> Iterator[Ring]:
    for key, value in found.items():
        if match := _RING.fullmatch(key):
            yield Ring(int(match[1]), faulty=value == "1")


def _totem(found: Keys, prefix: str) -> TotemCounters:
    return TotemCounters(
        token_losses=_number(found, f"{prefix}operational_token_lost"),
        memberships=_number(found, f"{prefix}operational_entered"),
        consensus_timeouts=_number(found, f"{prefix}consensus_timeouts"),
        retransmitted=_number(found, f"{prefix}mcast_retx"),
        dropped=_number(found, f"{prefix}rx_msg_dropped"),
        firewall_or_nic_failure=_number(found, f"{prefix}firewall_enabled_or_nic_failure"),
        gather_failures=_number(found, f"{prefix}continuous_gather"),
    )


def _pause(found: Keys, prefix: str) -> Pause | None:
    """Return the last pause: the first in the list (3.0.4 on). Both numbers are milliseconds."""
    try:
        delay = float(found[f"{prefix}delay"])
        moment = float(found[f"{prefix}timestamp"])
    except (KeyError, ValueError):
        return None
    if not (0 <= delay < HIGHEST and 0 <= moment < HIGHEST):
        return None
    return Pause(delay / 1000, moment / 1000)
