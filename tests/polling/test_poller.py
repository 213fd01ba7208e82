"""The poller: its schedule, state and log."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.outcome import Failure, Outcome, SourceStatus, Stopped
from exporter.cluster.selection import Collector
from exporter.metrics.exporter import EXPORTER, Identity
from exporter.metrics.text import Format, join, render
from exporter.pacemaker.crm_mon import requests
from exporter.pacemaker.runner import Completed
from exporter.polling.poller import LOOK_AGAIN, Poller
from exporter.polling.state import State
from exporter.sources.configuration import INTERVAL
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness.fakes import CIB, FrozenClock, ScriptedCommands, document, fail
from tests.support.harness.see import series

IDENTITY = Identity("1", "", "3", poll_interval=10, max_age=90)


@pytest.fixture
def poller(commands: ScriptedCommands) -> Poller:
    tools = Tools(commands, host_name="c0.example.com")
    return Poller(SourceContext(tools, FrozenClock(), 30), 10)


def look(poller: Poller) -> State:
    return poller.state.at(FrozenClock().monotonic(), IDENTITY.max_age)


def status(poller: Poller) -> SourceStatus:
    """How the reads of crm_mon ended."""
    return poller.state.sources[0]


def redis(role: str, quorate: str = "true") -> bytes:
    resource = (
        f'<resource id="r-podman-0" resource_agent="ocf:heartbeat:podman" role="{role}"'
        ' active="true"/>'
    )
    replica = f'<replica id="0">{resource}</replica>'
    return document(body=f'<bundle id="r" type="podman">{replica}</bundle>', quorate=quorate)


class TestSchedule:
    def starts(
        self,
        poller: Poller,
        clock: FrozenDateTimeFactory,
        polls: int,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> list[float]:
        """Return the starts of polls in seconds from the first; call a function after each wait."""
        begun = FrozenClock().monotonic()
        found: list[float] = []
        poll = poller.poll

        def recorded() -> Failure | None:
            found.append(FrozenClock().monotonic() - begun)
            return poll()

        def wait(seconds: float) -> bool:
            assert seconds >= 0
            clock.tick(seconds)
            meanwhile()
            return len(found) >= polls

        poller.poll = recorded  # type: ignore[method-assign] # a spy: what it calls is real
        poller.run(wait)
        return found

    def test_polls_start_at_once_and_then_at_the_interval(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        commands.takes = 3
        assert self.starts(poller, clock, 4) == pytest.approx([0, 10, 20, 30])

    def test_slow_polls_follow_each_other_without_a_pause(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        commands.takes = 25
        assert self.starts(poller, clock, 4) == pytest.approx([0, 25, 50, 75])

    def test_missed_polls_are_not_made_up_for(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        times = iter([35.0, 0.0, 0.0, 0.0])

        def answer() -> bytes:
            clock.tick(next(times))
            return document()

        commands.crm_mon = answer
        assert self.starts(poller, clock, 4) == pytest.approx([0, 35, 45, 55])

    def test_suspension_skips_polls_and_keeps_the_schedule(
        self, poller: Poller, clock: FrozenDateTimeFactory
    ) -> None:
        begun = FrozenClock().monotonic()

        def still() -> None:
            if FrozenClock().monotonic() - begun == pytest.approx(3):
                clock.tick(122)

        assert self.starts(poller, clock, 4, still) == pytest.approx([0, 125, 130, 140])

    def test_suspension_delays_the_next_poll_by_at_most_its_length(
        self, poller: Poller, clock: FrozenDateTimeFactory
    ) -> None:
        """Waiting stops during a suspension, the clock does not; the poller reads it in between."""
        waits: list[float] = []

        def wait(seconds: float) -> bool:
            waits.append(seconds)
            clock.tick(3600 if len(waits) == 1 else seconds)
            return len(waits) == 2

        poller.poll()
        view = look(poller)
        assert view.up
        poller.run(wait)
        assert waits == [LOOK_AGAIN, pytest.approx(0, abs=LOOK_AGAIN)]
        assert poller.state.polls == 3

    def test_poller_ends_when_stopped_while_a_command_runs(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        def stopped() -> Completed:
            raise Stopped

        commands.crm_mon = stopped
        poller.run(lambda _: pytest.fail("it must not wait"))
        assert poller.state.polls == 0

    def test_unexpected_exception_ends_the_poller(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        def bug() -> Completed:
            raise ZeroDivisionError

        commands.crm_mon = bug
        with pytest.raises(ZeroDivisionError):
            poller.run(lambda _: True)


class TestPublishing:
    def test_state_before_the_first_poll_is_empty(self, poller: Poller) -> None:
        view = look(poller)
        assert (view.up, view.trusted, view.dc, view.observation) == (False, False, False, None)
        assert view.last_outcome is None
        assert set(status(poller).reads.values()) == {0}

    def test_successful_poll_is_up_trusted_and_dated_at_its_start(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        start = FrozenClock().time()
        commands.takes = 2
        assert poller.poll() is None
        view = look(poller)
        assert (view.up, view.trusted, view.dc) == (True, True, True)
        state = poller.state
        assert state.snapshot_time == start
        assert state.last_poll_time == pytest.approx(start + 2)
        assert status(poller).duration == pytest.approx(2)
        assert state.poll_duration == pytest.approx(2)
        assert status(poller).reads[Outcome.SUCCESS] == 1
        assert b'cluster_name="tripleo"' in state.page.shared

    def test_view_of_another_node_than_the_dc_is_trusted(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        other = b'<node name="c1" id="2" online="true" type="member"/></nodes>'
        commands.crm_mon = lambda: document().replace(b"</nodes>", other)
        commands.crm_node = lambda: b"c1"
        poller.poll()
        assert (look(poller).trusted, look(poller).dc) == (True, False)

    def test_view_without_quorum_is_not_trusted(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        commands.crm_mon = lambda: document(quorate="false")
        poller.poll()
        assert (look(poller).up, look(poller).trusted, look(poller).dc) == (True, False, False)

    def test_failed_poll_keeps_the_snapshot_until_it_is_too_old(
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
        assert view.observation is not None
        clock.tick(80)
        assert look(poller).observation is not None, "90 s old: its maximum age"
        clock.tick(0.1)
        assert look(poller).observation is None
        assert look(poller).snapshot_time == taken, "kept, or an alert on it would end"

    def test_age_counts_from_the_start_of_crm_mon(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        commands.takes = 20
        poller.poll()
        clock.tick(70)
        assert look(poller).up
        clock.tick(0.1)
        assert not look(poller).up

    def test_outcome_not_connected_withdraws_the_data_at_once(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        poller.poll()
        commands.crm_mon = fail(Outcome.NOT_CONNECTED)
        poller.poll()
        assert look(poller).observation is None
        assert poller.state.snapshot_time is not None
        commands.crm_mon = document
        poller.poll()
        assert look(poller).up

    def test_wall_clock_jump_does_not_change_the_age(
        self, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
    ) -> None:
        class Jumping(FrozenClock):
            offset = 0.0

            def time(self) -> float:
                return super().time() + self.offset

        jumping = Jumping()
        poller = Poller(SourceContext(Tools(commands), jumping, 30), 10)
        poller.poll()
        for offset in (-86_400.0, 86_400.0):
            jumping.offset = offset
            assert look(poller).up, "an age is not a difference of wall clocks"
            clock.tick(10)
            poller.poll()
            assert poller.state.snapshot_time == jumping.time()

    def test_every_outcome_is_counted(self, poller: Poller, commands: ScriptedCommands) -> None:
        for outcome in Outcome:
            commands.crm_mon = document if outcome is Outcome.SUCCESS else fail(outcome)
            poller.poll()
            assert poller.state.last_outcome is outcome
        assert status(poller).reads == dict.fromkeys(Outcome, 1)

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
        seen = poller.state.observation
        assert seen is not None
        changes = seen.role_changes.of("r")
        assert (changes.role_changes, changes.promotions) == (2, 1)

    def test_role_changes_count_from_the_first_trusted_view(
        self, poller: Poller, commands: ScriptedCommands
    ) -> None:
        for view in (("Unpromoted", "false"), ("Unpromoted", "true"), ("Promoted", "true")):
            commands.crm_mon = partial(redis, *view)
            poller.poll()
        seen = poller.state.observation
        assert seen is not None
        changes = seen.role_changes.of("r")
        assert (changes.role_changes, changes.promotions) == (1, 1)


def test_upgraded_crm_mon_gets_the_newest_request(
    clock: FrozenDateTimeFactory,
) -> None:
    class Upgraded(ScriptedCommands):
        old = True
        requests: tuple[str, ...] = ()

        def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
            if self.old and "--output-as=xml" in argv:
                return Completed(tuple(argv), 64, b"", "Unknown option --output-as=xml")
            if argv[0] == "crm_mon":
                self.requests = tuple(argv[1:])
            return super().run(argv, timeout)

    commands = Upgraded(clock)
    poller = Poller(SourceContext(Tools(commands), FrozenClock(), 30), 10)
    poller.poll()
    assert commands.requests == ("--as-xml", "--inactive")
    commands.crm_mon = fail(Outcome.NOT_CONNECTED)
    for _ in range(2):  # the old one is still there
        poller.poll()
    commands.old, commands.crm_mon = False, document
    poller.poll()
    assert commands.requests == requests(frozenset(Collector))[0].argv(histories=True)


class TestLog:
    def test_log_has_a_line_when_a_failure_begins_changes_and_ends(
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

    def test_continuing_failure_is_logged_every_ten_minutes(
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

    def test_failures_of_cibadmin_are_logged_when_they_begin_and_end(
        self, poller: Poller, commands: ScriptedCommands, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        commands.cibadmin = fail(Outcome.PERMISSION_DENIED)
        for _ in range(3):
            poller.poll()
        commands.cibadmin = lambda: CIB
        poller.poll()
        assert caplog.messages == ["it is permission_denied", "cibadmin works again"]

    def test_log_lines_name_command_and_outcome(
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
        assert (asked["msg"], asked["args"][0], asked["command"]) == (
            "%s",
            "it is not_found",
            "crm_node",
        )
        assert (failed["command"], failed["outcome"]) == ("crm_mon", "timeout")
        extras = ("outcome", "reason", "seconds", "status_seconds")
        assert [good[name] for name in extras] == ["success", "", 1.235, 1.235]
        assert [bad[name] for name in extras] == ["timeout", "it is timeout", 1.235, 1.235]

    def test_level_debug_logs_each_poll(
        self, poller: Poller, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        poller.poll()
        assert caplog.messages == ["polled"]


def test_page_has_the_data_of_one_poll_only(poller: Poller, commands: ScriptedCommands) -> None:
    poller.poll()
    first = poller.state
    commands.crm_mon = lambda: document(name="c1")
    poller.poll()
    assert b'node="c1"' not in first.page.shared
    assert b'node="c1"' in poller.state.page.shared
    assert b'node_condition{node="c0"' not in poller.state.page.shared


def test_exactly_one_outcome_is_marked_as_last(poller: Poller, commands: ScriptedCommands) -> None:
    commands.crm_mon = fail(Outcome.TIMEOUT)
    poller.poll()
    page = series(join(render(EXPORTER, look(poller).status(IDENTITY)), Format.TEXT).decode())
    assert {
        outcome: page[
            f'pacemaker_exporter_source_last_outcome{{source="status",outcome="{outcome.value}"}}'
        ]
        for outcome in Outcome
    } == {outcome: float(outcome is Outcome.TIMEOUT) for outcome in Outcome}


def test_unchanged_page_is_not_rendered_again(poller: Poller, commands: ScriptedCommands) -> None:
    poller.poll()
    first = poller.state
    poller.poll()
    assert poller.state.observation is not first.observation
    assert poller.state.page is first.page
    commands.cibadmin = lambda: CIB.replace(b"tripleo", b"other")
    commands.clock.tick(INTERVAL)
    poller.poll()
    assert poller.state.observation is not None
    assert first.observation is not None
    assert poller.state.observation.snapshot is first.observation.snapshot
    assert b'cluster_name="other"' in poller.state.page.shared
    before = {block.name: block for block in first.page.blocks}
    after = {block.name: block for block in poller.state.page.blocks}
    changed = {name for name, block in after.items() if block is not before[name]}
    assert changed == {"pacemaker_cluster_info"}
