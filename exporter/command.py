"""Run a command of Pacemaker: bounded in time and size, and never more than one at a time."""

import contextlib
import errno
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from exporter.errors import Outcome, PollError, Stopped

OUTPUT_LIMIT = 64 * 1024 * 1024
"""Bytes of output that are taken: some ten times what 300 bundles of 8 replicas print."""
STDERR_LIMIT = 64 * 1024
TERM_GRACE = 0.3
"""Seconds between TERM and KILL, short enough to stop within a second while crm_mon hangs."""
KILL_GRACE = 5.0
"""Seconds that a killed command gets to be gone; one in uninterruptible sleep may outlast it."""
TICK = 0.1
"""Seconds between looks at a stop request, and at a command that ended with its pipes held open."""
CHUNK = 1 << 18
_WRONG_PATH = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENOEXEC}
)

COMMAND_ENVIRONMENT = {
    "LC_ALL": "C",
    "TZ": "UTC",
    # Without malloc's fast bins crm_mon takes a tenth to a quarter less CPU time where there are
    # many resources (BENCHMARKS.md).
    "GLIBC_TUNABLES": "glibc.malloc.mxfast=0",
}
"""crm_mon converts times to its zone and translates messages: both are pinned."""


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command left: its exit status (negative: the signal that ended it) and output."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: str

    @property
    def how(self) -> str:
        """How it ended, in words."""
        if self.status >= 0:
            return f"exit status {self.status}"
        try:
            return f"killed by {signal.Signals(-self.status).name}"
        except ValueError:
            return f"killed by signal {-self.status}"


class Commands(Protocol):
    """Something that runs Pacemaker's commands: the machine, or a demonstration of one."""

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        """Run a command to its end, for at most `timeout` seconds.

        Raises:
            PollError: it could not be started, took too long, or printed too much.
            Stopped: the exporter is asked to end.

        """


class SystemCommands:
    """Runs commands on this machine, or wherever the prefix leads."""

    def __init__(
        self,
        environment: Mapping[str, str],
        stop: threading.Event,
        prefix: Sequence[str] = (),
        output_limit: int = OUTPUT_LIMIT,
    ) -> None:
        """Args: the inherited environment, the event that ends all work, words put in front."""
        self._environment = {**environment, **COMMAND_ENVIRONMENT}
        self._stop = stop
        self._prefix = tuple(prefix)
        self._output_limit = output_limit
        self._unkillable: subprocess.Popen[bytes] | None = None

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        """Run a command in a process group of its own, which is killed when this returns."""
        deadline = time.monotonic() + timeout
        if self._stop.is_set():
            raise Stopped
        self._refuse_a_second()
        full = self._full(argv)
        out, err = bytearray(), bytearray()
        with contextlib.ExitStack() as held:
            try:
                # First what may fail for want of descriptors, then the process. The pipes are
                # ours: when one fails, the Popen of Python 3.11.2 (Debian 12) loses the others.
                selector = held.enter_context(selectors.DefaultSelector())
                stdout, stdout_end = held.enter_context(_pipe())
                stderr, stderr_end = held.enter_context(_pipe())
                process = subprocess.Popen(
                    full,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout_end,
                    stderr=stderr_end,
                    env=self._environment,
                    process_group=0,
                )
            except OSError as error:
                where = "path" if "/" in full[0] else "path, and PATH (Pacemaker's is /usr/sbin)"
                hint = f"; check its {where}" if error.errno in _WRONG_PATH else ""
                raise PollError(
                    Outcome.NOT_FOUND, f"{full[0]} cannot be started: {error.strerror}{hint}"
                ) from error
            held.callback(self._end, process)
            stdout_end.close()
            stderr_end.close()
            selector.register(stdout, selectors.EVENT_READ, out)
            selector.register(stderr, selectors.EVENT_READ, err)
            for _ in _collect(process, selector):
                if self._stop.is_set():
                    raise Stopped
                if time.monotonic() >= deadline:
                    raise PollError(
                        Outcome.TIMEOUT, f"{argv[0]} gave no answer within {timeout:.3g} s"
                    )
                if len(out) > self._output_limit:
                    raise PollError(
                        Outcome.TOO_LARGE,
                        f"{argv[0]} printed more than {self._output_limit} bytes",
                    )
                del err[:-STDERR_LIMIT]  # the reason stands last
        said = err.decode(errors="replace")
        if self._prefix and process.returncode in {126, 127}:
            # What env, shells and container engines say of a command that they cannot start.
            raise PollError(
                Outcome.NOT_FOUND,
                f"{argv[0]} cannot be started through the command prefix: {last_line(said)}",
            )
        return Completed(full, process.returncode, bytes(out), said)

    def _full(self, argv: Sequence[str]) -> tuple[str, ...]:
        if not self._prefix:
            return tuple(argv)
        # A container engine or ssh hands no environment on: env sets it at the far end.
        pinned = (f"{name}={value}" for name, value in COMMAND_ENVIRONMENT.items())
        return (*self._prefix, "env", *pinned, *argv)

    def _refuse_a_second(self) -> None:
        if self._unkillable is not None and self._unkillable.poll() is None:
            raise PollError(
                Outcome.TIMEOUT,
                f"an earlier command (pid {self._unkillable.pid}) could not be killed:"
                " no other is started beside it",
            )
        self._unkillable = None

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Leave nothing of the process group behind, and reap its leader."""
        if not _ended_within(process, 0):
            _signal_group(process, signal.SIGTERM)
            _ended_within(process, TERM_GRACE)
        # Before the leader is reaped: until then its pid, and so the group's id, is not reused.
        _signal_group(process, signal.SIGKILL)
        if _ended_within(process, TERM_GRACE if self._stop.is_set() else KILL_GRACE):
            process.wait()
        else:
            self._unkillable = process


def last_line(text: str) -> str:
    """Return the last line with something in it: where commands put the reason of a failure."""
    lines = text.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a pipe: the end to read and the end to write, which may be closed before."""
    reader, writer = os.pipe()
    with open(reader, "rb", 0) as reading, open(writer, "wb", 0) as writing:  # noqa: PTH123 - descriptors
        yield reading, writing


def _collect(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> Iterator[None]:
    """Read to the registered buffers until the command has ended, pausing every TICK."""
    while selector.get_map():
        # Looked at first: what was printed before the end is then read after it.
        ended = _ended_within(process, 0)
        ready = selector.select(0 if ended else TICK)
        for key, _ in ready:
            chunk = os.read(key.fd, CHUNK)
            key.data.extend(chunk)
            if not chunk:
                selector.unregister(key.fileobj)
        if ended and not ready:
            return  # and something that it started holds the pipes open
        yield
    while not _ended_within(process, TICK):
        yield


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the process to end, without reaping it."""
    until = time.monotonic() + seconds
    pause = 0.0005
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 2, 0.05)
    return True


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # ESRCH: nobody left. EPERM: a prefix such as sudo made it another user's.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
