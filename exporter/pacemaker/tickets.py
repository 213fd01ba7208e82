"""Reads the states of tickets from the status section of the CIB, with cibadmin."""

from collections.abc import Iterator

from lxml import etree

from exporter.cluster.model import Ticket
from exporter.cluster.outcome import Failure
from exporter.pacemaker import cib
from exporter.pacemaker.runner import Commands, Completed
from exporter.pacemaker.xml import (
    MalformedError,
    flag,
    parse_document,
    reading,
    required,
    where,
)

REQUEST = ("--query", "--local", "--xpath=/cib/status/tickets")
NOTHING_FOUND = frozenset({105, 6})
"""The exit status of cibadmin if the CIB has no such element: CRM_EX_NOSUCH; 1.1 exits with ENXIO.
The element is missing until a ticket is granted for the first time."""


def ask(commands: Commands, path: str, timeout: float) -> Completed | Failure:
    """Query the local copy of the CIB with cibadmin, for at most `timeout` seconds.

    Returns:
        The answer, or why cibadmin did not run to its end.

    """
    return commands.run((path, *REQUEST), timeout)


def read(answer: Completed | Failure) -> tuple[Ticket, ...] | Failure:
    """Parse an answer of cibadmin.

    Returns:
        The tickets that have a state, or why cibadmin did not print it. A failure is returned
        unchanged.

    """
    if isinstance(answer, Completed) and answer.status in NOTHING_FOUND:
        return ()
    data = cib.output(answer)
    return data if isinstance(data, Failure) else reading("cibadmin", lambda: parse(data))


def parse(data: bytes) -> tuple[Ticket, ...]:
    """Parse the states of tickets ("Multi-Site Clusters and Tickets" in Pacemaker Explained).

    Raises:
        MalformedError: the answer is malformed or has something else.
        MemoryError: there is not enough memory.

    """
    root = parse_document(data, "cibadmin")
    if root.tag != "tickets":
        raise MalformedError(
            f"cibadmin printed XML that starts with {where(root)}, not with <tickets>"
        )
    return tuple(_tickets(root))


def _tickets(root: etree._Element) -> Iterator[Ticket]:
    for element in root.iterchildren("ticket_state"):
        yield Ticket(
            id=required(element, "id"),
            granted=flag(element, "granted"),
            standby=flag(element, "standby"),
        )
