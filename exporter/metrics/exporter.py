"""Metrics of the exporter itself, and whether its view can be trusted."""

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.cluster.outcome import Outcome, SourceStatus
from exporter.metrics.declaration import Declarations, Sample


@dataclass(frozen=True, slots=True)
class Identity:
    """Facts that are constant while the exporter runs."""

    version: str
    revision: str
    python_version: str
    poll_interval: float
    """Seconds."""
    max_age: float
    """Seconds for which an observation is served, from the start of its crm_mon."""


@dataclass(frozen=True, slots=True)
class ExporterStatus:
    """The status of the exporter at one moment."""

    identity: Identity
    up: bool = False
    """The last poll succeeded and its observation is not too old."""
    trusted: bool = False
    """Up, a DC is elected, this partition has quorum, and corosync is not unresponsive."""
    dc: bool = False
    """Trusted, and the local node is the DC."""
    sources: tuple[SourceStatus, ...] = ()
    last_poll_time: float | None = None
    """End of the last poll, in seconds since the epoch."""
    snapshot_time: float | None = None
    """Start of the last good crm_mon, in seconds since the epoch."""
    poll_duration: float | None = None
    """Seconds."""
    unreadable_times: int | None = None
    """None without an observation."""


EXPORTER: Declarations[ExporterStatus] = Declarations()
"""Rendered for scrapes, not at polls."""

STATUS = EXPORTER.for_part(lambda status: status)


STATUS.value(
    "pacemaker_up",
    "1 when the last poll of crm_mon succeeded and its snapshot is within the maximum age.",
    lambda status: status.up,
)
STATUS.value(
    "pacemaker_view_trusted",
    "1 when pacemaker_up is 1, a DC is elected, this node's partition has quorum, and corosync"
    " answered in time. The last is not demanded where the exporter may not ask corosync.",
    lambda status: status.trusted,
)
STATUS.value(
    "pacemaker_view_dc",
    "1 when the view is trusted and the local node is the DC.",
    lambda status: status.dc,
)


@STATUS.gauge(
    "pacemaker_exporter_build_info",
    "Always 1: version and revision of the exporter, and the Python that runs it.",
    ("version", "revision", "python_version"),
)
def build_info(status: ExporterStatus) -> Iterator[Sample]:
    """The running program."""
    identity = status.identity
    yield (identity.version, identity.revision, identity.python_version), 1


@STATUS.counter(
    "pacemaker_exporter_source_reads_total",
    "Reads of a source, by outcome. Source corosync is corosync-cmapctl and corosync-quorumtool,"
    " read at every poll; status is crm_mon, read after it; configuration is cibadmin; tickets is"
    " cibadmin, read at every poll if a constraint names one; local_node is crm_node; sbd is the"
    " files of SBD on this node, read at every poll.",
    ("source", "outcome"),
)
def source_reads(status: ExporterStatus) -> Iterator[Sample]:
    """All outcomes, zeros included, so that rate() sees the first increase."""
    for source in status.sources:
        for outcome in Outcome:
            yield (source.source, outcome.value), source.reads[outcome]


@STATUS.gauge(
    "pacemaker_exporter_source_last_outcome",
    "1 for the outcome of the last finished read of a source, 0 for the others. All are 0 before"
    " the first read ends.",
    ("source", "outcome"),
)
def source_last_outcome(status: ExporterStatus) -> Iterator[Sample]:
    """One series for each outcome."""
    for source in status.sources:
        for outcome in Outcome:
            yield (source.source, outcome.value), outcome is source.last_outcome


STATUS.value(
    "pacemaker_exporter_last_poll_timestamp_seconds",
    "End of the last poll. Absent before the first.",
    lambda status: status.last_poll_time,
)
STATUS.value(
    "pacemaker_exporter_snapshot_timestamp_seconds",
    "Start of the crm_mon that returned the last good snapshot; kept when the snapshot is"
    " withdrawn. Absent before the first.",
    lambda status: status.snapshot_time,
)
STATUS.value(
    "pacemaker_exporter_poll_duration_seconds",
    "Duration of the last poll: commands, parsing and rendering.",
    lambda status: status.poll_duration,
)


@STATUS.gauge(
    "pacemaker_exporter_source_duration_seconds",
    "Duration of the command in the last read of a source. Absent before the first.",
    ("source",),
)
def source_duration(status: ExporterStatus) -> Iterator[Sample]:
    """Without parsing and rendering: see the duration of the poll."""
    for source in status.sources:
        if source.duration is not None:
            yield (source.source,), source.duration


STATUS.value(
    "pacemaker_exporter_poll_interval_seconds",
    "Configured time from the start of one poll to the start of the next.",
    lambda status: status.identity.poll_interval,
)
STATUS.value(
    "pacemaker_exporter_snapshot_max_age_seconds",
    "Configured age at which a snapshot is withdrawn.",
    lambda status: status.identity.max_age,
)
STATUS.value(
    "pacemaker_exporter_unreadable_times",
    "Times in the snapshot that could not be parsed and are left out. Absent without a snapshot.",
    lambda status: status.unreadable_times,
)
