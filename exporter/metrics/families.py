"""All metric families, in the order of the page."""

from typing import Any

from exporter.judgement.judge import Judgement
from exporter.metrics.attributes import NODE_ATTRIBUTES
from exporter.metrics.bundles import BUNDLES
from exporter.metrics.cluster import CLUSTER
from exporter.metrics.constraints import CONSTRAINTS
from exporter.metrics.corosync import COROSYNC
from exporter.metrics.declaration import Family, combine
from exporter.metrics.exporter import EXPORTER
from exporter.metrics.failures import FAILURES
from exporter.metrics.fencing import FENCING_HISTORY
from exporter.metrics.nodes import NODES
from exporter.metrics.replicas import REPLICAS
from exporter.metrics.resources import RESOURCES
from exporter.metrics.sbd import SBD

FAMILIES: tuple[Family[Judgement], ...] = combine(
    BUNDLES,
    REPLICAS,
    CLUSTER,
    NODES,
    RESOURCES,
    FAILURES,
    FENCING_HISTORY,
    CONSTRAINTS,
    NODE_ATTRIBUTES,
    SBD,
)
"""Rendered at the polls that bring a change; withdrawn with the observation."""

EVERY_FAMILY: tuple[Family[Any], ...] = combine(FAMILIES, COROSYNC, EXPORTER)
"""The same, and the families that do not need an answer of crm_mon."""
