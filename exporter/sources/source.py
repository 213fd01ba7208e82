"""The base class of all sources: scheduling, timeouts, outcomes and logging."""

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure, SourceStatus, out_of_memory
from exporter.sources.failure_log import FailureLog
from exporter.sources.tools import SourceContext

SIDE_TIMEOUT = 10.0
"""Seconds for each source besides crm_mon, so that it cannot delay crm_mon's data for long."""

Answer = TypeVar("Answer")
Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class _Read:
    """A read that is not counted yet: its failure, its start and the duration of the command."""

    failure: Failure | None
    started: float
    duration: float


class Source(ABC, Generic[Answer, Fact]):
    """Runs one command, or reads files, and adds what it learns, the fact, to an observation.

    A subclass defines when the command is due, how to run it, how to parse the answer, and where
    the fact goes. This class handles outcomes, durations and log lines.
    """

    name: ClassVar[str]
    """Value of the label `source`."""
    command: ClassVar[str]
    """Name of the command, for log lines."""
    required: ClassVar[bool] = False
    """Whether a failure of this source fails the whole poll."""
    limit: ClassVar[float] = SIDE_TIMEOUT
    """Seconds that one read may take."""
    failure_level: ClassVar[int] = logging.ERROR

    def __init__(self, context: SourceContext) -> None:
        """Args: commands, clock, timeout and selection."""
        self.status = SourceStatus(self.name)
        self._tools = context.tools
        self._clock = context.clock
        self._timeout = min(self.limit, context.timeout)
        self._fact: Fact | None = None
        self._failures = FailureLog(self.command, self._clock, self.failure_level)
        self._unsettled: _Read | None = None

    @abstractmethod
    def due(self, observation: Observation, now: float) -> bool:
        """Whether to run the command now.

        Args:
            observation: the observation so far, from the sources before this one.
            now: seconds of the monotonic clock.

        """

    @abstractmethod
    def ask(self, timeout: float) -> Answer | Failure:
        """Run the command, for at most `timeout` seconds.

        Raises:
            Stopped: the exporter was asked to stop.

        """

    @abstractmethod
    def read(self, answer: Answer | Failure) -> Fact | Failure:
        """Parse the answer. A failure is returned unchanged."""

    @abstractmethod
    def add(self, fact: Fact | None, observation: Observation) -> Observation:
        """Return the observation with the fact; it is None while unknown."""

    def keep(self, found: Fact | Failure, observation: Observation, now: float) -> Fact | None:
        """Return the fact to keep after a read; by default None if the read failed."""
        del observation, now
        return None if isinstance(found, Failure) else found

    def forget(self) -> None:
        """Forget all facts, because this node has left the cluster."""

    def observe(self, observation: Observation, deadline: float) -> Observation | Failure:
        """Run the command if it is due, and return the observation with the fact.

        Args:
            observation: the observation so far, from the sources before this one.
            deadline: when the poll should end, in seconds of the monotonic clock.

        Returns:
            The observation, or why a required source failed.

        Raises:
            Stopped: the exporter was asked to stop.

        """
        started = self._clock.monotonic()
        if self.due(observation, started):
            # At least a second for this source, even if crm_mon used up the time.
            answer = self.ask(min(self._timeout, max(deadline - started, 1.0)))
            asked = self._clock.monotonic()
            found = self._read(answer)
            failure = found if isinstance(found, Failure) else None
            self._unsettled = _Read(failure, started, asked - started)
            self._fact = self.keep(found, observation, self._clock.monotonic())
            if failure and self.required:
                return failure
        return self.add(self._fact, observation)

    def settle(self, failure: Failure | None = None) -> None:
        """Count and log the read of this poll, if there was one.

        Args:
            failure: a later failure, such as while rendering, which takes the place of success.

        """
        read, self._unsettled = self._unsettled, None
        if read is None:
            return
        failure = read.failure or failure
        self.status = self.status.after(failure, read.duration)
        if failure:
            self._failures.failed(failure, read.started)
        else:
            self._failures.succeeded()

    def _read(self, answer: Answer | Failure) -> Fact | Failure:
        try:
            return self.read(answer)
        except MemoryError:
            pass  # leaving this block frees what was read
        return out_of_memory(f"read the output of {self.command}")
