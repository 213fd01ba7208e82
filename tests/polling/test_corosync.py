"""The answer of corosync is published at once, and withdrawn at once."""

from collections.abc import Callable

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.corosync import CorosyncState
from exporter.cluster.outcome import Failure, Outcome
from exporter.metrics.exporter import Identity
from exporter.metrics.text import Format, join
from exporter.pacemaker.runner import Completed
from exporter.polling.poller import Poller
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness.corosync import CapturedCorosync, capture
from tests.support.harness.fakes import FrozenClock, ScriptedCommands, document, fail
from tests.support.harness.see import series

NODE_DOWN = (
    "corosync3.1.7-nodedown-controller-0-labhag-cmapctl-mstats",
    "corosync3.1.7-nodedown-controller-0-labhag-quorumtool-i-p-s",
    "corosync3.1.7-nodedown-controller-0-labhag-cmapctl",
)
FROZEN = capture("corosync3.1.7-corosyncfrozen-controller-2-labhag-cmapctl-mstats-knet")
IDENTITY = Identity("1", "", "3", poll_interval=10, max_age=90)


@pytest.fixture
def poller(commands: ScriptedCommands) -> Poller:
    commands.corosync = CapturedCorosync(*NODE_DOWN)
    # crm_node says c0.
    commands.crm_mon = lambda: document(name="c0")
    return Poller(SourceContext(Tools(commands), FrozenClock(), 30), 10)


def corosync(poller: Poller) -> dict[str, float]:
    """The metrics of corosync."""
    return dict(series(join(poller.state.corosync_blocks, Format.TEXT).decode()))


def meanwhile(commands: ScriptedCommands, look: Callable[[], None]) -> None:
    """Look while crm_mon runs."""
    answer = commands.crm_mon

    def run() -> Completed | Failure | bytes:
        look()
        return answer()

    commands.crm_mon = run


def test_metrics(poller: Poller) -> None:
    assert poller.poll() is None
    found = corosync(poller)
    assert found["corosync_up"] == 1
    assert found['corosync_link_connected{peer="controller-2",link="1"}'] == 0


def test_answer_is_published_before_crm_mon_ends(
    poller: Poller, commands: ScriptedCommands
) -> None:
    """It may hang for a minute."""
    looked: list[CorosyncState] = []

    def look() -> None:
        looked.append(poller.state.corosync.state)
        assert corosync(poller)["corosync_quorate"] == 1
        assert poller.state.at(0, 0).judgement is None

    meanwhile(commands, look)
    poller.poll()
    assert looked == [CorosyncState.ANSWERED]


def test_frozen_node_is_not_trusted_from_the_moment_that_corosync_is_silent(
    poller: Poller, commands: ScriptedCommands
) -> None:
    poller.poll()
    state = poller.state
    assert (state.trusted, state.dc) == (True, True)
    looked: list[tuple[bool, bool, bool]] = []
    meanwhile(
        commands,
        lambda: looked.append((poller.state.up, poller.state.trusted, poller.state.dc)),
    )
    commands.corosync = lambda *_: FROZEN
    poller.poll()
    assert looked == [(True, False, False)]
    state = poller.state
    assert (state.up, state.trusted, state.dc) == (True, False, False)
    assert corosync(poller) == {"corosync_up": 0}
    commands.corosync = CapturedCorosync(*NODE_DOWN)
    poller.poll()
    assert (poller.state.trusted, poller.state.dc) == (True, True)


@pytest.mark.parametrize("outcome", [Outcome.NOT_CONNECTED, Outcome.TIMEOUT])
def test_metrics_need_no_answer_of_crm_mon(
    poller: Poller, commands: ScriptedCommands, outcome: Outcome
) -> None:
    poller.poll()
    commands.crm_mon = fail(outcome)
    assert poller.poll() is not None
    assert (poller.state.judgement is None) == (outcome is Outcome.NOT_CONNECTED)
    assert corosync(poller)["corosync_quorate"] == 1
    commands.corosync = lambda *_: capture(
        "corosync3.1.7-corosyncstopped-controller-1-root-cmapctl-mstats"
    )
    poller.poll()
    assert corosync(poller) == {"corosync_up": 0}


def test_every_publication_is_a_page_of_its_own(
    poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
) -> None:
    """Caches of pages compare keys."""
    del clock
    keys = []
    meanwhile(commands, lambda: keys.append(poller.state.key))
    keys.append(poller.state.key)
    poller.poll()
    keys.append(poller.state.key)
    poller.poll()
    keys.append(poller.state.key)
    assert len(set(keys)) == len(keys) == 5


def test_nodes_without_a_name_have_that_of_pacemaker_from_the_second_answer_on(
    poller: Poller, commands: ScriptedCommands
) -> None:
    nameless = (
        b"stats.srp.operational_entered (u64) = 1\n"
        b"nodelist.node.0.nodeid (u32) = 1\nnodelist.node.1.nodeid (u32) = 2\n"
    )
    commands.corosync = lambda argv, _: Completed(tuple(argv), 0, nameless, "")
    poller.poll()
    assert 'corosync_node_member{node="c0"}' in corosync(poller)
    assert 'corosync_node_member{node="2"}' in corosync(poller)
    # They stay while crm_mon does not answer.
    commands.crm_mon = fail(Outcome.NOT_CONNECTED)
    poller.poll()
    assert 'corosync_node_member{node="c0"}' in corosync(poller)


def test_status_says_how_corosync_was_read(poller: Poller) -> None:
    poller.poll()
    (status,) = (s for s in poller.state.status(IDENTITY).sources if s.source == "corosync")
    assert status.last_outcome is Outcome.SUCCESS
