"""Options and fixtures of all tests. In CI a skipped test fails.

A test that needs the real crm_mon, Prometheus or a browser skips itself where that is missing.
On a developer's machine that is fine. In CI, where all of it is installed, it would mean that
the test silently never runs.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from tests.support.harness import see
from tests.support.harness.fakes import ScriptedCommands
from tests.support.model.states import STATES
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from exporter.cluster.observation import Observation

GOLDEN = ROOT / "tests" / "golden"

IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


# last_change is read in the zone of the host: the tests' host is in UTC.
os.environ["TZ"] = "UTC"
time.tzset()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="rewrite the files in tests/golden; read the difference before you commit it",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a file of tests/golden."""

    def check(name: str, found: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-goldens"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(found, encoding="utf-8")
        assert found == path.read_text(encoding="utf-8"), f"not as {path} has it"

    return check


@pytest.fixture
def clock() -> Iterator[FrozenDateTimeFactory]:
    """A clock that only the test moves."""
    with freeze_time("2026-11-22 12:00:00") as frozen:
        assert isinstance(frozen, FrozenDateTimeFactory)
        yield frozen


@pytest.fixture
def commands(clock: FrozenDateTimeFactory) -> ScriptedCommands:
    """A cluster that answers as the test says."""
    return ScriptedCommands(clock)


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Observation]:
    """What the real crm_mon and cibadmin say of each named state."""
    directory = tmp_path_factory.mktemp("states")
    found = {}
    for name, state in STATES.items():
        found[name] = see.observe(state.write(directory / f"{name}.xml"))
    return found


def pytest_configure(config: pytest.Config) -> None:
    if IN_CI:
        # A module that skips itself becomes an error of collection: let the others run still.
        config.option.continue_on_collection_errors = True


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure is reported as skipped too, but with `wasxfail`.
    if not IN_CI or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    where, reason = "", report.longrepr
    if isinstance(reason, tuple):
        path, line, reason = reason
        where = f" ({os.path.relpath(path)}:{line})"
    report.outcome = "failed"
    # pytest prints this behind the test's name, as reason of the failure.
    report.longrepr = f"skipped, which is a failure in CI: {reason}{where}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report
