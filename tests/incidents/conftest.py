"""Plays timelines, once for all tests of a file that need them."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.harness import see
from tests.support.incidents.picture import Reader
from tests.support.incidents.timeline import Played, batches, play, timelines, worlds


@pytest.fixture(scope="session")
def reader(request: pytest.FixtureRequest) -> Reader:
    """Reads worlds; keeps what crm_mon answered in pytest's cache."""
    see.need("crm_mon")
    cache = request.config.cache
    assert cache is not None, "run without -p no:cacheprovider"
    return Reader(cache.mkdir("crm_mon"))


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, reader: Reader, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Played]:
    """Those that the selected tests of a file name, by name; several in one Prometheus."""
    see.need("promtool")
    wanted = {
        name
        for item in request.session.items
        if item.path == request.path
        for mark in item.iter_markers("plays")
        for name in mark.args
    }
    found = [timeline for timeline in timelines() if timeline.name in wanted]
    reader.prepare(worlds(found))
    directory = tmp_path_factory.mktemp("incidents")
    made = batches(found)

    def run(number: int) -> list[Played]:
        return play(made[number], reader, directory / str(number))

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(run, range(len(made))))
    return {one.timeline.name: one for batch in done for one in batch}
