"""The poller: when it asks, what it publishes, what it logs."""

import gc
import logging
import re
import weakref
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.clock import SystemClock
from exporter.collectors import Collector
from exporter.command import Completed
from exporter.crm_mon import requests
from exporter.errors import Outcome, PollError, Stopped
from exporter.exposition import Format, join, render
from exporter.families import EXPORTER
from exporter.poller import (
    CHANGE_SETTLES,
    CIB_INTERVAL,
    SIDE_PAUSE,
    SIDE_TIMEOUT,
    Poller,
    Site,
)
from exporter.state import Identity, State, View
from tests.support.fakes import CIB, ScriptedCommands, document
from tests.support.see import series

START = "2026-11-22 12:00:00"
IDENTITY = Identity("1", "", "3", poll_interval=10, max_age=90)


@pytest.fixture
def poller(commands: ScriptedCommands) -> Poller:
    site = Site(commands, host_name="c0.example.com")
    return Poller(site, SystemClock(), interval=10, timeout=30)


def look(poller: Poller) -> View:
    return View.at(poller.state, IDENTITY, SystemClock().monotonic())


def redis(role: str, quorate: str = "true") -> bytes:
    resource = (
        f'<resource id="r-podman-0" resource_agent="ocf:heartbeat:podman" role="{role}"'
        ' active="true"/>'
    )
    replica = f'<replica id="0">{resource}</replica>'
    return document(body=f'<bundle id="r" type="podman">{replica}</bundle>', quorate=quorate)


def fail(outcome: Outcome) -> Callable[[], Completed]:
    def answer() -> Completed:
        raise PollError(outcome, f"it is {outcome.value}")

    return answer


class TestSchedule:
    def starts(self, poller: Poller, clock: FrozenDateTimeFactory, polls: int) -> list[float]:
        """When polls start, in seconds from the first."""
        begun = SystemClock().monotonic()
        found: list[float] = []
        poll = poller.poll

        def recorded() -> PollError | None:
            found.append(SystemClock().monotonic() - begun)
            return poll()

        def wait(seconds: float) -> bool:
            assert seconds >= 0
            clock.tick(seconds)
            return len(found) >= polls

        poller.poll = recorded  # type: ignore[method-assign] # a spy: what it calls is real
        poller.run(wait)
        return found

    def test_first_at_once_then_on_the_beat(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        commands.takes = 3
        assert self.starts(poller, clock, 4) == pytest.approx([0, 10, 20, 30])

    def test_slow_polls_follow_one_another(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        commands.takes = 25
        assert self.starts(poller, clock, 4) == pytest.approx([0, 25, 50, 75])

    def test_missed_beats_are_not_made_up_for(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        times = iter([35.0, 0.0, 0.0, 0.0])

        def answer() -> bytes:
            clock.tick(next(times))
            return document()

        commands.crm_mon = answer
        assert self.starts(poller, clock, 4) == pytest.approx([0, 35, 45, 55])

    def test_it_ends_when_asked_to_while_a_command_runs(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        def stopped() -> Completed:
            raise Stopped

        commands.crm_mon = stopped
        poller.run(lambda _: pytest.fail("it must not wait"))
        assert poller.state == State()

    def test_a_bug_is_not_hidden(self, poller: Poller, commands: ScriptedCommands) -> None:
        def bug() -> Completed:
            raise ZeroDivisionError

        commands.crm_mon = bug
        with pytest.raises(ZeroDivisionError):
            poller.run(lambda _: True)


class TestPublishing:
    def test_before_the_first_poll(self, poller: Poller) -> None:
        view = look(poller)
        assert (view.up, view.trusted, view.dc, view.sighting) == (False, False, False, None)
        assert view.state.last_outcome is None
        assert set(view.state.polls) == set(Outcome)

    def test_a_good_poll(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        start = SystemClock().time()
        commands.takes = 2
        assert poller.poll() is None
        view = look(poller)
        assert (view.up, view.trusted, view.dc) == (True, True, True)
        state = view.state
        assert state.snapshot_time == start
        assert state.last_poll_time == pytest.approx(start + 2)
        assert state.crm_mon_duration == pytest.approx(2)
        assert state.poll_duration == pytest.approx(2)
        assert state.polls[Outcome.SUCCESS] == 1
        assert b'cluster_name="tripleo"' in state.sighting.page.shared if state.sighting else False

    def test_not_the_dc(self, poller: Poller, commands: ScriptedCommands) -> None:
        commands.crm_node = lambda: b"c1"
        poller.poll()
        assert (look(poller).trusted, look(poller).dc) == (True, False)

    def test_not_quorate(self, poller: Poller, commands: ScriptedCommands) -> None:
        commands.crm_mon = lambda: document(quorate="false")
        poller.poll()
        assert (look(poller).up, look(poller).trusted, look(poller).dc) == (True, False, False)

    def test_a_failed_poll_keeps_the_snapshot_until_it_is_too_old(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        poller.poll()
        taken = poller.state.snapshot_time
        clock.tick(10)
        commands.crm_mon = fail(Outcome.TIMEOUT)
        error = poller.poll()
        assert error is not None
        assert error.outcome is Outcome.TIMEOUT
        view = look(poller)
        assert (view.up, view.trusted) == (False, False)
        assert view.sighting is not None
        clock.tick(80)
        assert look(poller).sighting is not None, "90 s old: its maximum age"
        clock.tick(0.1)
        assert look(poller).sighting is None
        assert look(poller).state.snapshot_time == taken, "kept, or an alert on it would end"

    def test_the_age_counts_from_the_start_of_crm_mon(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        commands.takes = 20
        poller.poll()
        clock.tick(70)
        assert look(poller).up
        clock.tick(0.1)
        assert not look(poller).up

    def test_not_connected_withdraws_at_once(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        poller.poll()
        commands.crm_mon = fail(Outcome.NOT_CONNECTED)
        poller.poll()
        assert look(poller).sighting is None
        assert poller.state.snapshot_time is not None
        commands.crm_mon = document
        poller.poll()
        assert look(poller).up

    def test_the_wall_clock_may_jump(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        class Jumping(SystemClock):
            offset = 0.0

            def time(self) -> float:
                return super().time() + self.offset

        jumping = Jumping()
        poller = Poller(Site(commands), jumping, interval=10, timeout=30)
        poller.poll()
        for offset in (-86_400.0, 86_400.0):
            jumping.offset = offset
            assert look(poller).up, "an age is not a difference of wall clocks"
            clock.tick(10)
            poller.poll()
            assert poller.state.snapshot_time == jumping.time()

    def test_each_outcome_is_counted(self, poller: Poller, commands: ScriptedCommands) -> None:
        for outcome in Outcome:
            commands.crm_mon = document if outcome is Outcome.SUCCESS else fail(outcome)
            poller.poll()
            assert poller.state.last_outcome is outcome
        assert poller.state.polls == dict.fromkeys(Outcome, 1)

    def test_counters_survive_failures_and_withdrawal(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        for role in ("Unpromoted", "Promoted"):
            commands.crm_mon = partial(redis, role)
            poller.poll()
        commands.crm_mon = fail(Outcome.NOT_CONNECTED)
        poller.poll()
        commands.crm_mon = lambda: redis("Unpromoted")
        poller.poll()
        sighting = poller.state.sighting
        assert sighting is not None
        changes = sighting.observation.history.of("r")
        assert (changes.role_changes, changes.promotions) == (2, 1)

    def test_what_is_counted_begins_with_the_first_trusted_view(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        for view in (("Unpromoted", "false"), ("Unpromoted", "true"), ("Promoted", "true")):
            commands.crm_mon = partial(redis, *view)
            poller.poll()
        sighting = poller.state.sighting
        assert sighting is not None
        changes = sighting.observation.history.of("r")
        assert (changes.role_changes, changes.promotions) == (1, 1)


class TestConfiguration:
    def test_read_when_it_changed_once_more_when_that_has_settled_and_now_and_then(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        def reads_after(seconds: float) -> int:
            clock.tick(seconds)
            poller.poll()
            return commands.count("cibadmin")

        assert reads_after(0) == 1
        assert reads_after(CHANGE_SETTLES - 0.1) == 1
        assert reads_after(0.2) == 2, "another change may have come in the same second"
        assert reads_after(CIB_INTERVAL - 0.1) == 2
        commands.crm_mon = lambda: document("Sun Sep 13 12:26:41 2020")
        assert reads_after(0) == 3
        assert reads_after(10) == 4
        assert reads_after(CIB_INTERVAL - 0.1) == 4
        assert reads_after(0.2) == 5
        assert poller.state.cib_reads[Outcome.SUCCESS] == 5

    def test_a_failure_is_counted_and_tried_again_at_the_next_poll(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        commands.cibadmin = fail(Outcome.NOT_CONNECTED)
        poller.poll()
        view = look(poller)
        assert view.up
        assert view.sighting is not None
        assert view.sighting.observation.configuration is None
        assert view.state.cib_reads[Outcome.NOT_CONNECTED] == 1
        commands.cibadmin = lambda: CIB
        poller.poll()
        sighting = look(poller).sighting
        assert sighting is not None
        assert sighting.observation.configuration is not None

    def test_one_that_is_known_to_be_current_stays(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        poller.poll()
        commands.cibadmin = fail(Outcome.NOT_CONNECTED)
        clock.tick(CIB_INTERVAL)
        poller.poll()
        sighting = look(poller).sighting
        assert poller.state.cib_reads[Outcome.NOT_CONNECTED] == 1
        assert sighting is not None
        assert sighting.observation.configuration is not None, "it did not change"
        commands.crm_mon = lambda: document("Sun Sep 13 12:26:41 2020")
        poller.poll()
        sighting = look(poller).sighting
        assert sighting is not None
        assert sighting.observation.configuration is None, "it changed, and was not read"

    def test_a_cibadmin_that_hangs_is_left_alone_for_a_while(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        commands.cibadmin = fail(Outcome.TIMEOUT)
        poller.poll()
        commands.crm_mon = lambda: document("Sun Sep 13 12:26:41 2020")
        poller.poll()
        assert commands.count("cibadmin") == 1
        clock.tick(SIDE_PAUSE)
        poller.poll()
        assert commands.count("cibadmin") == 2

    def test_it_gets_what_is_left_of_the_time(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        for takes, allowed in ((0, SIDE_TIMEOUT), (25, 5), (29.9, 1)):
            commands.takes = takes
            commands.crm_mon = partial(document, f"changed {takes}")
            poller.poll()
            assert commands.timeouts[commands.asked.index("cibadmin")] == pytest.approx(allowed)
            commands.asked.clear()
            commands.timeouts.clear()


class TestLocalNode:
    def name(self, poller: Poller) -> str:
        poller.poll()
        sighting = poller.state.sighting
        assert sighting is not None
        return sighting.observation.local_node

    def test_it_is_asked_once(self, poller: Poller, commands: ScriptedCommands) -> None:
        assert self.name(poller) == self.name(poller) == "c0"
        assert commands.count("crm_node") == 1

    @pytest.mark.parametrize(
        "answer",
        [
            lambda: Completed(("crm_node",), 102, b"", "Connection refused"),
            fail(Outcome.TIMEOUT),
            fail(Outcome.NOT_FOUND),
            lambda: b"\n",
        ],
    )
    def test_else_the_host_name_if_the_cluster_has_it(
        self, answer: Callable[[], Completed], poller: Poller, commands: ScriptedCommands,
        clock: FrozenDateTimeFactory,
    ) -> None:  # fmt: skip
        commands.crm_node = answer
        assert self.name(poller) == "c0", "c0.example.com without its domain"
        commands.crm_mon = lambda: document(name="c0.example.com")
        assert self.name(poller) == "c0.example.com"
        commands.crm_mon = lambda: document(name="other")
        assert self.name(poller) == ""
        assert commands.count("crm_node") == 1
        clock.tick(SIDE_PAUSE)
        self.name(poller)
        assert commands.count("crm_node") == 2

    def test_it_gets_what_is_left_of_the_time(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        commands.takes = 25
        poller.poll()
        assert commands.timeouts[commands.asked.index("crm_node")] == pytest.approx(5)

    def test_it_is_said_once_that_it_is_unknown(
        self, poller: Poller, commands: ScriptedCommands, caplog: pytest.LogCaptureFixture
    ) -> None:
        commands.crm_node = fail(Outcome.NOT_FOUND)
        commands.crm_mon = lambda: document(name="other")
        for _ in range(3):
            poller.poll()
        assert caplog.messages == [
            "cannot tell which node of the cluster this is: pacemaker_view_dc stays 0"
        ]

    def test_it_is_not_said_while_no_node_is_named(
        self, poller: Poller, commands: ScriptedCommands, caplog: pytest.LogCaptureFixture
    ) -> None:
        commands.crm_node = fail(Outcome.NOT_CONNECTED)
        commands.crm_mon = lambda: re.sub(b"<nodes>.*</nodes>", b"<nodes/>", document())
        poller.poll()
        commands.crm_mon = document
        poller.poll()
        assert caplog.messages == []

    def test_it_is_forgotten_when_the_node_leaves(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        poller.poll()
        commands.crm_mon = fail(Outcome.NOT_CONNECTED)
        poller.poll()
        commands.crm_mon, commands.crm_node = document, lambda: b"c9"
        assert self.name(poller) == "c9"


def test_who_comes_back_upgraded_is_asked_as_the_new_one_can_be(
    clock: FrozenDateTimeFactory,
) -> None:
    class Upgraded(ScriptedCommands):
        old = True
        requests: tuple[str, ...] = ()

        def run(self, argv: Sequence[str], timeout: float) -> Completed:
            if self.old and "--output-as=xml" in argv:
                return Completed(tuple(argv), 64, b"", "Unknown option --output-as=xml")
            if argv[0] == "crm_mon":
                self.requests = tuple(argv[1:])
            return super().run(argv, timeout)

    commands = Upgraded(clock)
    poller = Poller(Site(commands), SystemClock(), interval=10, timeout=30)
    poller.poll()
    assert commands.requests == ("--as-xml", "--inactive")
    commands.crm_mon = fail(Outcome.NOT_CONNECTED)
    for _ in range(2):  # the old one is still there
        poller.poll()
    commands.old, commands.crm_mon = False, document
    poller.poll()
    assert commands.requests == requests(frozenset(Collector))[0]


class TestLog:
    def test_a_line_when_a_failure_begins_changes_and_ends(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        caplog.set_level(logging.INFO)
        poller.poll()
        assert caplog.messages == []
        for outcome in (Outcome.TIMEOUT, Outcome.TIMEOUT, Outcome.EXIT_STATUS, Outcome.EXIT_STATUS):
            commands.crm_mon = fail(outcome)
            clock.tick(10)
            poller.poll()
        commands.crm_mon = document
        clock.tick(10)
        poller.poll()
        poller.poll()
        assert caplog.messages == ["it is timeout", "it is exit_status", "crm_mon works again"]
        assert caplog.records[-1].__dict__["failed_for_seconds"] == 40

    def test_what_goes_on_failing_is_told_every_ten_minutes(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        commands.crm_mon = fail(Outcome.TIMEOUT)
        for _ in range(130):
            poller.poll()
            clock.tick(10)
        assert caplog.messages == ["it is timeout"] * 3
        assert [r.__dict__.get("failed_for_seconds", 0) for r in caplog.records] == [0, 600, 1200]

    def test_reasons_that_alternate_do_not_fill_the_log(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        for n in range(60):
            commands.crm_mon = fail((Outcome.TIMEOUT, Outcome.EXIT_STATUS)[n % 2])
            poller.poll()
            clock.tick(10)
        assert caplog.messages[:2] == ["it is timeout", "it is exit_status"]
        assert 5 < len(caplog.messages) <= 12
        caplog.clear()
        commands.crm_mon = fail(Outcome.NOT_CONNECTED)
        poller.poll()
        assert caplog.messages == ["it is not_connected"], "what is new, at once"

    def test_the_same_for_cibadmin(
        self, poller: Poller, commands: ScriptedCommands, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        commands.cibadmin = fail(Outcome.PERMISSION_DENIED)
        for _ in range(3):
            poller.poll()
        commands.cibadmin = lambda: CIB
        poller.poll()
        assert caplog.messages == ["it is permission_denied", "cibadmin works again"]

    def test_lines_say_of_which_command_and_how(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        caplog.set_level(logging.DEBUG)
        commands.takes = 1.23456
        commands.crm_node = fail(Outcome.NOT_FOUND)
        poller.poll()
        commands.crm_mon = fail(Outcome.TIMEOUT)
        poller.poll()
        asked, good, failed, bad = (record.__dict__ for record in caplog.records)
        assert (asked["msg"], asked["args"][0].outcome, asked["command"]) == (
            "%s",
            Outcome.NOT_FOUND,
            "crm_node",
        )
        assert (failed["command"], failed["outcome"]) == ("crm_mon", "timeout")
        extras = ("outcome", "reason", "seconds", "crm_mon_seconds")
        assert [good[name] for name in extras] == ["success", "", 1.235, 1.235]
        assert [bad[name] for name in extras] == ["timeout", "it is timeout", 1.235, 1.235]

    def test_debug_has_each_poll(self, poller: Poller, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        poller.poll()
        assert caplog.messages == ["polled"]


def test_one_page_is_one_poll(poller: Poller, commands: ScriptedCommands) -> None:
    poller.poll()
    first = poller.state
    commands.crm_mon = lambda: document(name="c1")
    poller.poll()
    assert first.sighting is not None
    assert b'node="c1"' not in first.sighting.page.shared
    assert poller.state.sighting is not None
    assert b'node="c1"' in poller.state.sighting.page.shared
    assert b'node_condition{node="c0"' not in poller.state.sighting.page.shared


def test_exactly_one_outcome_is_the_last(poller: Poller, commands: ScriptedCommands) -> None:
    commands.crm_mon = fail(Outcome.TIMEOUT)
    poller.poll()
    page = series(join(render(EXPORTER, look(poller)), Format.TEXT).decode())
    assert {
        outcome: page[f'pacemaker_exporter_last_poll_outcome{{outcome="{outcome.value}"}}']
        for outcome in Outcome
    } == {outcome: float(outcome is Outcome.TIMEOUT) for outcome in Outcome}


class Output(bytearray):
    """What a command printed; knows whether somebody keeps it."""


def test_a_failed_poll_keeps_nothing_of_what_was_printed(
    poller: Poller, commands: ScriptedCommands
) -> None:
    kept: list[weakref.ref[Output]] = []

    def floods() -> Completed:
        output = Output(b"much")
        kept.append(weakref.ref(output))
        raise PollError(Outcome.TOO_LARGE, "too large")

    commands.crm_mon = floods
    gc.collect()
    gc.disable()
    try:
        poller.poll()
        assert [output() for output in kept] == [None]
    finally:
        gc.enable()


def test_what_has_not_changed_is_not_rendered_again(
    poller: Poller, commands: ScriptedCommands
) -> None:
    poller.poll()
    first = poller.state.sighting
    poller.poll()
    second = poller.state.sighting
    assert first is not None
    assert second is not None
    assert second is not first
    assert second.page is first.page
    commands.cibadmin = lambda: CIB.replace(b"tripleo", b"other")
    commands.clock.tick(CIB_INTERVAL)
    poller.poll()
    assert poller.state.sighting is not None
    assert poller.state.sighting.observation.snapshot is first.observation.snapshot
    assert b'cluster_name="other"' in poller.state.sighting.page.shared
    before = {block.name: block for block in first.page.blocks}
    after = {block.name: block for block in poller.state.sighting.page.blocks}
    changed = {name for name, block in after.items() if block is not before[name]}
    assert changed == {"pacemaker_cluster_info"}
