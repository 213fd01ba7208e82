"""Runs corosync's commands through a socket, so that the exporter needs no right to do so itself.

Who may ask corosync may also stop it. With strict.conf only the script `corosync-reader`, at the
other end of the socket, may ask: it knows a few words, and runs a fixed command for each of them.
"""

import errno
import re
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import PurePath

from exporter.cluster.outcome import Failure, Outcome, Stopped, out_of_memory
from exporter.corosync import OUTPUT_LIMIT, cmapctl, quorumtool
from exporter.pacemaker.runner import CHECK_INTERVAL, READ_SIZE, Completed, last_line

UNIT = "pacemaker-bundle-exporter-corosync.socket"

COMMANDS = {
    "stats": ("corosync-cmapctl", cmapctl.STATISTICS),
    "quorum": ("corosync-quorumtool", quorumtool.REQUEST),
    "nodes": ("corosync-cmapctl", cmapctl.SETTINGS),
    "nodes2": ("corosync-cmapctl", cmapctl.SETTINGS_2),
}
"""For each word, the command that the script runs: its program and arguments."""

_ENDING = re.compile(rb"\nexit status (\d{1,3})\n")
_COMMAND_NOT_EXECUTABLE = 126
_COMMAND_NOT_FOUND = 127
"""The exit statuses of a shell that cannot start a command."""


class ReaderCommands:
    """Replaces the command runner for corosync's commands: the script at the socket runs them."""

    def __init__(self, path: str, stop: threading.Event, output_limit: int = OUTPUT_LIMIT) -> None:
        """Prepare to run commands.

        Args:
            path: path of the socket.
            stop: set when the exporter must stop.
            output_limit: maximum bytes of an answer.

        """
        self._path = path
        self._stop = stop
        self._output_limit = output_limit

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        """Let the script run the command.

        The result has standard output and standard error together, in both of its fields.
        """
        try:
            return self._run(tuple(argv), timeout)
        except MemoryError:
            pass  # leaving this block frees the output
        return out_of_memory(f"read what {argv[0]} printed")

    def _run(self, argv: tuple[str, ...], timeout: float) -> Completed | Failure:
        if self._stop.is_set():
            raise Stopped
        word = _word(argv)
        if word is None:
            return Failure(
                Outcome.NOT_FOUND, f"the socket of {UNIT} does not offer: {' '.join(argv)}"
            )
        answer = self._ask(argv[0], word, timeout)
        return answer if isinstance(answer, Failure) else _completed(argv, answer)

    def _ask(self, command: str, word: str, timeout: float) -> bytearray | Failure:
        """Return all that the script wrote."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(timeout)
                connection.connect(self._path)
                connection.sendall(f"{word}\n".encode())
                connection.shutdown(socket.SHUT_WR)
                return self._receive(connection, command, timeout)
        except OSError as error:
            return self._cannot_ask(error)

    def _receive(
        self, connection: socket.socket, command: str, timeout: float
    ) -> bytearray | Failure:
        deadline = time.monotonic() + timeout
        data = bytearray()
        while not self._stop.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                return Failure(Outcome.TIMEOUT, f"{command} did not answer within {timeout:.3g} s")
            connection.settimeout(min(CHECK_INTERVAL, left))
            try:
                chunk = connection.recv(READ_SIZE)
            except TimeoutError:
                continue
            except ConnectionResetError:
                return data
            if not chunk:
                return data
            data += chunk
            if len(data) > self._output_limit:
                return Failure(
                    Outcome.TOO_LARGE, f"{command} printed more than {self._output_limit} bytes"
                )
        raise Stopped

    def _cannot_ask(self, error: OSError) -> Failure:
        if isinstance(error, ConnectionResetError | BrokenPipeError):
            return _cut_off("")
        if isinstance(error, PermissionError):
            return Failure(
                Outcome.PERMISSION_DENIED,
                f"the socket {self._path} refuses the exporter's user: only the user that"
                f" SocketUser= of {UNIT} names may connect",
            )
        if error.errno == errno.ENOENT:
            what, to_do = "does not exist", f"systemctl enable --now {UNIT}"
        elif error.errno == errno.ECONNREFUSED:
            what, to_do = "is not listening", f"systemctl restart {UNIT}"
        else:
            what, to_do = f"cannot be used: {error.strerror or error}", f"systemctl status {UNIT}"
        return Failure(
            Outcome.NOT_FOUND, f"the socket {self._path}, which reads corosync, {what}: {to_do}"
        )


def _word(argv: tuple[str, ...]) -> str | None:
    """Return the word for a command, if there is one."""
    command = PurePath(argv[0]).name, argv[1:]
    return next((word for word, offered in COMMANDS.items() if offered == command), None)


def _completed(argv: tuple[str, ...], answer: bytearray) -> Completed | Failure:
    """Return the result, without the line of the script that ends it."""
    ending = _ENDING.fullmatch(answer, max(0, answer.rfind(b"\nexit status ")))
    if ending is None:
        return _cut_off(answer.decode(errors="replace"))
    status = int(ending[1])
    stdout = bytes(answer[: ending.start()])
    text = stdout.decode(errors="replace")
    if status in {_COMMAND_NOT_EXECUTABLE, _COMMAND_NOT_FOUND}:
        return Failure(
            Outcome.NOT_FOUND,
            f"{argv[0]} cannot be started through the socket of {UNIT}: {last_line(text)}",
        )
    return Completed(argv, status, stdout, text)


def _cut_off(text: str) -> Failure:
    what = f"sent half an answer: {last_line(text)}" if text.strip() else "sent no answer"
    return Failure(Outcome.EXIT_STATUS, f"the socket of {UNIT} {what}; see systemctl status {UNIT}")
