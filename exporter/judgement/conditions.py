"""The conditions of nodes, bundles, replicas and resources.

Metrics, their help, the tables and JSON all use these declarations.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, TypeVar

from exporter.cluster.model import Replica
from exporter.judgement.bundles import BundleJudgement
from exporter.judgement.nodes import NodeJudgement
from exporter.judgement.resources import InstanceJudgement

Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class Condition(Generic[Subject]):
    """A named yes-or-no fact about a subject."""

    name: str
    """Value of the label `condition`, and key in JSON."""
    holds: Callable[[Subject], bool]
    words: str = ""
    """Text in tables while the condition holds; empty if tables do not show it."""
    meaning: str = ""
    """Explanation for the metric's help; empty if the name is enough."""


def _conditions(*conditions: Condition[Subject]) -> tuple[Condition[Subject], ...]:
    return conditions


def _attribute(attribute: str) -> Callable[[object], bool]:
    return attrgetter(attribute)


MAINTENANCE = "maintenance"
"""The condition that holds for everything while the cluster is in maintenance mode."""

NODE: tuple[Condition[NodeJudgement], ...] = _conditions(
    Condition("online", _attribute("node.online")),
    Condition(MAINTENANCE, _attribute("node.maintenance"), "maintenance"),
    Condition("unclean", _attribute("node.unclean"), "unclean"),
    Condition("standby", _attribute("node.standby"), "standby"),
    Condition("standby_onfail", _attribute("node.standby_onfail"), "standby (on-fail)"),
    Condition("pending", _attribute("node.pending"), "joining"),
    Condition("shutdown", _attribute("node.shutdown"), "shutting down"),
    Condition("expected_up", _attribute("node.expected_up")),
    Condition("dc", _attribute("node.dc"), "DC"),
    Condition(
        "out_of_service",
        _attribute("out_of_service"),
        meaning="in standby or maintenance, shutting down, or disabled, because somebody asked",
    ),
)
_GUEST_CONDITIONS = frozenset({"online", MAINTENANCE, "unclean"})

BUNDLE: tuple[Condition[BundleJudgement], ...] = _conditions(
    Condition("disabled", _attribute("disabled"), "disabled", "the target-role is Stopped"),
    Condition(
        "demoted", _attribute("demoted"), "demoted", "no replica may be promoted, on purpose"
    ),
    Condition("unmanaged", _attribute("unmanaged"), "unmanaged", "the bundle or its primitive"),
    Condition(
        MAINTENANCE,
        _attribute("in_maintenance"),
        "maintenance",
        "of the bundle, from Pacemaker 2.1.6 on, or of the cluster",
    ),
    Condition(
        "held_back",
        lambda bundle: bundle.held_back is not None,
        "held back",
        "what it depends on is not to run",
    ),
    Condition(
        "nodes_out_of_service",
        _attribute("short_of_nodes_in_service"),
        meaning="replicas cannot run because nodes are out of service",
    ),
    Condition(
        "too_few_nodes",
        _attribute("short_of_nodes"),
        meaning="more replicas are configured than the eligible nodes can host",
    ),
    Condition("failed", _attribute("bundle.failed"), "failed", "never alert on it alone"),
    Condition("pending", _attribute("pending"), meaning="an operation is in progress"),
)

REPLICA: tuple[Condition[Replica], ...] = _conditions(
    Condition("failed", _attribute("failed"), meaning="a component failed"),
    Condition("blocked", _attribute("blocked"), meaning="a component is blocked"),
    Condition("orphaned", _attribute("orphaned"), meaning="a component is orphaned"),
    Condition(
        "unmanaged", _attribute("unmanaged"), meaning="a component is unmanaged and not blocked"
    ),
    Condition(
        MAINTENANCE, _attribute("maintenance"), meaning="of its container, its host or the cluster"
    ),
    Condition(
        "pending", _attribute("pending"), meaning="an operation other than a monitor is in progress"
    ),
)


RESOURCE: tuple[Condition[InstanceJudgement], ...] = _conditions(
    Condition("active", _attribute("resource.active")),
    Condition("failed", _attribute("resource.failed")),
    Condition("failure_ignored", _attribute("resource.failure_ignored")),
    Condition("blocked", _attribute("resource.blocked")),
    Condition("orphaned", _attribute("resource.orphaned")),
    Condition("unmanaged", _attribute("resource.unmanaged"), meaning="not managed and not blocked"),
    Condition(
        MAINTENANCE,
        _attribute("resource.in_maintenance"),
        meaning="of the resource, its node or the cluster",
    ),
    Condition("disabled", _attribute("resource.disabled")),
    Condition("pending", _attribute("resource.in_transition")),
    Condition(
        "held_back",
        lambda judged: judged.held_back is not None,
        meaning="what it depends on is not to run",
    ),
    Condition(
        "down",
        _attribute("down"),
        meaning="outside clones: it should run and does not, or not well",
    ),
)


def for_node(node: NodeJudgement) -> Iterable[Condition[NodeJudgement]]:
    """Return the conditions that a node can have.

    The guest node of a replica follows its container, so it has no standby of its own.
    """
    if not node.in_bundle:
        return NODE
    return [condition for condition in NODE if condition.name in _GUEST_CONDITIONS]


def evaluate(
    conditions: Iterable[Condition[Subject]], subject: Subject, *, maintenance: bool = False
) -> Iterator[tuple[str, bool]]:
    """Yield the name of each condition, and whether it holds.

    Args:
        conditions: the conditions to evaluate.
        subject: the node, bundle, replica or resource.
        maintenance: whether the whole cluster is in maintenance mode.

    """
    for condition in conditions:
        everywhere = maintenance and condition.name == MAINTENANCE
        yield condition.name, everywhere or condition.holds(subject)


def describe(conditions: Iterable[Condition[Subject]]) -> str:
    """Return the names and meanings of conditions, for the help of a metric."""
    return ", ".join(f"{c.name} ({c.meaning})" if c.meaning else c.name for c in conditions)
