"""Metrics of location constraints and tickets."""

from collections.abc import Callable, Iterator

from exporter.cluster.model import Ban, Ticket
from exporter.cluster.selection import Collector
from exporter.judgement.judge import Judgement
from exporter.metrics.declaration import Declarations, Sample

CONSTRAINTS: Declarations[Judgement] = Declarations()

BANS = CONSTRAINTS.for_part(lambda judgement: judgement.bans or ())
TICKETS = CONSTRAINTS.for_part(lambda judgement: judgement.observation.tickets)


@BANS.gauge(
    "pacemaker_location_ban_score",
    "Score of each negative location constraint, and of each positive one that a move left behind"
    " (cli-prefer-); INFINITY as 1000000. Absent while the CIB could not be read. origin is cli for"
    " a constraint that a command such as pcs resource move or ban created, else config.",
    ("constraint", "resource", "node", "promoted_only", "origin"),
    Collector.BANS,
)
def location_ban_score(bans: tuple[Ban, ...]) -> Iterator[Sample]:
    """One series per constraint, resource and node; of duplicates, the strongest score."""
    scores: dict[tuple[str, ...], int] = {}
    for ban in bans:
        key = (
            ban.constraint,
            ban.resource,
            ban.node,
            "true" if ban.promoted_only else "false",
            "cli" if ban.by_command else "config",
        )
        scores[key] = max(ban.score, scores.get(key, ban.score), key=abs)
    yield from scores.items()


def _ticket_gauge(name: str, help_text: str, value: Callable[[Ticket], float]) -> None:
    def samples(tickets: tuple[Ticket, ...]) -> Iterator[Sample]:
        for ticket in {ticket.id: ticket for ticket in tickets}.values():
            yield (ticket.id,), value(ticket)

    TICKETS.gauge(name, help_text, ("ticket",), Collector.TICKETS)(samples)


_ticket_gauge(
    "pacemaker_ticket_granted",
    "1 when the ticket is granted to this site.",
    lambda ticket: ticket.granted,
)
_ticket_gauge(
    "pacemaker_ticket_standby",
    "1 when the ticket is in standby: resources that depend on it should be stopped gracefully.",
    lambda ticket: ticket.standby,
)
