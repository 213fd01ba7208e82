"""Judges nodes: which are out of service because somebody asked for it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from exporter.cluster.model import Node, NodeType, Snapshot


class NodeState(StrEnum):
    """The first of these that holds for a node."""

    UNCLEAN = "unclean"
    OFFLINE = "offline"
    PENDING = "pending"
    MAINTENANCE = "maintenance"
    STANDBY = "standby"
    ONLINE = "online"


@dataclass(frozen=True, slots=True)
class NodeJudgement:
    """A node and what follows from more than the node itself."""

    node: Node
    in_bundle: bool = False
    """It is the guest node of a replica, and so a part of it."""
    out_of_service: bool = False
    """Somebody took it out of service: see judge_node."""

    @property
    def state(self) -> NodeState:
        """The most important state that holds."""
        node = self.node
        holds = {
            NodeState.UNCLEAN: node.unclean,
            NodeState.OFFLINE: not node.online,
            NodeState.PENDING: node.pending,
            NodeState.MAINTENANCE: node.maintenance,
            NodeState.STANDBY: node.standby or node.standby_onfail,
        }
        return next((state for state, present in holds.items() if present), NodeState.ONLINE)


def judge_node(node: Node, snapshot: Snapshot, is_stopped: Callable[[str], bool]) -> NodeJudgement:
    """Judge a node.

    It is out of service if it is in standby (not after a failure, and not only while it joins, for
    which crm_mon prints standby, too), in maintenance, shutting down while still online, or a
    remote or guest node whose connection or virtual machine is not to run. crm_mon prints that a
    remote node shuts down also if it crashed.

    Args:
        node: the node.
        snapshot: the answer of crm_mon that has it.
        is_stopped: whether a resource is disabled or held back.

    """
    in_bundle = node.name in snapshot.replicas.by_id
    return NodeJudgement(
        node, in_bundle, out_of_service=not in_bundle and _is_out_of_service(node, is_stopped)
    )


def _is_out_of_service(node: Node, is_stopped: Callable[[str], bool]) -> bool:
    return (
        (node.standby and not node.standby_onfail and not node.pending)
        or node.maintenance
        or (node.shutdown and node.online)
        or (node.type is NodeType.REMOTE and is_stopped(node.name))
        or (node.type is NodeType.GUEST and is_stopped(node.resource))
    )
