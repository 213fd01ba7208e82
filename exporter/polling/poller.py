"""The loop that polls the cluster and publishes the state."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from exporter.cluster.corosync import Corosync
from exporter.cluster.observation import Observation, Origin
from exporter.cluster.outcome import Failure, Outcome, Stopped
from exporter.cluster.selection import Selection
from exporter.judgement.judge import Judge, Judgement
from exporter.metrics.corosync import COROSYNC, CorosyncView
from exporter.metrics.declaration import Family, combine
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import EMPTY, Block, Page, render
from exporter.pacemaker.runner import Commands, Completed
from exporter.polling.observer import Observer
from exporter.polling.registry import REGISTRY, Registration
from exporter.polling.state import State
from exporter.runtime.memory import release_free_memory
from exporter.sources.tools import SourceContext

LOOK_AGAIN = 1.0
"""Seconds of waiting for a poll after which the clock is read again: while the machine is suspended
the waiting stops, and the clock does not."""
THREAD_READS = 16 * 1024 * 1024
"""Bytes of answers after which polling continues in a new thread. libxml2 stores the names that a
thread parses in a dictionary, and frees it only with the thread."""
LARGE = 8 * 1024 * 1024
"""Bytes of an answer after which free memory is returned to the system, as after a failure. Smaller
amounts stay for the next poll, which would need a fifth more CPU time to get them again."""

log = logging.getLogger(__name__)


class Poller:
    """Polls the cluster and publishes the result as `state`."""

    def __init__(
        self,
        context: SourceContext,
        interval: float,
        registry: Iterable[Registration] = REGISTRY,
        origin: Origin = Origin.CLUSTER,
    ) -> None:
        """Args: what the sources need, seconds between polls, the sources, and what they read."""
        registry = tuple(registry)
        self._answers = _CountingCommands(context.tools.commands)
        context = replace(context, tools=replace(context.tools, commands=self._answers))
        self._clock = context.clock
        self._due: float | None = None
        self._interval = interval
        self._families = _selected(registry, context.selection)
        self._observer = Observer(context, registry, origin)
        self._judge = Judge()
        self._names: Mapping[int, str] = {}
        """Pacemaker's names of nodes by id, as last known."""
        self.state = State(sources=self._observer.sources)

    def run(self, wait: Callable[[float], bool]) -> bool:
        """Poll at once and then at every interval, until asked to stop.

        After a poll that takes longer than the interval, the next one starts at once. Polls that
        were missed, because one took long or the machine stood still, are skipped.

        Args:
            wait: waits for a number of seconds; returns True to stop.

        Returns:
            True if asked to stop. False if the caller should call it again in a new thread: see
            THREAD_READS.

        """
        self._answers.bytes = 0
        # After its first poll, as the thread before has then ended, and freed its dictionary.
        self._answers.large = True
        if self._due is None:
            self._due = self._clock.monotonic()
        try:
            while self._answers.bytes < THREAD_READS:
                late = self._clock.monotonic() - self._due
                self._due += late // self._interval * self._interval
                self._poll_and_give_back()
                self._due = max(self._due + self._interval, self._clock.monotonic())
                if self._waited_to_stop(self._due, wait):
                    return True
        except Stopped:
            return True
        return False

    def _waited_to_stop(self, due: float, wait: Callable[[float], bool]) -> bool:
        """Wait until a moment of the clock; True when it is time to stop before."""
        while True:
            left = due - self._clock.monotonic()
            if wait(min(max(left, 0.0), LOOK_AGAIN)):
                return True
            if self._clock.monotonic() >= due:
                return False

    def _poll_and_give_back(self) -> None:
        try:
            much = self.poll() is not None or self._answers.large
        except MemoryError:
            much = True  # there was not even room to say so, which the next poll may do
        if much:
            release_free_memory()
        self._answers.large = False

    def poll(self) -> Failure | None:
        """Poll once, publish the result, and return the failure, if any.

        Raises:
            Stopped: the exporter was asked to stop.

        """
        started = self._clock.monotonic()
        found = self._observer.observe(self._judge_and_render, self._publish_corosync)
        before = self.state
        if isinstance(found, Failure):
            outcome, failure = found.outcome, found
            after = before
            if outcome is Outcome.NOT_CONNECTED:
                # This node has left the cluster, so the old view no longer applies.
                after = replace(before, judgement=None, page=EMPTY)
        else:
            outcome, failure = Outcome.SUCCESS, None
            judgement, page = found
            taken = judgement.observation.taken
            self._names = judgement.observation.node_names
            after = replace(
                before,
                corosync_blocks=self._render_corosync(before.corosync),
                judgement=judgement,
                page=page,
                started=started,
                # When a saved output was made is unknown: it counts as made now.
                snapshot_time=self._clock.time() if taken is None else taken,
            )
        duration = self._clock.monotonic() - started
        self.state = replace(
            after,
            polls=before.polls + 1,
            sources=self._observer.sources,
            last_outcome=outcome,
            last_poll_time=self._clock.time(),
            poll_duration=duration,
        )
        log.debug(
            "polled",
            extra={
                "outcome": outcome.value,
                "reason": failure.message if failure else "",
                "seconds": round(duration, 3),
                **{
                    f"{status.source}_seconds": round(status.duration, 3)
                    for status in self._observer.sources
                    if status.duration is not None
                },
            },
        )
        return failure

    def _publish_corosync(self, corosync: Corosync) -> None:
        """Publish what corosync said, without waiting for crm_mon."""
        self.state = replace(
            self.state,
            corosync=corosync,
            corosync_blocks=self._render_corosync(corosync),
            corosync_reads=self.state.corosync_reads + 1,
            sources=self._observer.sources,
        )

    def _render_corosync(self, corosync: Corosync) -> tuple[Block, ...]:
        view = CorosyncView(corosync, corosync.names(self._names))
        return render(COROSYNC, view, self.state.corosync_blocks)

    def _judge_and_render(self, observation: Observation) -> tuple[Judgement, Page]:
        before = self.state
        if before.judgement is not None and observation == before.observation:
            return replace(before.judgement, observation=observation), before.page
        judgement = self._judge.judge(observation)
        return judgement, Page.of(render(self._families, judgement, before.page.blocks))


class _CountingCommands:
    """Runs commands and counts the bytes of their answers."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self.bytes = 0
        self.large = False
        """Whether a command printed much, or failed and may have printed much before."""

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        answer = self._commands.run(argv, timeout)
        size = 0 if isinstance(answer, Failure) else len(answer.stdout)
        self.bytes += size
        self.large |= isinstance(answer, Failure) or size >= LARGE
        return answer


def _selected(
    registry: Iterable[Registration], selection: Selection
) -> tuple[Family[Judgement], ...]:
    """Return the families that the selection includes."""
    of_sources = (registration.families for registration in registry)
    return tuple(
        family
        for family in combine(FAMILIES, *of_sources)
        if family.collector is None or family.collector in selection.collectors
    )
