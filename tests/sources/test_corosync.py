"""Corosync: what is asked when, and what a failure changes."""

from collections.abc import Callable, Sequence

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.corosync import Corosync, CorosyncState
from exporter.cluster.outcome import Failure, Outcome
from exporter.cluster.selection import Collector, Selection
from exporter.corosync import cmapctl, quorumtool
from exporter.pacemaker.runner import Completed
from exporter.polling.observer import Observer
from exporter.sources.corosync import LIMIT, REFUSED_INTERVAL, SETTINGS_INTERVAL
from exporter.sources.tools import SourceContext, Tools
from tests.sources.conftest import Asking
from tests.support.harness.corosync import CapturedCorosync, capture
from tests.support.harness.fakes import FrozenClock, ScriptedCommands, fail
from tests.support.harness.results import failed, good

NODE_DOWN = (
    "corosync3.1.7-nodedown-controller-0-labhag-cmapctl-mstats",
    "corosync3.1.7-nodedown-controller-0-labhag-quorumtool-i-p-s",
    "corosync3.1.7-nodedown-controller-0-labhag-cmapctl",
)
ALL_UP = (
    "corosync3.1.7-flags-wfa-atb-lms-controller-0-root-cmapctl-mstats",
    "corosync3.1.7-flags-wfa-atb-lms-controller-0-root-quorumtool-i-p-s",
)
STATISTICS = ("corosync-cmapctl", *cmapctl.STATISTICS)
SETTINGS = ("corosync-cmapctl", *cmapctl.SETTINGS)
SETTINGS_2 = ("corosync-cmapctl", *cmapctl.SETTINGS_2)
QUORUM = ("corosync-quorumtool", *quorumtool.REQUEST)
REFUSED = "corosync3.1.7-healthy-labha-cmapctl-mstats"
STOPPED = "corosync3.1.7-corosyncstopped-controller-1-root-cmapctl-mstats"


class Corosyncs:
    """Answers as the corosync that is set at the time."""

    def __init__(self, now: Callable[[Sequence[str], float], Completed | Failure]) -> None:
        self.now = now
        self.asked: list[tuple[str, ...]] = []
        self.timeouts: list[float] = []

    def __call__(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        self.asked.append(tuple(argv))
        self.timeouts.append(timeout)
        return self.now(argv, timeout)

    def fail_with(self, answer: Completed | Failure) -> None:
        """Answer every command so."""
        self.now = lambda *_: answer

    def taken(self) -> list[tuple[str, ...]]:
        """What was asked since this was called last."""
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def corosync(commands: ScriptedCommands) -> Corosyncs:
    commands.corosync = found = Corosyncs(CapturedCorosync(*NODE_DOWN))
    return found


def test_reads_statistics_settings_and_quorum_before_crm_mon(
    ask: Asking, corosync: Corosyncs, commands: ScriptedCommands
) -> None:
    seen: list[str] = []
    corosync_answer, crm_mon_answer = corosync.now, commands.crm_mon

    def first(argv: Sequence[str], timeout: float) -> Completed | Failure:
        seen.append(argv[0])
        return corosync_answer(argv, timeout)

    def crm_mon() -> Completed | Failure | bytes:
        seen.append("crm_mon")
        return crm_mon_answer()

    corosync.now, commands.crm_mon = first, crm_mon
    found = ask().corosync
    assert seen[-1] == "crm_mon"
    assert corosync.taken() == [STATISTICS, SETTINGS, QUORUM]
    assert found.state is CorosyncState.ANSWERED
    assert found.quorum is not None
    assert (found.local_id, found.member_ids, found.settings.has_qdevice) == (
        1,
        frozenset({1, 2}),
        False,
    )
    assert [(link.peer_id, link.number) for link in found.links if not link.connected] == [
        (3, 0),
        (3, 1),
    ]
    assert ask.reads("corosync") == {"success": 1}


def test_settings_are_read_once_a_minute_and_after_a_change_of_membership(
    ask: Asking, corosync: Corosyncs, clock: FrozenDateTimeFactory
) -> None:
    ask()
    corosync.taken()
    ask()
    assert corosync.taken() == [STATISTICS, QUORUM]
    clock.tick(SETTINGS_INTERVAL)
    ask()
    assert corosync.taken() == [STATISTICS, SETTINGS, QUORUM]
    ask()
    assert corosync.taken() == [STATISTICS, QUORUM]
    # The memberships formed differ from those of the capture before.
    corosync.now = CapturedCorosync(*ALL_UP)
    ask()
    assert corosync.taken() == [STATISTICS, SETTINGS, QUORUM]


def test_all_commands_together_have_five_seconds(
    ask: Asking, corosync: Corosyncs, clock: FrozenDateTimeFactory
) -> None:
    answers = corosync.now

    def slow(argv: Sequence[str], timeout: float) -> Completed | Failure:
        clock.tick(2)
        return answers(argv, timeout)

    corosync.now = slow
    ask()
    assert corosync.timeouts == [LIMIT, LIMIT - 2, LIMIT - 4]


def test_no_answer_in_time(ask: Asking, corosync: Corosyncs, commands: ScriptedCommands) -> None:
    """Crm_mon goes on answering as if nothing were wrong."""
    assert ask().trusted
    corosync.taken()
    corosync.fail_with(
        capture("corosync3.1.7-corosyncfrozen-controller-2-labhag-cmapctl-mstats-knet")
    )
    frozen = ask()
    assert corosync.taken() == [STATISTICS]
    assert frozen.corosync == Corosync(CorosyncState.UNRESPONSIVE)
    assert frozen.snapshot.authoritative
    assert not frozen.trusted
    assert ask.reads("corosync") == {"success": 1, "timeout": 1}
    assert commands.count("crm_mon") == 2
    corosync.now = CapturedCorosync(*NODE_DOWN)
    assert ask().trusted


def test_frozen_between_two_commands(ask: Asking, corosync: Corosyncs) -> None:
    answers = corosync.now
    corosync.now = lambda argv, timeout: (
        fail(Outcome.TIMEOUT)() if argv[0] == "corosync-quorumtool" else answers(argv, timeout)
    )
    assert ask().corosync == Corosync(CorosyncState.UNRESPONSIVE)


def test_command_that_was_not_started_says_nothing(ask: Asking, corosync: Corosyncs) -> None:
    """The runner starts none while an earlier one cannot be killed."""
    corosync.fail_with(Failure(Outcome.TIMEOUT, "not started", started=False))
    found = ask()
    assert (found.corosync, found.trusted) == (Corosync(CorosyncState.UNKNOWN), True)


@pytest.mark.parametrize(
    ("answer", "state", "outcome"),
    [
        (capture(STOPPED), CorosyncState.NOT_RUNNING, "not_connected"),
        (capture(REFUSED), CorosyncState.UNKNOWN, "permission_denied"),
        (fail(Outcome.NOT_FOUND)(), CorosyncState.UNKNOWN, "not_found"),
        (Completed(("x",), 1, b"", ""), CorosyncState.UNKNOWN, "incomplete"),
        (Completed(("x",), 1, b"stats.x (u8) = 1\n", ""), CorosyncState.UNKNOWN, "incomplete"),
    ],
)
def test_nothing_is_kept_if_corosync_does_not_answer(
    ask: Asking,
    corosync: Corosyncs,
    answer: Completed | Failure,
    state: CorosyncState,
    outcome: str,
) -> None:
    ask()
    corosync.fail_with(answer)
    found = ask()
    assert (found.corosync, found.corosync.links, found.trusted) == (Corosync(state), (), True)
    assert ask.reads("corosync") == {"success": 1, outcome: 1}


def test_settings_are_read_again_after_corosync_was_stopped(
    ask: Asking, corosync: Corosyncs
) -> None:
    ask()
    corosync.fail_with(capture(STOPPED))
    ask()
    corosync.taken()
    corosync.now = CapturedCorosync(*NODE_DOWN)
    ask()
    assert corosync.taken() == [STATISTICS, SETTINGS, QUORUM]


def test_refused_tries_are_rare(
    ask: Asking, corosync: Corosyncs, clock: FrozenDateTimeFactory
) -> None:
    """Each writes two lines into corosync's log."""
    corosync.fail_with(capture(REFUSED))
    ask()
    for _ in range(int(REFUSED_INTERVAL // 10)):
        clock.tick(10)
        ask()
    assert corosync.taken() == [STATISTICS] * 2
    assert ask.reads("corosync") == {"permission_denied": 2}
    for _ in range(2):
        clock.tick(10)
        ask()
    assert corosync.taken() == [STATISTICS]


def test_first_refusal_is_not_believed(
    ask: Asking, corosync: Corosyncs, clock: FrozenDateTimeFactory
) -> None:
    """While a node starts, corosync runs before pacemakerd, which lets its group ask.

    Seen on the live cluster: the exporter then trusted a frozen corosync for ten minutes.
    """
    corosync.fail_with(capture(REFUSED))
    assert ask().corosync.state is CorosyncState.UNKNOWN
    clock.tick(10)
    corosync.now = CapturedCorosync(*NODE_DOWN)
    assert ask().corosync.state is CorosyncState.ANSWERED
    corosync.fail_with(capture(REFUSED))
    ask()
    corosync.now = CapturedCorosync(*NODE_DOWN)
    assert ask().corosync.state is CorosyncState.ANSWERED, "the first after an answer, too"


@pytest.mark.parametrize(
    "outcome", [Outcome.NOT_CONNECTED, Outcome.INCOMPLETE, Outcome.TIMEOUT, Outcome.EXIT_STATUS]
)
def test_asks_again_at_once_when_pacemaker_is_back(
    commands: ScriptedCommands,
    corosync: Corosyncs,
    clock: FrozenDateTimeFactory,
    outcome: Outcome,
) -> None:
    """Pacemakerd lets its group ask corosync, when it starts."""
    observer = Observer(SourceContext(Tools(commands), FrozenClock(), 30))
    corosync.fail_with(capture(REFUSED))
    commands.crm_mon = fail(outcome)
    for _ in range(3):
        failed(observer.observe(lambda seen: seen))
        clock.tick(10)
    assert corosync.taken() == [STATISTICS] * 2
    commands.crm_mon = ScriptedCommands(clock).crm_mon
    corosync.now = CapturedCorosync(*NODE_DOWN)
    assert good(observer.observe(lambda seen: seen)).corosync.state is CorosyncState.UNKNOWN
    assert corosync.taken() == []
    assert good(observer.observe(lambda seen: seen)).corosync.state is CorosyncState.ANSWERED


class TestCorosync2:
    STATISTICS = "corosync2.4.6-partition-majority-controller-0-root-cmapctl-mstats"
    SETTINGS = "corosync2.4.6-partition-majority-controller-0-root-cmapctl-selected"
    QUORUM = "corosync2.4.6-partition-majority-controller-0-root-quorumtool-i-p-s"

    def test_is_asked_in_its_own_way(self, ask: Asking, corosync: Corosyncs) -> None:
        corosync.now = CapturedCorosync(self.STATISTICS, self.QUORUM, self.SETTINGS)
        found = ask().corosync
        assert corosync.taken() == [STATISTICS, SETTINGS_2, QUORUM]
        assert (found.state, found.member_ids) == (CorosyncState.ANSWERED, frozenset({1, 2}))
        assert len(found.rings) == 2
        ask()
        assert corosync.taken() == [SETTINGS_2, QUORUM]

    def test_upgrade_is_noticed(self, ask: Asking, corosync: Corosyncs) -> None:
        corosync.now = CapturedCorosync(self.STATISTICS, self.QUORUM, self.SETTINGS)
        ask()
        corosync.now = CapturedCorosync(*NODE_DOWN)
        assert ask().corosync.state is CorosyncState.UNKNOWN
        assert ask().corosync.links != ()


def test_without_a_quorum_provider(ask: Asking, corosync: Corosyncs) -> None:
    keys = b"nodelist.local_node_pos (u32) = 0\nnodelist.node.0.nodeid (u32) = 1\n"
    answers = corosync.now
    corosync.now = lambda argv, timeout: (
        Completed(tuple(argv), 0, keys, "") if tuple(argv) == SETTINGS else answers(argv, timeout)
    )
    found = ask().corosync
    assert corosync.taken() == [STATISTICS, SETTINGS]
    assert (found.quorum, found.local_id) == (None, 1)
    assert {link.peer_id for link in found.links} == {2, 3}


def test_collector_that_is_off_asks_nothing(
    commands: ScriptedCommands, corosync: Corosyncs
) -> None:
    selection = Selection(frozenset(Collector) - {Collector.COROSYNC})
    observer = Observer(SourceContext(Tools(commands), FrozenClock(), 30, selection))
    assert good(observer.observe(lambda seen: seen)).corosync == Corosync()
    assert corosync.taken() == []
    assert "corosync" not in {source.source for source in observer.sources}


def test_runner_of_its_own(commands: ScriptedCommands, clock: FrozenDateTimeFactory) -> None:
    reader = ScriptedCommands(clock)
    reader.corosync = CapturedCorosync(*NODE_DOWN)
    observer = Observer(SourceContext(Tools(commands, corosync=reader), FrozenClock(), 30))
    found = good(observer.observe(lambda seen: seen))
    assert found.corosync.state is CorosyncState.ANSWERED


def test_names_are_those_of_the_nodelist_else_those_of_pacemaker(
    ask: Asking, corosync: Corosyncs, commands: ScriptedCommands
) -> None:
    names = ask().corosync_names
    assert [names.of(number) for number in (1, 2, 3, 4)] == [
        "controller-0",
        "controller-1",
        "controller-2",
        "4",
    ]
    answers = corosync.now
    nameless = b"nodelist.node.0.nodeid (u32) = 1\nquorum.provider (str) = x\n"
    corosync.now = lambda argv, timeout: (
        Completed(tuple(argv), 0, nameless, "")
        if tuple(argv) == SETTINGS
        else answers(argv, timeout)
    )
    observer = Observer(SourceContext(Tools(commands), FrozenClock(), 30))
    seen = good(observer.observe(lambda found: found))
    assert (seen.corosync_names.of(1), seen.corosync_names.of(2)) == ("c0", "2")
