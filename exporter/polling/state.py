"""The immutable state that the poller publishes at the end of each poll."""

from dataclasses import dataclass, replace

from exporter.cluster.corosync import Corosync
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Outcome, SourceStatus
from exporter.judgement.judge import Judgement
from exporter.metrics.exporter import ExporterStatus, Identity
from exporter.metrics.text import EMPTY, Block, Page


@dataclass(frozen=True, slots=True)
class State:
    """The last observation, its page, and the outcomes of the sources."""

    judgement: Judgement | None = None
    """The last observation and what it means. None before the first, after this node has left the
    cluster, and when too old."""
    page: Page = EMPTY
    """The metrics of the observation."""
    corosync: Corosync = Corosync()  # noqa: RUF009 - it is immutable
    """The last answer of corosync. It is newer than that of the observation while crm_mon runs, and
    after crm_mon failed."""
    corosync_blocks: tuple[Block, ...] = ()
    """The metrics of corosync's answer. They go at once when corosync gives none."""
    corosync_reads: int = 0
    """Number of polls that have asked corosync."""
    started: float = 0.0
    """When the poll of the observation was started, in seconds of the monotonic clock."""
    polls: int = 0
    """Number of polls that have ended."""
    sources: tuple[SourceStatus, ...] = ()
    last_outcome: Outcome | None = None
    """Outcome of the last poll; None before the first has ended."""
    last_poll_time: float | None = None
    """Seconds since the epoch at the end of the last poll."""
    poll_duration: float | None = None
    """Duration of the last poll in seconds."""
    snapshot_time: float | None = None
    """Start of the last good crm_mon, in seconds since the epoch. Kept when the observation is
    withdrawn, so that alerts on its age keep firing."""

    def at(self, monotonic: float, max_age: float) -> "State":
        """Return the state without the observation if that is too old.

        Args:
            monotonic: now, in seconds of the monotonic clock.
            max_age: seconds for which an observation may be shown.

        """
        if self.judgement is None or monotonic - self.started <= max_age:
            return self
        return replace(self, judgement=None, page=EMPTY)

    @property
    def observation(self) -> Observation | None:
        """The last observation; None without a judgement."""
        return self.judgement.observation if self.judgement else None

    @property
    def key(self) -> tuple[int, int, bool]:
        """Identifies a state for caches: equal keys mean equal content."""
        return self.polls, self.corosync_reads, self.judgement is None

    @property
    def up(self) -> bool:
        """The last poll succeeded, and its observation may be shown."""
        return self.judgement is not None and self.last_outcome is Outcome.SUCCESS

    @property
    def trusted(self) -> bool:
        """Up, a DC is elected, this partition has quorum, and corosync is not unresponsive."""
        observation = self.observation
        if not self.up or observation is None:
            return False
        return observation.trusted and not self.corosync.unresponsive

    @property
    def dc(self) -> bool:
        """Trusted, and the local node is the DC."""
        observation = self.observation
        if not self.trusted or observation is None:
            return False
        return (
            observation.local_node != ""
            and observation.local_node == observation.snapshot.cluster.dc_name
        )

    def status(self, identity: Identity) -> ExporterStatus:
        """Return the status for the metrics about the exporter."""
        observation = self.observation
        return ExporterStatus(
            identity,
            up=self.up,
            trusted=self.trusted,
            dc=self.dc,
            sources=self.sources,
            last_poll_time=self.last_poll_time,
            snapshot_time=self.snapshot_time,
            poll_duration=self.poll_duration,
            unreadable_times=observation.snapshot.unreadable_times if observation else None,
        )
