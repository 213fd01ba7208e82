"""Metrics of the replicas of bundles."""

from collections.abc import Iterator

from exporter.cluster.model import Bundle
from exporter.judgement import conditions
from exporter.judgement.judge import Judgement
from exporter.metrics.declaration import Declarations, Sample

REPLICAS: Declarations[Judgement] = Declarations()


def _with_maintenance(judgement: Judgement) -> Iterator[tuple[Bundle, bool]]:
    maintenance = judgement.observation.in_maintenance
    for bundle in judgement.snapshot.bundles:
        yield bundle, maintenance


BUNDLE = REPLICAS.for_each(lambda judgement: judgement.snapshot.bundles)
BUNDLE_MAINTENANCE = REPLICAS.for_each(_with_maintenance)


@BUNDLE.gauge(
    "pacemaker_bundle_replica_role",
    "1 for the current role of the replica's service resource; no series for other roles.",
    ("bundle", "bundle_replica", "role"),
)
def replica_role(bundle: Bundle) -> Iterator[Sample]:
    """No zeros: pacemaker_bundle_replicas_in_role has them."""
    for replica in bundle.replicas:
        yield (bundle.id, replica.index, replica.role.value), 1


@BUNDLE.gauge(
    "pacemaker_bundle_replica_ready",
    "1 when the replica is ready: see pacemaker_bundle_replicas_ready.",
    ("bundle", "bundle_replica"),
)
def replica_ready(bundle: Bundle) -> Iterator[Sample]:
    """See Replica.ready."""
    for replica in bundle.replicas:
        yield (bundle.id, replica.index), replica.ready


@BUNDLE.gauge(
    "pacemaker_bundle_replica_node",
    "1 for each host of the replica's container: no series while it runs nowhere,"
    " two series if it (wrongly) runs on two hosts.",
    ("bundle", "bundle_replica", "node"),
)
def replica_node(bundle: Bundle) -> Iterator[Sample]:
    """The hosts, never the guest node."""
    for replica in bundle.replicas:
        for host in replica.hosts:
            yield (bundle.id, replica.index, host.name), 1


@BUNDLE.gauge(
    "pacemaker_bundle_replica_component_active",
    "Whether each component of the replica is active: container, ip, connection and service.",
    ("bundle", "bundle_replica", "component", "resource"),
)
def replica_component_active(bundle: Bundle) -> Iterator[Sample]:
    """One series for each component that the replica has."""
    for replica in bundle.replicas:
        for component, resource in replica.components:
            yield (bundle.id, replica.index, component.value, resource.id), resource.active


@BUNDLE_MAINTENANCE.gauge(
    "pacemaker_bundle_replica_condition",
    f"Whether a condition holds: {conditions.describe(conditions.REPLICA)}.",
    ("bundle", "bundle_replica", "condition"),
)
def replica_condition(part: tuple[Bundle, bool]) -> Iterator[Sample]:
    """All conditions, zeros included."""
    bundle, maintenance = part
    for replica in bundle.replicas:
        for condition, holds in conditions.evaluate(
            conditions.REPLICA, replica, maintenance=maintenance
        ):
            yield (bundle.id, replica.index, condition), holds
