"""Random location constraints and node attributes, valid by Pacemaker's schema, and their XML."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count

from hypothesis import strategies as st

from exporter.cluster.location import (
    Expression,
    LocationConstraint,
    Locations,
    Operand,
    Rule,
    Unevaluable,
)
from exporter.cluster.model import INFINITY, Node, NodeType
from tests.support.model import cib

NODES = (
    Node("n1", "1", NodeType.MEMBER),
    Node("N2", "2", NodeType.MEMBER),
    Node("n3", "3", NodeType.MEMBER),
    Node("r1", "r1", NodeType.REMOTE),
    Node("r2", "r2", NodeType.REMOTE),
)
TAGS: Mapping[str, tuple[str, ...]] = {
    "front": ("web-bundle", "ip", "cl-clone"),
    "back": ("db-bundle", "g2"),
}
CLUSTER_NAME = "test"

_OUTERMOST = ("web-bundle", "db-bundle", "ip", "cl-clone", "grp")
_TARGETS = st.sampled_from(["web-bundle", "db-bundle"] * 3 + ["ip", "cl", "cl-clone", "g1", "grp"])
_SETS = st.lists(_TARGETS | st.sampled_from(list(TAGS)), min_size=2, max_size=3, unique=True)
_PATTERNS = st.sampled_from(
    [
        "bundle",
        "^(web|db)-",
        "^([a-z]+)-(bundle|clone)$",
        "!^(ip|cl-clone|grp)$",
        "!bundle",
        "^[[:alpha:]]{2,3}$",
        "^web-bundle|^db",
        "nothing",
        "^(web|cl|grp)",
        "g1",
    ]
)
_SCORES = st.sampled_from([-INFINITY] * 3 + [-600_000, -5, 0, 5, 600_000, INFINITY])

_VERSIONS = ("1.2", "1.10", "2", "1.2.0")
_VALUES: Mapping[str, tuple[str, ...]] = {
    "zone": ("a", "A", "b", ""),
    "size": ("9", "10", "9.5", "abc", "-3", " 9", "9abc", "1e1", "", "INFINITY", "-INFINITY"),
    "version": _VERSIONS,
    "web-ok": ("true", "5"),
    "db-ok": ("true", "-INFINITY"),
    "site-name": ("x",),
}
_ATTRIBUTES = st.lists(
    st.sampled_from([(name, value) for name, values in _VALUES.items() for value in values]),
    max_size=5,
)
_ASKED: Mapping[str, tuple[str, ...]] = {
    **_VALUES,
    "%1-ok": ("true", "TRUE", ""),
    "#uname": ("n1", "n2", "r1", "other"),
    "#id": ("1", "r2"),
    "#kind": ("cluster", "remote", "container"),
    "#cluster-name": ("test", "x"),
    "#site-name": ("test", "x"),
    "#role": ("Started",),
    "nowhere": ("true", ""),
}


DOUBTFUL = ("pingd", "#health-cpu", "version")
"""Attributes whose values are conditions, if a configuration has doubtful parts."""


@st.composite
def _expressions(draw: st.DrawFn, doubtful: bool) -> Expression | Unevaluable:
    if doubtful and draw(st.integers(0, 24)) == 0:
        return Unevaluable("date_expression")
    attribute = draw(st.sampled_from([*_ASKED, *(DOUBTFUL if doubtful else ())]))
    # Comparing as versions what is none makes crm_simulate 2.1.5 loop forever.
    types = ["version"] if attribute == "version" else ["", "", "string", "integer", "number"]
    return Expression(
        attribute=attribute,
        operation=draw(
            st.sampled_from(["eq", "ne", "lt", "gt", "lte", "gte", "defined", "not_defined"])
        ),
        value=draw(st.sampled_from(_ASKED.get(attribute, ("1", "")))),
        type=draw(st.sampled_from(types)),
        value_source="param" if doubtful and draw(st.integers(0, 24)) == 0 else "",
    )


def _rules_of(operands: st.SearchStrategy[Operand]) -> st.SearchStrategy[Rule]:
    return st.builds(
        Rule,
        operands=st.lists(operands, min_size=1, max_size=3).map(tuple),
        boolean_op=st.sampled_from(["and", "or"]),
    )


_RULES = {
    doubtful: _rules_of(st.recursive(_expressions(doubtful), _rules_of, max_leaves=4))
    for doubtful in (False, True)
}


@st.composite
def _rules(draw: st.DrawFn, doubtful: bool) -> Rule:
    rule = draw(_RULES[doubtful])
    role = draw(st.sampled_from([""] * 6 + ["Promoted", "Unpromoted", "Slave", "Stopped"]))
    if draw(st.integers(0, 5)) == 0:
        names = ["size", "%1-ok", "nowhere", "zone", *(["pingd"] if doubtful else [])]
        return replace(rule, role=role, score_attribute=draw(st.sampled_from(names)))
    return replace(rule, role=role, score=draw(_SCORES))


_CHOSEN = {
    doubtful: st.lists(_rules(doubtful), min_size=1, max_size=2).map(tuple)
    for doubtful in (False, True)
}


@st.composite
def _constraints(draw: st.DrawFn, id_: str, doubtful: bool) -> LocationConstraint:
    target = draw(st.sampled_from(["rsc"] * 4 + ["tag", "set", "pattern"]))
    match target:
        case "rsc":
            resources: tuple[str, ...] = (draw(_TARGETS),)
        case "tag":
            resources = (draw(st.sampled_from(list(TAGS))),)
        case "set":
            resources = tuple(draw(_SETS))
        case _:
            resources = ()
    found = LocationConstraint(
        id=id_,
        resources=resources,
        pattern=draw(_PATTERNS) if target == "pattern" else "",
        role=draw(st.sampled_from([""] * 5 + ["Promoted", "Started", "Unpromoted", "Stopped"])),
        exclusive=draw(st.integers(0, 3)) == 0,
    )
    if draw(st.booleans()):
        return replace(found, rules=draw(_CHOSEN[doubtful]))
    node = draw(st.sampled_from(["n1", "n2", "N3", "r1", "r2", "unknown"]))
    return replace(found, node=node, score=draw(_SCORES))


@st.composite
def locations(draw: st.DrawFn, *, doubtful: bool = False) -> Locations:
    """All that one configuration says.

    Args:
        draw: given by Hypothesis.
        doubtful: whether to have parts that the scheduler evaluates and the exporter does not.

    """
    number = draw(st.integers(2, 7))
    return Locations(
        constraints=tuple(draw(_constraints(f"l{index}", doubtful)) for index in range(number)),
        node_attributes={node.name: dict(draw(_ATTRIBUTES)) for node in NODES},
        transient_attributes=frozenset(DOUBTFUL if doubtful else ()),
        symmetric=draw(st.integers(0, 3)) > 0,
        cluster_name=CLUSTER_NAME,
    )


# ------------------------------------------------------------------------------------- as XML


def configuration(given: Locations) -> ET.Element:
    """Write a whole CIB with every node in service and the resources stopped."""
    attributes = given.node_attributes
    cluster = cib.Cluster(
        nodes=(
            *(cib.Node(n.name, attributes=attributes[n.name]) for n in NODES[:3]),
            *(cib.RemoteNode(n.name, "n1", attributes=attributes[n.name]) for n in NODES[3:]),
        ),
        resources=(
            cib.Bundle(
                "web-bundle", "img", (cib.Replica(),), cib.Primitive("web"), control_port=3121
            ),
            cib.Bundle("db-bundle", "img", (cib.Replica(),)),
            cib.Primitive("ip"),
            cib.Clone("cl-clone", cib.Primitive("cl")),
            cib.Group("grp", (cib.Primitive("g1"), cib.Primitive("g2"))),
        ),
        name=given.cluster_name,
        properties={"symmetric-cluster": str(given.symmetric).lower()},
    )
    root = cluster.cib(0)
    parent = root.find("configuration/constraints")
    assert parent is not None
    numbers = count()
    parent.extend(element(constraint, numbers) for constraint in given.constraints)
    tags = ET.SubElement(next(root.iter("configuration")), "tags")
    for tag, refs in TAGS.items():
        found = ET.SubElement(tags, "tag", {"id": tag})
        found.extend(ET.Element("obj_ref", {"id": ref}) for ref in refs)
    return root


def element(constraint: LocationConstraint, numbers: Iterator[int]) -> ET.Element:
    """Write a constraint; `numbers` gives unique ids."""
    found = ET.Element("rsc_location", {"id": constraint.id})
    several = len(constraint.resources) > 1
    if constraint.resources and not several:
        found.set("rsc", constraint.resources[0])
    if constraint.pattern:
        found.set("rsc-pattern", constraint.pattern)
    if constraint.node:
        found.set("node", constraint.node)
        found.set("score", _score(constraint.score))
    if constraint.exclusive:
        found.set("resource-discovery", "exclusive")
    holder = found
    if several:
        holder = ET.SubElement(found, "resource_set", {"id": f"s{next(numbers)}"})
        holder.extend(ET.Element("resource_ref", {"id": ref}) for ref in constraint.resources)
    if constraint.role:
        holder.set("role", constraint.role)
    found.extend(_operands(constraint.rules, numbers, top=True))
    return found


def _operands(
    operands: Iterable[Operand], numbers: Iterator[int], *, top: bool = False
) -> Iterator[ET.Element]:
    for operand in operands:
        id_ = f"x{next(numbers)}"
        if isinstance(operand, Unevaluable):
            found = ET.Element(operand.tag, {"id": id_, "operation": "date_spec"})
            ET.SubElement(found, "date_spec", {"id": f"{id_}-spec", "years": "2020-2099"})
            yield found
        elif isinstance(operand, Expression):
            attributes = {
                "id": id_,
                "attribute": operand.attribute,
                "operation": operand.operation,
                "value": operand.value,
                "type": operand.type,
                "value-source": operand.value_source,
            }
            yield ET.Element("expression", {k: v for k, v in attributes.items() if v})
        elif isinstance(operand, Rule):
            rule = ET.Element("rule", {"id": id_, "boolean-op": operand.boolean_op})
            if operand.role:
                rule.set("role", operand.role)
            if operand.score_attribute:
                rule.set("score-attribute", operand.score_attribute)
            elif top:
                rule.set("score", _score(operand.score))
            rule.extend(_operands(operand.operands, numbers))
            yield rule


def _score(score: int) -> str:
    if abs(score) < INFINITY:
        return str(score)
    return "INFINITY" if score > 0 else "-INFINITY"
