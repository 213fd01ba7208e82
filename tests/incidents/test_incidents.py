"""Incidents from the fault to the person on call: see README.md."""

from collections.abc import Mapping

import pytest

from tests.support.incidents.timeline import Played, Timeline, timelines

TIMELINES = timelines()
FIRST = {timeline.file: timeline.name for timeline in reversed(TIMELINES)}
"""The first timeline of each file."""
LONG = 100
"""Evaluations that are too many for each run of the tests."""


def marks(timeline: Timeline) -> list[pytest.MarkDecorator]:
    """`make test` plays a timeline of each file, and `make test-all` plays the others."""
    often = timeline.name == FIRST[timeline.file] and timeline.steps <= LONG
    plays = pytest.mark.plays(timeline.name)
    return [plays] if often else [plays, pytest.mark.slow]


@pytest.mark.real
@pytest.mark.prometheus
@pytest.mark.parametrize(
    "name",
    [pytest.param(timeline.name, marks=marks(timeline)) for timeline in TIMELINES],
)
def test_person_on_call_gets_what_the_timeline_expects(
    name: str, played: Mapping[str, Played]
) -> None:
    differs = played[name].differences
    if differs:
        pytest.fail(played[name].explain(), pytrace=False)


def test_timelines_have_unique_names() -> None:
    names = [timeline.name for timeline in TIMELINES]
    assert sorted(set(names)) == sorted(names)
