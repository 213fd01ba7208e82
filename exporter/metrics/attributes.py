"""Metrics of node attributes."""

import re
from collections.abc import Iterator, Mapping

from exporter.cluster.model import NodeAttribute
from exporter.cluster.selection import Collector
from exporter.cluster.text import shortened
from exporter.judgement.judge import Judgement
from exporter.metrics.declaration import Declarations, Sample

_TEXT_LIMIT = 128
"""Maximum characters of a value that becomes a label."""
_TEXTS_PER_NODE = 20
"""Maximum attributes of a node that are exported as text."""

NODE_ATTRIBUTES: Declarations[Judgement] = Declarations()

ATTRIBUTES = NODE_ATTRIBUTES.for_part(
    lambda judgement: (
        judgement.snapshot.attributes,
        judgement.observation.attribute_names,
    )
)
TEXTS = NODE_ATTRIBUTES.for_part(
    lambda judgement: (
        judgement.snapshot.attributes,
        judgement.observation.text_attribute_names,
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


@TEXTS.gauge(
    "pacemaker_node_attribute_text",
    "Always 1: value of each node attribute whose name matches --collector.node-attributes-text,"
    f" also if it is a number. Values are cut after {_TEXT_LIMIT} characters. Of each node only the"
    f" first {_TEXTS_PER_NODE} attributes by name.",
    ("node", "attribute", "value"),
)
def node_attribute_text(
    part: tuple[tuple[NodeAttribute, ...], re.Pattern[str] | None],
) -> Iterator[Sample]:
    """One series per node and name, in the order of names; of duplicates, the last."""
    for node, values in _texts(*part).items():
        for name in sorted(values)[:_TEXTS_PER_NODE]:
            yield (node, name, shortened(values[name], _TEXT_LIMIT)), 1


@TEXTS.gauge(
    "pacemaker_node_attribute_text_left_out",
    "Node attributes that match --collector.node-attributes-text and are left out, because more"
    f" than {_TEXTS_PER_NODE} attributes of the node match. Absent while none is left out.",
    ("node",),
)
def node_attribute_text_left_out(
    part: tuple[tuple[NodeAttribute, ...], re.Pattern[str] | None],
) -> Iterator[Sample]:
    """One series per node with too many attributes."""
    for node, values in _texts(*part).items():
        if len(values) > _TEXTS_PER_NODE:
            yield (node,), len(values) - _TEXTS_PER_NODE


def _texts(
    attributes: tuple[NodeAttribute, ...], names: re.Pattern[str] | None
) -> Mapping[str, Mapping[str, str]]:
    """Return the values of the attributes that match, by node and name."""
    found: dict[str, dict[str, str]] = {}
    for attribute in attributes:
        if names is not None and names.fullmatch(attribute.name):
            found.setdefault(attribute.node, {})[attribute.name] = attribute.value
    return found
