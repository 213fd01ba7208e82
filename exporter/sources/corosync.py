"""Corosync: asks the cluster's communication layer on this node, before crm_mon."""

import logging
import math
from dataclasses import replace

from exporter.cluster.corosync import Corosync, CorosyncSettings, CorosyncState, Quorum
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure, Outcome
from exporter.corosync import cmapctl, quorumtool
from exporter.pacemaker.runner import Completed
from exporter.sources.source import Source
from exporter.sources.tools import SourceContext

LIMIT = 5.0
"""Seconds for all commands of one read together. Corosync answers within 0.1 s unless it hangs."""
SETTINGS_INTERVAL = 60.0
"""Seconds between reads of the settings while the membership stays the same."""
REFUSED_INTERVAL = 600.0
"""Seconds between tries while corosync refuses: each try writes two lines into its log. The first
refusal is not believed: corosync refuses everybody but root until pacemakerd, when it starts, lets
its group in. Believed, it would hide a frozen corosync from then on."""

_STATES = {
    Outcome.NOT_CONNECTED: CorosyncState.NOT_RUNNING,
    Outcome.TIMEOUT: CorosyncState.UNRESPONSIVE,
}


class CorosyncSource(Source[Corosync | Failure, Corosync]):
    """Reads statistics, settings and quorum.

    While corosync hangs, crm_mon shows an old view as if it were current; only this source can
    tell. Unlike crm_mon's data nothing is kept if a read fails.
    """

    name = "corosync"
    command = "corosync-cmapctl"
    limit = LIMIT
    failure_level = logging.WARNING

    def __init__(self, context: SourceContext) -> None:
        """Args: see Source."""
        super().__init__(context)
        self._commands = self._tools.corosync or self._tools.commands
        self._due = -math.inf
        self._refused = False
        """Whether corosync refused the last time."""
        self._version_2 = False
        self._settings: CorosyncSettings | None = None
        self._settings_due = -math.inf
        self._memberships: int | None = None
        self._deadline = -math.inf

    def pacemaker_returned(self) -> None:
        """Ask again at the next poll: pacemakerd may have started, and let its group in."""
        self._due = -math.inf

    def due(self, observation: Observation, now: float) -> bool:
        """Return True, unless corosync refused a short time ago."""
        del observation
        return now >= self._due

    def ask(self, timeout: float) -> Corosync | Failure:
        """Run the commands and parse their answers."""
        self._deadline = self._clock.monotonic() + timeout
        found = self._ask_version_2() if self._version_2 else self._ask_version_3()
        if isinstance(found, Failure):
            # Corosync may come back with another version or configuration.
            self._version_2, self._settings = False, None
        return found

    def read(self, answer: Corosync | Failure) -> Corosync | Failure:
        """Return the answer: `ask` has parsed it, because one answer decides about the next."""
        return answer

    def keep(
        self, found: Corosync | Failure, observation: Observation, now: float
    ) -> Corosync | None:
        """Keep only the reason if corosync did not answer; wait long after a second refusal."""
        del observation
        before = self._refused
        self._refused = isinstance(found, Failure) and found.outcome is Outcome.PERMISSION_DENIED
        if not isinstance(found, Failure):
            return found
        if self._refused and before:
            self._due = now + REFUSED_INTERVAL
        # A command that was not even started says nothing about corosync.
        state = _STATES.get(found.outcome) if found.started else None
        return Corosync(state or CorosyncState.UNKNOWN)

    def add(self, fact: Corosync | None, observation: Observation) -> Observation:
        """Add what corosync said."""
        return replace(observation, corosync=fact or Corosync())

    def _ask_version_3(self) -> Corosync | Failure:
        answer = self._cmapctl(cmapctl.STATISTICS)
        if cmapctl.lacks_statistics(answer):
            self._version_2 = True
            return self._ask_version_2()
        found = cmapctl.keys(answer)
        if isinstance(found, Failure):
            return found
        settings = self._settings_after(cmapctl.memberships(found))
        if isinstance(settings, Failure):
            return settings
        return self._with_quorum(found, settings)

    def _ask_version_2(self) -> Corosync | Failure:
        found = cmapctl.keys(self._cmapctl(cmapctl.SETTINGS_2))
        if isinstance(found, Failure):
            return found
        settings = cmapctl.settings(found)
        return settings if isinstance(settings, Failure) else self._with_quorum(found, settings)

    def _settings_after(self, memberships: int | None) -> CorosyncSettings | Failure:
        """Return the settings; read them when the membership changed, else once a minute."""
        now = self._clock.monotonic()
        known = self._settings
        if known is not None and memberships == self._memberships and now < self._settings_due:
            return known
        found = cmapctl.keys(self._cmapctl(cmapctl.SETTINGS))
        read = found if isinstance(found, Failure) else cmapctl.settings(found)
        if not isinstance(read, Failure):
            self._settings, self._memberships = read, memberships
            self._settings_due = now + SETTINGS_INTERVAL
        return read

    def _with_quorum(self, found: cmapctl.Keys, settings: CorosyncSettings) -> Corosync | Failure:
        statistics = cmapctl.statistics(found, settings.local_id)
        if isinstance(statistics, Failure):
            return statistics
        quorum: Quorum | Failure | None = None
        if settings.has_quorum_provider:
            quorum = quorumtool.read(self._run(self._tools.corosync_quorumtool, quorumtool.REQUEST))
        if isinstance(quorum, Failure):
            return quorum
        return Corosync(
            CorosyncState.ANSWERED,
            settings,
            quorum,
            statistics.links,
            statistics.rings,
            statistics.counters,
        )

    def _cmapctl(self, request: tuple[str, ...]) -> Completed | Failure:
        return self._run(self._tools.corosync_cmapctl, request)

    def _run(self, path: str, request: tuple[str, ...]) -> Completed | Failure:
        left = max(self._deadline - self._clock.monotonic(), 0.1)
        return self._commands.run((path, *request), left)
