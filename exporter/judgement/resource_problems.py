"""Finds problems of resources outside bundles: primitives, groups and clones."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from exporter.cluster.agents import is_address, is_fencing_device
from exporter.cluster.model import Resource, without_number
from exporter.judgement import commands
from exporter.judgement.bundle_problems import kept_off
from exporter.judgement.clones import CloneJudgement
from exporter.judgement.commands import Command
from exporter.judgement.dependencies import HeldBack
from exporter.judgement.facts import Facts
from exporter.judgement.problem import Cause, Finding, Kind, Severity, Subject, SubjectType, listed
from exporter.judgement.replicas import how_down
from exporter.judgement.resources import InstanceJudgement

DEGRADED_RESULTS = frozenset({"190", "191"})
"""Return codes of an agent whose service works, but not well (OCF_DEGRADED)."""


def find(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with resources outside bundles."""
    for group, members in facts.groups.items():
        yield from _Group(facts, group, members).find()
    by_id: dict[str, list[InstanceJudgement]] = {}
    by_clone: dict[str, list[InstanceJudgement]] = {}
    for judged in facts.instances:
        clone = judged.instance.clone
        found = by_clone if clone else by_id
        found.setdefault(clone or judged.resource.id, []).append(judged)
    for instances in by_id.values():
        yield from _Resource(facts, tuple(instances)).find()
    for clone, instances in by_clone.items():
        yield from _Clone(facts, tuple(instances), clone).find()
    yield from _fail_counts(facts)
    yield from _degraded(facts)
    yield from _left_over(facts)


@dataclass(frozen=True)
class _Group:
    """Finds what is the same for all members of a group."""

    facts: Facts
    name: str
    members: tuple[InstanceJudgement, ...]

    def find(self) -> Iterator[Finding]:
        if all(judged.resource.disabled for judged in self.members):
            subject = Subject(SubjectType.RESOURCE, self.name)
            advice = (commands.enable(self.name),)
            yield Finding(
                Kind.RESOURCE_DISABLED, Severity.INFO, subject, commands=advice, noun="group"
            )


@dataclass(frozen=True)
class _Instances:
    """Finds what is the same for a primitive and a clone, of which there may be many instances."""

    facts: Facts
    instances: tuple[InstanceJudgement, ...]

    @property
    def subject(self) -> Subject:
        raise NotImplementedError

    @property
    def configured(self) -> str:
        """The id of its first resource in the configuration."""
        return self.instances[0].resource.id

    @property
    def noun(self) -> str:
        """What it is, if the type of the subject does not tell."""
        return ""

    def _finding(
        self,
        kind: Kind,
        severity: Severity,
        advice: Iterable[Command] = (),
        *details: str,
        cause: Cause | None = None,
    ) -> Finding:
        return Finding(kind, severity, self.subject, details, tuple(advice), cause, self.noun)

    def _held_back(self, held: HeldBack) -> Finding:
        kind = Kind.RESOURCE_HELD_BACK
        return self.facts.finding_of_hold(kind, self.subject, held, noun=self.noun)

    def _orphaned(self, resource: Resource) -> Finding:
        where = _on(resource).strip()
        details = (where,) if where else ()
        inspect = (commands.INSPECT,)
        return self._finding(Kind.RESOURCE_ORPHANED, Severity.WARNING, inspect, *details)

    @cached_property
    def _kept(self) -> str:
        """The outermost part of the configuration that is in maintenance; empty if none is."""
        lineage = self.facts.configuration.lineage(self.configured)
        found = [part.id for part in lineage if part.maintenance]
        if found:
            return found[-1]
        own = any(_in_maintenance_itself(judged.resource) for judged in self.instances)
        return self.subject.name if own else ""

    def _managed(self) -> Iterator[Finding]:
        """Yield maintenance and is-managed=false, unless it comes from the cluster or a node."""
        if self.facts.in_maintenance:
            return
        if self._kept:
            advice = (commands.unset_meta(self._kept, "maintenance"),)
            yield self._finding(Kind.RESOURCE_MAINTENANCE, Severity.INFO, advice)
        elif any(_unmanaged_itself(judged.resource) for judged in self.instances):
            advice = (commands.manage(self.subject.name),)
            yield self._finding(Kind.RESOURCE_UNMANAGED, Severity.INFO, advice)


@dataclass(frozen=True)
class _Resource(_Instances):
    """Finds the problems of a primitive outside clones.

    There may be several instances: an orphan may have the id of a configured resource.
    """

    @cached_property
    def first(self) -> Resource:
        return self.instances[0].resource

    @property
    def subject(self) -> Subject:
        type_ = SubjectType.ADDRESS if is_address(self.first) else SubjectType.RESOURCE
        return Subject(type_, self.first.id)

    @property
    def noun(self) -> str:
        return "fencing device" if is_fencing_device(self.first) else ""

    def find(self) -> Iterator[Finding]:
        if self._is_told_with_its_node:
            return
        for judged in self.instances:
            yield from self._state(judged)
            if judged.resource.orphaned:
                yield self._orphaned(judged.resource)
            yield from self._places(judged.resource)
        yield from self._managed()

    @property
    def _is_told_with_its_node(self) -> bool:
        """Whether it is the connection or virtual machine of a node that has a problem itself."""
        node = self.facts.node_of.get(self.first.id)
        return node is not None and node in self.facts.lost_or_disabled

    def _state(self, judged: InstanceJudgement) -> Iterator[Finding]:
        resource = judged.resource
        if judged.down:
            yield self._down(judged)
        elif resource.disabled:
            # A disabled group is one problem, its members are none.
            if self.facts.disabled_subject(resource.id) == self.subject:
                device = is_fencing_device(resource)
                advice = (commands.enable(resource.id, fencing_device=device),)
                yield self._finding(Kind.RESOURCE_DISABLED, Severity.INFO, advice)
            yield from self._stop_failed(judged)
        elif judged.held_back:
            yield self._held_back(judged.held_back)
            yield from self._stop_failed(judged)
        elif resource.orphaned:
            yield from self._stop_failed(judged)
        elif not judged.expected and not judged.running_well:
            yield self._finding(Kind.RESOURCE_WITHOUT_NODE, Severity.INFO)

    def _down(self, judged: InstanceJudgement) -> Finding:
        resource = judged.resource
        cause = self._cause(judged)
        in_transition = resource.in_transition and not resource.failing
        left_alone = resource.unmanaged or resource.in_maintenance or self.facts.in_maintenance
        address = is_address(resource)
        severity = Severity.CRITICAL if address or resource.blocked else Severity.WARNING
        details = [self._how_down(resource)]
        stopped = not (resource.active or resource.failing or resource.blocked)
        if stopped and not cause and (reason := self.facts.failures.reason(resource.id)):
            details = [f"{details[0]}; last failure: {reason}"]
        if left_alone and not resource.blocked:
            severity = Severity.WARNING
            state = "unmanaged" if resource.unmanaged and not self._kept else "in maintenance"
            details.append(f"it is {state}: Pacemaker does not recover it")
        failing = resource.failing or resource.blocked
        return Finding(
            Kind.ADDRESS_DOWN if address else Kind.RESOURCE_DOWN,
            Severity.WARNING if in_transition else severity,
            self.subject,
            (*details, *self._kept_off()),
            () if cause else tuple(self._repairs(resource)),
            cause,
            self.noun,
            alone=failing and cause is None,
        )

    def _how_down(self, resource: Resource) -> str:
        lost = [node.name for node in resource.nodes if node.lost]
        if lost:
            unclean = any(node.unclean for node in resource.nodes)
            verb = "is" if len(lost) == 1 else "are"
            return f"runs on {listed(lost)}, which {verb} {'unclean' if unclean else 'offline'}"
        if resource.blocked:
            return _blocked(resource, self.facts)
        if resource.failing:
            return _failed(resource, self.facts)
        return how_down("", resource).strip()

    def _repairs(self, resource: Resource) -> Iterator[Command]:
        device = is_fencing_device(resource)
        if resource.failing or resource.blocked or self._kept_off():
            yield commands.fail_counts(resource.id)
            yield commands.cleanup(resource.id, fencing_device=device)
        elif not resource.in_transition:
            yield commands.INSPECT

    def _kept_off(self) -> tuple[str, ...]:
        return tuple(kept_off(e) for e in self.facts.at_threshold if e.resource == self.first.id)

    def _cause(self, judged: InstanceJudgement) -> Cause | None:
        resource = judged.resource
        lost = [node.name for node in resource.nodes if node.lost]
        if lost:
            return self.facts.cause_of_nodes(lost)
        if resource.failing or resource.blocked or resource.active or resource.in_transition:
            return None
        if self.facts.distrust:
            return self.facts.distrust
        away = judged.eligible & self.facts.unavailable
        if away and judged.eligible <= away | self.facts.out_of_service:
            return self.facts.cause_of_nodes(away)
        return self.facts.failed_dependency(resource.id)

    def _stop_failed(self, judged: InstanceJudgement) -> Iterator[Finding]:
        """Yield that a resource that should not run is failed or blocked."""
        resource = judged.resource
        repairs = tuple(self._repairs(resource))
        if any(node.lost for node in resource.nodes):
            return
        if resource.blocked:
            text = _blocked(resource, self.facts)
            yield self._finding(Kind.RESOURCE_BLOCKED, Severity.CRITICAL, repairs, text)
        elif resource.failing:
            text = _failed(resource, self.facts)
            yield self._finding(Kind.RESOURCE_FAILED, Severity.WARNING, repairs, text)

    def _places(self, resource: Resource) -> Iterator[Finding]:
        if len(resource.nodes) > 1 and not resource.orphaned:
            names = listed([node.name for node in resource.nodes])
            inspect = (commands.INSPECT,)
            yield self._finding(
                Kind.RESOURCE_ON_SEVERAL_NODES, Severity.CRITICAL, inspect, f"on {names}"
            )


@dataclass(frozen=True)
class _Clone(_Instances):
    """Finds the problems of a clone, of which crm_mon lists more stopped instances than exist."""

    name: str

    @property
    def subject(self) -> Subject:
        return Subject(SubjectType.CLONE, self.name)

    @property
    def configured(self) -> str:
        return without_number(self.instances[0].resource.id)

    @cached_property
    def judged(self) -> tuple[CloneJudgement, ...]:
        """Its resources: one, or the members of a group."""
        return tuple(clone for clone in self.facts.clones if clone.clone == self.name)

    def find(self) -> Iterator[Finding]:
        held = next((clone.held_back for clone in self.judged if clone.held_back), None)
        if all(clone.disabled for clone in self.judged):
            advice = (commands.enable(self.name),)
            yield self._finding(Kind.RESOURCE_DISABLED, Severity.INFO, advice)
        elif held:
            yield self._held_back(held)
        yield from self._blocked()
        yield from self._incomplete()
        yield from self._managed()

    @property
    def _at_fault(self) -> Iterator[Resource]:
        """Yield the instances that are not well, but on nodes that are."""
        for judged in self.instances:
            resource = judged.resource
            if not any(node.lost for node in resource.nodes):
                yield resource

    def _blocked(self) -> Iterator[Finding]:
        for resource in self._at_fault:
            if resource.blocked:
                text = _blocked(resource, self.facts)
                repairs = _cleanup(resource)
                yield self._finding(Kind.RESOURCE_BLOCKED, Severity.CRITICAL, repairs, text)

    def _incomplete(self) -> Iterator[Finding]:
        details: list[str] = []
        advice: list[Command] = []
        orphaned = [r for r in self._at_fault if r.orphaned]
        for resource in self._at_fault:
            if resource.failing and not resource.blocked:
                details.append(self._prefix(resource.id) + _failed(resource, self.facts))
                advice += _cleanup(resource)
        cause = None
        for clone in self.judged:
            lacking = clone.lacking
            if not clone.missing or (self.facts.observation.configuration is None and clone.placed):
                continue  # without the CIB nobody knows where it may run
            where = "any node" if not clone.placed else listed(lacking)
            details.append(f"{self._prefix(clone.resource)}does not run on {where}")
            cause = self.facts.distrust or self.facts.failed_dependency(self.name)
        if details:
            advice = advice or ([] if cause else [commands.INSPECT])
            yield self._finding(
                Kind.CLONE_INCOMPLETE, Severity.WARNING, advice, *details, cause=cause
            )
        yield from map(self._orphaned, orphaned)

    def _prefix(self, resource: str) -> str:
        return f"{without_number(resource)} " if len(self.judged) > 1 else ""


def _unmanaged_itself(resource: Resource) -> bool:
    """Whether it is unmanaged, and not only because its node is in maintenance."""
    return resource.unmanaged and not any(node.maintenance for node in resource.nodes)


def _in_maintenance_itself(resource: Resource) -> bool:
    """Whether it is in maintenance, and not marked because of its node or because it is blocked."""
    on_node = any(node.maintenance for node in resource.nodes)
    return resource.maintenance and not resource.blocked and not on_node


def _cleanup(resource: Resource) -> tuple[Command, ...]:
    name = without_number(resource.id)
    return commands.fail_counts(name), commands.cleanup(name)


def _on(resource: Resource) -> str:
    names = [node.name for node in resource.nodes]
    return f" on {listed(names)}" if names else ""


def _blocked(resource: Resource, facts: Facts) -> str:
    careful = "make sure that it is stopped before a cleanup"
    text = f"is blocked{_on(resource)} (a stop failed?)"
    return f"{text}{_because(resource, facts)}; {careful}"


def _failed(resource: Resource, facts: Facts) -> str:
    return f"has failed{_on(resource)}{_because(resource, facts)}"


def _because(resource: Resource, facts: Facts) -> str:
    reason = facts.failures.reason(resource.id, [node.name for node in resource.nodes])
    return f": {reason}" if reason else ""


def _fail_counts(facts: Facts) -> Iterator[Finding]:
    """Yield fail-counts at the limit, unless the resource is down, and those near the limit."""
    down = {judged.resource.id for judged in facts.instances if judged.down}
    down |= {name for name, node in facts.node_of.items() if node in facts.lost_or_disabled}
    replicas = facts.snapshot.replicas
    devices = {j.resource.id for j in facts.instances if is_fencing_device(j.resource)}
    for entry in facts.at_threshold:
        bundle, _ = replicas.of(entry.resource, entry.node)
        if bundle or entry.resource in down:
            continue
        name = entry.resource
        advice = (commands.cleanup(name, fencing_device=name in devices),)
        details = (kept_off(entry),)
        yield Finding(
            Kind.FAIL_COUNT_AT_THRESHOLD, Severity.WARNING, facts.subject(name), details, advice
        )
    for entry in facts.near_threshold:
        limit = f"{entry.fail_count} of {entry.migration_threshold} failures on {entry.node}"
        advice = (commands.fail_counts(entry.resource),)
        subject = facts.subject_on(entry.resource, entry.node)
        text = f"{entry.resource} had {limit}"
        yield Finding(Kind.FAIL_COUNT_NEAR_THRESHOLD, Severity.WARNING, subject, (text,), advice)


def _degraded(facts: Facts) -> Iterator[Finding]:
    """Yield the resources whose agents report that they work, but not well."""
    for action in facts.snapshot.failed_actions:
        if action.rc not in DEGRADED_RESULTS:
            continue
        subject = facts.subject_on(action.resource, action.node)
        reason = action.reason or f"{action.operation or 'an action'} returned {action.rc}"
        text = f"{action.resource} on {action.node}: {reason}"
        yield Finding(Kind.AGENT_DEGRADED, Severity.WARNING, subject, (text,), (commands.INSPECT,))


def _left_over(facts: Facts) -> Iterator[Finding]:
    """Yield the constraints that moves and bans left behind."""
    for ban in facts.bans:
        if ban.by_command:
            node = ban.node or "a node"
            effect = "keeps it off" if ban.score < 0 else "prefers"
            role = " as promoted" if ban.promoted_only else ""
            yield Finding(
                Kind.LEFT_OVER_CONSTRAINT,
                Severity.WARNING,
                facts.subject(ban.resource),
                (f"{ban.constraint} {effect} {node}{role}",),
                (commands.clear(ban.resource),),
            )
