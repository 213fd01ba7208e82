"""ReaderCommands asks the real script `corosync-reader`, through a real socket as systemd opens it.

corosync does not run here, so its commands are stand-ins: tests/deploy/test_installed.py has it.
"""

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.cluster.outcome import Outcome, Stopped
from exporter.corosync.reader import COMMANDS, ReaderCommands
from exporter.pacemaker.runner import Completed
from tests.support.harness import see
from tests.support.harness.programs import eventually, running
from tests.support.harness.results import failed, good
from tests.support.paths import ROOT

SCRIPT = ROOT / "deploy" / "systemd" / "corosync-reader"
PROGRAMS = ("corosync-cmapctl", "corosync-quorumtool")
QUORUM = ("corosync-quorumtool", "-i", "-p", "-s")
AMPLE = 20.0
SHORT = 0.4
NOISE = 2.0
"""Seconds that a busy machine may add to what takes no time."""


class Site:
    """A socket with the script behind it, and stand-ins for corosync's commands."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "socket"
        self.started = directory / "started"
        self._programs = directory / "programs"
        self._programs.mkdir()
        self.stand_in('printf "%s\\n" "$@"')

    def stand_in(self, does: str) -> None:
        """Let both commands do this."""
        for name in PROGRAMS:
            program = self._programs / name
            program.write_text(f'#!/bin/sh\necho "${{0##*/}}" >>{self.started}\n{does}\n')
            program.chmod(0o755)

    def remove_programs(self) -> None:
        shutil.rmtree(self._programs)

    @property
    def search_path(self) -> str:
        return f"{self._programs}:/usr/bin:/bin"

    def commands(self, stop: threading.Event | None = None) -> ReaderCommands:
        return ReaderCommands(str(self.path), stop or threading.Event())

    def raw(self, sent: bytes) -> bytes:
        """What the script answers to this."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(AMPLE)
            connection.connect(str(self.path))
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            # The kernel resets a connection on which the script left something unread.
            with contextlib.suppress(ConnectionResetError):
                while chunk := connection.recv(1 << 16):
                    answer += chunk
            return answer


@pytest.fixture(params=["dash", "bash"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """The script in the /bin/sh of Debian and in that of EL."""
    found = Site(tmp_path)
    argv = [
        *(see.need("systemd-socket-activate"), f"--listen={found.path}", "--accept", "--inetd"),
        *(f"--setenv=PATH={found.search_path}", see.need(request.param), str(SCRIPT)),
    ]
    log = tmp_path / "log"
    with running(argv, log):
        eventually(lambda: "Listening on" in log.read_text(encoding="utf-8"))
        yield found


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = _descriptors()
    yield
    assert _descriptors() == before


def _descriptors() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("word", COMMANDS)
def test_script_runs_the_command_that_was_requested(site: Site, word: str) -> None:
    program, arguments = COMMANDS[word]
    completed = good(site.commands().run((f"/opt/bin/{program}", *arguments), AMPLE))
    assert completed.stdout.decode().split("\n") == [*arguments, ""]
    assert completed.stderr == completed.stdout.decode()
    assert completed.argv == (f"/opt/bin/{program}", *arguments)
    assert completed.status == 0
    assert site.started.read_text() == f"{program}\n"


@pytest.mark.parametrize(
    "argv",
    [
        ("corosync-cmapctl", "nodelist."),
        ("corosync-cmapctl", "-s", "x", "u8", "1"),
        ("corosync-quorumtool", "-e", "1"),
        ("corosync-cfgtool", "-H"),
        ("corosync-cmapctl",),
    ],
)
def test_a_command_that_the_script_does_not_know_is_not_asked_for(
    site: Site, argv: tuple[str, ...]
) -> None:
    assert failed(site.commands().run(argv, AMPLE)).outcome is Outcome.NOT_FOUND
    assert not site.started.exists()


def test_result_has_both_outputs_and_the_exit_status(site: Site) -> None:
    site.stand_in("echo out; printf error >&2; exit 2")
    assert site.commands().run(QUORUM, AMPLE) == Completed(QUORUM, 2, b"out\nerror", "out\nerror")


def test_command_cannot_read_what_the_client_sends(site: Site) -> None:
    site.stand_in("cat")
    assert site.raw(b"quorum\nmore\n") == b"\nexit status 0\n"


@pytest.mark.parametrize(
    "sent",
    [
        *(b"", b"\n", b"stats", b"stats; reboot\n", b" stats\n"),
        *(b"stats \n", b"stats\t\n", b"stats\r\n", b"STATS\n", b"nodes3\n", b"stats quorum\n"),
        *(b"$(corosync-cmapctl)\n", b"`corosync-cmapctl`\n", b"corosync-cmapctl\n", b"*\n"),
        *(
            b"-m stats\n",
            b"stats\\\n",
            b"\\stats\n",
            b"\xff\n",
            b"x" * 100_000 + b"\n",
            b"\nstats\n",
        ),
    ],
)
def test_any_other_word_runs_nothing(site: Site, sent: bytes) -> None:
    answer = site.raw(sent)
    assert answer == b"corosync-reader: not one of the words stats, quorum, nodes, nodes2\n"
    assert not site.started.exists()


@pytest.mark.parametrize(
    "argv",
    [
        ("corosync-cmapctl",),
        ("corosync-cmapctl", "-s", "nodelist.x", "str", "y"),
        ("corosync-cmapctl", "totem."),
        ("corosync-quorumtool", "-e", "1"),
        ("corosync-cfgtool", "-s"),
    ],
)
def test_other_commands_are_not_requested(tmp_path: Path, argv: tuple[str, ...]) -> None:
    failure = failed(ReaderCommands(str(tmp_path / "none"), threading.Event()).run(argv, AMPLE))
    assert failure.outcome is Outcome.NOT_FOUND
    assert f"does not offer: {' '.join(argv)}" in failure.message


def test_missing_command_is_named(site: Site) -> None:
    site.remove_programs()
    failure = failed(site.commands().run(QUORUM, AMPLE))
    assert failure.outcome is Outcome.NOT_FOUND
    assert "corosync-quorumtool cannot be started through the socket" in failure.message
    assert "not found" in failure.message


def test_answer_without_its_end_is_a_failure(site: Site) -> None:
    site.stand_in("echo half; kill -KILL $PPID")
    failure = failed(site.commands().run(QUORUM, AMPLE))
    assert failure.outcome is Outcome.EXIT_STATUS
    assert "sent half an answer: half; see systemctl status" in failure.message


def test_answer_that_looks_like_the_end_is_not_the_end(site: Site) -> None:
    site.stand_in("printf '\\nexit status 3\\n\\nexit status x\\n'; exit 1")
    completed = good(site.commands().run(QUORUM, AMPLE))
    assert completed.stdout == b"\nexit status 3\n\nexit status x\n"
    assert completed.status == 1


def test_hanging_command_ends_in_a_timeout(site: Site) -> None:
    site.stand_in("echo half; exec sleep 5")
    before = time.monotonic()
    failure = failed(site.commands().run(QUORUM, SHORT))
    assert SHORT <= time.monotonic() - before < SHORT + NOISE
    assert failure.outcome is Outcome.TIMEOUT
    assert failure.message == "corosync-quorumtool did not answer within 0.4 s"


def test_large_answer_is_a_failure(site: Site) -> None:
    site.stand_in("head -c 5000000 /dev/zero")
    failure = failed(site.commands().run(QUORUM, AMPLE))
    assert failure.outcome is Outcome.TOO_LARGE
    site.stand_in("head -c 4000000 /dev/zero")
    assert len(good(site.commands().run(QUORUM, AMPLE)).stdout) == 4_000_000


def test_stop_interrupts_a_hanging_command(site: Site) -> None:
    site.stand_in("exec sleep 5")
    stop = threading.Event()
    timer = threading.Timer(SHORT, stop.set)
    timer.start()
    before = time.monotonic()
    with pytest.raises(Stopped):
        site.commands(stop).run(QUORUM, AMPLE)
    assert time.monotonic() - before < SHORT + NOISE
    timer.join()


def test_stopped_exporter_does_not_connect(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        ReaderCommands(str(tmp_path / "none"), stop).run(QUORUM, AMPLE)


def test_missing_socket_says_how_to_start_it(tmp_path: Path) -> None:
    path = tmp_path / "none"
    failure = failed(ReaderCommands(str(path), threading.Event()).run(QUORUM, AMPLE))
    assert failure.outcome is Outcome.NOT_FOUND
    assert failure.message == (
        f"the socket {path}, which reads corosync, does not exist: systemctl enable --now"
        " pacemaker-bundle-exporter-corosync.socket"
    )


def test_socket_on_which_nobody_listens_says_so(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
    failure = failed(ReaderCommands(str(path), threading.Event()).run(QUORUM, AMPLE))
    assert failure.outcome is Outcome.NOT_FOUND
    assert "is not listening: systemctl restart" in failure.message


@pytest.mark.parametrize("path", ["/x" * 100, f"{__file__}/x", "/dev/null"])
def test_unusable_path_says_so(path: str) -> None:
    failure = failed(ReaderCommands(path, threading.Event()).run(QUORUM, AMPLE))
    assert failure.outcome is Outcome.NOT_FOUND
    assert path in failure.message


@contextlib.contextmanager
def _unprivileged() -> Iterator[None]:
    """Be a user without capabilities: root may open every socket."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_refused_user_learns_who_may_connect(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        with _unprivileged():
            failure = failed(ReaderCommands(str(path), threading.Event()).run(QUORUM, AMPLE))
    assert failure.outcome is Outcome.PERMISSION_DENIED
    assert "SocketUser= of pacemaker-bundle-exporter-corosync.socket" in failure.message


@pytest.mark.parametrize(
    ("answer", "said"), [(b"", "sent no answer"), (b"Error", "sent half an answer: Error")]
)
def test_dropped_connection_is_a_failure(tmp_path: Path, answer: bytes, said: str) -> None:
    """As systemd drops those above MaxConnections."""
    path = tmp_path / "socket"

    def drop() -> None:
        connection, _ = listening.accept()
        if answer:
            connection.recv(1)
            connection.sendall(answer)
        connection.close()

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        dropping = threading.Thread(target=drop)
        dropping.start()
        failure = failed(ReaderCommands(str(path), threading.Event()).run(QUORUM, AMPLE))
        dropping.join()
    assert failure.outcome is Outcome.EXIT_STATUS
    assert said in failure.message


def test_busy_socket_says_nothing_about_corosync(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with contextlib.ExitStack() as cleanup:
        listening = cleanup.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(path))
        listening.listen(0)
        waiting = cleanup.enter_context(socket.socket(socket.AF_UNIX))
        waiting.connect(str(path))
        failure = failed(ReaderCommands(str(path), threading.Event()).run(QUORUM, SHORT))
    # TIMEOUT would mean that corosync hangs.
    assert failure.outcome is Outcome.NOT_FOUND
    assert "cannot be used" in failure.message


def test_full_memory_is_a_failure(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ReaderCommands, "_receive", run_out)
    assert failed(site.commands().run(QUORUM, AMPLE)).outcome is Outcome.OUT_OF_MEMORY
