"""Reads corosync-quorumtool: quorum, votes and members."""

import re
from collections.abc import Iterator

from exporter.cluster.corosync import Member, QdeviceStatus, Quorum, QuorumOption
from exporter.cluster.outcome import Failure, Outcome
from exporter.corosync import text_of
from exporter.pacemaker.runner import Completed, last_line

REQUEST = ("-i", "-p", "-s")
"""Addresses in place of names, which the tool would look up in the DNS; sections that a program can
read; the status."""

MOST_VOTES = 2**16
"""If the tool cannot get a member's votes, it prints uninitialised memory."""

_FIELD = re.compile(r"([A-Z][A-Za-z ]*):\s+(.*)")
_MEMBER = re.compile(r"\s*([0-9]{1,10})\s+(-?[0-9]{1,20})\s+(NR|N?A,N?V,N?MW)(?:\s.*)?")
_UNABLE = re.compile(r"Unable to get node ([0-9]{1,10}) info")
_QDEVICE = re.compile(r"\s*0\s+([0-9]{1,20})\s+Qdevice(?:\s.*)?")
_NUMBER = re.compile(r"([0-9]{1,10})(?:\s.*)?")
_OPTIONS = {
    "2Node": QuorumOption.TWO_NODE,
    "WaitForAll": QuorumOption.WAIT_FOR_ALL,
    "LastManStanding": QuorumOption.LAST_MAN_STANDING,
    "AutoTieBreaker": QuorumOption.AUTO_TIE_BREAKER,
    "AllowDownscale": QuorumOption.ALLOW_DOWNSCALE,
}


def read(answer: Completed | Failure) -> Quorum | Failure:
    """Return the quorum, or why the tool did not print it.

    The exit status does not matter: it says whether there is quorum, and before 3.0.2 the opposite.
    """
    if isinstance(answer, Failure):
        return answer
    text = text_of(answer, "corosync-quorumtool")
    if isinstance(text, Failure):
        return text
    found = parse(text)
    if isinstance(found, Failure) and answer.stderr.strip():
        reason = last_line(answer.stderr)
        if "Cannot initiali" in reason:
            # The map was read before, so corosync has just stopped.
            return Failure(Outcome.NOT_CONNECTED, "corosync is not running on this node")
        return Failure(
            Outcome.EXIT_STATUS, f"corosync-quorumtool failed ({answer.ending}): {reason}"
        )
    return found


def parse(text: str) -> Quorum | Failure:
    """Parse the output; it must be whole."""
    lines = text.splitlines()
    fields = {match[1]: match[2].strip() for line in lines if (match := _FIELD.fullmatch(line))}
    try:
        quorate = {"Yes": True, "No": False}[fields["Quorate"]]
        local_id, expected, highest, present, needed, nodes = (
            _number(fields[name])
            for name in (
                "Node ID",
                "Expected votes",
                "Highest expected",
                "Total votes",
                "Quorum",
                "Nodes",
            )
        )
    except (KeyError, ValueError) as error:
        return _malformed(f"without a valid {error}")
    unknown = {int(number) for number in _UNABLE.findall(text)}
    members = tuple(_members(lines, unknown))
    if len({member.node_id for member in members} | unknown) < nodes:
        return _malformed(f"with {len(members)} of {nodes} members")
    devices = (int(match[1]) for match in filter(None, map(_QDEVICE.fullmatch, lines)))
    options = fields.get("Flags", "").split()
    return Quorum(
        quorate=quorate,
        local_id=local_id,
        expected=expected,
        expected_highest=highest,
        present=present,
        needed=needed,
        options=frozenset(_OPTIONS[word] for word in options if word in _OPTIONS),
        members=members,
        qdevice_votes=next((votes for votes in devices if votes < MOST_VOTES), None),
    )


def _malformed(how: str) -> Failure:
    return Failure(Outcome.MALFORMED, f"corosync-quorumtool printed a status {how}")


def _number(text: str) -> int:
    match = _NUMBER.fullmatch(text)  # "1 Activity blocked"
    if not match:
        raise ValueError(f"number in place of {text!r}")
    return int(match[1])


def _members(lines: list[str], unknown: set[int]) -> Iterator[Member]:
    """Yield the members, one for each id; the votes printed for the unknown ones mean nothing."""
    matches = {int(match[1]): match for match in filter(None, map(_MEMBER.fullmatch, lines))}
    for node_id, match in matches.items():
        votes = int(match[2])
        is_known = node_id not in unknown and 0 <= votes < MOST_VOTES
        yield Member(node_id, votes if is_known else None, _qdevice(match[3].split(",")))


def _qdevice(words: list[str]) -> QdeviceStatus:
    """Read NR (not registered), or three words with or without N, such as A,NV,NMW."""
    return QdeviceStatus(
        registered=words != ["NR"],
        alive="A" in words,
        voting="V" in words,
        master_wins="MW" in words,
    )
