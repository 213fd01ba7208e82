"""Finds what is wrong with a cluster: metrics, `show`, JSON and the status page show it.

What follows from something bigger names it as its cause: maintenance of the cluster, quorum, a
ticket, a disabled resource, a lost node.
"""

from collections.abc import Iterable

from exporter.judgement import (
    bundle_problems,
    cluster_problems,
    corosync_problems,
    node_problems,
    resource_problems,
    sbd_problems,
)
from exporter.judgement.facts import Facts
from exporter.judgement.problem import Problem, Severity, grouped


def find_problems(facts: Facts) -> tuple[Problem, ...]:
    """Return all problems: the most severe first, services before nodes before the rest."""
    return grouped(
        finding
        for find in (
            cluster_problems.find,
            corosync_problems.find,
            node_problems.find,
            bundle_problems.find,
            resource_problems.find,
            sbd_problems.find,
        )
        for finding in find(facts)
    )


def has_failures(problems: Iterable[Problem]) -> bool:
    """Whether a service is down or degraded, or nobody can tell."""
    return any(problem.severity is Severity.CRITICAL for problem in problems)
