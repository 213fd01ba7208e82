"""The number of subjects that have problems, by kind and severity."""

import re
from dataclasses import replace

from exporter.cluster.model import NodeType
from exporter.cluster.observation import Observation
from exporter.judgement.judge import judge
from exporter.judgement.problem import Kind, Severity
from tests.support.harness import see
from tests.support.model.status import cluster
from tests.support.paths import ROOT

NAME = "pacemaker_problems"


def counted(observation: Observation) -> dict[str, float]:
    """The series of the metric, by their labels."""
    page = see.series(see.text(observation))
    return {name.removeprefix(NAME): value for name, value in page.items() if NAME in name}


def test_healthy_cluster_has_no_series() -> None:
    assert counted(cluster()) == {}


def test_subjects_are_counted_by_kind_and_severity() -> None:
    observation = cluster(3, wrong=[0, 2])
    snapshot = observation.snapshot
    lost = [
        replace(snapshot.nodes[0], name=f"r{n}", type=NodeType.REMOTE, online=False)
        for n in range(100)
    ]
    nodes = (*snapshot.nodes[:2], replace(snapshot.nodes[2], standby=True), *lost)
    found = counted(replace(observation, snapshot=replace(snapshot, nodes=nodes)))
    assert found == {
        '{kind="bundle_degraded",severity="critical"}': 2,
        '{kind="remote_node_offline",severity="critical"}': 100,
        '{kind="node_standby",severity="info"}': 1,
    }


def test_one_kind_may_have_several_severities() -> None:
    observation = cluster(2, wrong=[0, 1])
    snapshot = observation.snapshot
    first, second = snapshot.bundles
    changed = replace(snapshot, bundles=(replace(first, managed=False), second))
    found = counted(replace(observation, snapshot=changed))
    assert found == {
        '{kind="bundle_degraded",severity="critical"}': 1,
        '{kind="bundle_degraded",severity="warning"}': 1,
        '{kind="bundle_unmanaged",severity="info"}': 1,
    }


def test_subjects_of_the_metric_are_those_of_the_problems() -> None:
    problems = judge(cluster(5, wrong=range(5))).problems
    assert sum(counted(cluster(5, wrong=range(5))).values()) == len(
        {(problem.kind, subject) for problem in problems for subject in problem.subjects}
    )


def test_documentation_lists_every_kind_and_severity() -> None:
    page = (ROOT / "docs" / "METRICS.md").read_text(encoding="utf-8")
    section = page.partition("## Kinds of problems")[2].partition("\n<!--")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    listed = [kind for row in rows for kind in re.findall(r"`(\w+)`", row[0])]
    assert sorted(listed) == sorted(kind.value for kind in Kind)
    assert all(set(row[1].split(", ")) <= {s.value for s in Severity} for row in rows)
