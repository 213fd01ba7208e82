"""Runs Pacemaker's commands, one at a time, with limits on time and output size."""

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

from exporter.cluster.outcome import Failure, Outcome, Stopped, out_of_memory
from exporter.cluster.text import REASON_LIMIT, shortened
from exporter.pacemaker.orphans import Orphans

OUTPUT_LIMIT = 64 * 1024 * 1024
"""Maximum bytes of standard output: about ten times what 300 bundles of 8 replicas print."""
STDERR_LIMIT = 64 * 1024
"""Maximum bytes of standard error that are kept; the last ones, as they hold the reason."""
TERM_GRACE = 0.3
"""Seconds between SIGTERM and SIGKILL. Short, so that the exporter stops within a second even if
crm_mon hangs."""
KILL_GRACE = 5.0
"""Seconds to wait for a killed command to end. A process in uninterruptible sleep may take
longer."""
CHECK_INTERVAL = 0.1
"""Seconds between checks for a stop request, and for a command that ended with its pipes still
open."""
READ_SIZE = 1 << 18
_PATH_ERRORS = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENOEXEC}
)

COMMAND_ENVIRONMENT = {
    "LC_ALL": "C",
    "TZ": "UTC",
    # Without malloc's fast bins crm_mon needs 10 to 25 % less CPU time on clusters with many
    # resources (BENCHMARKS.md).
    "GLIBC_TUNABLES": "glibc.malloc.mxfast=0",
}
"""Variables set for every command. crm_mon uses the local time zone and translates messages, so
both are fixed."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The result of a command that ended. A negative status is the signal that killed it."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: str

    @property
    def ending(self) -> str:
        """How the command ended, in words."""
        if self.status >= 0:
            return f"exit status {self.status}"
        if self.status == -signal.SIGKILL:
            return "killed by SIGKILL, often by the kernel when memory runs out: see dmesg"
        try:
            return f"killed by {signal.Signals(-self.status).name}"
        except ValueError:
            return f"killed by signal {-self.status}"


class Commands(Protocol):
    """Runs the cluster's commands.

    Implementations: this machine, the demonstration, saved output, the socket for corosync.
    """

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        """Run a command until it ends, for at most `timeout` seconds.

        Returns:
            The result, or a failure: the command did not start, took too long, or printed too much.

        Raises:
            Stopped: the exporter was asked to stop.

        """


class SystemCommands:
    """Runs commands on this machine, or wherever the command prefix takes them."""

    def __init__(
        self,
        environment: Mapping[str, str],
        stop: threading.Event,
        prefix: Sequence[str] = (),
        output_limit: int = OUTPUT_LIMIT,
        orphans: Orphans | None = None,
    ) -> None:
        """Prepare to run commands.

        Args:
            environment: the environment that commands inherit.
            stop: set when the exporter must stop.
            prefix: words to put before each command.
            output_limit: maximum bytes of standard output.
            orphans: ends the processes that commands leave behind. None with a prefix such as ssh
                or podman, which may need such processes for later commands.

        """
        marked = orphans.environment if orphans else {}
        self._environment = {**environment, **COMMAND_ENVIRONMENT, **marked}
        self._orphans = orphans
        self._stop = stop
        self._prefix = tuple(prefix)
        self._output_limit = output_limit
        self._unkillable: subprocess.Popen[bytes] | None = None

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        """Run a command in its own process group, and kill the group before returning."""
        try:
            return self._run(argv, timeout)
        except MemoryError:
            pass  # leaving this block frees the output
        return out_of_memory(f"run {argv[0]} and read its output")

    def _run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        deadline = time.monotonic() + timeout
        if self._stop.is_set():
            raise Stopped
        if self._unkillable is not None and self._unkillable.poll() is None:
            return Failure(
                Outcome.TIMEOUT,
                f"an earlier command (pid {self._unkillable.pid}) could not be killed;"
                " no other command is started before it ends",
                started=False,
            )
        self._unkillable = None
        full = self._full_argv(argv)
        out, err = bytearray(), bytearray()
        with contextlib.ExitStack() as cleanup:
            try:
                # Allocate everything that needs file descriptors before starting the process. The
                # pipes are our own: when one cannot be opened, the Popen of Python 3.11.2 (Debian
                # 12) leaks the others.
                selector = cleanup.enter_context(selectors.DefaultSelector())
                stdout, stdout_end = cleanup.enter_context(_pipe())
                stderr, stderr_end = cleanup.enter_context(_pipe())
                process = subprocess.Popen(
                    full,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout_end,
                    stderr=stderr_end,
                    env=self._environment,
                    process_group=0,
                )
            except OSError as error:
                return _cannot_start(full[0], error)
            cleanup.callback(self._end, process)
            stdout_end.close()
            stderr_end.close()
            selector.register(stdout, selectors.EVENT_READ, out)
            selector.register(stderr, selectors.EVENT_READ, err)
            for _ in _collect(process, selector):
                if self._stop.is_set():
                    raise Stopped
                if time.monotonic() >= deadline:
                    return Failure(
                        Outcome.TIMEOUT, f"{argv[0]} did not answer within {timeout:.3g} s"
                    )
                if len(out) > self._output_limit:
                    return Failure(
                        Outcome.TOO_LARGE, f"{argv[0]} printed more than {self._output_limit} bytes"
                    )
                del err[:-STDERR_LIMIT]  # the end holds the reason
        stderr_text = err.decode(errors="replace")
        if self._prefix and process.returncode in {126, 127}:
            # env, shells and container engines return these if they cannot start the command.
            return Failure(
                Outcome.NOT_FOUND,
                f"{argv[0]} cannot be started through the command prefix: {last_line(stderr_text)}",
            )
        return Completed(full, process.returncode, bytes(out), stderr_text)

    def _full_argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        if not self._prefix:
            return tuple(argv)
        # Container engines and ssh do not pass the environment on, so env sets it at the far end.
        pinned = (f"{name}={value}" for name, value in COMMAND_ENVIRONMENT.items())
        return (*self._prefix, "env", *pinned, *argv)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the command's process group, reap the command, and end what it left behind."""
        if not _ended_within(process, 0):
            _signal_group(process, signal.SIGTERM)
            _ended_within(process, TERM_GRACE)
        # Before reaping: the pid, which is also the group's id, cannot be reused until then.
        _signal_group(process, signal.SIGKILL)
        if _ended_within(process, TERM_GRACE if self._stop.is_set() else KILL_GRACE):
            process.wait()
        else:
            self._unkillable = process
        if self._orphans:
            self._orphans.end(spared=self._unkillable.pid if self._unkillable else None)


def _cannot_start(command: str, error: OSError) -> Failure:
    if error.errno == errno.ENOMEM:
        return out_of_memory(f"start {command}")
    where = "path" if "/" in command else "path, and PATH (Pacemaker's is /usr/sbin)"
    hint = f"; check its {where}" if error.errno in _PATH_ERRORS else ""
    if error.filename == os.devnull:
        hint = f": {os.devnull}"
    return Failure(Outcome.NOT_FOUND, f"{command} cannot be started: {error.strerror}{hint}")


def last_line(text: str) -> str:
    """Return the last line that is not blank: commands print the reason of a failure there."""
    lines = text.split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")
    return shortened(last, REASON_LIMIT)


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a pipe; yield its read end and its write end. The caller may close either early."""
    reader, writer = os.pipe()
    with open(reader, "rb", 0) as reading, open(writer, "wb", 0) as writing:  # noqa: PTH123 - descriptors
        yield reading, writing


def _collect(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> Iterator[None]:
    """Read into the registered buffers until the command ends, and yield regularly."""
    while selector.get_map():
        # Check this first: whatever the command printed before it ended is then still read below.
        ended = _ended_within(process, 0)
        ready = selector.select(0 if ended else CHECK_INTERVAL)
        for key, _ in ready:
            chunk = os.read(key.fd, READ_SIZE)
            key.data.extend(chunk)
            if not chunk:
                selector.unregister(key.fileobj)
        if ended and not ready:
            return  # a process that the command started keeps the pipes open
        yield
    while not _ended_within(process, CHECK_INTERVAL):
        yield


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the process to end, without reaping it; return whether it ended."""
    deadline = time.monotonic() + seconds
    pause = 0.0005
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 2, 0.05)
    return True


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # ESRCH: the group is empty. EPERM: a prefix such as sudo changed the user.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
