"""The loop that asks the cluster, and the only thing in the exporter that changes."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from exporter import cib, crm_mon, crm_node
from exporter.clock import Clock
from exporter.collectors import Selection
from exporter.command import Commands
from exporter.errors import Outcome, PollError, Stopped
from exporter.exposition import Page, render
from exporter.families import CLUSTER
from exporter.history import History
from exporter.model import Configuration, Snapshot
from exporter.state import Observation, Sighting, State

CIB_INTERVAL = 60.0
"""Seconds between reads of a CIB that does not say that it changed: its text of the last change
has whole seconds only. Also the pause after a cibadmin or crm_node that hung."""
SIDE_TIMEOUT = 10.0
"""Seconds for cibadmin and crm_node, which must not hold up a good answer of crm_mon for long."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Site:
    """The machine whose cluster is polled: what runs commands there, and their paths."""

    commands: Commands
    host_name: str = ""
    crm_mon: str = "crm_mon"
    cibadmin: str = "cibadmin"
    crm_node: str = "crm_node"


class Poller:
    """Polls crm_mon and publishes what it sees as `state`."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        *,
        interval: float,
        timeout: float,
        selection: Selection = Selection(),  # noqa: B008 - it cannot change
    ) -> None:
        """Args: whom to ask; the time from poll to poll, and for each, in seconds; for what."""
        self.state = State()
        self._clock = clock
        self._interval = interval
        self._timeout = timeout
        self._selection = selection
        self._families = [
            family
            for family in CLUSTER
            if family.collector is None or family.collector in selection.collectors
        ]
        self._crm_mon = crm_mon.CrmMon(site.commands, site.crm_mon, selection.collectors)
        self._configuration = _ConfigurationReader(site, clock)
        self._local_node = _LocalNode(site, clock)
        self._history = History()
        self._failure = _Failure("crm_mon", clock)

    def run(self, wait: Callable[[float], bool]) -> None:
        """Poll at once and then on the interval's beat, until told to stop.

        A poll that outlasts the interval is followed by the next at once; missed beats are not
        made up for.

        Args:
            wait: waits for so many seconds; True when it is time to stop.

        """
        due = self._clock.monotonic()
        try:
            while True:
                self.poll()
                now = self._clock.monotonic()
                due = max(due + self._interval, now)
                if wait(due - now):
                    return
        except Stopped:
            return

    def poll(self) -> PollError | None:
        """Ask the cluster once, publish what came of it, and return what went wrong.

        Raises:
            Stopped: the exporter is asked to end.

        """
        started, time = self._clock.monotonic(), self._clock.time()
        error: PollError | None = None
        sighting, outcome = self.state.sighting, Outcome.SUCCESS
        asked = started
        try:
            try:
                completed = self._crm_mon.ask(self._timeout)
            finally:
                asked = self._clock.monotonic()
            snapshot = crm_mon.read(completed)
        except PollError as failure:
            error, outcome = failure, failure.outcome
            self._failure.began(failure, started)
            if outcome is Outcome.NOT_CONNECTED:
                # Not a view that got lost: this node has left the cluster.
                if sighting is not None:
                    # It may come back under another name, or with another Pacemaker.
                    self._local_node.forget()
                    self._crm_mon.forget()
                sighting = None
        else:
            self._failure.ended()
            observation = self._observe(snapshot, started + self._timeout)
            page = Page.of(render(self._families, observation))
            sighting = Sighting(observation, page, time, started)
        before, now = self.state, self._clock.monotonic()
        self.state = replace(
            before,
            sighting=sighting,
            snapshot_time=before.snapshot_time if error else time,
            last_outcome=outcome,
            last_poll_time=self._clock.time(),
            poll_duration=now - started,
            crm_mon_duration=asked - started,
            polls=_counted(before.polls, outcome),
            cib_reads=self._configuration.reads,
        )
        log.debug(
            "polled",
            extra={
                "outcome": outcome.value,
                "reason": str(error or ""),
                "seconds": round(now - started, 3),
                "crm_mon_seconds": round(asked - started, 3),
            },
        )
        return error

    def _observe(self, snapshot: Snapshot, deadline: float) -> Observation:
        self._history = self._history.after(snapshot)
        return Observation(
            snapshot,
            self._configuration.of(snapshot, deadline),
            self._history,
            self._local_node.name(snapshot, deadline),
            self._selection.attribute_names,
        )


class _Failure:
    """Logs one line when a command begins to fail, or fails for another reason, and when it works.

    What happens at every poll in between is in the metrics.
    """

    def __init__(self, command: str, clock: Clock) -> None:
        self._command = command
        self._clock = clock
        self._outcome: Outcome | None = None
        self._since = math.nan

    def began(self, error: PollError, since: float) -> None:
        if self._outcome is None:
            self._since = since
        if error.outcome is not self._outcome:
            log.error("%s", error, extra={"command": self._command, "outcome": error.outcome.value})
        self._outcome = error.outcome

    def ended(self) -> None:
        if self._outcome is not None:
            seconds = round(self._clock.monotonic() - self._since, 1)
            log.info("%s works again", self._command, extra={"failed_for_seconds": seconds})
        self._outcome = None


class _ConfigurationReader:
    """Reads the CIB when crm_mon says that it changed, and now and then otherwise."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self.reads: Mapping[Outcome, int] = State().cib_reads
        self._site = site
        self._clock = clock
        self._configuration: Configuration | None = None
        self._last_change: str | None = None
        self._due = -math.inf
        self._failure = _Failure("cibadmin", clock)

    def of(self, snapshot: Snapshot, deadline: float) -> Configuration | None:
        """Return the configuration that a snapshot belongs to; None when it could not be read."""
        now = self._clock.monotonic()
        last_change = snapshot.cluster.last_change
        changed = self._configuration is not None and last_change != self._last_change
        if changed or now >= self._due:
            found = self._read(_within(deadline - now))
            # One that is known to be current stays, though it could not be read once more.
            if found is not None or changed:
                self._configuration = found
            self._last_change = last_change
        return self._configuration

    def _read(self, timeout: float) -> Configuration | None:
        outcome = Outcome.SUCCESS
        configuration = None
        started = self._clock.monotonic()
        try:
            configuration = cib.read(cib.ask(self._site.commands, self._site.cibadmin, timeout))
            self._failure.ended()
        except PollError as error:
            outcome = error.outcome
            self._failure.began(error, started)
        self.reads = _counted(self.reads, outcome)
        now = self._clock.monotonic()
        # What fails at once may be tried again at once; what hangs would slow down every poll.
        again_soon = outcome not in {Outcome.SUCCESS, Outcome.TIMEOUT}
        self._due = now if again_soon else now + CIB_INTERVAL
        return configuration


class _LocalNode:
    """Finds out what the cluster calls this machine."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self._site = site
        self._clock = clock
        self._name = ""
        self._due = -math.inf
        self._told = False

    def forget(self) -> None:
        """Ask again: the node may come back under another name."""
        self._name = ""
        self._due = -math.inf

    def name(self, snapshot: Snapshot, deadline: float) -> str:
        """Return the name, or nothing while it is unknown."""
        now = self._clock.monotonic()
        if not self._name and now >= self._due:
            self._due = now + CIB_INTERVAL
            self._name = self._ask(_within(deadline - now))
        nodes = (node.name for node in snapshot.nodes)
        name = self._name or crm_node.by_host_name(self._site.host_name, nodes)
        if not name and not self._told:
            log.warning("cannot tell which node of the cluster this is: pacemaker_view_dc stays 0")
        self._told = not name
        return name

    def _ask(self, timeout: float) -> str:
        try:
            return crm_node.ask(self._site.commands, self._site.crm_node, timeout)
        except PollError as error:
            log.debug("%s", error, extra={"command": "crm_node"})
            return ""


def _counted(counts: Mapping[Outcome, int], outcome: Outcome) -> Mapping[Outcome, int]:
    return {**counts, outcome: counts[outcome] + 1}


def _within(seconds_left: float) -> float:
    """Bound a side command by what is left of the poll, yet give it a chance."""
    return min(SIDE_TIMEOUT, max(seconds_left, 1.0))
