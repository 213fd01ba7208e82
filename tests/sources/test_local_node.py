"""The local node's name in the cluster."""

import re
from collections.abc import Callable
from functools import partial

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker.runner import Completed
from exporter.polling.poller import Poller
from exporter.sources.local_node import PAUSE
from exporter.sources.tools import SourceContext, Tools
from tests.sources.conftest import Asking
from tests.support.harness.fakes import FrozenClock, ScriptedCommands, document, fail

UNKNOWN = "cannot tell which node of the cluster this is: pacemaker_view_dc stays 0"


def test_crm_node_is_asked_once(ask: Asking, commands: ScriptedCommands) -> None:
    assert ask().local_node == ask().local_node == "c0"
    assert commands.count("crm_node") == 1
    assert ask.reads("local_node") == {"success": 1}


@pytest.mark.parametrize(
    "answer",
    [
        lambda: Completed(("crm_node",), 102, b"", "Connection refused"),
        fail(Outcome.TIMEOUT),
        fail(Outcome.NOT_FOUND),
        lambda: b"\n",
        lambda: b"Welcome to c7\nc1\n",
        lambda: b"Welcome to c7!\n",
    ],
)
def test_host_name_is_used_if_the_cluster_has_such_a_node(
    answer: Callable[[], Completed | Failure | bytes], ask: Asking, commands: ScriptedCommands,
    clock: FrozenDateTimeFactory,
) -> None:  # fmt: skip
    commands.crm_node = answer
    assert ask().local_node == "c0", "c0.example.com without its domain"
    commands.crm_mon = lambda: document(name="c0.example.com")
    assert ask().local_node == "c0.example.com"
    commands.crm_mon = lambda: document(name="other")
    assert ask().local_node == ""
    assert commands.count("crm_node") == 1
    clock.tick(PAUSE)
    ask()
    assert commands.count("crm_node") == 2


def test_crm_node_gets_the_remaining_time(ask: Asking, commands: ScriptedCommands) -> None:
    commands.takes = 25
    ask()
    assert commands.timeouts[commands.asked.index("crm_node")] == pytest.approx(5)


def test_unknown_name_is_warned_about_once(
    ask: Asking, commands: ScriptedCommands, caplog: pytest.LogCaptureFixture
) -> None:
    commands.crm_node = fail(Outcome.NOT_FOUND)
    commands.crm_mon = lambda: document(name="other")
    for _ in range(3):
        ask()
    assert caplog.messages == [UNKNOWN]


def test_missing_nodes_give_no_warning(
    ask: Asking, commands: ScriptedCommands, caplog: pytest.LogCaptureFixture
) -> None:
    commands.crm_node = fail(Outcome.NOT_CONNECTED)
    commands.crm_mon = lambda: re.sub(b"<nodes>.*</nodes>", b"<nodes/>", document())
    ask()
    commands.crm_mon = document
    ask()
    assert caplog.messages == []


def test_crm_node_is_asked_again_after_the_node_left(commands: ScriptedCommands) -> None:
    poller = Poller(SourceContext(Tools(commands), FrozenClock(), 30), 10)
    poller.poll()
    commands.crm_mon = fail(Outcome.NOT_CONNECTED)
    poller.poll()
    commands.crm_mon, commands.crm_node = partial(document, name="c9"), lambda: b"c9"
    poller.poll()
    assert poller.state.observation is not None
    assert poller.state.observation.local_node == "c9"
