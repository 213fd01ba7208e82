"""When the configuration is read, and what a failure changes."""

from functools import partial

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.outcome import Outcome
from exporter.sources.configuration import CHANGE_SETTLES, INTERVAL, PAUSE_AFTER_TIMEOUT
from exporter.sources.source import SIDE_TIMEOUT
from tests.sources.conftest import Asking
from tests.support.harness.fakes import CIB, ScriptedCommands, document, fail


def test_configuration_is_read_on_change_after_settling_and_at_the_interval(
    ask: Asking, commands: ScriptedCommands, clock: FrozenDateTimeFactory
) -> None:
    def shown(name: str, after: float) -> str:
        """Give the cluster a name, wait, and return the name that a poll shows."""
        commands.cibadmin = lambda: CIB.replace(b"tripleo", name.encode())
        clock.tick(after)
        configuration = ask().configuration
        assert configuration is not None
        return configuration.cluster_name

    assert shown("first", 0) == "first"
    assert shown("second", CHANGE_SETTLES) == "second", "it may have come in the same second"
    commands.crm_mon = lambda: document("Sun Sep 13 12:26:41 2020")
    assert shown("third", 0) == "third", "crm_mon says that it changed"
    assert shown("fourth", CHANGE_SETTLES) == "fourth"
    assert shown("fifth", INTERVAL) == "fifth", "crm_mon does not say so"
    runs = commands.count("cibadmin")
    for _ in range(10):
        clock.tick((INTERVAL - 1) / 10)
        ask()
    assert commands.count("cibadmin") == runs, "an unchanged configuration costs nothing"
    assert ask.reads("configuration") == {"success": runs}


def test_failure_is_counted_and_retried_at_the_next_poll(
    ask: Asking, commands: ScriptedCommands
) -> None:
    commands.cibadmin = fail(Outcome.NOT_CONNECTED)
    assert ask().configuration is None
    assert ask.reads("configuration") == {"not_connected": 1}
    commands.cibadmin = lambda: CIB
    assert ask().configuration is not None


def test_configuration_is_kept_when_reading_it_again_fails(
    ask: Asking, commands: ScriptedCommands, clock: FrozenDateTimeFactory
) -> None:
    ask()
    commands.cibadmin = fail(Outcome.NOT_CONNECTED)
    clock.tick(INTERVAL)
    kept = ask()
    assert kept.configuration is not None
    assert kept.configuration_current
    assert ask.reads("configuration")["not_connected"] == 1
    commands.crm_mon = lambda: document("Sun Sep 13 12:26:41 2020")
    outdated = ask()
    assert outdated.configuration is not None, "most of it still holds"
    assert not outdated.configuration_current, "it changed, and was not read"
    commands.cibadmin = lambda: CIB
    assert ask().configuration_current


def test_hanging_cibadmin_is_not_asked_again_for_a_while(
    ask: Asking, commands: ScriptedCommands, clock: FrozenDateTimeFactory
) -> None:
    commands.cibadmin = fail(Outcome.TIMEOUT)
    ask()
    commands.crm_mon = lambda: document("Sun Sep 13 12:26:41 2020")
    ask()
    assert commands.count("cibadmin") == 1
    clock.tick(PAUSE_AFTER_TIMEOUT)
    ask()
    assert commands.count("cibadmin") == 2


@pytest.mark.parametrize(("takes", "allowed"), [(0, SIDE_TIMEOUT), (25, 5), (29.9, 1)])
def test_cibadmin_gets_the_remaining_time(
    takes: float, allowed: float, ask: Asking, commands: ScriptedCommands
) -> None:
    commands.takes = takes
    commands.crm_mon = partial(document, f"changed {takes}")
    ask()
    assert commands.timeouts[commands.asked.index("cibadmin")] == pytest.approx(allowed)
