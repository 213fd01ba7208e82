"""Judges an observation. Metrics, `show`, JSON and the status page all show this judgement."""

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.cluster.model import Ban, Bundle, Instance, Node, Role, Snapshot, without_number
from exporter.cluster.observation import Observation
from exporter.judgement import bans
from exporter.judgement.bundles import BundleJudgement
from exporter.judgement.clones import CloneJudgement, CloneLimits
from exporter.judgement.dependencies import Dependencies
from exporter.judgement.eligible import Eligible
from exporter.judgement.facts import Facts
from exporter.judgement.nodes import NodeJudgement, judge_node
from exporter.judgement.problem import Problem
from exporter.judgement.problems import find_problems
from exporter.judgement.resources import InstanceJudgement


@dataclass(frozen=True, slots=True)
class Judgement:
    """An observation and what it means."""

    observation: Observation
    nodes: tuple[NodeJudgement, ...] = ()
    bundles: tuple[BundleJudgement, ...] = ()
    instances: tuple[InstanceJudgement, ...] = ()
    """The resources outside bundles."""
    clones: tuple[CloneJudgement, ...] = ()
    bans: tuple[Ban, ...] | None = None
    """All negative location constraints, and the positive ones that a move left behind. None
    while they are not known."""
    problems: tuple[Problem, ...] = ()
    """What is wrong, the worst first."""

    @property
    def snapshot(self) -> Snapshot:
        """The answer of crm_mon."""
        return self.observation.snapshot


class Judge:
    """Judges observations; reuses what the next has in common with the one before."""

    def __init__(self) -> None:
        """Start without an observation."""
        self._eligible: tuple[object, Eligible] | None = None
        self._bans: tuple[object, tuple[Ban, ...] | None] | None = None

    def judge(self, observation: Observation) -> Judgement:
        """Judge an observation."""
        key = Eligible.key(observation)
        if self._eligible is None or self._eligible[0] != key:
            self._eligible = key, Eligible(observation)
        key = bans.key(observation)
        if self._bans is None or self._bans[0] != key:
            self._bans = key, bans.find_bans(observation)
        return _Judge(observation, self._eligible[1], self._bans[1]).judge()


def judge(observation: Observation) -> Judgement:
    """Judge one observation."""
    return Judge().judge(observation)


class _Judge:
    """Judges one observation; holds what several judgements need."""

    def __init__(
        self, observation: Observation, eligible: Eligible, found: tuple[Ban, ...] | None
    ) -> None:
        self._observation = observation
        self._snapshot = observation.snapshot
        self._configuration = observation.configuration_or_empty
        self._in_maintenance = observation.in_maintenance
        self._eligible = eligible
        self._bans = found
        self._dependencies = Dependencies.of(observation)
        self._disabled = {
            instance.resource.id
            for instance in self._snapshot.instances
            if instance.resource.disabled
        }
        self._nodes = tuple(
            judge_node(node, self._snapshot, self._is_stopped) for node in self._snapshot.nodes
        )
        self._out_of_service = frozenset(n.node.name for n in self._nodes if n.out_of_service)

    def judge(self) -> Judgement:
        instances = tuple(self._instance(instance) for instance in self._snapshot.instances)
        bundles = tuple(self._bundle(bundle) for bundle in self._snapshot.bundles)
        parts = (self._nodes, bundles, instances, tuple(self._clones(instances)))
        facts = Facts(self._observation, *parts, bans=self._bans or ())
        return Judgement(self._observation, *parts, bans=self._bans, problems=find_problems(facts))

    def _is_stopped(self, resource: str) -> bool:
        return resource in self._disabled or self._dependencies.held_back(resource) is not None

    def _bundle(self, bundle: Bundle) -> BundleJudgement:
        eligible = self._eligible.for_bundle(bundle.id)
        return BundleJudgement(
            bundle,
            eligible=eligible,
            out_of_service=eligible & self._out_of_service,
            configuration=self._configuration.bundles.get(bundle.id),
            held_back=self._dependencies.held_back(bundle.id),
            promotion_held_back=self._dependencies.promotion_held_back(bundle.id),
            in_maintenance=self._in_maintenance or bundle.maintenance,
        )

    def _instance(self, instance: Instance) -> InstanceJudgement:
        resource = instance.resource
        eligible = self._eligible.for_instance(instance)
        in_service = not eligible <= self._out_of_service
        staying = any(node.name in self._out_of_service for node in resource.nodes)
        return InstanceJudgement(
            instance,
            held_back=self._dependencies.held_back(without_number(resource.id)),
            has_node=in_service or (staying and resource.running),
            eligible=eligible,
        )

    def _clones(self, instances: tuple[InstanceJudgement, ...]) -> Iterator[CloneJudgement]:
        members: dict[tuple[str, str], list[InstanceJudgement]] = {}
        for judged in instances:
            if judged.instance.clone:
                name = without_number(judged.resource.id)
                members.setdefault((judged.instance.clone, name), []).append(judged)
        for (clone, resource), found in members.items():
            eligible = self._eligible.for_clone(clone)
            configured = self._configuration.resources.get(clone)
            yield CloneJudgement(
                clone,
                resource,
                eligible=tuple(n.node for n in self._nodes if n.node.name in eligible),
                out_of_service=eligible & self._out_of_service,
                placed=tuple(_placed(found)),
                limits=CloneLimits(configured.instances_max, configured.instances_per_node)
                if configured
                else CloneLimits(),
                held_back=self._dependencies.held_back(resource),
                disabled=all(judged.resource.disabled for judged in found),
            )


def _placed(found: list[InstanceJudgement]) -> Iterator[tuple[Node, Role]]:
    for judged in found:
        if judged.running_well:
            for node in judged.resource.nodes:
                if not node.lost:
                    yield node, judged.resource.role
