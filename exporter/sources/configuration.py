"""The configuration: reads the CIB with cibadmin when crm_mon reports a change."""

import math
from dataclasses import replace

from exporter.cluster.configuration import Configuration
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker import cib
from exporter.pacemaker.runner import Completed
from exporter.sources.source import Source
from exporter.sources.tools import SourceContext

INTERVAL = 1800.0
"""Seconds after which the CIB is read again even without a reported change."""
CHANGE_SETTLES = 2.0
"""Seconds after which a changed CIB is read once more. The time of the last change has whole
seconds, so it does not reveal another change within the same second."""
PAUSE_AFTER_TIMEOUT = 60.0
"""Seconds to wait after cibadmin timed out, because each try delays the poll."""


class ConfigurationSource(Source[Completed, Configuration]):
    """Reads the CIB."""

    name = "configuration"
    command = "cibadmin"

    def __init__(self, context: SourceContext) -> None:
        """Args: see Source."""
        super().__init__(context)
        self._last_change: str | None = None
        self._due = -math.inf
        self._current = False

    def _changed(self, observation: Observation) -> bool:
        last_change = observation.snapshot.cluster.last_change
        return self._fact is not None and last_change != self._last_change

    def due(self, observation: Observation, now: float) -> bool:
        """Whether the CIB changed, or the next read is due."""
        return self._changed(observation) or now >= self._due

    def ask(self, timeout: float) -> Completed | Failure:
        """Run cibadmin."""
        return cib.ask(self._tools.commands, self._tools.cibadmin, timeout)

    def read(self, answer: Completed | Failure) -> Configuration | Failure:
        """Parse the CIB."""
        return cib.read(answer)

    def keep(
        self, found: Configuration | Failure, observation: Observation, now: float
    ) -> Configuration | None:
        """Keep the configuration if re-reading it fails; after a change it is no longer current."""
        known, changed = self._fact, self._changed(observation)
        last_change = observation.snapshot.cluster.last_change
        settled = last_change == self._last_change
        self._last_change = last_change
        if isinstance(found, Failure):
            timed_out = found.outcome is Outcome.TIMEOUT
            self._due = now + (PAUSE_AFTER_TIMEOUT if timed_out else 0)
            self._current = self._current and not changed
            return known
        self._due = now + (INTERVAL if settled else CHANGE_SETTLES)
        self._current = True
        return found

    def add(self, fact: Configuration | None, observation: Observation) -> Observation:
        """Add the configuration, and which of its dates hold."""
        now = self._clock.time() if observation.taken is None else observation.taken
        dates = fact.locations.dates if fact else ()
        return replace(
            observation,
            configuration=fact,
            configuration_current=fact is not None and self._current,
            dates_in_force=frozenset(date for date in dates if date.holds(now)),
        )
