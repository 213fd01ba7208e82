"""Metrics of nodes: members, remote nodes and guest nodes."""

from collections import Counter
from collections.abc import Callable, Iterator

from exporter.cluster.model import Node, NodeType
from exporter.judgement import conditions
from exporter.judgement.judge import Judgement
from exporter.judgement.nodes import NodeJudgement, NodeState
from exporter.metrics.declaration import Declarations, Sample

NODES: Declarations[Judgement] = Declarations()

NODE = NODES.for_each(lambda judgement: judgement.snapshot.nodes)
JUDGED_NODE = NODES.for_each(lambda judgement: judgement.nodes)
JUDGED_NODES = NODES.for_part(lambda judgement: judgement.nodes)
NODE_RUNNING = NODES.for_each(
    lambda judgement: (
        (node.name, node.type, judgement.snapshot.resources_running.get(node.name))
        for node in judgement.snapshot.nodes
    )
)


def _node_gauge(
    name: str, help_text: str, label: str, samples: Callable[[Node], Iterator[tuple[str, float]]]
) -> None:
    def labelled(node: Node) -> Iterator[Sample]:
        for value, number in samples(node):
            yield (node.name, node.type.value, value), number

    NODE.gauge(name, help_text, ("node", "node_type", label))(labelled)


@NODE.gauge(
    "pacemaker_node_info",
    "Always 1: id, type (member, remote, guest, ping or unknown) and feature set of the node.",
    ("node", "node_id", "node_type", "feature_set"),
)
def node_info(node: Node) -> Iterator[Sample]:
    """All text facts about a node."""
    yield (node.name, node.id, node.type.value, node.feature_set), 1


@JUDGED_NODE.gauge(
    "pacemaker_node_condition",
    f"Whether a condition holds: {conditions.describe(conditions.NODE)};"
    " guest nodes of bundles have only online, maintenance and unclean.",
    ("node", "node_type", "condition"),
)
def node_condition(judged: NodeJudgement) -> Iterator[Sample]:
    """All conditions that the node can have, zeros included."""
    node = judged.node
    for condition, holds in conditions.evaluate(conditions.for_node(judged), judged):
        yield (node.name, node.type.value, condition), holds


@JUDGED_NODES.gauge(
    "pacemaker_nodes",
    "Nodes by type and by the first state that holds of unclean, offline, pending, maintenance,"
    " standby and online.",
    ("node_type", "state"),
)
def nodes(judged_nodes: tuple[NodeJudgement, ...]) -> Iterator[Sample]:
    """All states of the types that the cluster has, zeros included."""
    counts = Counter((judged.node.type, judged.state) for judged in judged_nodes)
    for node_type in dict.fromkeys(judged.node.type for judged in judged_nodes):
        for state in NodeState:
            yield (node_type.value, state.value), counts[node_type, state]


_HEALTH = frozenset({"green", "yellow", "red"})


def _health(node: Node) -> Iterator[tuple[str, float]]:
    if node.type in {NodeType.MEMBER, NodeType.REMOTE} and node.health in _HEALTH:
        yield node.health, 1


_node_gauge(
    "pacemaker_node_health",
    "1 for the current health of a member or remote node: green, yellow or red."
    " Absent when crm_mon does not report it.",
    "health",
    _health,
)


@NODE_RUNNING.gauge(
    "pacemaker_node_resources_running",
    "Resource instances running on the node.",
    ("node", "node_type"),
)
def node_resources_running(part: tuple[str, NodeType, int | None]) -> Iterator[Sample]:
    """The number that crm_mon reports."""
    node, node_type, running = part
    if running is not None:
        yield (node, node_type.value), running
