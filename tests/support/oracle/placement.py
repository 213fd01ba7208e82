"""A model of where resources may run: node by node, and all results that the unknown allows."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exporter.cluster.location import (
    DateExpression,
    Expression,
    LocationConstraint,
    Locations,
    Rule,
    Unevaluable,
)
from exporter.cluster.model import INFINITY, Node, NodeType
from tests.support.oracle import libc


@dataclass(frozen=True)
class Model:
    """A configuration, and the nodes that it is for."""

    locations: Locations
    nodes: tuple[Node, ...]
    aliases: Mapping[str, tuple[str, ...]]

    def eligible(self, resource: str) -> frozenset[str]:
        """The nodes on which a bundle, or a primitive of its own, may run."""
        found = [
            (constraint, groups)
            for constraint in self.locations.constraints
            for groups in self._applications(constraint, resource)
        ]
        sure = [(constraint, groups) for constraint, groups in found if _evaluable(constraint)]
        plain = [(constraint, groups) for constraint, groups in sure if constraint.node]
        symmetric = self.locations.symmetric
        answer = self._allowed(sure, symmetric=symmetric)
        rules = any(
            _counts(rule)
            for constraint, _ in sure
            if not constraint.node
            for rule in constraint.rules
        )
        if not answer and (rules or len(sure) < len(found)):
            answer = self._allowed(plain, symmetric=symmetric)
            answer = answer or self._allowed(plain, symmetric=True)
        return answer

    def _applications(self, constraint: LocationConstraint, resource: str) -> Iterator[list[str]]:
        """One item for each time that a constraint names the resource: what %0 to %9 stand for."""
        for id_ in constraint.resources:
            for target in self.aliases.get(id_, (id_,)):
                if target == resource:
                    yield []
        if constraint.pattern:
            try:
                match = libc.match(constraint.pattern.removeprefix("!"), resource)
            except ValueError:
                return
            if constraint.pattern.startswith("!"):
                if match is None:
                    yield []
            elif match is not None:
                yield list(match)

    def _allowed(
        self, applied: list[tuple[LocationConstraint, list[str]]], *, symmetric: bool
    ) -> frozenset[str]:
        given = {node.name: list(self._scores(node, applied)) for node in self.nodes}
        exclusive = any(is_exclusive for scores in given.values() for _, is_exclusive in scores)
        return frozenset(
            name
            for name, scores in given.items()
            if (any(is_exclusive for _, is_exclusive in scores) or not exclusive)
            and (scores or symmetric)
            and _sum([score for score, _ in scores]) > -INFINITY
        )

    def _scores(
        self, node: Node, applied: list[tuple[LocationConstraint, list[str]]]
    ) -> Iterator[tuple[int, bool]]:
        """The scores of a node, and whether each is exclusive."""
        for constraint, groups in applied:
            if constraint.node:
                if constraint.node.lower() == node.name.lower() and (
                    constraint.role not in {"Promoted", "Master", "Stopped"}
                ):
                    yield constraint.score, constraint.exclusive
                continue
            for rule in filter(_counts, constraint.rules):
                score = self._matching(node, rule, groups, exclusive=constraint.exclusive)
                if score is not None:
                    yield score, constraint.exclusive

    def _matching(
        self, node: Node, rule: Rule, groups: list[str], *, exclusive: bool
    ) -> int | None:
        """The score of a rule on a node, None if the rule does not match."""
        known = [self._known(node, found, groups) for found in _leaves(rule)]
        free = [index for index, truth in enumerate(known) if truth is None]
        results = set()
        for chosen in itertools.product([True, False], repeat=len(free)):
            truths = list(known)
            for index, truth in zip(free, chosen, strict=True):
                truths[index] = truth
            results.add(_outcome(rule, iter(truths)))
        if results == {False}:
            return None
        score = self._score(node, rule, groups)
        helps = score >= 0 or (score > -INFINITY and (exclusive or not self.locations.symmetric))
        return score if results == {True} or helps else None

    def _score(self, node: Node, rule: Rule, groups: list[str]) -> int:
        if rule.score_attribute is None:
            return rule.score
        name = _expanded(rule.score_attribute, groups)
        if name in self.locations.transient_attributes:
            return 0
        value = self._attribute(node, name)
        if value is None:
            return -INFINITY
        if value.upper() in {"INFINITY", "-INFINITY"}:
            return INFINITY if value.upper() == "INFINITY" else -INFINITY
        return libc.integer(value) or 0

    def _known(
        self, node: Node, expression: Expression | DateExpression | Unevaluable, groups: list[str]
    ) -> bool | None:
        assert isinstance(expression, Expression)
        name = _expanded(expression.attribute, groups)
        if name in self.locations.transient_attributes or name.startswith("#health"):
            return None
        if name == "#role":
            return False
        return _true(expression, self._attribute(node, name))

    def _attribute(self, node: Node, name: str) -> str | None:
        own = self.locations.node_attributes[node.name]
        return {
            "#uname": node.name,
            "#id": node.id,
            "#kind": "remote" if node.type is NodeType.REMOTE else "cluster",
            "#cluster-name": self.locations.cluster_name,
            "#site-name": own.get("site-name", self.locations.cluster_name),
        }.get(name, own.get(name))


def _evaluable(constraint: LocationConstraint) -> bool:
    return not constraint.lifetime and all(
        isinstance(leaf, Expression) and leaf.value_source != "param"
        for rule in constraint.rules
        for leaf in _leaves(rule)
    )


def _counts(rule: Rule) -> bool:
    return rule.role in {"", "Unpromoted", "Slave"}


def _leaves(rule: Rule) -> Iterator[Expression | DateExpression | Unevaluable]:
    for operand in rule.operands:
        if isinstance(operand, Rule):
            yield from _leaves(operand)
        else:
            yield operand


def _outcome(rule: Rule, truths: Iterator[bool | None]) -> bool:
    """Combine the truths of the leaves, which come in their order."""
    values = [
        _outcome(operand, truths) if isinstance(operand, Rule) else bool(next(truths))
        for operand in rule.operands
    ]
    return any(values) if rule.boolean_op == "or" else all(values)


def _expanded(name: str, groups: list[str]) -> str:
    return re.sub(r"%(\d)", lambda m: groups[int(m[1])], name) if groups else name


def _true(expression: Expression, value: str | None) -> bool:
    operation, asked = expression.operation, expression.value or None
    if operation in {"defined", "not_defined"}:
        return (value is not None) == (operation == "defined")
    if value is None or asked is None:
        same = value is None and asked is None
        return {"eq": same, "ne": not same}.get(operation, False)
    order = _order(expression, value, asked)
    return {
        "eq": order == 0,
        "ne": order != 0,
        "lt": order < 0,
        "lte": order <= 0,
        "gt": order > 0,
        "gte": order >= 0,
    }[operation]


def _order(expression: Expression, value: str, asked: str) -> float:
    kind = expression.type
    if not kind and expression.operation not in {"eq", "ne"}:
        kind = "number" if "." in value + asked else "integer"
    if kind == "version":
        ours, theirs = ([int(n) for n in text.split(".")] for text in (value, asked))
        length = max(len(ours), len(theirs))
        pair = [numbers + [0] * (length - len(numbers)) for numbers in (ours, theirs)]
        return (pair[0] > pair[1]) - (pair[0] < pair[1])
    parse = {"integer": libc.integer, "number": libc.number}.get(kind)
    numbers = [parse(value), parse(asked)] if parse is not None else [None]
    left, right = numbers[0], numbers[-1]
    if left is not None and right is not None:
        return (left > right) - (left < right)
    return libc.compare(value, asked)


def _sum(scores: list[int]) -> int:
    """Add scores, the last first ("Scores" in Pacemaker Explained)."""
    total = 0
    for score in scores[::-1]:
        if -INFINITY in {total, score}:
            total = -INFINITY
        elif INFINITY in {total, score}:
            total = INFINITY
        else:
            total = min(INFINITY, max(-INFINITY, total + score))
    return total
