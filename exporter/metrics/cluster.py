"""Metrics of the cluster as a whole."""

from collections.abc import Callable, Iterator

from exporter.cluster.model import Cluster
from exporter.judgement.judge import Judgement
from exporter.judgement.problem import Problem, Subject
from exporter.metrics.declaration import Declarations, Sample

CLUSTER: Declarations[Judgement] = Declarations()

LOCAL_NODE = CLUSTER.for_part(lambda judgement: judgement.observation.local_node)
SUMMARY = CLUSTER.for_part(lambda judgement: judgement.snapshot.cluster)
MAINTENANCE = CLUSTER.for_part(lambda judgement: judgement.observation.in_maintenance)
CONFIGURATION_CURRENT = CLUSTER.for_part(
    lambda judgement: judgement.observation.configuration_current
)
WATCHDOG = CLUSTER.for_part(
    lambda judgement: (
        judgement.observation.configuration_or_empty.watchdog,
        judgement.observation.configuration_or_empty.watchdog_timeout,
    )
)
PROBLEMS = CLUSTER.for_part(lambda judgement: judgement.problems)
SUMMARY_NAME = CLUSTER.for_part(
    lambda judgement: (
        judgement.snapshot.cluster,
        judgement.observation.configuration_or_empty.cluster_name,
    )
)


@LOCAL_NODE.gauge(
    "pacemaker_local_node_info",
    "Always 1: name of the node that this exporter runs on, as the cluster knows it."
    " Absent while unknown.",
    ("node",),
)
def local_node_info(local_node: str) -> Iterator[Sample]:
    """The node whose view this is."""
    if local_node:
        yield (local_node,), 1


@PROBLEMS.gauge(
    "pacemaker_problems",
    "Number of subjects, such as nodes or bundles, that have a problem of this kind now. Severity"
    " is critical (a service is down or degraded, or nobody can tell), warning (services are as"
    " wanted, but somebody has to work on it) or info (on purpose). Absent for other kinds.",
    ("kind", "severity"),
)
def problems(found: tuple[Problem, ...]) -> Iterator[Sample]:
    """No zeros: most kinds never occur."""
    subjects: dict[tuple[str, str], set[Subject]] = {}
    for problem in found:
        key = problem.kind.value, problem.severity.value
        subjects.setdefault(key, set()).update(problem.subjects)
    for labels, having in subjects.items():
        yield labels, len(having)


CONFIGURATION_CURRENT.value(
    "pacemaker_configuration_current",
    "1 when the exporter has read the CIB as it is now. 0 when it could not read the CIB since it"
    " changed, and shows the configuration that it read before, if any.",
    lambda current: current,
)


@SUMMARY_NAME.gauge(
    "pacemaker_cluster_info",
    "Always 1: name of the cluster (empty while the CIB could not be read), cluster layer,"
    " Pacemaker version of the DC, and version of crm_mon's XML (empty with --as-xml).",
    ("cluster_name", "stack", "pacemaker_version", "api_version"),
)
def cluster_info(part: tuple[Cluster, str]) -> Iterator[Sample]:
    """All text facts about the cluster."""
    cluster, name = part
    yield (name, cluster.stack, cluster.pacemaker_version, cluster.api_version), 1


def _cluster_gauge(name: str, help_text: str, value: Callable[[Cluster], float | None]) -> None:
    SUMMARY.value(name, f"{help_text} Absent when crm_mon does not report it.", value)


_cluster_gauge(
    "pacemaker_cluster_quorate",
    "1 when this node's partition has quorum.",
    lambda cluster: cluster.quorate,
)
_cluster_gauge(
    "pacemaker_cluster_dc_elected",
    "1 when a designated controller (DC) is elected.",
    lambda cluster: cluster.dc_elected,
)
MAINTENANCE.value(
    "pacemaker_cluster_maintenance_mode",
    "1 when maintenance mode is on, or every member and remote node is in maintenance.",
    lambda everywhere: everywhere,
)
_cluster_gauge(
    "pacemaker_cluster_fencing_enabled",
    "1 when fencing is enabled (stonith-enabled).",
    lambda cluster: cluster.fencing_enabled,
)
WATCHDOG.value(
    "pacemaker_cluster_watchdog",
    "1 when Pacemaker found SBD running (have-watchdog, which the DC writes to the CIB). Absent"
    " when the CIB does not have it.",
    lambda watchdog: watchdog[0],
)
WATCHDOG.value(
    "pacemaker_cluster_stonith_watchdog_timeout_seconds",
    "Configured stonith-watchdog-timeout; -1 when Pacemaker calculates it. Absent when it is not"
    " set.",
    lambda watchdog: watchdog[1],
)
_cluster_gauge(
    "pacemaker_cluster_symmetric",
    "1 when resources may run on any node by default (symmetric-cluster).",
    lambda cluster: cluster.symmetric,
)
_cluster_gauge(
    "pacemaker_cluster_stop_all_resources",
    "1 when stop-all-resources is set.",
    lambda cluster: cluster.stop_all_resources,
)
_cluster_gauge(
    "pacemaker_cluster_mixed_version",
    "1 when the nodes run different versions of Pacemaker.",
    lambda cluster: cluster.mixed_version,
)
_cluster_gauge(
    "pacemaker_cluster_nodes_configured",
    "Nodes configured, as crm_mon counts them: guest nodes included.",
    lambda cluster: cluster.nodes_configured,
)


@SUMMARY.gauge(
    "pacemaker_cluster_resource_instances",
    "Resource instances configured, disabled and blocked, as crm_mon counts them.",
    ("state",),
)
def cluster_resource_instances(cluster: Cluster) -> Iterator[Sample]:
    """All resources, those of bundles included."""
    for state, count in (
        ("configured", cluster.resources_configured),
        ("disabled", cluster.resources_disabled),
        ("blocked", cluster.resources_blocked),
    ):
        if count is not None:
            yield (state,), count


_cluster_gauge(
    "pacemaker_cluster_last_change_timestamp_seconds",
    "Last change of the CIB's configuration. The CIB has local time of the node that made the"
    " change; the exporter reads it as local time of its host: use one time zone on all nodes.",
    lambda cluster: cluster.last_change_time,
)
