"""Metrics of fail-counts and failed actions."""

from collections import Counter
from collections.abc import Callable, Iterator

from exporter.cluster.model import FailedAction, Replicas, ResourceHistory
from exporter.cluster.selection import Collector
from exporter.judgement.judge import Judgement
from exporter.metrics.declaration import Declarations, Sample

FAILURES: Declarations[Judgement] = Declarations()

RESOURCE_HISTORY = FAILURES.for_part(
    lambda judgement: (
        judgement.snapshot.history,
        judgement.snapshot.replicas,
    )
)
FAILED_ACTIONS = FAILURES.for_part(
    lambda judgement: (
        judgement.snapshot.failed_actions,
        judgement.snapshot.replicas,
    )
)

_OF_HISTORY = ("resource", "node", "bundle", "bundle_replica")


def _history_gauge(
    name: str, help_text: str, value: Callable[[ResourceHistory], float | None]
) -> None:
    def samples(part: tuple[tuple[ResourceHistory, ...], Replicas]) -> Iterator[Sample]:
        history, replicas = part
        for entry in history:
            present = value(entry)
            if present is not None:
                replica = replicas.of(entry.resource, entry.node)
                yield (entry.resource, entry.node, *replica), present

    RESOURCE_HISTORY.gauge(name, help_text, _OF_HISTORY, Collector.FAILURES)(samples)


_history_gauge(
    "pacemaker_resource_failures",
    "Fail-count of the resource on the node, INFINITY as 1000000; 0 when it has a history there"
    " but no failure. It stays after recovery, until cleanup or failure-timeout. For a primitive in"
    " a bundle the node is the guest node, for a container the host. Absent for a resource without"
    " any operation in the history.",
    lambda entry: entry.fail_count,
)
_history_gauge(
    "pacemaker_resource_migration_threshold",
    "Failures after which the resource may no longer run on the node; INFINITY as 1000000.",
    lambda entry: entry.migration_threshold,
)
_history_gauge(
    "pacemaker_resource_last_failure_timestamp_seconds",
    "Last failure of the resource on the node.",
    lambda entry: entry.last_failure,
)


@FAILED_ACTIONS.gauge(
    "pacemaker_failed_actions",
    "Failed resource actions listed, by operation, status and return code (rc) of the agent."
    " They stay after recovery, until cleanup or failure-timeout.",
    (*_OF_HISTORY, "operation", "status", "rc"),
    Collector.FAILURES,
)
def failed_actions(part: tuple[tuple[FailedAction, ...], Replicas]) -> Iterator[Sample]:
    """Counts, because the same action may be listed twice."""
    actions, replicas = part
    counts = Counter(
        (
            action.resource,
            action.node,
            *replicas.of(action.resource, action.node),
            action.operation,
            action.status,
            action.rc,
        )
        for action in actions
    )
    yield from counts.items()
