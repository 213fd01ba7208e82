"""Finds the bans: the negative location constraints as they are now, node by node.

crm_mon lists them, too, but on large clusters that takes most of its time. It lists the nodes to
which a constraint, or one of its rules, gives a negative score, whatever the role: see
pcmk_sched_location.c (unpack_rsc_location, generate_location_rule) and pe_output.c (ban_list) of
Pacemaker 2.1.5. tests/judgement/test_bans.py compares.

A rule on what neither the CIB nor crm_mon tells (health, the resource's own attributes, recurring
times) bans nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from exporter.cluster.configuration import Configuration, ResourceKind
from exporter.cluster.location import LocationConstraint, Rule
from exporter.cluster.model import Ban, Node, NodeAttribute, Snapshot
from exporter.cluster.observation import Observation
from exporter.judgement.patterns import ResourcePattern
from exporter.judgement.rules import Present, Rules, substituted

_NOTHING: Mapping[str, str] = {}
_PROMOTED = frozenset({"promoted", "master"})
_ROLES = _PROMOTED | {"", "started", "stopped", "unpromoted", "slave"}


def key(observation: Observation) -> object:
    """Return what the bans of an observation depend on."""
    snapshot = observation.snapshot
    return (
        observation.configuration,
        observation.dates_in_force,
        snapshot.bans,
        _conditions(observation),
        [(node.name, node.id, node.type, node.dc, _lost(node)) for node in snapshot.nodes],
        _top_level(snapshot),
    )


def _conditions(observation: Observation) -> list[NodeAttribute]:
    """Return the attributes that the CIB does not say permanently: only online nodes have them."""
    permanent = observation.configuration_or_empty.locations.node_attributes
    return [
        found
        for found in observation.snapshot.attributes
        if permanent.get(found.node, _NOTHING).get(found.name) != found.value
    ]


def _top_level(snapshot: Snapshot) -> list[str]:
    """Return the resources outside bundles, clones and groups."""
    return [i.resource.id for i in snapshot.instances if not i.clone and not i.group]


def _lost(node: Node) -> bool:
    """Whether the node is to be fenced."""
    return node.unclean and not node.online


def find_bans(observation: Observation) -> tuple[Ban, ...] | None:
    """Return the negative location constraints, and positive ones that moves left behind.

    Without the CIB they are those that crm_mon lists, and None if it lists none: the exporter does
    not ask for them, but saved answers and those of Pacemaker up to 2.0.2 have them.
    """
    configuration = observation.configuration
    if configuration is None:
        return observation.snapshot.bans or None
    return (*_Bans(observation, configuration).find(), *configuration.preferences)


@dataclass(frozen=True, slots=True)
class _Target:
    """A resource that a constraint is about."""

    resource: str
    groups: tuple[str, ...] = ()
    """What %0 to %9 stand for in rules; empty if they stand for themselves."""


class _Bans:
    """Applies the constraints of a configuration to the nodes and resources of an observation."""

    def __init__(self, observation: Observation, configuration: Configuration) -> None:
        snapshot = observation.snapshot
        self._configuration = configuration
        self._nodes = {node.name.lower(): node.name for node in snapshot.nodes}
        locations = configuration.locations
        attributes: dict[str, dict[str, str]] = {}
        for found in snapshot.attributes:
            attributes.setdefault(found.node, {})[found.name] = found.value
        present = Present(attributes, observation.dates_in_force)
        # The CIB keeps the transient attributes of a lost node until it is fenced, but crm_mon
        # lists those of online nodes only.
        lost = [node for node in snapshot.nodes if _lost(node)]
        seen = [node for node in snapshot.nodes if not _lost(node)]
        permanent = {name for own in locations.node_attributes.values() for name in own}
        hidden = locations.transient_attributes | (
            {found.name for found in snapshot.attributes} - permanent
        )
        self._rules = (
            Rules(seen, locations, present=present),
            Rules(lost, locations, hidden, present=present),
        )
        self._scores: dict[Rule, Mapping[str, int]] = {}
        configured = (found.id for found in configuration.resources.values() if not found.parent)
        self._top_level = tuple(dict.fromkeys((*configured, *_top_level(snapshot))))
        self._implicit = frozenset(
            resource.id
            for bundle in snapshot.bundles
            for replica in bundle.replicas
            for _, resource in replica.components
        ).union(self._top_level)

    def find(self) -> Iterator[Ban]:
        """Yield the bans in the order of the configuration."""
        for constraint in self._configuration.locations.constraints:
            if constraint.lifetime:
                continue
            if constraint.node:
                node = self._nodes.get(constraint.node.lower())
                if node is not None and constraint.score < 0:
                    scores = {node: constraint.score}
                    for target in self._targets(constraint):
                        yield from _bans(constraint.id, target, scores, constraint.role)
                continue
            targets = tuple(self._targets(constraint))
            for id_, rule in zip(constraint.rule_ids, constraint.rules, strict=True):
                if rule.role.lower() not in _ROLES or not (rule.score < 0 or rule.score_attribute):
                    continue
                for target in targets:
                    meant = substituted(rule, target.groups) if target.groups else rule
                    yield from _bans(id_, target, self._negative(meant), rule.role)

    def _negative(self, rule: Rule) -> Mapping[str, int]:
        """Return the negative scores of a rule by node."""
        if rule not in self._scores:
            self._scores[rule] = {
                node: score
                for rules in self._rules
                for node, score in rules.scores(rule, wanted=False).items()
                if score < 0
            }
        return self._scores[rule]

    def _targets(self, constraint: LocationConstraint) -> Iterator[_Target]:
        """Yield the resources that a constraint is about, as crm_mon names them."""
        pattern = ResourcePattern.of(constraint.pattern) if constraint.pattern else None
        if pattern is not None:
            refers = any(rule.refers_to_match for rule in constraint.rules)
            for resource in self._top_level:
                groups = pattern.match(resource)
                if groups is not None:
                    yield _Target(resource, groups if refers else ())
        for name in constraint.resources:
            for resource in self._configuration.named(name):
                yield from map(_Target, self._listed(resource))

    def _listed(self, resource: str) -> Iterable[str]:
        """Return the name of a resource in the list: that of a clone for what is in it."""
        for outer in (*self._configuration.lineage(resource),)[1:]:
            if outer.kind is ResourceKind.CLONE:
                return (outer.id,)
            if outer.kind is ResourceKind.BUNDLE:
                promotable = self._configuration.bundles[outer.id].promoted_max
                return (f"{outer.id}-{'master' if promotable else 'clone'}",)
        known = resource in self._configuration.resources or resource in self._implicit
        return (resource,) if known else ()


def _bans(id_: str, target: _Target, scores: Mapping[str, int], role: str) -> Iterator[Ban]:
    for node, score in scores.items():
        yield Ban(id_, target.resource, node, score, promoted_only=role.lower() in _PROMOTED)
