"""How crm_mon is asked, whatever its version, and what is made of answers without a cluster."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from exporter import crm_mon
from exporter.collectors import Collector
from exporter.command import Completed, SystemCommands
from exporter.crm_mon import CrmMon
from exporter.errors import Outcome, PollError
from tests.support.stand_in import (
    DENIED,
    FROZEN,
    FROZEN_LEGACY,
    HANGS,
    HEALTHY_CRM_MON,
    NOT_CONNECTED,
    NOT_CONNECTED_1_1,
    NOT_CONNECTED_ELEMENT,
    NOT_CONNECTED_LEGACY,
    OLD_1_1,
    OLD_2_0,
    Behaviour,
    StandIn,
)

BEST, PLAIN, LEGACY = (("crm_mon", *request) for request in crm_mon.requests(frozenset(Collector)))

OLD = ("--as-xml", "--inactive")
TODAY = (*OLD, "--output-as", "--include")
TOMORROW = ("--output-as", "--include", "--inactive")

GETOPT = "crm_mon: unrecognized option '{}'\n\nUsage: crm_mon mode [options]\n"
"""What 1.1 says of an option that it does not know, with exit status 1."""
GOPTION = "crm_mon: Unknown option {}\n"
"""What later versions say, with exit status 64."""


class FakeCommands:
    """Knows the options of one version of crm_mon, and records what it is asked."""

    def __init__(self, *knows: str, complaint: str = GOPTION, status: int = 64) -> None:
        self.knows = knows
        self.asked: list[tuple[str, ...]] = []
        self.timeouts: list[float] = []
        self.takes = 0.0
        self.answer = Completed((), 0, b"<crm_mon/>", "")
        self._complaint = complaint
        self._status = status

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        self.asked.append(tuple(argv))
        self.timeouts.append(timeout)
        time.sleep(self.takes)
        for word in argv[1:]:
            if word.partition("=")[0] not in self.knows:
                return Completed(tuple(argv), self._status, b"", self._complaint.format(word))
        return self.answer


# ---- Which request ----


def test_each_request_asks_for_stopped_replicas_too_and_for_xml() -> None:
    assert all("--inactive" in request for request in (BEST, PLAIN, LEGACY))
    assert "--output-as=xml" in BEST
    assert "--output-as=xml" in PLAIN
    assert LEGACY == ("crm_mon", "--as-xml", "--inactive")


def test_a_crm_mon_of_today_is_asked_once() -> None:
    commands = FakeCommands(*TODAY)
    ask = CrmMon(commands, "crm_mon")
    for _ in range(3):
        assert ask.ask(10) is commands.answer
    assert commands.asked == [BEST] * 3


def test_one_that_does_not_know_a_section_is_asked_for_all_of_them() -> None:
    commands = FakeCommands(*(option for option in TODAY if option != "--include"))
    ask = CrmMon(commands, "crm_mon")
    for _ in range(3):
        assert ask.ask(10) is commands.answer
    assert commands.asked == [BEST, PLAIN, PLAIN, PLAIN]


@pytest.mark.parametrize(("complaint", "status"), [(GETOPT, 1), (GETOPT, 64), (GOPTION, 64)])
def test_a_usage_error_makes_it_ask_in_the_old_way_from_then_on(
    complaint: str, status: int
) -> None:
    commands = FakeCommands(*OLD, complaint=complaint, status=status)
    ask = CrmMon(commands, "crm_mon")
    for _ in range(3):
        assert ask.ask(10) is commands.answer
    assert commands.asked == [BEST, PLAIN, LEGACY, LEGACY, LEGACY]


def test_what_it_found_out_it_finds_out_again_after_a_later_usage_error() -> None:
    """Pacemaker is upgraded, and one day rid of --as-xml, while the exporter runs."""
    commands = FakeCommands(*OLD)
    ask = CrmMon(commands, "crm_mon")
    ask.ask(10)
    commands.asked.clear()
    commands.knows = TOMORROW
    for _ in range(2):
        assert ask.ask(10) is commands.answer
    assert commands.asked == [LEGACY, BEST, BEST]


@pytest.mark.parametrize(
    "completed",
    [
        Completed((), 102, b'<crm_mon version="2.0.5"/>', "Not connected\n"),
        Completed((), 107, b"\nError: cluster is not available on this node\n", ""),
        Completed((), 4, b"", "Insufficient privileges\n"),
        Completed((), 1, b"", "crm_mon: out of memory\n"),
        Completed((), -11, b"", ""),
        Completed((), -6, b"", "crm_mon: invalid option somewhere, said while it crashed\n"),
        Completed((), 0, b"<crm_mon/>", "warning: unknown option in the configuration\n"),
    ],
)
def test_no_other_failure_makes_it_ask_twice(completed: Completed) -> None:
    commands = FakeCommands(*TODAY)
    commands.answer = completed
    assert CrmMon(commands, "crm_mon").ask(10) is completed
    assert commands.asked == [BEST]


def test_it_can_be_made_to_forget() -> None:
    """Pacemaker was upgraded while it was stopped: the old request may still be understood."""
    commands = FakeCommands(*OLD)
    ask = CrmMon(commands, "crm_mon")
    ask.ask(10)
    commands.knows = TODAY
    commands.asked.clear()
    ask.forget()
    ask.ask(10)
    assert commands.asked == [BEST]


def test_a_failure_of_the_old_request_does_not_forget_it() -> None:
    commands = FakeCommands(*OLD)
    ask = CrmMon(commands, "crm_mon")
    commands.answer = Completed((), 102, b'<crm_mon version="2.0.1"/>', "")
    ask.ask(10)
    ask.ask(10)
    assert commands.asked == [BEST, PLAIN, LEGACY, LEGACY]


@pytest.mark.parametrize(("complaint", "status"), [(GETOPT, 1), (GOPTION, 64)])
def test_what_takes_neither_request_is_no_crm_mon(complaint: str, status: int) -> None:
    commands = FakeCommands(complaint=complaint, status=status)
    ask = CrmMon(commands, "/opt/bin/cat")
    for _ in range(2):
        with pytest.raises(PollError, match="takes neither --output-as=xml nor --as-xml") as caught:
            ask.ask(10)
        error = caught.value
        assert error.outcome is Outcome.EXIT_STATUS
        assert f"exit status {status}" in str(error)
        assert "is /opt/bin/cat a crm_mon?" in str(error)
        assert "\n" not in str(error)
    asked = [(BEST, PLAIN, LEGACY)[index % 3] for index in range(6)]
    assert [words[1:] for words in commands.asked] == [words[1:] for words in asked]


def test_all_requests_share_one_deadline() -> None:
    commands = FakeCommands(*OLD)
    commands.takes = 0.05
    CrmMon(commands, "crm_mon").ask(10)
    first, second, third = commands.timeouts
    assert 9.9 < first <= 10
    assert second <= first - commands.takes
    assert 0 < third <= second - commands.takes


def test_no_time_left_for_the_next_request_is_not_less_than_none() -> None:
    commands = FakeCommands(*OLD)
    commands.takes = 0.02
    CrmMon(commands, "crm_mon").ask(0.01)
    assert commands.timeouts[1:] == [0, 0]


# ---- With real processes ----


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn(tmp_path) as made:
        yield made


@pytest.fixture
def ask(stand_in: StandIn) -> CrmMon:
    return CrmMon(SystemCommands(os.environ, threading.Event()), str(stand_in.path))


@pytest.mark.parametrize("old", [OLD_1_1, OLD_2_0])
def test_an_old_crm_mon_answers(ask: CrmMon, stand_in: StandIn, old: Behaviour) -> None:
    stand_in.does(old)
    for _ in range(2):
        assert crm_mon.read(ask.ask(20)).bundles
    requests = [tuple(start.argv[1:]) for start in stand_in.starts]
    assert requests == [words[1:] for words in (BEST, PLAIN, LEGACY, LEGACY)]


def test_an_old_crm_mon_that_hangs_is_given_one_timeout(ask: CrmMon, stand_in: StandIn) -> None:
    stand_in.does(HANGS._replace(refuses=("--output-as",)))
    began = time.monotonic()
    with pytest.raises(PollError) as caught:
        ask.ask(0.5)
    assert 0.5 <= time.monotonic() - began < 2.5
    assert caught.value.outcome is Outcome.TIMEOUT
    assert stand_in.starts[-1].argv[1:] == list(LEGACY[1:])
    assert stand_in.alive() == []


@pytest.mark.parametrize("complaint", ["getopt", "goption"])
def test_a_program_that_takes_neither_request_is_told(
    ask: CrmMon, stand_in: StandIn, complaint: str
) -> None:
    stand_in.does(Behaviour(refuses=("-",), complaint=complaint))
    with pytest.raises(PollError, match=f"is {stand_in.path} a crm_mon") as caught:
        ask.ask(20)
    assert caught.value.outcome is Outcome.EXIT_STATUS
    assert "option" in str(caught.value), "says what it complained of"


# ---- Answers without a cluster in them ----


def _error(ask: CrmMon) -> PollError:
    with pytest.raises(PollError) as caught:
        crm_mon.read(ask.ask(20))
    assert "\n" not in str(caught.value)
    return caught.value


NO_PACEMAKER = "is Pacemaker running here?"
NO_ANSWER = "do all daemons of Pacemaker here answer, and do ACLs let this user read?"
NO_CONNECTION = "crm_mon: Connection to cluster failed: Connection refused"
GROUP = "put the exporter's user into group haclient"


@pytest.mark.parametrize(
    ("behaviour", "outcome", "message"),
    [
        (
            NOT_CONNECTED,
            Outcome.NOT_CONNECTED,
            (
                "crm_mon cannot reach the cluster (exit status 102): error: Could not connect to"
                f" launcher: Connection refused; {NO_CONNECTION}; {NO_PACEMAKER}"
            ),
        ),
        (
            NOT_CONNECTED._replace(status=0),  # which a prefix may lose
            Outcome.NOT_CONNECTED,
            (
                "crm_mon cannot reach the cluster (status code 102): error: Could not connect to"
                f" launcher: Connection refused; {NO_CONNECTION}; {NO_PACEMAKER}"
            ),
        ),
        (
            NOT_CONNECTED_LEGACY,
            Outcome.NOT_CONNECTED,
            f"crm_mon cannot reach the cluster (exit status 102): {NO_CONNECTION}; {NO_PACEMAKER}",
        ),
        (
            NOT_CONNECTED_LEGACY._replace(status=0),
            Outcome.NOT_CONNECTED,
            f"crm_mon cannot reach the cluster (no content); {NO_PACEMAKER}",
        ),
        (
            NOT_CONNECTED_ELEMENT,
            Outcome.NOT_CONNECTED,
            f"crm_mon cannot reach the cluster (exit status 102): no reason given; {NO_PACEMAKER}",
        ),
        (
            NOT_CONNECTED_ELEMENT._replace(status=0),
            Outcome.NOT_CONNECTED,
            f"crm_mon cannot reach the cluster (crm-mon-disconnected); {NO_PACEMAKER}",
        ),
        (
            Behaviour(out='<crm-mon-disconnected description="Not connected"/>\n'),
            Outcome.NOT_CONNECTED,
            f"crm_mon cannot reach the cluster (crm-mon-disconnected); {NO_PACEMAKER}",
        ),
        (
            NOT_CONNECTED_1_1,
            Outcome.NOT_CONNECTED,
            (
                "crm_mon cannot reach the cluster (exit status 107): Error: cluster is not"
                f" available on this node; {NO_PACEMAKER}"
            ),
        ),
        (
            DENIED,
            Outcome.PERMISSION_DENIED,
            (
                "crm_mon may not ask the cluster (exit status 4): error: Could not connect to"
                " launcher: Permission denied; crm_mon: Connection to cluster failed: Permission"
                f" denied; {GROUP}"
            ),
        ),
        (
            DENIED._replace(status=0),
            Outcome.PERMISSION_DENIED,
            (
                "crm_mon may not ask the cluster (status code 4): error: Could not connect to"
                " launcher: Permission denied; crm_mon: Connection to cluster failed: Permission"
                f" denied; {GROUP}"
            ),
        ),
        (
            Behaviour(out='<crm_mon version="2.1.5"/>', status=4),
            Outcome.PERMISSION_DENIED,
            f"crm_mon may not ask the cluster (exit status 4): no reason given; {GROUP}",
        ),
        (
            FROZEN,
            Outcome.INCOMPLETE,
            (
                "crm_mon printed no cluster status, though it ended well: Could not connect to the"
                f" CIB: Transport endpoint is not connected; {NO_ANSWER}"
            ),
        ),
        (
            FROZEN_LEGACY,
            Outcome.INCOMPLETE,
            (
                "crm_mon printed no cluster status, though it ended well: Could not connect to the"
                f" CIB: Transport endpoint is not connected; {NO_ANSWER}"
            ),
        ),
        (
            Behaviour(err="crm_mon: internal error\n\n", status=70),
            Outcome.EXIT_STATUS,
            "crm_mon failed (exit status 70): crm_mon: internal error",
        ),
        (
            Behaviour(status=70),
            Outcome.EXIT_STATUS,
            "crm_mon failed (exit status 70): no reason given",
        ),
        (
            Behaviour(dies=signal.SIGSEGV),
            Outcome.EXIT_STATUS,
            "crm_mon failed (killed by SIGSEGV): no reason given",
        ),
        (Behaviour(), Outcome.MALFORMED, "crm_mon printed no XML but ''"),
        (
            Behaviour(out="cluster is\nfine\n"),
            Outcome.MALFORMED,
            "crm_mon printed no XML but 'cluster is'",
        ),
        (
            Behaviour(out="<html><body/></html>"),
            Outcome.MALFORMED,
            "crm_mon printed XML that starts with line 1: <html>, not its own",
        ),
    ],
)
def test_each_failure_is_told_in_one_line_and_has_its_outcome(
    ask: CrmMon, stand_in: StandIn, behaviour: Behaviour, outcome: Outcome, message: str
) -> None:
    stand_in.does(behaviour)
    error = _error(ask)
    assert (error.outcome, str(error)) == (outcome, message)


@pytest.mark.parametrize("size", [100, 5_000, 20_000])
def test_a_truncated_document_is_malformed(ask: CrmMon, stand_in: StandIn, size: int) -> None:
    whole = Path(HEALTHY_CRM_MON.file).read_text()
    stand_in.does(Behaviour(out=whole[:size]))
    error = _error(ask)
    assert error.outcome is Outcome.MALFORMED
    assert str(error).startswith("crm_mon printed ill-formed XML: ")


def test_a_reason_of_several_lines_is_told_in_one(ask: CrmMon, stand_in: StandIn) -> None:
    reason = "<errors><error>crm_mon: the DC\n  did not answer</error></errors>"
    out = f'<pacemaker-result><status code="124">{reason}</status></pacemaker-result>'
    stand_in.does(Behaviour(out=out, status=124))
    assert str(_error(ask)) == "crm_mon failed (exit status 124): crm_mon: the DC did not answer"
