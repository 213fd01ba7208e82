"""The program as an operator runs it, with a working or misbehaving crm_mon."""

import http.client
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import __version__
from exporter.cluster.outcome import Outcome
from exporter.cluster.selection import Collector
from exporter.pacemaker import crm_mon
from tests.support.harness.stand_in import (
    DENIED,
    FROZEN,
    HANGS,
    HANGS_DEAF,
    HEALTHY_CIBADMIN,
    HEALTHY_CRM_MON,
    HEALTHY_CRM_NODE,
    NOT_CONNECTED,
    OLD_1_1,
    Behaviour,
    StandIn,
    Start,
)
from tests.support.model.states import STATES
from tests.support.paths import ROOT

COMMAND = (sys.executable, "-m", "exporter")
LOOPBACK = "127.0.0.1"
ENVIRONMENT = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
REAL_CRM_MON = shutil.which("crm_mon", path=ENVIRONMENT["PATH"])

NOISE = 2.0
"""Seconds that a busy machine may add to what takes no time."""
PATIENCE = 15.0
"""Seconds after which what was waited for will not come."""
TO_STOP = 1.0 + 0.5
"""A second to stop in, whatever crm_mon does (it takes half of it), and something for noise."""

Labels = dict[str, str]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.01)


# ---- What comes out of it ----


class Page:
    """A page of metrics, and when it was got."""

    def __init__(self, text: str, asked: float = 0.0, answered: float = 0.0) -> None:
        """Args: the text, the monotonic clock before and after, for a page that was scraped."""
        self.text = text
        self.asked = asked
        self.answered = answered
        self._samples: dict[str, list[tuple[Labels, float]]] = {}
        self.types: dict[str, str] = {}
        for family in text_string_to_metric_families(text):
            self.types[family.name] = family.type
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def __contains__(self, name: str) -> bool:
        return name in self._samples

    def all(self, name: str, **labels: str) -> dict[tuple[str, ...], float]:
        """Return a family's values by the values of its other labels."""
        return {
            tuple(value for label, value in present.items() if label not in labels): value
            for present, value in self._samples.get(name, [])
            if labels.items() <= present.items()
        }

    def value(self, name: str, **labels: str) -> float:
        """Return the one value with these labels."""
        found = [
            value
            for present, value in self._samples.get(name, [])
            if labels.items() <= present.items()
        ]
        assert len(found) == 1, f"{len(found)} of {name}{labels}"
        return found[0]

    @property
    def up(self) -> bool:
        return self.value("pacemaker_up") == 1

    @property
    def cluster(self) -> bool:
        """Whether there is any series about the cluster."""
        own = ("pacemaker_exporter_", "pacemaker_up", "pacemaker_view_", "process_", "python_")
        return any(not name.startswith(own) for name in self._samples)

    @property
    def outcome(self) -> str:
        """The outcome of the last poll; empty before the first has ended."""
        present = self.all("pacemaker_exporter_source_last_outcome", source="status")
        assert {outcome for (outcome,) in present} == set(Outcome)
        return "".join(outcome for (outcome,), value in present.items() if value)

    def polls(self, outcome: str = "success") -> float:
        return self.value("pacemaker_exporter_source_reads_total", source="status", outcome=outcome)

    def cib_reads(self, outcome: str) -> float:
        return self.value(
            "pacemaker_exporter_source_reads_total", source="configuration", outcome=outcome
        )


_PAIR = r'[a-z_]+=(?:"(?:[^"\\\n]|\\.)*"|[^\s"]*)'
_LOGFMT = re.compile(rf"{_PAIR}(?: {_PAIR})*")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def logfmt(text: str) -> list[Labels]:
    """Read log lines, all of which must be lines of logfmt."""
    lines = []
    for line in text.splitlines():
        assert _LOGFMT.fullmatch(line), f"no logfmt: {line!r}"
        pairs = (pair.partition("=") for pair in re.findall(_PAIR, line))
        lines.append({key: json.loads(v) if v.startswith('"') else v for key, _, v in pairs})
    return lines


class Program:
    """The program, listening on a port of its own choice; leaving its context ends it."""

    def __init__(
        self, directory: Path, *flags: str, address: str = f"{LOOPBACK}:0", wait: bool = True
    ) -> None:
        self._flags = (f"--web.listen-address={address}", *flags)
        self._log = directory / "program.log"
        self._wait = wait

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                (*COMMAND, *self._flags), cwd=ROOT, env=ENVIRONMENT, stderr=log
            )
        try:
            until(lambda: "msg=listening" in self._finished_log(), "it listens")
            if self._wait:
                until(lambda: bool(self.scrape().outcome), "the first poll has ended")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it, by force if it does not end by itself."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Stop it by a signal, which must end it well; return the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        assert self.process.wait(PATIENCE) == 0
        return time.monotonic() - began

    def _finished_log(self) -> str:
        """Return the log up to the last whole line."""
        head, newline, _ = self._log.read_text().rpartition("\n")
        return head + newline

    @property
    def log(self) -> list[Labels]:
        """The lines of its log."""
        return logfmt(self._finished_log())

    def said(self, **pairs: str) -> list[Labels]:
        """Return the lines that have these pairs."""
        return [line for line in self.log if pairs.items() <= line.items()]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens."""
        texts = (line["address"] for line in self.said(msg="listening"))
        pairs = (text.rpartition(":") for text in texts)
        return [(host.strip("[]"), int(port)) for host, _, port in pairs]

    def get(self, path: str, *, host: str = "", port: int = 0) -> tuple[int, str]:
        """Return status and body of a page."""
        first = self.addresses[0]
        connection = http.client.HTTPConnection(host or first[0], port or first[1], timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def scrape(self) -> Page:
        """Get the metrics."""
        asked = time.monotonic()
        status, text = self.get("/metrics")
        answered = time.monotonic()
        assert status == 200
        return Page(text, asked, answered)

    def scrape_until(self, condition: Callable[[Page], bool], what: str) -> Page:
        """Scrape until a page is as it shall be."""
        pages = [self.scrape()]

        def reached() -> bool:
            pages[0] = self.scrape()
            return condition(pages[0])

        until(reached, what)
        return pages[0]


@dataclass(frozen=True)
class Site:
    """A machine with Pacemaker's three commands on it."""

    directory: Path
    crm_mon: StandIn
    cibadmin: StandIn
    crm_node: StandIn

    @property
    def paths(self) -> tuple[str, ...]:
        """The flags that name the commands; this machine's corosync is left alone."""
        commands = (self.crm_mon, self.cibadmin, self.crm_node)
        paths = (f"--{command.path.name}.path={command.path}" for command in commands)
        return (*paths, "--no-collector.corosync")

    def program(self, *flags: str, wait: bool = True) -> Program:
        return Program(self.directory, *self.paths, *flags, wait=wait)

    def alive(self) -> list[int]:
        """Return what lives of all three, leaving out what they left behind on purpose."""
        return [*self.crm_mon.alive(), *self.cibadmin.alive(), *self.crm_node.alive()]

    def one_at_a_time(self) -> bool:
        commands = (self.crm_mon, self.cibadmin, self.crm_node)
        return not any(start.beside for command in commands for start in command.starts)


def _site(directory: Path, stack: ExitStack) -> Site:
    return Site(
        directory,
        stack.enter_context(StandIn(directory)),
        stack.enter_context(StandIn(directory, "cibadmin", HEALTHY_CIBADMIN)),
        stack.enter_context(StandIn(directory, "crm_node", HEALTHY_CRM_NODE)),
    )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield _site(tmp_path, stack)


def run(*flags: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return run_command(*COMMAND, *flags, environment=environment, seconds=PATIENCE)


def run_command(
    *command: str,
    environment: dict[str, str] | None = None,
    stdin: IO[bytes] | None = None,
    seconds: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a command that starts the program, to its end."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment or ENVIRONMENT,
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


# ---- crm_mon hangs ----

HANG_TIMEOUT = 1.0
HANG_MAX_AGE = 2.5


@dataclass
class Story:
    """Pages and log while crm_mon worked, hung (ignoring TERM) and worked again."""

    before: Page
    hanging: list[Page] = field(default_factory=list)
    hung: list[Start] = field(default_factory=list)
    """The starts that hung."""
    last_good: float = 0.0
    """When the last crm_mon that worked was started, on the monotonic clock."""
    recovered: Page | None = None
    log: list[Labels] = field(default_factory=list)
    one_at_a_time: bool = False
    left: list[int] = field(default_factory=list)

    @property
    def began(self) -> float:
        """When crm_mon began to hang."""
        return self.hung[0].at


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    flags = ("--poll.interval=100ms", "--poll.timeout=1s", "--poll.max-age=2500ms")
    with ExitStack() as stack:
        site = _site(tmp_path_factory.mktemp("hang"), stack)
        with site.program(*flags) as program:
            seen = Story(program.scrape_until(lambda page: page.polls() >= 3, "three polls"))
            site.crm_mon.does(HANGS_DEAF)
            deadline = time.monotonic() + PATIENCE
            while True:
                page = program.scrape()
                seen.hanging.append(page)
                if page.polls("timeout") >= 2 and not page.cluster:
                    break
                assert time.monotonic() < deadline
                time.sleep(0.02)
            stamp = page.value("pacemaker_exporter_snapshot_timestamp_seconds")
            seen.last_good = stamp - (time.time() - time.monotonic())
            starts = site.crm_mon.starts
            seen.hung = [
                start
                for start, following in zip(starts, [*starts[1:], None], strict=True)
                if following is None or following.at - start.at >= HANG_TIMEOUT
            ]
            site.crm_mon.does(HEALTHY_CRM_MON)
            seen.recovered = program.scrape_until(lambda page: page.up, "it is up again")
            program.stop()
            seen.log = program.log
        seen.one_at_a_time = site.one_at_a_time()
        seen.left = site.alive()
        yield seen


def test_data_is_complete_before_crm_mon_hangs(story: Story) -> None:
    assert story.before.up
    assert story.before.cluster
    assert story.before.outcome == "success"


def test_scrapes_are_answered_at_once_while_crm_mon_hangs(story: Story) -> None:
    during = [page for page in story.hanging if page.asked > story.began]
    assert len(during) >= 20
    assert statistics.median(page.answered - page.asked for page in during) < 0.1
    assert max(page.answered - page.asked for page in during) < HANG_TIMEOUT


def test_hanging_poll_changes_no_value_until_its_timeout(story: Story) -> None:
    early = [page for page in story.hanging if page.answered < story.began + HANG_TIMEOUT]
    assert early[-1].asked > story.began
    assert all(page.up and page.cluster and page.outcome == "success" for page in early)


def test_up_becomes_0_when_the_timeout_has_passed(story: Story) -> None:
    down = [page for page in story.hanging if not page.up]
    assert down == story.hanging[-len(down) :]
    assert all(page.outcome == "timeout" for page in down)
    assert HANG_TIMEOUT < down[0].answered - story.began < HANG_TIMEOUT + NOISE


def test_old_data_is_served_up_to_its_maximum_age_and_not_longer(story: Story) -> None:
    served = [page.asked for page in story.hanging if page.cluster and not page.up]
    withdrawn = [page.answered for page in story.hanging if not page.cluster]
    assert served, "after the failure too"
    assert max(served) < story.last_good + HANG_MAX_AGE + 0.1
    assert min(withdrawn) > story.last_good + HANG_MAX_AGE - 0.1


def test_old_data_is_complete_until_it_is_withdrawn(story: Story) -> None:
    counts = {len(page.all("pacemaker_bundle_replica_ready")) for page in story.hanging}
    assert counts == {len(story.before.all("pacemaker_bundle_replica_ready")), 0}


def test_snapshot_time_remains_after_the_data_is_withdrawn(story: Story) -> None:
    last = story.hanging[-1]
    assert last.value("pacemaker_view_trusted") == 0
    assert last.value("pacemaker_view_dc") == 0
    # Kept, or an alert on the age of the data would end as the data goes.
    stamp = "pacemaker_exporter_snapshot_timestamp_seconds"
    assert last.value(stamp) == story.hanging[-2].value(stamp)
    assert last.value(stamp) == max(page.value(stamp) for page in story.hanging)
    assert (
        HANG_TIMEOUT
        <= last.value("pacemaker_exporter_source_duration_seconds", source="status")
        < 3
    )


def test_no_second_crm_mon_is_started_beside_one_that_hangs(story: Story) -> None:
    assert len(story.hung) >= 2
    assert story.one_at_a_time


def test_data_returns_with_crm_mon(story: Story) -> None:
    assert story.recovered is not None
    assert story.recovered.outcome == "success"
    assert story.recovered.value("pacemaker_view_trusted") == 1
    name = "pacemaker_bundle_replica_ready"
    assert story.recovered.all(name) == story.before.all(name)


def test_hang_is_logged_when_it_begins_and_when_it_ends(story: Story) -> None:
    levels = [(line["level"], line["msg"].partition(" (")[0]) for line in story.log]
    assert [level for level, _ in levels] == ["info", "error", "info", "info"]
    assert [text for level, text in levels if level == "info"] == [
        "listening",
        "crm_mon works again",
        "stopping",
    ]
    failure = story.log[1]
    assert (failure["command"], failure["outcome"]) == ("crm_mon", "timeout")
    assert "1 s" in failure["msg"]
    assert float(story.log[2]["failed_for_seconds"]) >= HANG_TIMEOUT


def test_no_crm_mon_is_left_after_the_exporter_stopped(story: Story) -> None:
    assert story.left == []


def test_pages_are_served_while_the_first_crm_mon_hangs(site: Site) -> None:
    site.crm_mon.does(HANGS)
    with site.program(wait=False) as program:
        until(lambda: bool(site.crm_mon.starts), "crm_mon was started")
        page = program.scrape()
        assert (page.up, page.cluster, page.outcome) == (False, False, "")
        assert set(page.all("pacemaker_exporter_source_reads_total").values()) == {0}
        assert "pacemaker_exporter_snapshot_timestamp_seconds" not in page
        assert program.get("/-/healthy")[0] == 200
        assert program.get("/-/ready")[0] == 503
        assert program.get("/")[0] == 200


# ---- Stopping ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("behaviour", [HEALTHY_CRM_MON, HANGS_DEAF])
def test_signal_ends_the_exporter_within_a_second_whatever_crm_mon_does(
    site: Site, number: signal.Signals, behaviour: Behaviour
) -> None:
    site.crm_mon.does(behaviour)
    with site.program(wait=False) as program:
        until(lambda: bool(site.crm_mon.starts), "crm_mon was started")
        assert program.stop(number) < TO_STOP
        assert [line["msg"] for line in program.log] == ["listening", "stopping"]
    assert site.alive() == []


def test_sighup_does_not_end_the_exporter(site: Site) -> None:
    with site.program() as program:
        program.process.send_signal(signal.SIGHUP)
        until(lambda: "no web configuration to reload" in program.log[-1]["msg"], "a line about it")
        assert program.scrape().up
        assert program.stop() < TO_STOP


def test_exporter_ends_cleanly_while_cibadmin_hangs_and_clients_stay_connected(site: Site) -> None:
    site.cibadmin.does(HANGS_DEAF)
    with site.program(wait=False) as program:
        until(lambda: bool(site.cibadmin.starts), "cibadmin was started")
        with socket.create_connection(program.addresses[0]) as idle:
            idle.sendall(b"GET /metrics HTTP/1.1\r\n")
            assert program.stop() < TO_STOP
    assert site.alive() == []


def test_further_signals_do_not_disturb_the_shutdown(site: Site) -> None:
    site.crm_mon.does(HANGS_DEAF)
    with site.program(wait=False) as program:
        until(lambda: bool(site.crm_mon.starts), "crm_mon was started")
        program.process.send_signal(signal.SIGINT)
        until(lambda: bool(program.said(msg="stopping")), "it is about to stop")
        program.process.send_signal(signal.SIGINT)
        assert program.stop() < TO_STOP
        assert len(program.log) == 2
    assert site.alive() == []


def test_signal_during_start_ends_the_exporter_cleanly(site: Site) -> None:
    with site.program(wait=False) as program:
        program.stop()
    assert site.alive() == []


# ---- It stands still ----


@dataclass(frozen=True)
class Pause:
    """Pages of an exporter that SIGSTOP stopped and SIGCONT continued."""

    ended: float
    """When it went on, on the monotonic clock."""
    pages: list[Page]
    """From the one that was asked for meanwhile on."""
    starts: list[float]
    """Of crm_mon, in seconds since it went on."""
    log: list[Labels]

    def age(self, page: Page) -> float:
        """Seconds from the start of the crm_mon that gave a page until that was answered."""
        taken = page.value("pacemaker_exporter_snapshot_timestamp_seconds")
        return page.answered - (taken - (time.time() - time.monotonic()))


def _pause(site: Site, seconds: float, watch: float, *flags: str) -> Pause:
    """Stop the exporter while crm_mon runs, ask it for a page, let it go on and watch it."""
    with site.program(*flags) as program:
        program.scrape_until(lambda page: page.polls() >= 2, "two polls")
        site.crm_mon.does(HEALTHY_CRM_MON._replace(seconds=0.3))
        count = len(site.crm_mon.starts)
        until(lambda: len(site.crm_mon.starts) > count, "crm_mon runs")
        program.process.send_signal(signal.SIGSTOP)
        site.crm_mon.does(HEALTHY_CRM_MON)
        time.sleep(seconds)
        with ThreadPoolExecutor(1) as client:
            waiting = client.submit(program.scrape)
            time.sleep(0.2)  # the kernel takes the connection and the request
            assert not waiting.done()
            ended = time.monotonic()
            program.process.send_signal(signal.SIGCONT)
            pages = [waiting.result(PATIENCE)]
        while time.monotonic() < ended + watch:
            pages.append(program.scrape())
        pages.append(program.scrape_until(lambda page: page.up, "it is up"))
        program.stop()
        starts = [start.at - ended for start in site.crm_mon.starts if start.at > ended]
        return Pause(ended, pages, starts, program.log)


def _check_pause(pause: Pause, max_age: float) -> None:
    assert all(pause.age(page) <= max_age + 0.1 for page in pause.pages if page.cluster)
    assert not any(page.up for page in pause.pages if not page.cluster)
    # The poll that was under way took longer than its timeout, whatever crm_mon did meanwhile.
    assert pause.pages[-1].polls("timeout") >= 1
    assert {line["outcome"] for line in pause.log if "outcome" in line} == {"timeout"}


def test_old_data_is_not_shown_as_current_after_a_pause(site: Site) -> None:
    flags = ("--poll.interval=500ms", "--poll.timeout=1500ms", "--poll.max-age=3s")
    pause = _pause(site, 4, 1.5, *flags)
    _check_pause(pause, 3)
    # Eight beats were missed; one poll comes at once, the others on the beat.
    assert len([start for start in pause.starts if start < 1.5]) <= 1.5 / 0.5 + 2
    assert site.one_at_a_time()
    assert site.alive() == []


@pytest.mark.endurance
def test_old_data_is_not_shown_as_current_after_a_pause_of_two_minutes(site: Site) -> None:
    pause = _pause(site, 120, 12, "--poll.timeout=10s", "--poll.max-age=90s")
    _check_pause(pause, 90)
    assert 1 <= len([start for start in pause.starts if start < 12]) <= 3
    assert site.one_at_a_time()


# ---- crm_mon fails ----


def test_outcome_not_connected_withdraws_the_data_until_recovery(
    site: Site,
) -> None:
    with site.program("--poll.interval=100ms") as program:
        before = program.scrape()
        assert before.cluster

        site.crm_mon.does(NOT_CONNECTED)
        page = program.scrape_until(lambda page: not page.up, "it is down")
        assert page.outcome == "not_connected"
        assert not page.cluster
        stamp = "pacemaker_exporter_snapshot_timestamp_seconds"
        assert page.value(stamp) >= before.value(stamp)
        program.scrape_until(lambda page: page.polls("not_connected") >= 5, "five failed polls")

        site.crm_mon.does(HEALTHY_CRM_MON)
        page = program.scrape_until(lambda page: page.up, "it is up again")
        for name in ("pacemaker_bundle_replicas_ready", "pacemaker_bundle_promoted_max"):
            assert page.all(name) == before.all(name)
        program.scrape_until(lambda later: later.polls() >= page.polls() + 3, "three more polls")
        program.stop()

        begin, end = program.log[1:3]
        assert [line["msg"] for line in program.log[:1] + program.log[3:]] == [
            "listening",
            "stopping",
        ]
    assert (begin["level"], begin["outcome"]) == ("error", "not_connected")
    assert "is Pacemaker running here?" in begin["msg"]
    assert (end["level"], end["msg"]) == ("info", "crm_mon works again")
    assert site.one_at_a_time()


def test_other_failures_keep_the_data_until_its_maximum_age(site: Site) -> None:
    faults = {
        "incomplete": FROZEN,
        "malformed": Behaviour(out="garbage"),
        "exit_status": Behaviour(dies=signal.SIGSEGV),
        "permission_denied": DENIED,
        "not_found": None,
    }
    with site.program("--poll.interval=50ms") as program:
        before = program.scrape()
        for outcome, behaviour in faults.items():
            if behaviour:
                site.crm_mon.does(behaviour)
            else:
                site.crm_mon.disappear()
            page = _scrape_until_polled(program, 3, outcome)
            assert (page.up, page.outcome) == (False, outcome)
            assert page.value("pacemaker_view_trusted") == 0
            name = "pacemaker_bundle_replica_role"
            assert page.all(name) == before.all(name)
        # A failure for another reason is another failure.
        assert [line["outcome"] for line in program.said(level="error")] == list(faults)
        site.crm_mon.appear()
        site.crm_mon.does(HEALTHY_CRM_MON)
        program.scrape_until(lambda page: page.up, "it is up again")
        assert len(program.said(msg="crm_mon works again")) == 1


def _scrape_until_polled(program: Program, times: int, outcome: str) -> Page:
    return program.scrape_until(lambda page: page.polls(outcome) >= times, f"{times} x {outcome}")


def test_old_crm_mon_gets_the_old_request(site: Site) -> None:
    site.crm_mon.does(OLD_1_1)
    with site.program("--poll.interval=50ms") as program:
        program.scrape_until(lambda page: page.polls() >= 3, "three polls")
        assert [line["msg"] for line in program.log] == ["listening"]
    requests = [start.argv[1:] for start in site.crm_mon.starts]
    refused = [request for request in requests if "--output-as=xml" in request]
    assert refused == requests[: len(refused)]
    assert refused
    assert all(request == ["--as-xml", "--inactive"] for request in requests[len(refused) :])


# ---- When polls happen ----


def test_crm_mon_slower_than_the_interval_runs_without_pause_and_never_twice(
    site: Site,
) -> None:
    site.crm_mon.does(HEALTHY_CRM_MON._replace(seconds=0.3))
    with site.program("--poll.interval=50ms") as program:
        page = program.scrape_until(lambda page: page.polls() >= 5, "five polls")
        assert page.up
        assert (
            0.3
            <= page.value("pacemaker_exporter_source_duration_seconds", source="status")
            < 0.3 + NOISE
        )
    starts = [start.at for start in site.crm_mon.starts]
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert all(pause >= 0.3 for pause in pauses)
    assert statistics.median(pauses) < 0.3 + NOISE / 4
    assert site.one_at_a_time()


def test_polls_keep_the_interval_whatever_crm_mon_takes(site: Site) -> None:
    site.crm_mon.does(HEALTHY_CRM_MON._replace(seconds=0.35))
    with site.program("--poll.interval=500ms") as program:
        program.scrape_until(lambda page: page.polls() >= 4, "four polls")
    starts = [start.at for start in site.crm_mon.starts]
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    # An interval from the end of one to the start of the next would make it 0.85.
    assert 0.4 < statistics.median(pauses) < 0.75


# ---- cibadmin ----

HEALTHY_FRAME = ROOT / "exporter/pacemaker/demo/bundles/frames/00-healthy.xml"
FROM_CIB = ("pacemaker_bundle_promoted_max", "pacemaker_bundle_replicas_per_host_limit")


def test_only_configuration_metrics_are_absent_without_the_cib(site: Site) -> None:
    error = "Could not connect to the CIB: Transport endpoint is not connected\nInit failed\n"
    site.cibadmin.does(Behaviour(err=error, status=102))
    with site.program("--poll.interval=50ms") as program:
        page = program.scrape_until(lambda page: page.cib_reads("not_connected") >= 3, "3 reads")
        assert page.up
        assert page.value("pacemaker_view_trusted") == 1
        assert page.value("pacemaker_bundle_replicas_ready", bundle="galera-bundle") == 3
        assert not any(name in page for name in FROM_CIB)
        assert page.value("pacemaker_cluster_info", cluster_name="") == 1
        assert page.cib_reads("success") == 0

        site.cibadmin.does(HEALTHY_CIBADMIN)
        page = program.scrape_until(lambda page: page.cib_reads("success") == 1, "a read")
        assert page.value(FROM_CIB[0], bundle="galera-bundle") == 3
        assert page.value(FROM_CIB[1], bundle="galera-bundle") == 1
        assert page.value("pacemaker_cluster_info", cluster_name="demo") == 1
        # A CIB that did not change is not read again at each poll.
        later = page.polls() + 5
        page = program.scrape_until(lambda page: page.polls() >= later, "five more polls")
        assert page.cib_reads("success") == 1

        lines = [(line["level"], line.get("outcome", "")) for line in program.log[1:]]
        assert lines == [("error", "not_connected"), ("info", "")]
        assert program.log[2]["msg"] == "cibadmin works again"


def test_changed_cib_is_read_again(site: Site) -> None:
    changed = site.directory / "changed.xml"
    text = Path(HEALTHY_CRM_MON.file).read_text()
    changed.write_text(
        re.sub(r'(<last_change time=)"[^"]*"', r'\1"Thu Jan  1 00:00:00 2026"', text)
    )
    with site.program("--poll.interval=50ms") as program:
        assert program.scrape().cib_reads("success") == 1
        site.crm_mon.does(Behaviour(file=str(changed)))
        page = program.scrape_until(lambda page: page.cib_reads("success") == 2, "a second read")
        later = page.polls() + 3
        page = program.scrape_until(lambda page: page.polls() >= later, "three more polls")
        assert page.cib_reads("success") == 2


def test_hanging_cibadmin_delays_only_one_poll(site: Site) -> None:
    site.cibadmin.does(HANGS_DEAF)
    with site.program("--poll.interval=50ms", "--poll.timeout=1s", wait=False) as program:
        page = program.scrape_until(lambda page: page.polls() >= 1, "the first poll")
        later = page.polls() + 10
        began = time.monotonic()
        page = program.scrape_until(lambda page: page.polls() >= later, "ten more polls")
        assert time.monotonic() - began < 5, "ten that wait for cibadmin would take ten seconds"
        assert page.up
        assert page.cib_reads("timeout") == 1
        assert not any(name in page for name in FROM_CIB)
        assert "pacemaker_bundle_replicas_ready" in page
        assert [line["outcome"] for line in program.said(level="error")] == ["timeout"]
    assert len(site.cibadmin.starts) == 1
    assert site.one_at_a_time()
    assert site.alive() == []


@pytest.mark.parametrize("behaviour", [Behaviour(err="no\n", status=102), Behaviour(out="")])
def test_only_the_local_node_is_unknown_without_crm_node(site: Site, behaviour: Behaviour) -> None:
    site.crm_node.does(behaviour)
    with site.program() as program:
        page = program.scrape()
        assert (page.up, page.value("pacemaker_view_trusted")) == (True, True)
        assert page.value("pacemaker_view_dc") == 0
        assert "pacemaker_local_node_info" not in page
        assert [line["msg"] for line in program.log] == [
            "listening",
            "cannot tell which node of the cluster this is: pacemaker_view_dc stays 0",
        ]


def test_whole_cluster_is_shown_with_all_three_commands(site: Site) -> None:
    with site.program() as program:
        page = program.scrape()
        assert "DEMONSTRATION" not in program.get("/")[1]
    assert page.up
    assert page.value("pacemaker_view_dc") == 1
    assert page.value("pacemaker_local_node_info", node="controller-0") == 1
    assert page.value("pacemaker_bundle_replicas_ready", bundle="galera-bundle") == 3
    assert page.value(FROM_CIB[0], bundle="galera-bundle") == 3
    commands = (site.crm_mon, site.cibadmin, site.crm_node)
    assert [start.argv[1:] for command in commands for start in command.starts] == [
        list(crm_mon.requests(frozenset(Collector))[0].argv(histories=True)),
        ["--query", "--local", "--scope=configuration"],
        ["--name"],
    ]
    for command in commands:
        assert command.starts[0].environment == {"LC_ALL": "C", "TZ": "UTC"}


def test_command_prefix_applies_to_all_three_commands(site: Site) -> None:
    with site.program("--command.prefix=env -i 'A=b c'") as program:
        page = program.scrape()
    assert page.value("pacemaker_view_dc") == 1
    assert page.value(FROM_CIB[0], bundle="galera-bundle") == 3
    for command in (site.crm_mon, site.cibadmin, site.crm_node):
        assert command.starts[0].environment == {"LC_ALL": "C", "TZ": "UTC"}


# ---- The real crm_mon ----


@pytest.mark.real
@pytest.mark.skipif(REAL_CRM_MON is None, reason="no crm_mon (Debian: pacemaker-cli-utils)")
def test_real_crm_mon_and_cibadmin_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cib = STATES["healthy"].write(tmp_path / "cib.xml")
    monkeypatch.setitem(ENVIRONMENT, "CIB_file", str(cib))
    with Program(tmp_path, "--poll.interval=100ms") as program:
        page = program.scrape_until(lambda page: page.polls() >= 3, "three polls")
        assert page.up
        assert page.value("pacemaker_view_trusted") == 1
        assert page.all("pacemaker_bundle_replicas_ready") == {
            (f"{name}-bundle",): 3 for name in ("galera", "redis", "rabbitmq", "haproxy")
        }
        assert page.all("pacemaker_bundle_promoted_max") == {
            ("galera-bundle",): 3,
            ("redis-bundle",): 1,
            ("rabbitmq-bundle",): 0,
            ("haproxy-bundle",): 0,
        }
        assert page.cib_reads("success") == 1

        cib.unlink()
        page = program.scrape_until(lambda page: not page.up, "it is down")
        program.stop()
        # The CIB may have gone between the crm_mon and the cibadmin of a poll.
        told = sorted(line["command"] for line in program.said(level="error"))
        assert told in (["crm_mon"], ["cibadmin", "crm_mon"]), "one line for each"


# ---- --once ----


def test_once_prints_only_gauges(site: Site) -> None:
    ended = run("--once", *site.paths)
    assert (ended.returncode, ended.stderr) == (0, "")
    page = Page(ended.stdout)
    assert set(page.types.values()) == {"gauge"}
    assert page.up
    assert page.outcome == "success"
    assert page.value("pacemaker_bundle_replicas_ready", bundle="galera-bundle") == 3
    assert page.value(FROM_CIB[0], bundle="galera-bundle") == 3
    assert not re.search(r"^(# \w+ )?(process|python)_|_total\b", ended.stdout, re.MULTILINE)
    assert len(site.crm_mon.starts) == 1


def test_failed_once_is_reported_by_status_metrics_and_one_line(site: Site) -> None:
    site.crm_mon.does(NOT_CONNECTED)
    ended = run("--once", *site.paths)
    assert ended.returncode == 1
    page = Page(ended.stdout)
    assert (page.up, page.cluster, page.outcome) == (False, False, "not_connected")
    (line,) = logfmt(ended.stderr)
    assert (line["level"], line["outcome"]) == ("error", "not_connected")
    assert "is Pacemaker running here?" in line["msg"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_once_while_crm_mon_hangs(site: Site, number: signal.Signals) -> None:
    site.crm_mon.does(HANGS_DEAF)
    with subprocess.Popen(
        (*COMMAND, "--once", *site.paths),
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            until(lambda: bool(site.crm_mon.starts), "crm_mon was started")
            began = time.monotonic()
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE)
            assert time.monotonic() - began < TO_STOP
        finally:
            process.kill()
    assert (process.returncode, out) == (1, b"")
    assert b"Traceback" not in err
    assert site.alive() == []


def test_once_ends_at_its_timeout_while_crm_mon_hangs(site: Site) -> None:
    site.crm_mon.does(HANGS)
    ended = run("--once", "--poll.timeout=500ms", *site.paths)
    assert ended.returncode == 1
    assert Page(ended.stdout).outcome == "timeout"
    assert len(logfmt(ended.stderr)) == 1
    assert site.alive() == []


def test_once_reports_unwritable_output_in_one_line(site: Site) -> None:
    command = shlex.join((*COMMAND, "--once", *site.paths))
    for where in (">/dev/full", ">&-"):
        environment = {**ENVIRONMENT, "PYTHONUNBUFFERED": "1"}
        ended = run_command("sh", "-c", f"{command} {where}", environment=environment)
        assert ended.returncode == 1, where
        (line,) = logfmt(ended.stderr)
        assert line["msg"].startswith("cannot write to standard output: "), where


def test_show_reports_unwritable_output_in_one_line() -> None:
    command = shlex.join((*COMMAND, "show", "--demo"))
    for where in (">/dev/full", ">&-"):
        ended = run_command("sh", "-c", f"{command} {where}")
        assert ended.returncode == 1, where
        (line,) = ended.stderr.splitlines()
        assert "cannot write to standard output: " in line, where


def test_inherited_ignored_sigchld_does_not_lose_crm_mon(site: Site) -> None:
    """With an inherited SIG_IGN the kernel would reap crm_mon itself."""
    ended = run_command("env", "--ignore-signal=CHLD", *COMMAND, "--once", *site.paths)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_saved_output_is_read_from_standard_input(site: Site) -> None:
    with HEALTHY_FRAME.open("rb") as saved:
        ended = run_command(*COMMAND, "--once", "--from-file=-", stdin=saved)
    assert ended.returncode == 0
    assert "cibadmin" not in ended.stderr, "a saved output comes without a CIB"
    page = Page(ended.stdout)
    assert page.value("pacemaker_bundle_replicas_ready", bundle="galera-bundle") == 3
    assert FROM_CIB[0] not in page
    assert 'pacemaker_problems{kind="configuration_not_current"' not in ended.stdout
    assert page.value("pacemaker_exporter_snapshot_timestamp_seconds") > 0
    assert site.crm_mon.starts == []


def test_saved_output_of_a_selection_is_refused(tmp_path: Path) -> None:
    saved = tmp_path / "saved.xml"
    saved.write_bytes(
        HEALTHY_FRAME.read_bytes().replace(b"--inactive", b"--inactive --group-by-node", 1)
    )
    ended = run("--once", f"--from-file={saved}")
    assert ended.returncode == 1
    (line,) = logfmt(ended.stderr)
    assert "(--group-by-node)" in line["msg"]
    assert "run crm_mon --output-as=xml --inactive" in line["msg"]


def test_missing_saved_output_is_reported() -> None:
    ended = run("--once", "--from-file=/nowhere")
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = logfmt(ended.stderr)
    assert line["msg"] == "cannot read /nowhere: No such file or directory"


def test_short_maximum_age_gives_a_warning(site: Site) -> None:
    ended = run("--once", "--poll.max-age=80s", *site.paths)
    assert ended.returncode == 0
    (line,) = logfmt(ended.stderr)
    assert line["level"] == "warning"
    assert "--poll.max-age" in line["msg"]


# ---- The command line ----


def test_all_mistakes_are_reported_in_one_message() -> None:
    ended = run(
        "--poll.interval=soon",
        "--poll.timeout=0s",
        "--web.listen-address=localhost",
        "--web.listen-address=:70000",
        "--web.telemetry-path=metrics",
        "--crm_mon.path=",
        "--command.prefix=sudo 'crm",
        "--log.level=loud",
        "--log.format=xml",
        "--no-such-flag",
        "stray",
        "--poll.max-age",
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    for named in (
        "--poll.interval 'soon'",
        "--poll.timeout '0s'",
        "--web.listen-address 'localhost'",
        "--web.listen-address ':70000'",
        "--web.telemetry-path 'metrics'",
        "--crm_mon.path ''",
        '--command.prefix "sudo \'crm"',
        "--log.level 'loud'",
        "--log.format 'xml'",
        "--no-such-flag",
        "stray",
        "--poll.max-age needs a value",
    ):
        assert named in line


def test_maximum_age_shorter_than_a_slow_poll_is_refused() -> None:
    ended = run("--poll.interval=10s", "--poll.timeout=30s", "--poll.max-age=39s")
    assert ended.returncode == 2
    assert "--poll.max-age must be at least" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_port_in_use_is_reported_in_one_line() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        address = f"{LOOPBACK}:{taken.getsockname()[1]}"
        ended = run(
            "--demo", f"--web.listen-address={LOOPBACK}:0", f"--web.listen-address={address}"
        )
    assert ended.returncode == 1
    _, line = logfmt(ended.stderr)  # the first says that this is a demonstration
    assert line["level"] == "error"
    assert line["msg"].startswith(f"cannot listen on {address}: Address already in use")


def test_port_that_needs_rights_is_told_with_what_to_do() -> None:
    free = ("setpriv", "--bounding-set=-net_bind_service") if os.geteuid() == 0 else ()
    flags = ("--demo", f"--web.listen-address={LOOPBACK}:80")
    ended = run_command(*free, *COMMAND, *flags, seconds=PATIENCE)
    assert ended.returncode == 1
    told = f"cannot listen on {LOOPBACK}:80: Permission denied: use a port above 1023"
    assert told in ended.stderr


def test_help_shows_every_default() -> None:
    # Wide, because argparse breaks lines in names with a hyphen.
    ended = run("--help", environment={**ENVIRONMENT, "COLUMNS": "300"})
    assert ended.returncode == 0
    text = " ".join(ended.stdout.split())
    for flag, default in {
        "--web.listen-address": ":19664",
        "--web.telemetry-path": "/metrics",
        "--poll.interval": "10s",
        "--poll.timeout": "60s",
        "--poll.max-age": "150s",
        "--crm_mon.path": "crm_mon",
        "--cibadmin.path": "cibadmin",
        "--crm_node.path": "crm_node",
        "--corosync-cmapctl.path": "corosync-cmapctl",
        "--corosync-quorumtool.path": "corosync-quorumtool",
        "--corosync.socket": "none",
        "--command.prefix": "none",
        "--from-file": "none",
        "--collector.node-attributes": "pingd",
        "--collector.node-attributes-text": "none",
        "--log.level": "info",
        "--log.format": "logfmt",
    }.items():
        own = re.search(rf"{re.escape(flag)} [A-Z\[](?:(?! --[a-z]).)*", text)
        assert own is not None, flag
        assert f"(default: {default})" in own[0]
    # A flag that takes a value has a name for it in capitals, and a default.
    takes_value = set(re.findall(r"(--[a-z_.-]+) [A-Z\[]+(?![a-z])", text))
    assert len(re.findall(r"\(default: ", text)) == len(takes_value)


def test_version_is_printed() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"pacemaker-bundle-exporter {__version__}\n"


# ---- Where it listens ----


def _answers(program: Program) -> list[tuple[str, int]]:
    return [
        (host, program.get("/-/healthy", host=host, port=port)[0])
        for host, port in program.addresses
    ]


def test_exporter_listens_on_ipv4_and_ipv6_addresses(tmp_path: Path) -> None:
    second = "--web.listen-address=[::1]:0"
    with Program(tmp_path, "--demo", second, wait=False) as program:
        until(lambda: len(program.addresses) == 2, "both are listened on")
        assert _answers(program) == [(LOOPBACK, 200), ("::1", 200)]


def test_address_without_a_host_is_reached_by_both_families(tmp_path: Path) -> None:
    with Program(tmp_path, "--demo", address=":0", wait=False) as program:
        ((_, port),) = program.addresses
        for host in (LOOPBACK, "::1"):
            assert program.get("/-/healthy", host=host, port=port)[0] == 200


# ---- Its log ----


@pytest.mark.parametrize("level", ["debug", "warning"])
def test_log_lines_are_logfmt_of_the_chosen_level(site: Site, level: str) -> None:
    flags = (f"--log.level={level}", '--crm_mon.path=odd "name"=\\ \u00e9', "--once")
    ended = run(*site.paths, *flags)
    lines = logfmt(ended.stderr)
    assert all(list(line)[:3] == ["ts", "level", "msg"] for line in lines)
    assert all(_TIME.fullmatch(line["ts"]) for line in lines)
    assert {line["level"] for line in lines} == (
        {"debug", "error"} if level == "debug" else {"error"}
    )
    (error,) = (line for line in lines if line["level"] == "error")
    assert error["msg"].startswith('odd "name"=\\ \u00e9 cannot be started')


def test_log_lines_are_json_objects_when_chosen(site: Site) -> None:
    flags = ("--log.format=json", "--log.level=debug", f"--web.listen-address={LOOPBACK}:0")
    log = site.directory / "json.log"
    site.crm_mon.does(NOT_CONNECTED)
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            (*COMMAND, *site.paths, *flags), cwd=ROOT, env=ENVIRONMENT, stderr=stderr
        ) as process,
    ):
        try:
            until(lambda: "polled" in log.read_text(), "the first poll has ended")
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert all(list(line)[:3] == ["ts", "level", "msg"] for line in lines)
    assert all(_TIME.fullmatch(line["ts"]) for line in lines)
    assert [line["msg"] for line in lines if line["level"] == "info"] == ["listening", "stopping"]
    (error,) = (line for line in lines if line["level"] == "error")
    assert (error["command"], error["outcome"]) == ("crm_mon", "not_connected")
    (listening,) = (line for line in lines if line["msg"] == "listening")
    assert re.fullmatch(rf"{LOOPBACK}:\d+", str(listening["address"]))


# ---- The demonstration ----


def test_demonstration_is_named_in_log_metrics_and_page(tmp_path: Path) -> None:
    with Program(tmp_path, "--demo") as program:
        page = program.scrape()
        status, landing = program.get("/")
    assert (program.log[0]["level"], program.log[0]["msg"]) == (
        "warning",
        "DEMONSTRATION: this is not a real cluster",
    )
    assert page.up
    assert page.value("pacemaker_cluster_info", cluster_name="demo") == 1
    assert status == 200
    assert "DEMONSTRATION: this is not a real cluster." in landing
