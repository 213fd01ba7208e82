"""Reads location constraints and permanent node attributes from the CIB.

Checked against the scheduler of Pacemaker 2.1.5 (pcmk_sched_location.c, rules.c): see
tests/judgement/test_placement.py.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from lxml import etree

from exporter.cluster.location import (
    DateExpression,
    Expression,
    LocationConstraint,
    Locations,
    Operand,
    Rule,
    Unevaluable,
)
from exporter.pacemaker.timestamps import parse_time
from exporter.pacemaker.xml import to_score


def read_locations(
    configuration: etree._Element, *, symmetric: bool = True, cluster_name: str = ""
) -> Locations:
    """Read where resources may run.

    Args:
        configuration: the element `configuration` of a CIB.
        symmetric: the cluster property symmetric-cluster.
        cluster_name: the cluster property cluster-name; empty if it is not set.

    """
    references = _References(configuration)
    attributes: dict[str, Mapping[str, str]] = {}
    transient: set[str] = set()
    for node in configuration.iterfind("nodes/node"):
        found, conditional = _attributes(node, references)
        attributes[node.get("uname", "")] = found
        transient |= conditional
    constraints = tuple(
        constraint
        for element in configuration.iterfind("constraints/rsc_location")
        for constraint in _constraints(element, references)
    )
    return Locations(
        constraints=constraints,
        node_attributes=attributes,
        transient_attributes=frozenset(transient).union(_set_by_agents(configuration, references)),
        symmetric=symmetric,
        cluster_name=cluster_name,
        dates=frozenset(
            date
            for constraint in constraints
            for rule in constraint.rules
            if not rule.evaluable
            for date in _dates(rule)
        ),
    )


class _References:
    """Finds elements by tag and id: id-ref stands for one elsewhere in the configuration."""

    def __init__(self, configuration: etree._Element) -> None:
        self._configuration = configuration

    def defined(self, element: etree._Element) -> etree._Element:
        """Return the element that this one refers to, or itself."""
        reference = element.get("id-ref")
        if reference is None:
            return element
        return self._elements.get((str(element.tag), reference), element)

    @cached_property
    def _elements(self) -> Mapping[tuple[str, str], etree._Element]:
        return {
            (str(element.tag), element.get("id", "")): element
            for element in self._configuration.iter("*")
            if "id" in element.attrib
        }


def _constraints(element: etree._Element, references: _References) -> Iterator[LocationConstraint]:
    """Yield one constraint for each resource set, or one. Skip those with an invalid score."""
    sets = [references.defined(found) for found in element.iterchildren("resource_set")]
    rules = [references.defined(found) for found in element.iterchildren("rule")]
    if any(to_score(found.get("score", "0")) is None for found in (element, *sets, *rules)):
        return
    for source in sets or [element]:
        # The scheduler uses node and score if it has both, and rules otherwise.
        score = source.get("score", element.get("score"))
        node = element.get("node", "") if score is not None else ""
        if not node and not rules:
            continue
        named = source.get("rsc")
        refs = (ref.get("id", "") for ref in source.iterchildren("resource_ref"))
        yield LocationConstraint(
            id=element.get("id", ""),
            resources=tuple(refs) if sets else () if named is None else (named,),
            pattern="" if sets else element.get("rsc-pattern", ""),
            node=node,
            score=(to_score(score) or 0) if node else 0,
            role=source.get("role", element.get("role", "")),
            rules=() if node else tuple(_rule(rule) for rule in rules),
            rule_ids=() if node else tuple(rule.get("id", "") for rule in rules),
            exclusive=element.get("resource-discovery", "").lower() == "exclusive",
            lifetime=element.find("lifetime") is not None,
        )


def _rule(element: etree._Element) -> Rule:
    return Rule(
        operands=tuple(_operand(operand) for operand in element.iterchildren("*")),
        # Pacemaker takes everything else for `and`.
        boolean_op="or" if element.get("boolean-op", "").lower() == "or" else "and",
        role=element.get("role", ""),
        score=to_score(element.get("score")) or 0,
        score_attribute=element.get("score-attribute") if "score" not in element.attrib else None,
    )


def _operand(element: etree._Element) -> Operand:
    if element.tag == "expression":
        return Expression(
            attribute=element.get("attribute", ""),
            operation=element.get("operation", "").lower(),
            value=element.get("value", ""),
            type=element.get("type", "").lower(),
            value_source=element.get("value-source", "").lower(),
        )
    # No schema allows a reference within a rule as libxml2 reads them, and 2.1.5 ignores it.
    if element.tag == "rule" and element.get("id-ref") is None:
        return _rule(element)
    if element.tag == "date_expression":
        return _date(element) or Unevaluable("date_expression")
    return Unevaluable(str(element.tag))


def _date(element: etree._Element) -> DateExpression | None:
    """Read a date expression with fixed moments; None if it has a duration or a specification.

    A moment without a time zone is in UTC, as for a crm_mon that the exporter runs.
    """
    operation = element.get("operation", "").lower()
    start, end = _moment(element.get("start")), _moment(element.get("end"))
    if operation == "gt":
        return None if start is None else DateExpression(start=start)
    if operation == "lt":
        return None if end is None else DateExpression(end=end)
    if operation != "in_range" or (start is None and end is None) or len(element):
        return None
    unread = ("start" in element.attrib and start is None) or (
        "end" in element.attrib and end is None
    )
    return None if unread else DateExpression(start, end)


def _moment(text: str | None) -> float | None:
    """Return seconds since the epoch; None without a moment that can be read."""
    if not text:
        return None
    return parse_time(text if ":" in text else f"{text} 00:00:00")


def _dates(rule: Rule) -> Iterator[DateExpression]:
    for operand in rule.operands:
        if isinstance(operand, DateExpression):
            yield operand
        elif isinstance(operand, Rule):
            yield from _dates(operand)


def _attributes(
    element: etree._Element, references: _References
) -> tuple[Mapping[str, str], frozenset[str]]:
    """Return the instance attributes of a node or resource, and the names that a rule may set.

    The set with the highest score takes precedence. Of equal ones the last does, as 2.1.5 was seen
    to do it; within a set, the first pair of a name does.
    """
    sets = [references.defined(found) for found in element.iterchildren("instance_attributes")]
    sets.reverse()
    sets.sort(key=lambda found: to_score(found.get("score")) or 0, reverse=True)
    values: dict[str, str] = {}
    conditional: set[str] = set()
    for found in sets:
        pairs = [_pair(pair, references) for pair in found.iterchildren("nvpair")]
        if found.find("rule") is not None:
            conditional.update(name for name, _ in pairs)
            continue
        for name, value in pairs:
            if value.lower() == "#default":
                values.pop(name, None)
            else:
                values.setdefault(name, value)
    return values, frozenset(conditional)


def _pair(element: etree._Element, references: _References) -> tuple[str, str]:
    """Return name and value; a reference may have a name of its own."""
    defined = references.defined(element)
    return (
        element.get("name", defined.get("name", "")),
        element.get("value", defined.get("value", "")),
    )


_SYSTEM_INFORMATION = (
    "arch",
    "os",
    "free_swap",
    "cpu_info",
    "cpu_speed",
    "cpu_cores",
    "cpu_load",
    "ram_total",
    "ram_free",
    "root_free",
    "#health_disk",
)

_SETTERS: Mapping[str, Callable[[str, Mapping[str, str]], tuple[str, ...]]] = {
    "ping": lambda _, given: (given.get("name") or "pingd",),
    "pingd": lambda _, given: (given.get("name") or "pingd",),
    "ifspeed": lambda _, given: (given.get("name") or "ifspeed",),
    "attribute": lambda resource, given: (given.get("name") or f"opa-{resource}",),
    "ethmonitor": lambda _, given: (
        given.get("name") or f"ethmonitor-{given.get('interface', '')}",
    ),
    "HealthCPU": lambda *_: ("#health-cpu",),
    "HealthIOWait": lambda *_: ("#health-iowait",),
    "HealthSMART": lambda *_: ("#health-smart",),
    "SysInfo": lambda _, given: (
        *_SYSTEM_INFORMATION,
        *(f"{disk.strip('/').replace('/', '_')}_free" for disk in given.get("disks", "").split()),
    ),
}
"""The node attributes that an agent of ocf:pacemaker or ocf:heartbeat sets, by its type, from the
resource's id and its instance attributes. Read from the agents of Pacemaker 2.1.5 and
resource-agents 4.12."""


def _set_by_agents(configuration: etree._Element, references: _References) -> Iterator[str]:
    """Yield the names of node attributes that configured resources set."""
    templates = {found.get("id"): found for found in configuration.iterfind("resources/template")}
    for element in configuration.iterfind("resources//primitive"):
        template = templates.get(element.get("template"))
        agent = element if template is None else template
        names = _SETTERS.get(agent.get("type", ""))
        if names is None or agent.get("provider") not in {"pacemaker", "heartbeat"}:
            continue
        inherited = {} if template is None else _attributes(template, references)[0]
        given = _attributes(element, references)[0]
        yield from names(element.get("id", ""), {**inherited, **given})
