"""Decides on which nodes a resource may run, from location constraints.

Does what the scheduler of Pacemaker 2.1.5 does (pcmk_sched_location.c and rules.c), which
tests/judgement/test_placement.py compares, with exceptions that keep nodes eligible, because doubt
leads to an alert and not to silence:

- A constraint that depends on the time or on the resource's own attributes is ignored.
- An expression on a transient attribute tells a condition of a node and not a wish. Its result
  counts as unknown, and what is unknown is taken in favour of the node.
- If nothing is left, rules and ignored constraints are left out, and if still nothing is left in an
  asymmetric cluster, the resource may run wherever it is not banned.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import itemgetter
from typing import NamedTuple

from exporter.cluster.location import LocationConstraint, Locations, Rule
from exporter.cluster.model import INFINITY, Node, NodeType
from exporter.judgement.patterns import ResourcePattern
from exporter.judgement.rules import Rules, substituted

_NO_NODES: frozenset[str] = frozenset()
_NO_ALIASES: Mapping[str, tuple[str, ...]] = {}
_NOT_STARTED = frozenset({"promoted", "master", "stopped"})
"""Constraints for these roles do not say where a resource may be started."""
_EVERY_ROLE = frozenset({"", "unpromoted", "slave"})
"""Rules for these roles apply to all. 2.1.5 applies those for role Started to none, 3.0 to all."""


class Placement:
    """Answers where resources may run, for one configuration and one set of nodes."""

    def __init__(
        self,
        nodes: Iterable[Node],
        locations: Locations,
        *,
        transient: Collection[str] = (),
        aliases: Mapping[str, tuple[str, ...]] = _NO_ALIASES,
    ) -> None:
        """Index the constraints by resource.

        Args:
            nodes: all nodes that run resources, in service or not; no guest nodes of bundles.
            locations: the constraints and node attributes of the configuration.
            transient: names of attributes that crm_mon lists and that no node has permanently.
            aliases: the ids of the resources that a tag or template stands for.

        """
        nodes = tuple(nodes)
        self._symmetric = locations.symmetric
        self._names = {node.name.lower(): node.name for node in nodes}
        self._candidates: dict[frozenset[NodeType] | None, frozenset[str]] = {
            None: frozenset(node.name for node in nodes)
        }
        self._nodes = nodes
        self._rules = Rules(nodes, locations, transient)
        self._effects: dict[tuple[object, ...], _Effect] = {}
        self._answers: dict[tuple[object, ...], frozenset[str]] = {}
        self._named: dict[str, list[_Applied]] = {}
        self._patterns: list[tuple[_Applied, ResourcePattern]] = []
        for position, constraint in enumerate(locations.constraints):
            applied = _Applied(
                position, constraint, constraint.evaluable, exclusive=constraint.exclusive
            )
            for id_ in constraint.resources:
                for resource in aliases.get(id_, (id_,)):
                    self._named.setdefault(resource, []).append(applied)
            if constraint.pattern:
                pattern = ResourcePattern.of(constraint.pattern)
                if pattern is not None:
                    self._patterns.append((applied, pattern))

    def eligible_nodes(
        self,
        resource: str,
        *,
        inner: Iterable[str] = (),
        members: Iterable[str] = (),
        types: frozenset[NodeType] | None = None,
    ) -> frozenset[str]:
        """Return the names of the nodes on which Pacemaker may place a resource.

        Args:
            resource: the id of a bundle, clone, group, or primitive outside of these. Patterns
                match only such ids, as Pacemaker's do.
            inner: other ids that stand for it in constraints. Those of a clone are all ids in it.
                A bundle has none: constraints of the primitive in it do not bind the containers.
            members: ids in a group outside clones. Each has the group's constraints and its own,
                and the answer is where all may run. 2.1.5 ignores that those of a member are
                exclusive.
            types: types of nodes to choose from, all by default. Fencing devices and connections
                to remote nodes run only on members.

        """
        shared = [*self._matching(resource)]
        for id_ in (resource, *inner):
            shared += self._named.get(id_, ())
        leaves = [
            [*shared, *(own._replace(exclusive=False) for own in self._named.get(id_, ()))]
            for id_ in members
        ] or [shared]
        ignored = any(not found.evaluable for leaf in leaves for found in leaf)
        effects = tuple(tuple(self._effects_of(leaf)) for leaf in leaves)
        key = (effects, ignored, types)
        if key not in self._answers:
            self._answers[key] = self._answer(effects, types, ignored=ignored)
        return self._answers[key]

    def _matching(self, resource: str) -> Iterator["_Applied"]:
        """Yield the constraints whose pattern matches an id."""
        for applied, pattern in self._patterns:
            groups = pattern.match(resource)
            if groups is None:
                continue
            refers = any(rule.refers_to_match for rule in applied.constraint.rules)
            yield applied._replace(groups=groups) if refers else applied

    def _effects_of(self, applied: list["_Applied"]) -> Iterator["_Effect"]:
        """Yield effects in the order of the configuration."""
        for found in sorted(applied, key=itemgetter(0)):
            constraint, groups = found.constraint, found.groups
            if not found.evaluable:
                continue
            if constraint.node:
                name = self._names.get(constraint.node.lower())
                if name is not None and constraint.role.lower() not in _NOT_STARTED:
                    yield self._effect_on_node(name, constraint.score, exclusive=found.exclusive)
                continue
            for rule in constraint.rules:
                if rule.role.lower() in _EVERY_ROLE:
                    meant = substituted(rule, groups) if groups else rule
                    yield self._effect_of_rule(meant, exclusive=found.exclusive)

    def _effect_on_node(self, name: str, score: int, *, exclusive: bool) -> "_Effect":
        key = (name, score, exclusive)
        if key not in self._effects:
            self._effects[key] = _effect({name: score}, exclusive=exclusive, by_rule=False)
        return self._effects[key]

    def _effect_of_rule(self, rule: Rule, *, exclusive: bool) -> "_Effect":
        key = (rule, exclusive)
        if key not in self._effects:
            scores = self._rules.scores(rule, wanted=exclusive or not self._symmetric)
            self._effects[key] = _effect(scores, exclusive=exclusive, by_rule=True)
        return self._effects[key]

    def _answer(
        self,
        leaves: tuple[tuple["_Effect", ...], ...],
        types: frozenset[NodeType] | None,
        *,
        ignored: bool,
    ) -> frozenset[str]:
        if types not in self._candidates:
            self._candidates[types] = frozenset(
                node.name for node in self._nodes if types is None or node.type in types
            )
        candidates = self._candidates[types]
        answer = _allowed_everywhere(leaves, candidates, symmetric=self._symmetric)
        if answer or not (ignored or any(effect.by_rule for leaf in leaves for effect in leaf)):
            return answer
        plain = tuple(tuple(effect for effect in leaf if not effect.by_rule) for leaf in leaves)
        return _allowed_everywhere(
            plain, candidates, symmetric=self._symmetric
        ) or _allowed_everywhere(plain, candidates, symmetric=True)


class _Applied(NamedTuple):
    """A constraint on a resource."""

    position: int
    constraint: LocationConstraint
    evaluable: bool
    exclusive: bool
    groups: Sequence[str] = ()
    """What %0 to %9 stand for in its rules; empty if they stand for themselves."""


@dataclass(frozen=True, eq=False, slots=True)
class _Effect:
    """What a constraint, or one of its rules, does to the scores of nodes."""

    scores: Mapping[str, int]
    matched: frozenset[str]
    banned: frozenset[str]
    """Nodes with the score -INFINITY."""
    lowest: int
    """The lowest other score, if it is negative."""
    exclusive: bool
    by_rule: bool


def _effect(scores: Mapping[str, int], *, exclusive: bool, by_rule: bool) -> _Effect:
    return _Effect(
        scores=scores,
        matched=frozenset(scores),
        banned=frozenset(name for name, score in scores.items() if score <= -INFINITY),
        lowest=min((score for score in scores.values() if -INFINITY < score < 0), default=0),
        exclusive=exclusive,
        by_rule=by_rule,
    )


def _allowed_everywhere(
    leaves: Iterable[Iterable[_Effect]], candidates: frozenset[str], *, symmetric: bool
) -> frozenset[str]:
    """Return the candidates that the effects on every resource allow."""
    allowed = (_allowed(tuple(leaf), candidates, symmetric=symmetric) for leaf in leaves)
    return reduce(frozenset.intersection, allowed)


def _allowed(
    effects: tuple[_Effect, ...], candidates: frozenset[str], *, symmetric: bool
) -> frozenset[str]:
    """Return the candidates that the effects allow.

    An exclusive rule that matches nothing does not restrict the containers of a bundle: 2.1.5 marks
    only resources on which it places a score.
    """
    exclusive = [effect.matched for effect in effects if effect.exclusive and effect.matched]
    if exclusive:
        candidates = _NO_NODES.union(*exclusive) & candidates
    elif not symmetric:
        candidates = _NO_NODES.union(*(effect.matched for effect in effects)) & candidates
    banned = [effect.banned for effect in effects if effect.banned]
    if banned:
        candidates = candidates.difference(*banned)
    if sum(effect.lowest for effect in effects) <= -INFINITY:
        return frozenset(name for name in candidates if _total(effects, name) > -INFINITY)
    return candidates


def _total(effects: tuple[_Effect, ...], name: str) -> int:
    """Add the scores of a node as 2.1.5 does: last constraint first, bounded after each step."""
    total = 0
    for effect in reversed(effects):
        score = effect.scores.get(name, 0)
        if total <= -INFINITY or score <= -INFINITY:
            return -INFINITY
        if total >= INFINITY or score >= INFINITY:
            total = INFINITY
        else:
            total = max(min(total + score, INFINITY), -INFINITY)
    return total
