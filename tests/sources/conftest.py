"""Sources over scripted commands."""

import pytest

from exporter.cluster.observation import Observation
from exporter.polling.observer import Observer
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness.fakes import FrozenClock, ScriptedCommands
from tests.support.harness.results import good


class Asking:
    """Asks all sources once, as a poll does."""

    def __init__(self, commands: ScriptedCommands) -> None:
        tools = Tools(commands, host_name="c0.example.com")
        self._observer = Observer(SourceContext(tools, FrozenClock(), 30))

    def __call__(self) -> Observation:
        """What a poll that succeeds sees."""
        return good(self._observer.observe(lambda seen: seen))

    def reads(self, source: str) -> dict[str, int]:
        """How often reads of a source ended in which way."""
        (status,) = (s for s in self._observer.sources if s.source == source)
        return {outcome.value: count for outcome, count in status.reads.items() if count}


@pytest.fixture
def ask(commands: ScriptedCommands) -> Asking:
    return Asking(commands)
