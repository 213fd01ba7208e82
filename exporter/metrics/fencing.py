"""Metrics of the fencing history."""

from collections import Counter
from collections.abc import Iterator, Mapping

from exporter.cluster.model import FencingEvent
from exporter.cluster.selection import Collector
from exporter.judgement.judge import Judgement
from exporter.metrics.declaration import Declarations, Sample

FENCING_HISTORY: Declarations[Judgement] = Declarations()

FENCING = FENCING_HISTORY.for_part(lambda judgement: judgement.snapshot.fencing or ())
ANSWER = FENCING_HISTORY.for_part(lambda judgement: judgement.snapshot.fencing)
FAILED = FENCING_HISTORY.for_part(lambda judgement: judgement.snapshot.failed_fencing)

_OF_FENCING = ("target", "action", "status")


@FENCING.gauge(
    "pacemaker_fencing_actions",
    "Actions in the fencing history by status: success, failed or pending. Absent without a"
    " history.",
    _OF_FENCING,
    Collector.FENCING,
)
def fencing_actions(events: tuple[FencingEvent, ...]) -> Iterator[Sample]:
    """All events that the fencer remembers."""
    yield from Counter((e.target, e.action, e.status) for e in events).items()


@FENCING.gauge(
    "pacemaker_fencing_last_action_timestamp_seconds",
    "When the last action with these labels completed.",
    _OF_FENCING,
    Collector.FENCING,
)
def fencing_last_action(events: tuple[FencingEvent, ...]) -> Iterator[Sample]:
    """The latest completion for each label set."""
    last: dict[tuple[str, ...], float] = {}
    for event in events:
        if event.completed is not None:
            key = (event.target, event.action, event.status)
            last[key] = max(event.completed, last.get(key, event.completed))
    yield from last.items()


@FAILED.gauge(
    "pacemaker_fencing_failed",
    "1 when an attempt to fence the target failed and no later success is known, also if crm_mon"
    " does not report their times or order; else 0. Action on, which lets a node back in, does not"
    " count.",
    ("target",),
    Collector.FENCING,
)
def fencing_failed(failed: Mapping[str, FencingEvent | None]) -> Iterator[Sample]:
    """For the alert, because PromQL cannot order events without a time."""
    for target, attempt in failed.items():
        yield (target,), attempt is not None


@ANSWER.gauge(
    "pacemaker_fencing_history_missing",
    "Always 1: the fencer of this node did not return its history to crm_mon, so the other metrics"
    " of fencing are absent. Absent with a history.",
    collector=Collector.FENCING,
)
def fencing_history_missing(history: tuple[FencingEvent, ...] | None) -> Iterator[Sample]:
    """Tells a missing history from an empty one."""
    if history is None:
        yield (), 1
