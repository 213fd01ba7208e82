"""Metrics of bundles: one series per bundle."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator

from exporter.cluster.configuration import BundleConfiguration
from exporter.cluster.model import Role
from exporter.cluster.role_changes import Changes
from exporter.judgement import conditions
from exporter.judgement.bundles import BundleJudgement, BundleState
from exporter.judgement.judge import Judgement
from exporter.metrics.declaration import Declarations, Sample

BUNDLES: Declarations[Judgement] = Declarations()

BUNDLE = BUNDLES.for_each(lambda judgement: judgement.bundles)
BUNDLES_CONFIGURED = BUNDLES.for_part(
    lambda judgement: judgement.observation.configuration_or_empty.bundles.keys()
)
BUNDLE_HISTORY = BUNDLES.for_each(
    lambda judgement: (
        (bundle.id, judgement.observation.role_changes.of(bundle.id))
        for bundle in judgement.bundles
    )
)


@BUNDLE.gauge(
    "pacemaker_bundle_info",
    "Always 1: container engine and image of the bundle, agent and id of its primitive.",
    ("bundle", "engine", "image", "unique", "primitive", "primitive_id"),
)
def bundle_info(judged: BundleJudgement) -> Iterator[Sample]:
    """All text facts about a bundle."""
    bundle = judged.bundle
    unique = "true" if bundle.unique else "false"
    primitive = bundle.primitive_agent, bundle.primitive_id
    yield (bundle.id, bundle.engine, bundle.image, unique, *primitive), 1


def _bundle_gauge(
    name: str, help_text: str, value: Callable[[BundleJudgement], float | None]
) -> None:
    def samples(judged: BundleJudgement) -> Iterator[Sample]:
        present = value(judged)
        if present is not None:
            yield (judged.id,), present

    BUNDLE.gauge(name, help_text, ("bundle",))(samples)


@BUNDLE.gauge(
    "pacemaker_bundle_state",
    "1 for the present state: down (no replica is ready, or none is promoted, although some should"
    " be), degraded (fewer are ready or promoted than expected), reduced (as expected, and fewer"
    " than configured), else ok. Maintenance and unmanaged are conditions, not states.",
    ("bundle", "state"),
)
def bundle_state(judged: BundleJudgement) -> Iterator[Sample]:
    """All four states, so that each has a history."""
    present = judged.state
    for state in BundleState:
        yield (judged.id, state.value), state is present


_bundle_gauge(
    "pacemaker_bundle_replicas",
    "Replicas configured.",
    lambda judged: judged.replicas,
)
_bundle_gauge(
    "pacemaker_bundle_replicas_expected",
    "Replicas that should be ready: 0 when the bundle is disabled or held back; else as many as are"
    " configured and the eligible nodes in service can host, and those that are still ready on"
    " nodes that are out of service.",
    lambda judged: judged.expected,
)
_bundle_gauge(
    "pacemaker_bundle_eligible_nodes",
    "Members and remote nodes that may host replicas if all of them were in service, by the"
    " location constraints. Failures do not count; all nodes until the CIB was read.",
    lambda judged: len(judged.eligible),
)
_bundle_gauge(
    "pacemaker_bundle_replicas_running",
    "Replicas whose service resource is active and started, unpromoted or promoted."
    " This is only what crm_mon reports: alert on ready, never on running.",
    lambda judged: sum(replica.running for replica in judged.bundle.replicas),
)
_bundle_gauge(
    "pacemaker_bundle_replicas_ready",
    "Replicas running with every component active and healthy, on one online and clean host,"
    " with their guest node online.",
    lambda judged: judged.ready,
)
_bundle_gauge(
    "pacemaker_bundle_replicas_promoted_ready",
    "Replicas promoted and ready.",
    lambda judged: judged.promoted_ready,
)
_bundle_gauge(
    "pacemaker_bundle_replicas_promoted_expected",
    "Replicas that should be promoted: 0 when the bundle is not promotable or demoted; else"
    " promoted-max, at most pacemaker_bundle_replicas_expected. Absent until the CIB was read.",
    lambda judged: judged.promoted_expected,
)


@BUNDLE.gauge(
    "pacemaker_bundle_replicas_in_role",
    "Replicas by role of their service resource, healthy or not; the roles add up to"
    " pacemaker_bundle_replicas.",
    ("bundle", "role"),
)
def bundle_replicas_in_role(judged: BundleJudgement) -> Iterator[Sample]:
    """All ten roles, zeros included."""
    roles = Counter(replica.role for replica in judged.bundle.replicas)
    for role in Role:
        yield (judged.id, role.value), roles[role]


_bundle_gauge(
    "pacemaker_bundle_running_nodes",
    "Distinct hosts with at least one running replica.",
    lambda judged: len(judged.bundle.running_by_host),
)
_bundle_gauge(
    "pacemaker_bundle_replicas_per_host_max",
    "Most running replicas on any one host.",
    lambda judged: max(judged.bundle.running_by_host.values(), default=0),
)


def _configuration_gauge(
    name: str, help_text: str, value: Callable[[BundleConfiguration], float]
) -> None:
    _bundle_gauge(
        name,
        f"{help_text} Absent until the CIB was read.",
        lambda judged: value(judged.configuration) if judged.configuration else None,
    )


_configuration_gauge(
    "pacemaker_bundle_promoted_max",
    "promoted-max (formerly masters) of the bundle; 0 when it is not promotable.",
    lambda configuration: configuration.promoted_max,
)
_configuration_gauge(
    "pacemaker_bundle_replicas_per_host_limit",
    "replicas-per-host of the bundle.",
    lambda configuration: configuration.replicas_per_host,
)


@BUNDLES_CONFIGURED.gauge(
    "pacemaker_bundle_configured",
    "Always 1: the CIB has this bundle. If the bundle has no pacemaker_bundle_replicas, Pacemaker"
    " ignores it, for example because of an unknown container engine. Absent until the CIB was"
    " read.",
    ("bundle",),
)
def bundle_configured(bundles: Collection[str]) -> Iterator[Sample]:
    """From the CIB, because crm_mon does not list a bundle that Pacemaker ignores."""
    for bundle in bundles:
        yield (bundle,), 1


@BUNDLE.gauge(
    "pacemaker_bundle_condition",
    f"Whether a condition holds: {conditions.describe(conditions.BUNDLE)}.",
    ("bundle", "condition"),
)
def bundle_condition(judged: BundleJudgement) -> Iterator[Sample]:
    """All conditions, zeros included."""
    for condition, holds in conditions.evaluate(conditions.BUNDLE, judged):
        yield (judged.id, condition), holds


@BUNDLE_HISTORY.counter(
    "pacemaker_bundle_role_changes_total",
    "Changes of replicas between stopped, started, unpromoted and promoted, seen in trusted views.",
    ("bundle",),
)
def bundle_role_changes(part: tuple[str, Changes]) -> Iterator[Sample]:
    """Counted by comparing polls: a change and its reversal between two polls are missed."""
    bundle, changes = part
    yield (bundle,), changes.role_changes


@BUNDLE_HISTORY.counter(
    "pacemaker_bundle_promotions_total",
    "Promotions of replicas (failovers), seen in trusted views.",
    ("bundle",),
)
def bundle_promotions(part: tuple[str, Changes]) -> Iterator[Sample]:
    """Counted by comparing polls: a change and its reversal between two polls are missed."""
    bundle, changes = part
    yield (bundle,), changes.promotions
