"""The tickets: reads their states with cibadmin at every poll if a constraint names one."""

import math
from dataclasses import replace

from exporter.cluster.model import Ticket
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure, Outcome
from exporter.cluster.selection import Collector
from exporter.pacemaker import tickets
from exporter.pacemaker.runner import Completed
from exporter.sources.configuration import PAUSE_AFTER_TIMEOUT
from exporter.sources.source import Source
from exporter.sources.tools import SourceContext

KEPT = 300.0
"""Seconds for which the states are kept while they cannot be read. Without a state a ticket holds
nothing back, and all that depends on it would count as down at the passive site."""


class TicketSource(Source[Completed, tuple[Ticket, ...]]):
    """Reads which tickets are granted.

    crm_mon would list them, too, but it would interpret all constraints for that.
    """

    name = "tickets"
    command = "cibadmin"

    def __init__(self, context: SourceContext) -> None:
        """Args: see Source."""
        super().__init__(context)
        self._selected = Collector.TICKETS in context.selection.collectors
        self._pause_ends = self._read_at = -math.inf

    def forget(self) -> None:
        """Forget the states."""
        self._fact = None

    def due(self, observation: Observation, now: float) -> bool:
        """Whether a constraint names a ticket, except after a timeout."""
        if not _needed(observation) or now - self._read_at > KEPT:
            self._fact = None
        return self._selected and bool(_needed(observation)) and now >= self._pause_ends

    def ask(self, timeout: float) -> Completed | Failure:
        """Run cibadmin."""
        return tickets.ask(self._tools.commands, self._tools.cibadmin, timeout)

    def read(self, answer: Completed | Failure) -> tuple[Ticket, ...] | Failure:
        """Parse the states."""
        return tickets.read(answer)

    def keep(
        self, found: tuple[Ticket, ...] | Failure, observation: Observation, now: float
    ) -> tuple[Ticket, ...] | None:
        """Keep the last states if they cannot be read, and pause after a timeout."""
        del observation
        if isinstance(found, Failure):
            if found.outcome is Outcome.TIMEOUT:
                self._pause_ends = now + PAUSE_AFTER_TIMEOUT
            return self._fact
        self._read_at = now
        return found

    def add(self, fact: tuple[Ticket, ...] | None, observation: Observation) -> Observation:
        """Add the tickets. One that has no state was never granted."""
        if fact is None:
            return observation
        known = {ticket.id: ticket for ticket in fact}
        missing = _needed(observation) - known.keys()
        known |= {name: Ticket(name, granted=False, standby=False) for name in missing}
        return replace(observation, ticket_states=tuple(known[name] for name in sorted(known)))


def _needed(observation: Observation) -> frozenset[str]:
    return observation.configuration_or_empty.needed_tickets
