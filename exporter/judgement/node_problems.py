"""Finds problems of nodes, and of fencing them.

The guest nodes of bundles are left out: they are parts of replicas.
"""

from collections.abc import Iterator
from dataclasses import replace

from exporter.cluster.model import FencingEvent, Node, NodeType, Resource
from exporter.judgement import commands
from exporter.judgement.commands import Command
from exporter.judgement.facts import UNCLEAN, Facts
from exporter.judgement.nodes import NodeJudgement
from exporter.judgement.problem import Cause, Finding, Kind, Severity, Subject, SubjectType
from exporter.judgement.replicas import how_down

_NOUNS = {NodeType.REMOTE: "remote node", NodeType.GUEST: "guest node"}
_UNCLEAN = "what ran there is unknown until it is fenced"


def find(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with nodes."""
    for judged in facts.nodes:
        if not judged.in_bundle:
            yield from _Node(facts, judged).find()
    yield from _fencing(facts)


def noun(node: Node) -> str:
    """Return what a node is, in words."""
    return _NOUNS.get(node.type, "node")


class _Node:
    """Finds the problems of one node."""

    def __init__(self, facts: Facts, judged: NodeJudgement) -> None:
        self._facts = facts
        self._judged = judged
        self._node = judged.node

    def find(self) -> Iterator[Finding]:
        node, kind = self._node, self._facts.node_kinds.get(self._node.name)
        if kind in UNCLEAN:
            inspect = (commands.fencing_history(node.name), commands.INSPECT)
            yield self._lost(self._finding(kind, self._severity_of_loss(kind), inspect, _UNCLEAN))
        elif kind in {Kind.NODE_OFFLINE, Kind.REMOTE_NODE_OFFLINE}:
            why = self._why_lost()
            yield self._lost(self._finding(kind, self._severity_of_loss(kind), self._start(), *why))
        elif kind is Kind.REMOTE_NODE_DISABLED:
            yield self._disabled()
        elif kind is Kind.REMOTE_NODE_HELD_BACK:
            yield from self._held_back()
        elif kind is Kind.NODE_PENDING:
            yield self._finding(kind, Severity.WARNING, (commands.INSPECT,))
        elif kind is Kind.NODE_SHUTTING_DOWN:
            yield self._finding(kind, Severity.INFO)
        yield from self._conditions()

    def _finding(
        self, kind: Kind, severity: Severity, advice: tuple[Command, ...] = (), *details: str
    ) -> Finding:
        return Finding(
            kind,
            severity,
            Subject(SubjectType.NODE, self._node.name),
            details,
            advice,
            noun=noun(self._node),
        )

    def _lost(self, finding: Finding) -> Finding:
        """Tell it with the lack of a DC or quorum: then this view of other nodes is in doubt."""
        return replace(finding, cause=self._facts.distrust)

    def _severity_of_loss(self, kind: Kind) -> Severity:
        """Clients notice the loss of many remote nodes; a member must not stay unclean."""
        is_critical = kind is Kind.NODE_UNCLEAN or (
            kind is not Kind.NODE_OFFLINE and self._facts.many_remote_nodes_lost
        )
        return Severity.CRITICAL if is_critical else Severity.WARNING

    def _start(self) -> tuple[Command, ...]:
        node = self._node
        if node.type not in _NOUNS:
            return (commands.start_node(node.name),)
        machine = self._facts.machines.get(node.name)
        if machine and not machine.running_well:
            return (commands.cleanup(machine.resource.id),)
        return (commands.cleanup(node.name),)

    def _why_lost(self) -> Iterator[str]:
        """Yield what happened to the connection or virtual machine of a lost node."""
        name = self._node.name
        connection, machine = self._facts.connections.get(name), self._facts.machines.get(name)
        if connection and (connection.resource.failing or connection.resource.blocked):
            yield self._failed("its connection", connection.resource)
        if machine and not machine.running_well:
            what = f"its virtual machine {machine.resource.id}"
            failed = machine.resource.failing or machine.resource.blocked
            resource = machine.resource
            yield self._failed(what, resource) if failed else how_down(what, resource)

    def _failed(self, what: str, resource: Resource) -> str:
        how = "is blocked" if resource.blocked else "has failed"
        reason = self._facts.failures.reason(resource.id)
        return f"{what} {how}{f': {reason}' if reason else ''}"

    def _disabled(self) -> Finding:
        carrier = self._facts.carrier(self._node.name)
        name = carrier.resource.id if carrier else self._node.name
        details = () if name == self._node.name else (f"its virtual machine is {name}",)
        advice = (commands.enable(name),)
        return self._finding(Kind.REMOTE_NODE_DISABLED, Severity.INFO, advice, *details)

    def _held_back(self) -> Iterator[Finding]:
        carrier = self._facts.carrier(self._node.name)
        held = carrier and carrier.held_back
        if held:
            subject = Subject(SubjectType.NODE, self._node.name)
            yield self._facts.finding_of_hold(
                Kind.REMOTE_NODE_HELD_BACK, subject, held, noun=noun(self._node)
            )

    def _conditions(self) -> Iterator[Finding]:
        node = self._node
        if node.standby_onfail:
            failures = (Command("pcs resource failcount show"), commands.INSPECT)
            yield self._finding(Kind.NODE_STANDBY_ON_FAIL, Severity.WARNING, failures)
        elif node.standby and not node.pending:  # Pacemaker puts a joining node in standby
            end = commands.end_standby(node.name)
            yield self._finding(Kind.NODE_STANDBY, Severity.INFO, (end,))
        if node.maintenance and not self._facts.in_maintenance:
            end = commands.end_maintenance_of_node(node.name)
            yield self._finding(Kind.NODE_MAINTENANCE, Severity.INFO, (end,))
        if node.health not in {None, "green"}:
            inspect = Command("cibadmin --query --xpath //transient_attributes")
            health = f"its health is {node.health}"
            yield self._finding(Kind.NODE_UNHEALTHY, Severity.WARNING, (inspect,), health)


def _fencing(facts: Facts) -> Iterator[Finding]:
    """Yield pending and failed attempts to fence or unfence nodes."""
    snapshot = facts.snapshot
    pending = {(e.target, e.unfencing) for e in snapshot.fencing or () if e.status == "pending"}
    by_name = {judged.node.name.lower(): judged.node for judged in facts.nodes}
    for unfencing, attempts in (
        (False, snapshot.failed_fencing),
        (True, snapshot.failed_unfencing),
    ):
        for target, failed in attempts.items():
            node = by_name.get(target.lower(), Node(target))
            cause = None
            if facts.node_kinds.get(node.name) in UNCLEAN:
                cause = facts.cause_of_nodes([node.name])
            if (target, unfencing) in pending:
                kind = Kind.UNFENCING_PENDING if unfencing else Kind.FENCING_PENDING
                yield _attempt(kind, Severity.WARNING, node, cause)
            if failed is not None:
                # A remote node that cannot be fenced is unclean, which has a severity of its own.
                waits = node.type not in _NOUNS and (node.unclean or not node.online)
                severity = Severity.CRITICAL if waits and not unfencing else Severity.WARNING
                kind = Kind.UNFENCING_FAILED if unfencing else Kind.FENCING_FAILED
                yield _attempt(kind, severity, node, cause, *_why_failed(failed))


def _attempt(
    kind: Kind, severity: Severity, node: Node, cause: Cause | None, *details: str
) -> Finding:
    subject = Subject(SubjectType.NODE, node.name)
    advice = (commands.fencing_history(node.name),)
    return Finding(kind, severity, subject, details, advice, cause, noun(node))


def _why_failed(failed: FencingEvent) -> Iterator[str]:
    if failed.status != "failed":
        yield f"the last attempt ended with the unknown status {failed.status!r}"
    if failed.reason:
        yield failed.reason
