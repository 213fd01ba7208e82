"""Requests to crm_mon of every version, and answers without a cluster."""

import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from exporter.cluster.outcome import Failure, Outcome
from exporter.cluster.selection import Collector
from exporter.pacemaker import crm_mon
from exporter.pacemaker.crm_mon import CrmMon
from exporter.pacemaker.runner import Completed, SystemCommands
from exporter.runtime.clock import SystemClock
from tests.support.harness.results import failed, good, left
from tests.support.harness.stand_in import (
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

BEST, PLAIN, LEGACY = (
    ("crm_mon", *request.argv(histories=True)) for request in crm_mon.requests(frozenset(Collector))
)

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


def settled(commands: FakeCommands, ask: CrmMon, polls: int = 2) -> set[tuple[str, ...]]:
    """Return the requests of some polls after the first, each of which runs crm_mon once."""
    assert left(ask.ask(10)) is commands.answer
    assert len(set(commands.asked)) == len(commands.asked), "no request was tried twice"
    commands.asked.clear()
    for _ in range(polls):
        assert left(ask.ask(10)) is commands.answer
    assert len(commands.asked) == polls
    return set(commands.asked)


def test_every_request_asks_for_xml_and_inactive_replicas() -> None:
    assert all("--inactive" in request for request in (BEST, PLAIN, LEGACY))
    assert "--output-as=xml" in BEST
    assert "--output-as=xml" in PLAIN
    assert LEGACY == ("crm_mon", "--as-xml", "--inactive")


def test_current_crm_mon_is_asked_once() -> None:
    commands = FakeCommands(*TODAY)
    ask = CrmMon(commands, "crm_mon", SystemClock())
    for _ in range(3):
        assert left(ask.ask(10)) is commands.answer
    assert commands.asked == [BEST] * 3


def test_crm_mon_without_include_is_asked_for_everything() -> None:
    commands = FakeCommands(*(option for option in TODAY if option != "--include"))
    assert settled(commands, CrmMon(commands, "crm_mon", SystemClock())) == {PLAIN}


@pytest.mark.parametrize(("complaint", "status"), [(GETOPT, 1), (GETOPT, 64), (GOPTION, 64)])
def test_usage_error_switches_to_the_old_request(complaint: str, status: int) -> None:
    commands = FakeCommands(*OLD, complaint=complaint, status=status)
    assert settled(commands, CrmMon(commands, "crm_mon", SystemClock())) == {LEGACY}


def test_later_usage_error_tries_all_requests_again() -> None:
    """Pacemaker is upgraded to a version without --as-xml while the exporter runs."""
    commands = FakeCommands(*OLD)
    ask = CrmMon(commands, "crm_mon", SystemClock())
    ask.ask(10)
    commands.asked.clear()
    commands.knows = TOMORROW
    assert settled(commands, ask) == {BEST}


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
def test_other_failures_do_not_repeat_the_request(completed: Completed) -> None:
    commands = FakeCommands(*TODAY)
    commands.answer = completed
    assert left(CrmMon(commands, "crm_mon", SystemClock()).ask(10)) is completed
    assert commands.asked == [BEST]


def test_forget_starts_with_the_newest_request_again() -> None:
    """Pacemaker was upgraded while it was stopped, and still accepts the old request."""
    commands = FakeCommands(*OLD)
    ask = CrmMon(commands, "crm_mon", SystemClock())
    ask.ask(10)
    commands.knows = TODAY
    commands.asked.clear()
    ask.forget()
    ask.ask(10)
    assert commands.asked == [BEST]


def test_failure_of_the_old_request_keeps_the_old_request() -> None:
    commands = FakeCommands(*OLD)
    ask = CrmMon(commands, "crm_mon", SystemClock())
    commands.answer = Completed((), 102, b'<crm_mon version="2.0.1"/>', "")
    assert settled(commands, ask) == {LEGACY}


@pytest.mark.parametrize(("complaint", "status"), [(GETOPT, 1), (GOPTION, 64)])
def test_program_that_accepts_neither_request_is_not_a_crm_mon(complaint: str, status: int) -> None:
    commands = FakeCommands(complaint=complaint, status=status)
    ask = CrmMon(commands, "/opt/bin/cat", SystemClock())
    for _ in range(2):
        commands.asked.clear()
        failure = failed(ask.ask(10))
        assert sorted(words[1:] for words in commands.asked) == sorted(
            words[1:] for words in (BEST, PLAIN, LEGACY)
        ), "every request was tried"
        assert failure.outcome is Outcome.EXIT_STATUS
        assert "accepts neither --output-as=xml nor --as-xml" in failure.message
        assert f"exit status {status}" in failure.message
        assert "is /opt/bin/cat a crm_mon?" in failure.message


def test_all_requests_share_one_deadline() -> None:
    commands = FakeCommands(*OLD)
    commands.takes = 0.05
    CrmMon(commands, "crm_mon", SystemClock()).ask(10)
    assert 9.9 < commands.timeouts[0] <= 10
    for earlier, later in itertools.pairwise(commands.timeouts):
        assert 0 < later <= earlier - commands.takes


def test_remaining_time_of_a_request_is_never_negative() -> None:
    commands = FakeCommands(*OLD)
    commands.takes = 0.02
    CrmMon(commands, "crm_mon", SystemClock()).ask(0.01)
    assert min(commands.timeouts) == 0


# ---- With real processes ----


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn(tmp_path) as made:
        yield made


@pytest.fixture
def ask(stand_in: StandIn) -> CrmMon:
    return CrmMon(SystemCommands(os.environ, threading.Event()), str(stand_in.path), SystemClock())


@pytest.mark.parametrize("old", [OLD_1_1, OLD_2_0])
def test_old_crm_mon_is_read(ask: CrmMon, stand_in: StandIn, old: Behaviour) -> None:
    stand_in.does(old)
    for _ in range(2):
        assert good(crm_mon.read(left(ask.ask(20)))).bundles
    requests = Counter(tuple(start.argv[1:]) for start in stand_in.starts)
    assert requests.pop(LEGACY[1:]) == 2, "the answer of each poll"
    assert set(requests.values()) == {1}, "any other request was tried once"


def test_hanging_old_crm_mon_gets_one_timeout(ask: CrmMon, stand_in: StandIn) -> None:
    stand_in.does(HANGS._replace(refuses=("--output-as",)))
    began = time.monotonic()
    failure = failed(ask.ask(3))  # on a busy machine the refusal takes a while
    assert 3 <= time.monotonic() - began < 6
    assert failure.outcome is Outcome.TIMEOUT
    assert stand_in.starts[-1].argv[1:] == list(LEGACY[1:])
    assert stand_in.alive() == []


@pytest.mark.parametrize("complaint", ["getopt", "goption"])
def test_error_about_another_program_names_its_path(
    ask: CrmMon, stand_in: StandIn, complaint: str
) -> None:
    stand_in.does(Behaviour(refuses=("-",), complaint=complaint))
    failure = failed(ask.ask(20))
    assert f"is {stand_in.path} a crm_mon" in failure.message
    assert failure.outcome is Outcome.EXIT_STATUS
    assert "option" in failure.message, "says what it complained of"


# ---- Answers without a cluster in them ----


def _failure(ask: CrmMon) -> Failure:
    return failed(crm_mon.read(left(ask.ask(20))))


NO_PACEMAKER = "is Pacemaker running here?"
NO_ANSWER = "do all Pacemaker daemons of this node answer, and do ACLs let this user read?"
NO_CONNECTION = "crm_mon: Connection to cluster failed: Connection refused"
GROUP = "add the exporter's user to group haclient"


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
                "crm_mon has no access to the cluster (exit status 4): error: Could not connect to"
                " launcher: Permission denied; crm_mon: Connection to cluster failed: Permission"
                f" denied; {GROUP}"
            ),
        ),
        (
            DENIED._replace(status=0),
            Outcome.PERMISSION_DENIED,
            (
                "crm_mon has no access to the cluster (status code 4): error: Could not connect to"
                " launcher: Permission denied; crm_mon: Connection to cluster failed: Permission"
                f" denied; {GROUP}"
            ),
        ),
        (
            Behaviour(out='<crm_mon version="2.1.5"/>', status=4),
            Outcome.PERMISSION_DENIED,
            f"crm_mon has no access to the cluster (exit status 4): no reason given; {GROUP}",
        ),
        (
            FROZEN,
            Outcome.INCOMPLETE,
            (
                "crm_mon succeeded but printed no cluster status: Could not connect to the"
                f" CIB: Transport endpoint is not connected; {NO_ANSWER}"
            ),
        ),
        (
            FROZEN_LEGACY,
            Outcome.INCOMPLETE,
            (
                "crm_mon succeeded but printed no cluster status: Could not connect to the"
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
        (Behaviour(), Outcome.MALFORMED, "crm_mon did not print XML: ''"),
        (
            Behaviour(out="cluster is\nfine\n"),
            Outcome.MALFORMED,
            "crm_mon did not print XML: 'cluster is'",
        ),
        (
            Behaviour(out="<html><body/></html>"),
            Outcome.MALFORMED,
            (
                "crm_mon printed XML that starts with line 1: <html>, not with <pacemaker-result>"
                " or <crm_mon>"
            ),
        ),
    ],
)
def test_each_failure_has_an_outcome_and_a_one_line_message(
    ask: CrmMon, stand_in: StandIn, behaviour: Behaviour, outcome: Outcome, message: str
) -> None:
    stand_in.does(behaviour)
    assert _failure(ask) == Failure(outcome, message)


@pytest.mark.parametrize("size", [100, 5_000, 20_000])
def test_truncated_document_is_malformed(ask: CrmMon, stand_in: StandIn, size: int) -> None:
    whole = Path(HEALTHY_CRM_MON.file).read_text()
    stand_in.does(Behaviour(out=whole[:size]))
    failure = _failure(ask)
    assert failure.outcome is Outcome.MALFORMED
    assert failure.message.startswith("crm_mon printed ill-formed XML: ")


def test_reason_of_several_lines_is_joined_into_one(ask: CrmMon, stand_in: StandIn) -> None:
    reason = "<errors><error>crm_mon: the DC\n  did not answer</error></errors>"
    out = f'<pacemaker-result><status code="124">{reason}</status></pacemaker-result>'
    stand_in.does(Behaviour(out=out, status=124))
    assert (
        _failure(ask).message == "crm_mon failed (exit status 124): crm_mon: the DC did not answer"
    )
