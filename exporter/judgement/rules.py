"""Evaluates the rules of location constraints.

Compares as Pacemaker does ("Rules" in Pacemaker Explained; rules.c of 2.1.5, which decides the same
as lib/common/rules.c of 3.0).
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from exporter.cluster.location import (
    DateExpression,
    Expression,
    Locations,
    Operand,
    Rule,
    Unevaluable,
)
from exporter.cluster.model import INFINITY, Node, NodeType

_NO_NODES: frozenset[str] = frozenset()


def substituted(rule: Rule, groups: Sequence[str]) -> Rule:
    """Replace %0 to %9 in the names of attributes by what a pattern matched."""

    def expand(text: str) -> str:
        return re.sub(r"%([0-9])", lambda found: groups[int(found[1])], text)

    def operand(found: Operand) -> Operand:
        if isinstance(found, Rule):
            return substituted(found, groups)
        if isinstance(found, Expression):
            return replace(found, attribute=expand(found.attribute))
        return found

    return replace(
        rule,
        operands=tuple(map(operand, rule.operands)),
        score_attribute=None if rule.score_attribute is None else expand(rule.score_attribute),
    )


class _Satisfying(NamedTuple):
    """The nodes that satisfy a rule: certainly, and if what is unknown is taken so."""

    certain: frozenset[str]
    possible: frozenset[str]


_KINDS = {NodeType.REMOTE: "remote", NodeType.GUEST: "container"}
_IS_DC = "#is_dc"
_BUILT_IN = frozenset({"#uname", "#id", "#kind", "#cluster-name", "#site-name", _IS_DC})
_HIDDEN = frozenset({"shutdown", "terminate", "probe_complete"})
"""Attributes that crm_mon does not list."""
_HIDDEN_PREFIXES = ("#health", "fail-count-", "last-failure-", "master-")


@dataclass(frozen=True, slots=True)
class Present:
    """What rules ask for and the configuration does not say."""

    attributes: Mapping[str, Mapping[str, str]]
    """The attributes that crm_mon lists, by the name of the node."""
    dates: frozenset[DateExpression]
    """The date expressions that hold."""


class Rules:
    """Evaluates rules on all nodes at once, with one comparison for each value of an attribute."""

    def __init__(
        self,
        nodes: Iterable[Node],
        locations: Locations,
        transient: Collection[str] = (),
        present: Present | None = None,
    ) -> None:
        """Look up the attributes of the nodes.

        Args:
            nodes: the nodes to evaluate rules on.
            locations: has their permanent attributes.
            transient: names of attributes with unknown values, besides those that it has.
            present: to evaluate rules as they are now. Without it dates and attributes that
                configured agents set are unknown.

        """
        cluster_name = locations.cluster_name
        self._dates = None if present is None else present.dates
        self._transient = _HIDDEN.union(transient)
        if present is None:
            self._transient |= locations.transient_attributes | {_IS_DC}
        permanent = {name.lower(): found for name, found in locations.node_attributes.items()}
        self._attributes: dict[str, dict[str, str]] = {}
        for node in nodes:
            own = dict(permanent.get(node.name.lower(), {}))
            if cluster_name:
                own["#cluster-name"] = cluster_name
                own.setdefault("#site-name", own.get("site-name", cluster_name))
            elif "site-name" in own:
                own.setdefault("#site-name", own["site-name"])
            own["#uname"] = node.name
            own["#id"] = node.id or node.name
            own["#kind"] = _KINDS.get(node.type, "cluster")
            if present is not None:
                own.update(present.attributes.get(node.name, {}))
                own[_IS_DC] = "true" if node.dc else "false"
            self._attributes[node.name] = own
        self._all = frozenset(self._attributes)
        self._values: dict[str, Mapping[str | None, frozenset[str]]] = {}
        self._folded: dict[str, Mapping[str | None, frozenset[str]]] = {}

    def scores(self, rule: Rule, *, wanted: bool) -> Mapping[str, int]:
        """Return the score of each node that a rule matches.

        Args:
            rule: a rule of a constraint.
            wanted: a match is better for a node than no match, whatever the finite score.

        """
        certain, possible = self._satisfying(rule)

        def in_favour(score: int) -> bool:
            return score >= 0 or (wanted and score > -INFINITY)

        if rule.score_attribute is None:
            matched = possible if in_favour(rule.score) else certain
            return dict.fromkeys(matched, rule.score)
        if self._unknown(rule.score_attribute):
            return dict.fromkeys(possible, 0)
        scores = {name: self._score(name, rule.score_attribute) for name in possible}
        return {
            name: score for name, score in scores.items() if name in certain or in_favour(score)
        }

    def _score(self, name: str, attribute: str) -> int:
        value = self._attributes[name].get(attribute)
        return -INFINITY if value is None else _to_score(value)

    def _satisfying(self, operand: Operand) -> _Satisfying:
        if isinstance(operand, Expression):
            return self._of_expression(operand)
        if isinstance(operand, DateExpression) and self._dates is not None:
            matched = self._all if operand in self._dates else _NO_NODES
            return _Satisfying(matched, matched)
        if isinstance(operand, Unevaluable | DateExpression):
            return _Satisfying(_NO_NODES, self._all)
        parts = [self._satisfying(part) for part in operand.operands]
        certain, possible = [p.certain for p in parts], [p.possible for p in parts]
        if operand.boolean_op == "or":
            return _Satisfying(_NO_NODES.union(*certain), _NO_NODES.union(*possible))
        return _Satisfying(self._all.intersection(*certain), self._all.intersection(*possible))

    def _of_expression(self, expression: Expression) -> _Satisfying:
        attribute = expression.attribute
        if attribute == "#role":  # never holds in a location constraint
            return _Satisfying(_NO_NODES, _NO_NODES)
        if self._unknown(attribute):
            return _Satisfying(_NO_NODES, self._all)
        matched = self._matched(expression)
        return _Satisfying(matched, matched)

    def _matched(self, expression: Expression) -> frozenset[str]:
        operation = expression.operation
        values = self._by_value(expression.attribute)
        if operation == "not_defined":
            return values.get(None, _NO_NODES)
        if operation == "defined":
            return self._all - values.get(None, _NO_NODES)
        if operation in {"eq", "ne"} and expression.type in {"", "string"}:
            equal = self._by_folded_value(expression.attribute).get(
                expression.value.lower() or None, _NO_NODES
            )
            return equal if operation == "eq" else self._all - equal
        return _NO_NODES.union(
            *(names for value, names in values.items() if _holds(expression, value))
        )

    def _unknown(self, attribute: str) -> bool:
        """Whether the value is a condition of the node, which the configuration does not know."""
        return (
            attribute in self._transient
            or attribute.startswith(_HIDDEN_PREFIXES)
            or (
                attribute.startswith("#")
                and attribute not in _BUILT_IN
                and self._by_value(attribute).keys() <= {None}
            )
        )

    def _by_value(self, attribute: str) -> Mapping[str | None, frozenset[str]]:
        """Return the nodes by the value of an attribute, None if they have none."""
        if attribute not in self._values:
            found: dict[str | None, set[str]] = {}
            for name, own in self._attributes.items():
                found.setdefault(own.get(attribute), set()).add(name)
            self._values[attribute] = {key: frozenset(names) for key, names in found.items()}
        return self._values[attribute]

    def _by_folded_value(self, attribute: str) -> Mapping[str | None, frozenset[str]]:
        """Return the nodes by the value in lower case; an empty value equals nothing."""
        if attribute not in self._folded:
            found: dict[str | None, frozenset[str]] = {}
            for value, names in self._by_value(attribute).items():
                key = None if value is None else value.lower()
                found[key] = found.get(key, _NO_NODES) | names
            self._folded[attribute] = found
        return self._folded[attribute]


def _holds(expression: Expression, value: str | None) -> bool:
    """Whether a comparison holds for a node with this value (compare_attr_expr_vals in 2.1.5)."""
    operation, reference = expression.operation, expression.value
    if value is None or not reference:
        equal = value is None and not reference
        return (operation == "eq" and equal) or (operation == "ne" and not equal)
    kind = expression.type
    if not kind:  # an order: whether texts are equal is looked up
        kind = "number" if "." in value or "." in reference else "integer"
    less, more = _compare(kind, value, reference)
    return {
        "eq": not less and not more,
        "ne": less or more,
        "lt": less,
        "lte": not more,
        "gt": more,
        "gte": not less,
    }.get(operation, False)


def _compare(kind: str, left: str, right: str) -> tuple[bool, bool]:
    """Whether the left value is less than the right one, and whether it is more."""
    if kind == "version":
        order = _compare_versions(left, right)
        return order < 0, order > 0
    if kind in {"integer", "number"}:
        read = _to_integer if kind == "integer" else _to_number
        first, second = read(left), read(right)
        if first is not None and second is not None:
            return first < second, first > second
    elif kind != "string":
        return False, False
    # Pacemaker compares as text if a value is not a number.
    return left.lower() < right.lower(), left.lower() > right.lower()


_INTEGER = re.compile(r"\s*([+-]?[0-9]+)")
_NUMBER = re.compile(
    r"\s*([+-]?(?:[0-9]+\.?[0-9]*(?:e[+-]?[0-9]+)?|\.[0-9]+(?:e[+-]?[0-9]+)?|inf))", re.IGNORECASE
)
_VERSION = re.compile(r"\s*([+-]?[0-9]{1,18})")
_LONG = 2**63


def _to_integer(text: str) -> int | None:
    """Parse what strtoll would: characters after the number are ignored."""
    found = _INTEGER.match(text)
    number = None if found is None or len(found[1]) > len(str(_LONG)) + 1 else int(found[1])
    return number if number is not None and -_LONG <= number < _LONG else None


def _to_number(text: str) -> float | None:
    """Parse what strtod would, except hexadecimal numbers and nan."""
    found = _NUMBER.match(text)
    return None if found is None else float(found[1])


def _to_score(text: str) -> int:
    """Parse a score as char2score: what is not a number is 0."""
    infinite = {"infinity": INFINITY, "+infinity": INFINITY, "-infinity": -INFINITY}
    if text.lower() in infinite:
        return infinite[text.lower()]
    return max(min(_to_integer(text) or 0, INFINITY), -INFINITY)


def _compare_versions(left: str, right: str) -> int:
    """Compare number by number, as compare_version, which loops forever on `9abc` and `9`."""
    if not left:
        return -1
    while left or right:
        first, second = _VERSION.match(left), _VERSION.match(right)
        numbers = (int(first[1]) if first else 0, int(second[1]) if second else 0)
        if numbers[0] != numbers[1]:
            return -1 if numbers[0] < numbers[1] else 1
        rest = (left[first.end() :] if first else left, right[second.end() :] if second else right)
        if rest == (left, right):
            break
        left, right = (text.removeprefix(".") for text in rest)
    return 0
