"""For each named state the alerts, the problems and the metrics tell the same."""

from collections.abc import Mapping

import pytest

from exporter.cluster.observation import Observation
from exporter.judgement.judge import Judgement, judge
from exporter.judgement.problem import Kind, Severity
from tests.judgement.test_alerts import ALERTS_OF, PREFIX
from tests.support.harness import see
from tests.support.incidents.exporters import Run
from tests.support.incidents.prometheus import evaluate

EVERY = 60
STEPS = 46
"""Three quarters of an hour: long enough for every alert that pages."""

pytestmark = [pytest.mark.real, pytest.mark.prometheus]

Firing = Mapping[str, frozenset[str]]
"""The critical alerts that fire, by the name of the state."""


@pytest.fixture(scope="module")
def judged(observed: Mapping[str, Observation]) -> Mapping[str, Judgement]:
    """Return the judgement of each state."""
    return {name: judge(seen) for name, seen in observed.items()}


@pytest.fixture(scope="module")
def paging(
    judged: Mapping[str, Judgement], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, frozenset[str]]:
    """Return the critical alerts of each state that lasts, each state in a cluster of its own."""
    series: dict[str, list[Run]] = {}
    for name, judgement in judged.items():
        labels = f'cluster="{name}",instance="{name}:19664",job="pacemaker"'
        for sample, value in page(judgement).items():
            whole = f"{sample[:-1]},{labels}}}" if sample.endswith("}") else f"{sample}{{{labels}}}"
            series[whole] = [Run(value, 0, STEPS)]
        clock = f"pacemaker_exporter_snapshot_timestamp_seconds{{{labels}}}"
        series[clock] = [Run(0, EVERY, STEPS)]
    fired: dict[str, set[str]] = {name: set() for name in judged}
    directory = tmp_path_factory.mktemp("agreement")
    for labels_of, times in evaluate(directory, series, EVERY, STEPS).items():
        alert = dict(labels_of)
        if alert["severity"] == Severity.CRITICAL and max(times) == (STEPS - 1) * EVERY:
            fired[alert["cluster"]].add(alert["alertname"].removeprefix(PREFIX))
    return {name: frozenset(names) for name, names in fired.items()}


def page(judgement: Judgement) -> Mapping[str, float]:
    """Return what Prometheus gets from the only exporter of the cluster, on the DC."""
    trusted = judgement.snapshot.authoritative
    status = {"up": 1.0, "pacemaker_up": 1.0}
    status |= {"pacemaker_view_trusted": float(trusted), "pacemaker_view_dc": float(trusted)}
    return {**see.series(see.text(judgement.observation)), **status}


def critical(judgement: Judgement) -> set[Kind]:
    """Return the kinds of critical problems."""
    return {p.kind for p in judgement.problems if p.severity is Severity.CRITICAL}


def under_way(judgement: Judgement) -> set[Kind]:
    """Return the kinds that page only if an operation that is in progress does not end."""
    if not any(bundle.pending for bundle in judgement.bundles):
        return set()
    return {Kind.BUNDLE_DEGRADED, Kind.BUNDLE_DOWN}


def test_each_critical_problem_pages(judged: Mapping[str, Judgement], paging: Firing) -> None:
    silent = {
        (name, kind.value)
        for name, judgement in judged.items()
        for kind in {p.kind for p in judgement.problems if p.cause is None} & critical(judgement)
        if not isinstance(ALERTS_OF[kind], str) and paging[name].isdisjoint(ALERTS_OF[kind])
    }
    assert silent == set()


def test_each_page_is_about_a_critical_problem(
    judged: Mapping[str, Judgement], paging: Firing
) -> None:
    unexplained = {
        (name, alert)
        for name, judgement in judged.items()
        for alert in paging[name]
        if not any(alert in ALERTS_OF[kind] for kind in critical(judgement) | under_way(judgement))
    }
    assert unexplained == set()


def test_critical_problems_are_counted_in_the_metrics(judged: Mapping[str, Judgement]) -> None:
    for name, judgement in judged.items():
        counted = {
            sample
            for sample in see.series(see.text(judgement.observation))
            if sample.startswith("pacemaker_problems{") and 'severity="critical"' in sample
        }
        assert {kind.value for kind in critical(judgement)} == {
            kind.value for kind in Kind for sample in counted if f'kind="{kind.value}"' in sample
        }, name


def test_bundles_that_are_degraded_or_down_are_critical_problems(
    judged: Mapping[str, Judgement],
) -> None:
    for name, judgement in judged.items():
        bad = {
            bundle.id
            for bundle in judgement.bundles
            if bundle.state in {"degraded", "down"}
            and not (bundle.unmanaged or bundle.in_maintenance or bundle.pending)
        }
        kinds = critical(judgement)
        assert not bad or kinds, name
