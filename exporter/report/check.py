"""The state of the cluster in one line, as the monitoring plugins of Nagios and Icinga print it.

Exit statuses and the line's form are those of the Monitoring Plugins Development Guidelines.
"""

from collections.abc import Iterator
from enum import IntEnum

from exporter.cluster.model import NodeType
from exporter.cluster.text import printable
from exporter.judgement.bundles import BundleState
from exporter.judgement.judge import Judgement
from exporter.judgement.problem import Severity, cases
from exporter.report.wanted import Wanted

SERVICE = "PACEMAKER"


class Status(IntEnum):
    """Exit status of a plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


_STATUSES = {
    Severity.CRITICAL: Status.CRITICAL,
    Severity.WARNING: Status.WARNING,
    Severity.INFO: Status.OK,
}


def check(judgement: Judgement, wanted: Wanted) -> tuple[Status, str]:
    """Return the status, and the line with what is wrong and performance data."""
    problems = cases(wanted.problems(judgement))
    found = [case for case in problems if case.severity is not Severity.INFO]
    status = max((_STATUSES[case.severity] for case in found), default=Status.OK)
    text = "; ".join(case.sentence for case in found) or "nothing is wrong"
    data = " ".join(_performance_data(judgement))
    return status, f"{_line(status, text)} | {data}"


def unknown(reason: str) -> tuple[Status, str]:
    """Return the status and the line of a cluster that cannot be read."""
    return Status.UNKNOWN, _line(Status.UNKNOWN, reason)


def _line(status: Status, text: str) -> str:
    # A bar would begin the performance data.
    return f"{SERVICE} {status.name}: {printable(text).replace('|', '/')}"


def _performance_data(judgement: Judgement) -> Iterator[str]:
    """Yield label=value;warning;critical;minimum;maximum, without limits."""
    for name, types in (
        ("members_online", {NodeType.MEMBER}),
        ("remote_nodes_online", {NodeType.REMOTE, NodeType.GUEST}),
    ):
        nodes = [j.node for j in judgement.nodes if j.node.type in types and not j.in_bundle]
        yield _datum(name, sum(node.online for node in nodes), len(nodes))
    bundles = judgement.bundles
    well = sum(one.state in {BundleState.OK, BundleState.REDUCED} for one in bundles)
    yield _datum("bundles_as_expected", well, len(bundles))
    yield _datum("replicas_ready", sum(b.ready for b in bundles), sum(b.replicas for b in bundles))
    for severity in Severity:
        count = sum(problem.severity is severity for problem in judgement.problems)
        yield f"problems_{severity}={count};;;0"


def _datum(name: str, value: int, most: int) -> str:
    return f"{name}={value};;;0;{most}"
