"""Outcomes and failures of reading the sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.cluster.text import shortened


class Outcome(StrEnum):
    """How the read of a source ended: the values of the label `outcome`."""

    SUCCESS = "success"
    NOT_CONNECTED = "not_connected"
    """Pacemaker is not running on this node (crm_mon's exit status 102, or 107 in 1.1), or corosync
    is not."""
    PERMISSION_DENIED = "permission_denied"
    """The user has no access to the cluster: it is not in group haclient (exit status 4). For
    corosync: haclient is not the main group of the process."""
    TIMEOUT = "timeout"
    NOT_FOUND = "not_found"
    """The command could not be started: it is missing or not executable, or the system refused."""
    EXIT_STATUS = "exit_status"
    """The command ended with another exit status, or a signal killed it."""
    MALFORMED = "malformed"
    """The output is not the expected XML."""
    INCOMPLETE = "incomplete"
    """The output is well-formed, but without cluster status; the exit status may still be 0."""
    TOO_LARGE = "too_large"
    OUT_OF_MEMORY = "out_of_memory"
    """There was not enough memory to receive, parse or render the output."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command failed, or why its answer could not be read.

    It is returned, not raised: a stored exception would keep its stack frames alive, and with them
    the answer of the command, up to 64 MiB.
    """

    outcome: Outcome
    message: str
    """One short line: what, where and what to do."""
    started: bool = True
    """Whether the command was started. If it was not, the failure says nothing about what would
    have answered."""

    def __post_init__(self) -> None:
        """Shorten what commands said: it is logged and shown."""
        object.__setattr__(self, "message", shortened(self.message))


def out_of_memory(doing: str) -> Failure:
    """Return the failure for an activity that ran out of memory."""
    return Failure(
        Outcome.OUT_OF_MEMORY,
        f"no memory left to {doing}: free memory on this machine, or raise the exporter's limit"
        " (LimitAS= of its systemd unit, ulimit -v)",
    )


def _zeros() -> Mapping[Outcome, int]:
    return dict.fromkeys(Outcome, 0)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The outcomes of the reads of one source."""

    source: str
    reads: Mapping[Outcome, int] = field(default_factory=_zeros)
    """Number of reads since the exporter started, by outcome."""
    last_outcome: Outcome | None = None
    """None before the end of the first read."""
    failure: Failure | None = None
    """Why the last read failed; None if it succeeded."""
    duration: float | None = None
    """Seconds that the command took in the last read; None before the first."""

    def after(self, failure: Failure | None, duration: float) -> "SourceStatus":
        """Return the status after one more read."""
        outcome = failure.outcome if failure else Outcome.SUCCESS
        reads = {**self.reads, outcome: self.reads[outcome] + 1}
        return SourceStatus(self.source, reads, outcome, failure, duration)


class Stopped(Exception):  # noqa: N818 - a request to stop is not an error
    """The exporter was asked to stop while a command was running."""


class WebConfigError(Exception):
    """The web configuration is invalid; the message says what is wrong, where, and what to do."""
