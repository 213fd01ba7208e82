"""The loop that asks the cluster, and the only thing in the exporter that changes."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from exporter import cib, crm_node
from exporter.clock import Clock
from exporter.collectors import Selection
from exporter.command import Commands
from exporter.errors import Outcome, PollError, Stopped
from exporter.exposition import Page, render
from exporter.families import CLUSTER
from exporter.history import History
from exporter.logs import TOLD_AGAIN
from exporter.model import Configuration, Snapshot
from exporter.state import Observation, Sighting, State
from exporter.watcher import Watcher

CIB_INTERVAL = 1800.0
"""Seconds between reads of a CIB that does not say that it changed, to be sure."""
CHANGE_SETTLES = 2.0
"""Seconds after which a CIB that changed is read once more: its text of the last change has whole
seconds only, and another change may have come within the same."""
SIDE_PAUSE = 60.0
"""Seconds until a cibadmin that hung, or a crm_node that failed, is tried again."""
SIDE_TIMEOUT = 10.0
"""Seconds for cibadmin and crm_node, which must not hold up a good answer of crm_mon for long."""
ALTERNATING = 60.0
"""Seconds between lines about a command that fails for now this, now that reason."""

_COUNTED = attrgetter("bundles", "authoritative")
"""Of a snapshot, what changes of roles are counted from."""

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
        self._crm_mon = Watcher(site.commands, site.crm_mon, selection.collectors, clock)
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
            snapshot = self._crm_mon.read(completed)
        except PollError as failure:
            # Its traceback leads to this frame, which leads to it: a circle that would keep what
            # the command printed, up to 64 MiB, until some garbage collection.
            error, outcome = failure.with_traceback(None), failure.outcome
            self._failure.began(failure, started)
            if outcome is Outcome.NOT_CONNECTED:
                # Not a view that got lost: this node has left the cluster. It may come back under
                # another name, or with another Pacemaker, which may be installed at any time until
                # then: what was learned meanwhile of how to ask is of the old one.
                self._local_node.forget()
                self._crm_mon.forget()
                sighting = None
        else:
            self._failure.ended()
            observation = self._observe(snapshot, started + self._timeout)
            page = self._page(observation)
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
        before = self.state.sighting
        if before is None or _COUNTED(snapshot) != _COUNTED(before.observation.snapshot):
            self._history = self._history.after(snapshot)
        return Observation(
            snapshot,
            self._configuration.of(snapshot, deadline),
            self._history,
            self._local_node.name(snapshot, deadline),
            self._selection.attribute_names,
        )

    def _page(self, seen: Observation) -> Page:
        before = self.state.sighting
        if (
            before is not None
            and seen.snapshot is before.observation.snapshot
            and seen == before.observation
        ):
            return before.page
        return Page.of(render(self._families, seen, before.page.blocks if before else ()))


class _Failure:
    """Logs when a command begins to fail, fails for another reason, and when it works again.

    While it fails for the same reason that is told every ten minutes; reasons that alternate, once
    a minute. What happens at every poll in between is in the metrics.
    """

    def __init__(self, command: str, clock: Clock) -> None:
        self._command = command
        self._clock = clock
        self._since = math.nan
        self._told: dict[Outcome, float] = {}
        """When a line told each outcome of this failure last, the latest at the end."""

    def began(self, error: PollError, since: float) -> None:
        now = self._clock.monotonic()
        facts: dict[str, str | int] = {"outcome": error.outcome.value}
        if self._told:
            latest, at = next(reversed(self._told.items()))
            pause = TOLD_AGAIN if error.outcome is latest else ALTERNATING
            if error.outcome in self._told and now - at < pause:
                return
            facts["failed_for_seconds"] = round(now - self._since)
        else:
            self._since = since
        self._told.pop(error.outcome, None)
        self._told[error.outcome] = now
        log.error("%s", error, extra={"command": self._command, **facts})

    def ended(self) -> None:
        if self._told:
            seconds = round(self._clock.monotonic() - self._since, 1)
            log.info("%s works again", self._command, extra={"failed_for_seconds": seconds})
        self._told.clear()


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
            found = self._read(_within(deadline - now), settled=last_change == self._last_change)
            # One that is known to be current stays, though it could not be read once more.
            if found is not None or changed:
                self._configuration = found
            self._last_change = last_change
        return self._configuration

    def _read(self, timeout: float, *, settled: bool) -> Configuration | None:
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
        if outcome is Outcome.SUCCESS:
            self._due = now + (CIB_INTERVAL if settled else CHANGE_SETTLES)
        else:
            # What fails at once may be tried again at once; what hangs would slow down every poll.
            self._due = now + (SIDE_PAUSE if outcome is Outcome.TIMEOUT else 0)
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
            self._due = now + SIDE_PAUSE
            self._name = self._ask(_within(deadline - now))
        nodes = (node.name for node in snapshot.nodes)
        name = self._name or crm_node.by_host_name(self._site.host_name, nodes)
        # Pacemaker that has just started names no node yet.
        if not name and snapshot.nodes and not self._told:
            log.warning("cannot tell which node of the cluster this is: pacemaker_view_dc stays 0")
            self._told = True
        self._told &= not name
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
