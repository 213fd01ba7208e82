"""Ends the processes that commands leave behind in sessions of their own.

A command's process group is killed with it, but a process that called setsid has left the group.
Without this module such processes would pile up with every poll.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

END_GRACE = 0.3
"""Seconds to wait for killed processes. Any that remain are ended after the next command."""

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_VARIABLE = "PACEMAKER_BUNDLE_EXPORTER_COMMAND"


class Orphans:
    """Makes this process adopt and end the processes that its commands leave behind.

    A process is killed only if it is a child of this process and its environment has the mark that
    commands inherit. Children from before the exporter started, and those that Linux assigns to it
    as the first process of a container, are spared.

    Only for a process that runs one command at a time and starts no other children, because this
    class reaps every child.
    """

    def __init__(self) -> None:
        """Become a subreaper. If Linux refuses, init adopts the orphans, as usual."""
        self._mark = os.urandom(8).hex()
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    @property
    def environment(self) -> dict[str, str]:
        """The variable that marks commands and their children."""
        return {_VARIABLE: self._mark}

    def end(self, spared: int | None = None) -> None:
        """Kill and reap what the last command left behind.

        Args:
            spared: pid of a process to leave alone, because its owner still waits for it.

        """
        until = time.monotonic() + END_GRACE
        pause = 0.0005
        killed: set[int] = set()
        while _has_children() and time.monotonic() < until:
            found = [pid for pid in _children() if pid != spared]
            left = [pid for pid in found if not _reaped(pid)]
            for pid in left:
                if pid not in killed and self._is_marked(pid):
                    # The process is not reaped yet, so its pid cannot be reused.
                    with contextlib.suppress(PermissionError):
                        os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            # Reaping a process may have made us adopt its children: look again.
            if len(left) == len(found) and killed.isdisjoint(left):
                return
            time.sleep(pause)
            pause = min(pause * 2, 0.02)

    def _is_marked(self, pid: int) -> bool:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:  # another user's process, through sudo; we could not kill it either
            return False
        return f"{_VARIABLE}={self._mark}".encode() in environment.split(b"\0")


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _children() -> Iterator[int]:
    """Yield the pids of this process's children, of whichever thread."""
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended
            yield from map(int, (task / "children").read_bytes().split())


def _reaped(pid: int) -> bool:
    """Reap a child if it has ended; return whether it had."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
