"""Finds problems of bundles and their replicas."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from exporter.cluster.model import INFINITY, Bundle, Replica, ResourceHistory, Role
from exporter.judgement import commands
from exporter.judgement.bundles import BundleJudgement, BundleState
from exporter.judgement.commands import Command
from exporter.judgement.expectations import why_fewer
from exporter.judgement.facts import Facts
from exporter.judgement.problem import Cause, Finding, Kind, Severity, Subject, SubjectType
from exporter.judgement.replicas import why_not_ready

_NOT_RECOVERED = "Pacemaker does not recover it"


def find(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with bundles."""
    for judged in facts.bundles:
        yield from _Bundle(facts, judged).find()
    listed = {judged.id for judged in facts.bundles}
    for bundle in facts.configuration.bundles:
        if bundle not in listed and facts.observation.configuration_current:
            subject = Subject(SubjectType.BUNDLE, bundle)
            advice = (Command("pcs resource config", bundle), Command("crm_verify --live-check"))
            yield Finding(Kind.BUNDLE_IGNORED, Severity.CRITICAL, subject, commands=advice)


@dataclass(frozen=True)
class _Bundle:
    """Finds the problems of one bundle."""

    facts: Facts
    judged: BundleJudgement

    @property
    def bundle(self) -> Bundle:
        return self.judged.bundle

    @property
    def subject(self) -> Subject:
        return Subject(SubjectType.BUNDLE, self.judged.id)

    def find(self) -> Iterator[Finding]:
        judged = self.judged
        if judged.disabled:
            advice = commands.enable(judged.id)
            yield self._finding(Kind.BUNDLE_DISABLED, Severity.INFO, advice, *self._still_ready())
        elif judged.held_back:
            yield self.facts.finding_of_hold(
                Kind.BUNDLE_HELD_BACK, self.subject, judged.held_back, self._still_ready()
            )
        elif judged.state is BundleState.REDUCED and judged.expected < judged.replicas:
            yield self._reduced()
        if judged.state in {BundleState.DOWN, BundleState.DEGRADED}:
            yield self._lacking()
        else:
            yield from self._imperfect_replicas()
        if judged.demoted and not judged.disabled and not judged.held_back:
            yield self._demoted()
        yield from self._managed()
        yield from self._against_configuration()

    def _finding(
        self,
        kind: Kind,
        severity: Severity,
        advice: Command | None = None,
        *details: str,
        cause: Cause | None = None,
    ) -> Finding:
        return Finding(kind, severity, self.subject, details, (advice,) if advice else (), cause)

    def _still_ready(self) -> Iterator[str]:
        if self.judged.ready:
            yield f"{_of(self.judged.ready, self.judged.replicas)} still ready"

    # ---- Fewer replicas than expected, or than configured ----

    def _lacking(self) -> Finding:
        """Return the finding about a bundle that is down or degraded."""
        down = self.judged.state is BundleState.DOWN
        cause = self._cause
        told = cause is not None and cause.kind is Kind.REPLICA_ON_TWO_NODES
        replicas = () if told else self._replicas()
        return Finding(
            Kind.BUNDLE_DOWN if down else Kind.BUNDLE_DEGRADED,
            Severity.WARNING if self._tolerated else Severity.CRITICAL,
            self.subject,
            (*self._numbers(), *self._unrecovered(), *replicas, *self._kept_off()),
            () if cause else tuple(self._repairs()),
            cause,
            alone=cause is None,
        )

    @property
    def _tolerated(self) -> bool:
        """Whether a person, or a transition in progress, has it in hand."""
        return self.judged.unmanaged or self.judged.in_maintenance or self._in_transition

    @property
    def _in_transition(self) -> bool:
        """Whether operations in progress may bring all that lacks."""
        judged = self.judged
        coming = sum(r.pending and not r.failed for r in self.bundle.replicas if not r.ready)
        if judged.expected - judged.ready > coming:
            return False
        promoted = judged.promoted_expected or 0
        if promoted and not judged.promoted_ready:
            return False
        missing = promoted - judged.promoted_ready
        return missing <= sum(r.pending and not r.failed for r in self.bundle.replicas)

    def _numbers(self) -> Iterator[str]:
        judged = self.judged
        fewer = why_fewer(judged)
        configured = f" ({judged.replicas} configured: {', '.join(fewer)})" if fewer else ""
        if judged.ready < judged.expected:
            yield f"{_of(judged.ready, judged.expected, 'expected ')} ready{configured}"
        elif configured:
            yield f"{_of(judged.ready, judged.replicas)} ready{configured}"
        promoted = judged.promoted_expected or 0
        if promoted and not judged.promoted_ready:
            yield "no replica is promoted and ready"
        elif judged.promoted_ready < promoted:
            yield f"{_of(judged.promoted_ready, promoted, 'expected ')} promoted and ready"

    def _unrecovered(self) -> Iterator[str]:
        if self.judged.in_maintenance:
            yield f"it is in maintenance: {_NOT_RECOVERED}"
        elif self.judged.unmanaged:
            yield f"it is unmanaged: {_NOT_RECOVERED}"

    def _replicas(self) -> Iterator[str]:
        """Describe the replicas that are not ready, grouped by reason."""
        by_reason: dict[tuple[str, ...], list[str]] = {}
        for replica in self.bundle.replicas:
            reasons = why_not_ready(replica, self.facts.failures)
            if reasons:
                by_reason.setdefault(reasons, []).append(replica.index)
        for reasons, indices in by_reason.items():
            yield f"{_replicas_of(indices)}: {', '.join(reasons)}"

    def _repairs(self) -> Iterator[Command]:
        unready = [replica for replica in self.bundle.replicas if not replica.ready]
        for replica in unready:
            yield from self._repair(replica)
        if self._entries_at_threshold:
            yield commands.cleanup(self.judged.id)
        if not unready:
            yield commands.INSPECT

    def _repair(self, replica: Replica) -> Iterator[Command]:
        """Yield commands for a replica; none if a node is the cause or a transition may help."""
        if any(host.lost for host in replica.hosts):
            return
        failed = [r for _, r in replica.components if r.failed or r.blocked]
        for resource in failed:
            inside = resource is replica.primitive
            yield commands.fail_counts(self.bundle.primitive_id if inside else resource.id)
        if failed and not replica.pending:
            yield commands.cleanup(self.judged.id)
        elif not replica.pending:
            yield commands.INSPECT

    @cached_property
    def _cause(self) -> Cause | None:
        """The problem that all missing replicas follow from; None if there is no single one."""
        unready = [replica for replica in self.bundle.replicas if not replica.ready]
        if unready and all(len(replica.hosts) > 1 for replica in unready):
            return Cause(Kind.REPLICA_ON_TWO_NODES, (self.subject,))
        lost = [r for r in unready if any(host.lost for host in r.hosts)]
        stopped = [r for r in unready if not r.hosts and not r.container.active]
        stopped = [r for r in stopped if not (r.failed or r.blocked or r.pending)]
        if not unready or len(lost) + len(stopped) < len(unready):
            return None
        if self.facts.distrust:
            return self.facts.distrust
        judged = self.judged
        names = {host.name for replica in lost for host in replica.hosts if host.lost}
        unexplained = len(stopped) - (judged.replicas - judged.expected)
        if unexplained > 0:
            away = (judged.eligible - judged.out_of_service) & self.facts.unavailable
            if judged.replicas_per_host * len(away) - len(lost) >= unexplained:
                names |= away
            else:
                return None if lost else self.facts.failed_dependency(judged.id)
        return self.facts.cause_of_nodes(names) if names else None

    def _reduced(self) -> Finding:
        judged = self.judged
        only_nodes = judged.short_of_nodes_in_service and not judged.short_of_nodes
        return self._finding(
            Kind.BUNDLE_REDUCED,
            Severity.INFO,
            None,
            f"{_of(judged.ready, judged.replicas)} ready: {', '.join(why_fewer(judged))}",
            cause=self.facts.cause_of_nodes(judged.out_of_service) if only_nodes else None,
        )

    def _demoted(self) -> Finding:
        held = self.judged.promotion_held_back
        if held:
            return self._finding(
                Kind.BUNDLE_DEMOTED,
                Severity.INFO,
                None,
                f"held back by {held.words}",
                cause=self.facts.cause_of_hold(held),
            )
        configured = self.facts.configuration.resources.get(self.judged.id)
        whole = configured is not None and configured.demoted
        advice = commands.unset_meta(
            self.judged.id if whole else self.bundle.primitive_id, "target-role", bundle=whole
        )
        role = "its target-role is Unpromoted"
        return self._finding(Kind.BUNDLE_DEMOTED, Severity.INFO, advice, role)

    # ---- Problems of a bundle that has the expected replicas ----

    def _imperfect_replicas(self) -> Iterator[Finding]:
        """Yield the failures of replicas that are not missing."""
        found = False
        for replica in self.bundle.replicas:
            kind, severity = Kind.REPLICA_FAILED, Severity.WARNING
            if any(host.lost for host in replica.hosts):
                continue  # the node is the problem
            if replica.blocked:
                kind, severity = Kind.REPLICA_BLOCKED, Severity.CRITICAL
            elif replica.orphaned:
                kind = Kind.REPLICA_ORPHANED
            elif replica.ready or not any(r.failing for _, r in replica.components):
                continue
            found = True
            reasons = ", ".join(why_not_ready(replica, self.facts.failures))
            details = (f"{_replicas_of([replica.index])}: {reasons}",)
            repairs = tuple(self._repair(replica))
            yield Finding(kind, severity, self.subject, details, repairs, alone=True)
        if self.bundle.failed and not found:
            advice = commands.cleanup(self.judged.id)
            yield self._finding(Kind.BUNDLE_MARKED_FAILED, Severity.WARNING, advice)
        if self._entries_at_threshold:
            yield self._finding(
                Kind.FAIL_COUNT_AT_THRESHOLD,
                Severity.WARNING,
                commands.cleanup(self.judged.id),
                *self._kept_off(),
            )

    @cached_property
    def _entries_at_threshold(self) -> tuple[ResourceHistory, ...]:
        replicas = self.facts.snapshot.replicas
        return tuple(
            entry
            for entry in self.facts.at_threshold
            if replicas.of(entry.resource, entry.node)[0] == self.judged.id
        )

    def _kept_off(self) -> Iterator[str]:
        for entry in self._entries_at_threshold:
            yield f"{entry.resource} {kept_off(entry)}"

    # ---- Conditions that somebody set ----

    def _managed(self) -> Iterator[Finding]:
        """Yield maintenance and is-managed=false, unless the whole cluster is in maintenance."""
        if self.facts.in_maintenance:
            return
        bundle, name = self.bundle, self.judged.id
        resources = self.facts.configuration.resources
        configured, inside = resources.get(name), resources.get(bundle.primitive_id)
        if bundle.maintenance or (configured and configured.maintenance):
            advice = commands.unset_meta(name, "maintenance", bundle=True)
            yield self._finding(Kind.BUNDLE_MAINTENANCE, Severity.INFO, advice)
        elif inside and inside.maintenance:
            advice = commands.unset_meta(inside.id, "maintenance")
            text = f"only the service in it: {inside.id}"
            yield self._finding(Kind.BUNDLE_MAINTENANCE, Severity.INFO, advice, text)
        elif not bundle.managed:
            yield self._finding(Kind.BUNDLE_UNMANAGED, Severity.INFO, commands.manage(name))
        elif bundle.primitive_unmanaged and not self._hosts_in_maintenance:
            advice = commands.manage(bundle.primitive_id)
            text = f"only the service in it: {bundle.primitive_id}"
            yield self._finding(Kind.BUNDLE_UNMANAGED, Severity.INFO, advice, text)

    @property
    def _hosts_in_maintenance(self) -> bool:
        hosts = [host for replica in self.bundle.replicas for host in replica.hosts]
        return bool(hosts) and all(host.maintenance for host in hosts)

    # ---- More than configured ----

    def _against_configuration(self) -> Iterator[Finding]:
        """Compare the replicas that run with promoted-max and replicas-per-host."""
        bundle, limits = self.bundle, self.judged.configuration
        for replica in bundle.replicas:
            if len(replica.hosts) > 1:
                text = f"replica {replica.index}: {why_not_ready(replica)[0]}"
                yield self._finding(
                    Kind.REPLICA_ON_TWO_NODES, Severity.CRITICAL, commands.INSPECT, text
                )
        if limits is None:
            return
        promoted = bundle.in_role(Role.PROMOTED)
        if promoted > limits.promoted_max:
            yield self._finding(
                Kind.TOO_MANY_PROMOTED,
                Severity.CRITICAL,
                commands.INSPECT,
                f"{promoted} replicas {_are(promoted)} promoted, promoted-max is"
                f" {limits.promoted_max}",
            )
        for host, count in bundle.running_by_host.items():
            if count > limits.replicas_per_host:
                yield self._finding(
                    Kind.BUNDLE_CROWDED,
                    Severity.WARNING,
                    commands.INSPECT,
                    f"{count} replicas run on {host}, replicas-per-host is"
                    f" {limits.replicas_per_host}",
                )


def kept_off(entry: ResourceHistory) -> str:
    """Say that Pacemaker no longer tries to run a resource on a node."""
    count = "INFINITY" if entry.fail_count >= INFINITY else entry.fail_count
    return f"is kept off {entry.node} until a cleanup: fail-count {count}"


def _replicas_of(indices: list[str]) -> str:
    word = "replica" if len(indices) == 1 else "replicas"
    return f"{word} {', '.join(indices)}"


def _of(count: int, total: int, which: str = "") -> str:
    word = "replica" if total == 1 else "replicas"
    return f"{count} of {total} {which}{word} {'is' if total == 1 else _are(count)}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
