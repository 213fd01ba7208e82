"""A stand-in for crm_mon, cibadmin or crm_node that misbehaves on demand.

:class:`StandIn` makes an executable in a directory of the test. What it does is in a file that it
reads at each start, so that a test can switch it while the exporter runs; each start is recorded.

This module is also what that executable runs, hence the few and light imports.
"""

import fcntl
import json
import os
import resource
import shlex
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

ENDLESS = 60.0
"""Seconds that the endless takes here: should a test fail to end it, it goes by itself."""

_MOUTHFUL = 1 << 20

DEMO = Path(__file__).parents[3] / "exporter" / "pacemaker" / "demo" / "bundles"
HEALTHY = DEMO / "frames" / "00-healthy.xml"
CIB = DEMO / "cib.xml"


class Behaviour(NamedTuple):
    """What a start does, in the order of the fields."""

    deaf: bool = False
    """Ignores TERM."""
    child: str = ""
    """Forks a child that lives on with stdout and stderr open: `group` or `session`."""
    refuses: tuple[str, ...] = ()
    """Arguments, or what they begin with, that are a usage error: see complaint."""
    complaint: str = "goption"
    """How usage errors look: `getopt` (1.1) or `goption` (later)."""
    floods: str = ""
    """Prints on `stdout` or `stderr` ..."""
    amount: int = 0
    """... so many bytes; 0: without end."""
    eats: int = 0
    """Bytes of memory that it takes."""
    seconds: float = 0.0
    """Waits so long before it answers."""
    file: str = ""
    """Prints this file on stdout."""
    out: str = ""
    err: str = ""
    dies: int = 0
    """Ends by this signal."""
    status: int = 0


HEALTHY_CRM_MON = Behaviour(file=str(HEALTHY))
HEALTHY_CIBADMIN = Behaviour(file=str(CIB))
HEALTHY_CRM_NODE = Behaviour(out="controller-0\n")
HANGS = Behaviour(seconds=ENDLESS)
HANGS_DEAF = Behaviour(deaf=True, seconds=ENDLESS)

# What crm_mon of several versions prints when it gets no answer: see the tests that use these.
NOT_CONNECTED = Behaviour(
    out="""<pacemaker-result api-version="2.25" request="crm_mon --output-as=xml --inactive">
  <status code="102" message="Not connected">
    <errors>
      <error>error: Could not connect to launcher: Connection refused</error>
      <error>crm_mon: Connection to cluster failed: Connection refused</error>
    </errors>
  </status>
</pacemaker-result>
""",
    status=102,
)
NOT_CONNECTED_LEGACY = Behaviour(
    out='<crm_mon version="2.1.5"/>\n',
    err="Not connected\ncrm_mon: Connection to cluster failed: Connection refused\n",
    status=102,
)
NOT_CONNECTED_ELEMENT = Behaviour(
    out="""<pacemaker-result api-version="2.30" request="crm_mon --output-as=xml --inactive">
  <crm-mon-disconnected description="Not connected" pacemakerd-state="unknown"/>
  <status code="102" message="Not connected"/>
</pacemaker-result>
""",
    status=102,
)
NOT_CONNECTED_1_1 = Behaviour(out="\nError: cluster is not available on this node\n", status=107)
DENIED = Behaviour(
    out="""<pacemaker-result api-version="2.25" request="crm_mon --output-as=xml --inactive">
  <status code="4" message="Insufficient privileges">
    <errors>
      <error>error: Could not connect to launcher: Permission denied</error>
      <error>crm_mon: Connection to cluster failed: Permission denied</error>
    </errors>
  </status>
</pacemaker-result>
""",
    status=4,
)
FROZEN = Behaviour(
    out="""<pacemaker-result api-version="2.25" request="crm_mon --output-as=xml --inactive">
  <pacemakerd sys_from="pacemakerd" state="running" last_updated="2026-11-22 17:49:01Z"/>
  <status code="0" message="OK">
    <errors>
      <error>Could not connect to the CIB: Transport endpoint is not connected</error>
    </errors>
  </status>
</pacemaker-result>
"""
)
FROZEN_LEGACY = Behaviour(
    out="""<crm_mon version="2.1.5">
  <pacemakerd sys_from="pacemakerd" state="running" last_updated="2026-11-22 17:49:36Z"/>
</crm_mon>
""",
    err="Could not connect to the CIB: Transport endpoint is not connected\n",
)
OLD_1_1 = HEALTHY_CRM_MON._replace(refuses=("--output-as",), complaint="getopt")
OLD_2_0 = HEALTHY_CRM_MON._replace(refuses=("--output-as",))


class Start(NamedTuple):
    """A start of a stand-in, as it recorded it."""

    pid: int
    child: int
    """The process that it left behind; 0: none."""
    argv: list[str]
    environment: dict[str, str]
    at: float
    """On the monotonic clock, which is the same in all processes."""
    beside: bool
    """Another stand-in of the same directory was alive."""


class StandIn:
    """An executable that misbehaves on demand; leaving its context ends what is left of it."""

    def __init__(
        self, directory: Path, name: str = "crm_mon", behaviour: Behaviour = HEALTHY_CRM_MON
    ) -> None:
        """Stand-ins of one directory watch that only one of them is alive at a time."""
        self.path = directory / name
        self._directory = directory
        self._log = directory / f"{name}.log"
        self.does(behaviour)
        self.appear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def does(self, behaviour: Behaviour) -> None:
        """Behave like this from the next start on."""
        _replace(self._directory / f"{self.path.name}.json", json.dumps(behaviour))

    def appear(self) -> None:
        """Be there and executable, whatever was there before."""
        if self.path.is_dir():
            self.path.rmdir()
        words = (sys.executable, "-I", "-S", __file__, str(self._directory), self.path.name)
        _replace(self.path, f'#!/bin/sh\nexec {shlex.join(words)} "$0" "$@"\n', 0o755)

    def disappear(self) -> None:
        """Not be there."""
        self.path.unlink()

    def become_unexecutable(self) -> None:
        """Lack the permission to be executed: for root too, where no one has it."""
        self.path.chmod(0o644)

    def become_directory(self) -> None:
        """Be a directory in place of a file."""
        self.path.unlink()
        self.path.mkdir()

    @property
    def starts(self) -> list[Start]:
        """All starts so far, in order."""
        if not self._log.exists():
            return []
        return [Start(*json.loads(line)) for line in self._log.read_text().splitlines()]

    def alive(self) -> list[int]:
        """Return the processes of this stand-in, and of what it forked, that are not dead."""
        return [pid for pid in _pids() if self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            return False
        # First the script, run by sh, then what it executes; a dead process has no arguments.
        executed = [str(self._directory), self.path.name]
        return arguments[1:2] == [str(self.path)] or arguments[4:6] == executed


def _replace(path: Path, text: str, mode: int = 0o644) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _main(directory: Path, name: str, argv: list[str]) -> int:
    does = Behaviour(*json.loads((directory / f"{name}.json").read_text()))
    with (directory / "lock").open("ab") as lock, (directory / f"{name}.log").open("ab") as log:
        # The lock goes with the last process that has it open, however that ends.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            beside = False
        except BlockingIOError:
            beside = True
        if does.deaf:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = _fork(does.child, lock.fileno()) if does.child else 0
        environment = {key: os.environ[key] for key in ("LC_ALL", "TZ") if key in os.environ}
        start = Start(os.getpid(), child, argv, environment, time.monotonic(), beside)
        # What is recorded is true from now on: tests wait for it.
        os.write(log.fileno(), f"{json.dumps(start)}\n".encode())
        return _perform(does, argv)


def _fork(where: str, lock: int) -> int:
    """Leave a child behind, and return once it is where it shall be."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        return pid
    if where == "session":
        os.setsid()
        os.close(lock)
    os.close(reader)
    os.close(writer)
    time.sleep(ENDLESS)
    os._exit(0)


def _perform(does: Behaviour, argv: list[str]) -> int:
    for argument in argv[1:]:
        if argument.startswith(tuple(does.refuses)):  # JSON made it a list
            return _complain(does.complaint, argument)
    if does.floods:
        _flood(1 if does.floods == "stdout" else 2, does.amount)
    eaten = [b"x" * _MOUTHFUL for _ in range(does.eats // _MOUTHFUL)]
    time.sleep(does.seconds)
    eaten.clear()
    if does.file:
        sys.stdout.write(Path(does.file).read_text())
    sys.stdout.write(does.out)
    sys.stdout.flush()
    sys.stderr.write(does.err)
    if does.dies:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), does.dies)
    return does.status


def _complain(form: str, argument: str) -> int:
    """Refuse an argument as 1.1 does, whose usage text goes on, or as later versions do."""
    if form == "getopt":
        usage = "\nUsage: crm_mon mode [options]\n\nReport bugs to users@clusterlabs.org\n"
        sys.stderr.write(f"crm_mon: unrecognized option '{argument}'\n{usage}")
        return 1
    sys.stderr.write(f"crm_mon: Unknown option {argument}\n")
    return 64


def _flood(descriptor: int, amount: int) -> None:
    line = (
        b"nothing that anybody could read, over and over again, and then some more of the same.\n"
    )
    chunk = line * 1000
    until = time.monotonic() + ENDLESS
    left = amount or sys.maxsize
    while left > 0 and time.monotonic() < until:
        left -= os.write(descriptor, chunk[:left])


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
