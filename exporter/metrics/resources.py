"""Metrics of resources outside bundles."""

from collections import Counter
from collections.abc import Callable, Iterator

from exporter.cluster.selection import Collector
from exporter.judgement import conditions
from exporter.judgement.clones import CloneJudgement
from exporter.judgement.judge import Judgement
from exporter.judgement.resources import InstanceJudgement
from exporter.metrics.declaration import Declarations, Sample

RESOURCES: Declarations[Judgement] = Declarations()

INSTANCES = RESOURCES.for_part(lambda judgement: judgement.instances)
INSTANCES_MAINTENANCE = RESOURCES.for_part(
    lambda judgement: (judgement.instances, judgement.observation.in_maintenance)
)
CLONE = RESOURCES.for_each(lambda judgement: judgement.clones)

_RESOURCE = ("resource", "agent", "group", "clone", "node")


def _places(
    instances: tuple[InstanceJudgement, ...],
) -> Iterator[tuple[tuple[str, ...], InstanceJudgement]]:
    """Yield each instance once per node that it is active on, or once with an empty node."""
    for judged in instances:
        instance, resource = judged.instance, judged.resource
        names = [node.name for node in resource.nodes] or [""]
        for name in names:
            labels = (resource.id, resource.agent, instance.group, instance.clone, name)
            yield labels, judged


@INSTANCES.gauge(
    "pacemaker_resource_role",
    "Instances of a resource outside bundles, by role and node (empty if active on no node)."
    " crm_mon lists as many stopped members of an anonymous clone as there are nodes, guest nodes"
    " included.",
    (*_RESOURCE, "role"),
    Collector.RESOURCES,
)
def resource_role(instances: tuple[InstanceJudgement, ...]) -> Iterator[Sample]:
    """Counts, because ids repeat; an instance that is active on two nodes counts on each."""
    counts = Counter((*labels, judged.resource.role.value) for labels, judged in _places(instances))
    yield from counts.items()


@INSTANCES_MAINTENANCE.gauge(
    "pacemaker_resource_condition",
    "Instances of a resource outside bundles for which a condition holds, by node (empty if active"
    " on no node); absent while it holds for none:"
    f" {conditions.describe(conditions.RESOURCE)}.",
    (*_RESOURCE, "condition"),
    Collector.RESOURCES,
)
def resource_condition(part: tuple[tuple[InstanceJudgement, ...], bool]) -> Iterator[Sample]:
    """No zeros: with hundreds of remote nodes they would be half of the page."""
    instances, maintenance = part
    counts: Counter[tuple[str, ...]] = Counter()
    for labels, judged in _places(instances):
        for condition, holds in conditions.evaluate(
            conditions.RESOURCE, judged, maintenance=maintenance
        ):
            if holds:
                counts[(*labels, condition)] += 1
    yield from counts.items()


def _clone_gauge(name: str, help_text: str, value: Callable[[CloneJudgement], float]) -> None:
    def samples(judged: CloneJudgement) -> Iterator[Sample]:
        yield (judged.clone, judged.resource), value(judged)

    CLONE.gauge(name, help_text, ("clone", "resource"), Collector.RESOURCES)(samples)


_clone_gauge(
    "pacemaker_clone_instances",
    "Instances of a resource of a clone if every eligible node were in service: clone-max, at most"
    " clone-node-max on each node.",
    lambda judged: judged.instances,
)
_clone_gauge(
    "pacemaker_clone_instances_expected",
    "Instances that should run: see pacemaker_bundle_replicas_expected.",
    lambda judged: judged.expected,
)
_clone_gauge(
    "pacemaker_clone_instances_running",
    "Instances that run and are healthy, on a node that is online and clean.",
    lambda judged: judged.running,
)
_clone_gauge(
    "pacemaker_clone_instances_promoted",
    "Instances that run well and are promoted.",
    lambda judged: judged.promoted,
)
_clone_gauge(
    "pacemaker_clone_instances_missing",
    "Instances that are expected and do not run, on nodes that are in service, online and clean."
    " Instances of lost nodes do not count.",
    lambda judged: judged.missing,
)
