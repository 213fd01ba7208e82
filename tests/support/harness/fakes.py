"""Scripted commands and clock for tests of the exporter's own behaviour."""

import time
from collections.abc import Callable, Sequence
from pathlib import PurePath

from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker.runner import Completed

Answer = Callable[[], Completed | Failure | bytes]


def document(last_change: str = "Sun Sep 13 12:26:40 2020", *, quorate: str = "true",
             name: str = "c0", body: str = "") -> bytes:  # fmt: skip
    """A small answer of crm_mon."""
    dc = f'<current_dc present="true" name="{name}" with_quorum="{quorate}"/>'
    summary = f'<summary>{dc}<last_change time="{last_change}"/></summary>'
    nodes = f'<nodes><node name="{name}" id="1" online="true" type="member"/></nodes>'
    return f"<crm_mon>{summary}{nodes}<resources>{body}</resources></crm_mon>".encode()


def fail(outcome: Outcome) -> Callable[[], Failure]:
    """An answer that is a failure."""
    return lambda: Failure(outcome, f"it is {outcome.value}")


CIB = b"""<cib><configuration><crm_config><cluster_property_set id="s">
<nvpair name="cluster-name" value="tripleo"/></cluster_property_set></crm_config>
</configuration></cib>"""


def healthy_corosync(argv: Sequence[str], timeout: float) -> Completed:
    """The least that a corosync without a quorum provider prints."""
    del timeout
    keys = b"stats.srp.operational_entered (u64) = 1\nnodelist.node.0.nodeid (u32) = 1\n"
    return Completed(tuple(argv), 0, keys, "")


class FrozenClock:
    """The clocks that freezegun stops: the machine's own, by which ages go, is not among them."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()


class ScriptedCommands:
    """Answers as the test says at the time, and remembers what was asked."""

    def __init__(self, clock: FrozenDateTimeFactory) -> None:
        """Begin with a cluster that is well."""
        self.clock = clock
        self.crm_mon: Answer = document
        self.cibadmin: Answer = lambda: CIB
        self.tickets: Answer = lambda: b"<tickets/>"
        """Of a cibadmin that is asked for the tickets."""
        self.crm_node: Answer = lambda: b"c0\n"
        self.corosync: Callable[[Sequence[str], float], Completed | Failure] = healthy_corosync
        """Of the commands of corosync, by arguments and timeout; nothing else remembers them."""
        self.takes = 0.0
        """Seconds that each crm_mon takes."""
        self.asked: list[str] = []
        self.timeouts: list[float] = []

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        """Answer."""
        command = PurePath(argv[0]).name
        if command.startswith("corosync-"):
            return self.corosync(argv, timeout)
        if argv[-1].startswith("--xpath="):
            command = "tickets"
        self.asked.append(command)
        self.timeouts.append(timeout)
        answer: Answer = getattr(self, command)
        if command == "crm_mon":
            self.clock.tick(self.takes)
        given = answer()
        if isinstance(given, bytes):
            given = Completed(tuple(argv), 0, given, "")
        return given

    def count(self, command: str) -> int:
        """How often a command was run; `tickets` is a cibadmin of its own."""
        return self.asked.count(command)
