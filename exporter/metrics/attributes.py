"""Metrics of node attributes."""

import re
from collections.abc import Iterator

from exporter.cluster.model import NodeAttribute
from exporter.cluster.selection import Collector
from exporter.judgement.judge import Judgement
from exporter.metrics.declaration import Declarations, Sample

NODE_ATTRIBUTES: Declarations[Judgement] = Declarations()

ATTRIBUTES = NODE_ATTRIBUTES.for_part(
    lambda judgement: (
        judgement.snapshot.attributes,
        judgement.observation.attribute_names,
    )
)


@ATTRIBUTES.gauge(
    "pacemaker_node_attribute",
    "Node attributes with numeric values and names that match --collector.node-attributes;"
    " INFINITY as 1000000.",
    ("node", "attribute"),
    Collector.NODE_ATTRIBUTES,
)
def node_attribute(
    part: tuple[tuple[NodeAttribute, ...], re.Pattern[str]],
) -> Iterator[Sample]:
    """One series per node and name; of duplicates, the last."""
    attributes, names = part
    numbers: dict[tuple[str, ...], float] = {}
    for attribute in attributes:
        if attribute.number is not None and names.fullmatch(attribute.name):
            numbers[attribute.node, attribute.name] = attribute.number
    yield from numbers.items()
