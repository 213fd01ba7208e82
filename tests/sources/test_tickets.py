"""The states of tickets: when they are read, and what a failure changes."""

from collections.abc import Callable, Sequence

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.model import Ticket
from exporter.cluster.outcome import Failure, Outcome
from exporter.cluster.selection import Collector, Selection
from exporter.pacemaker import tickets
from exporter.pacemaker.runner import Completed
from exporter.polling.observer import Observer
from exporter.sources.configuration import PAUSE_AFTER_TIMEOUT
from exporter.sources.source import SIDE_TIMEOUT
from exporter.sources.tickets import KEPT
from exporter.sources.tools import SourceContext, Tools
from tests.sources.conftest import Asking
from tests.support.harness.fakes import CIB, FrozenClock, ScriptedCommands, document, fail
from tests.support.harness.results import failed, good

CONSTRAINTS = b"""<constraints><rsc_ticket id="1" rsc="ip" ticket="north"/>
<rsc_ticket id="2" rsc="db" ticket="south"/></constraints></configuration>"""
NEEDED = CIB.replace(b"</configuration>", CONSTRAINTS)
NORTH = b'<tickets><ticket_state id="north" granted="true" last-granted="1"/></tickets>'
GRANTED = Ticket("north", granted=True, standby=False)
NEVER_GRANTED = Ticket("south", granted=False, standby=False)


def test_tickets_are_read_at_every_poll_where_a_constraint_names_one(
    ask: Asking, commands: ScriptedCommands
) -> None:
    assert ask().tickets == ()
    assert commands.count("tickets") == 0
    commands.cibadmin = lambda: NEEDED
    commands.crm_mon = lambda: document("Sun Sep 13 12:26:41 2020")
    commands.tickets = lambda: NORTH
    assert ask().tickets == (GRANTED, NEVER_GRANTED)
    commands.tickets = lambda: NORTH.replace(b"true", b"false")
    assert ask().tickets == (Ticket("north", granted=False, standby=False), NEVER_GRANTED)
    assert commands.count("tickets") == 2
    assert ask.reads("tickets") == {"success": 2}


@pytest.mark.parametrize("status", [105, 6])
def test_ticket_without_a_state_was_never_granted(
    status: int, ask: Asking, commands: ScriptedCommands
) -> None:
    commands.cibadmin = lambda: NEEDED
    message = "Call cib_query failed (-6): No such device or address"
    commands.tickets = lambda: Completed(("cibadmin",), status, b"", message)
    assert ask().tickets == (Ticket("north", granted=False, standby=False), NEVER_GRANTED)
    assert ask.reads("tickets") == {"success": 1}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (fail(Outcome.NOT_FOUND), Outcome.NOT_FOUND),
        (lambda: Completed(("cibadmin",), 102, b"", "x"), Outcome.NOT_CONNECTED),
        (lambda: Completed(("cibadmin",), 4, b"", "x"), Outcome.PERMISSION_DENIED),
        (lambda: Completed(("cibadmin",), 1, b"", "x"), Outcome.EXIT_STATUS),
        (lambda: b"<tickets>", Outcome.MALFORMED),
        (lambda: b"<cib/>", Outcome.MALFORMED),
        (lambda: b"<tickets><ticket_state/></tickets>", Outcome.MALFORMED),
    ],
)
def test_failure_is_counted_and_the_states_are_kept_for_a_while(
    answer: Callable[[], Completed | Failure | bytes], outcome: Outcome, ask: Asking,
    commands: ScriptedCommands, clock: FrozenDateTimeFactory,
) -> None:  # fmt: skip
    commands.cibadmin = lambda: NEEDED
    commands.tickets = lambda: NORTH
    assert ask().tickets == (GRANTED, NEVER_GRANTED)
    commands.tickets = answer
    clock.tick(KEPT)
    assert ask().tickets == (GRANTED, NEVER_GRANTED)
    assert ask.reads("tickets") == {"success": 1, outcome.value: 1}
    clock.tick(1)
    assert ask().ticket_states is None
    commands.tickets = lambda: NORTH
    assert ask().tickets == (GRANTED, NEVER_GRANTED)


def test_states_go_when_no_constraint_names_a_ticket_any_more(
    ask: Asking, commands: ScriptedCommands
) -> None:
    commands.cibadmin = lambda: NEEDED
    commands.tickets = lambda: NORTH
    assert ask().tickets == (GRANTED, NEVER_GRANTED)
    commands.cibadmin = lambda: CIB
    commands.crm_mon = lambda: document("Sun Sep 13 12:26:41 2020")
    assert ask().ticket_states is None


def test_states_are_those_of_before_while_cibadmin_hangs(
    ask: Asking, commands: ScriptedCommands, clock: FrozenDateTimeFactory
) -> None:
    commands.cibadmin = lambda: NEEDED
    commands.tickets = lambda: NORTH
    ask()
    commands.tickets = fail(Outcome.TIMEOUT)
    for _ in range(3):
        assert ask().tickets == (GRANTED, NEVER_GRANTED)
        clock.tick(10)
    assert ask.reads("tickets") == {"success": 1, "timeout": 1}


def test_hanging_cibadmin_is_not_asked_again_for_a_while(
    ask: Asking, commands: ScriptedCommands, clock: FrozenDateTimeFactory
) -> None:
    commands.cibadmin = lambda: NEEDED
    commands.tickets = fail(Outcome.TIMEOUT)
    for _ in range(2):
        assert ask().ticket_states is None
    assert commands.count("tickets") == 1
    assert commands.timeouts[commands.asked.index("tickets")] == SIDE_TIMEOUT
    clock.tick(PAUSE_AFTER_TIMEOUT)
    commands.tickets = lambda: NORTH
    assert ask().tickets == (GRANTED, NEVER_GRANTED)


def test_tickets_that_are_left_out_are_not_read(commands: ScriptedCommands) -> None:
    commands.cibadmin = lambda: NEEDED
    selection = Selection(frozenset(Collector) - {Collector.TICKETS})
    observer = Observer(SourceContext(Tools(commands), FrozenClock(), 30, selection))
    assert good(observer.observe(lambda seen: seen)).tickets == ()
    assert commands.count("tickets") == 0


def test_standby_is_read() -> None:
    xml = b'<tickets><ticket_state id="t" granted="1" standby="true"/></tickets>'
    assert tickets.parse(xml) == (Ticket("t", granted=True, standby=True),)


class Cibadmin:
    """Remembers how it was asked."""

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        self.asked = (*argv, timeout)
        return Completed(tuple(argv), 0, b"", "")


def test_cibadmin_is_asked_for_the_local_tickets_only() -> None:
    commands = Cibadmin()
    tickets.ask(commands, "/x/cibadmin", 7)
    assert commands.asked == ("/x/cibadmin", "--query", "--local", "--xpath=/cib/status/tickets", 7)


def test_error_about_another_document_names_both_elements() -> None:
    failure = failed(tickets.read(Completed(("cibadmin",), 0, b"<cib/>", "")))
    assert failure.message == (
        "cibadmin printed XML that starts with line 1: <cib>, not with <tickets>"
    )
