"""Demonstration clusters: replays answers of a real crm_mon in a loop, with current times.

tools/demo created the frames with crm_mon 2.1.5 from CIBs of this project. The answers in corosync/
are those of corosync 3.1.7 on a cluster of three nodes with two links, while all were on, and while
the third was off.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePath

from exporter.pacemaker.runner import Completed
from exporter.runtime.clock import Clock

DEMOS = ("bundles", "cloud")
"""Names of the demonstrations, each with a folder. The first is the usual one."""
PACKED = "frames.tar.xz"
"""The XML files of a demonstration that would be large otherwise."""
LOCAL_NODE = "controller-0"
_CTIME = "%a %b %d %H:%M:%S %Y"
_ISO = "%Y-%m-%d %H:%M:%SZ"
_TIME = re.compile(
    rb"(|last_change time=)"
    rb'"([A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}|[\d-]{10} [\d:]{8}Z)"'
)


class DemoCommands:
    """Replaces the command runner: answers for crm_mon, cibadmin and crm_node."""

    def __init__(self, clock: Clock, into: float = 0, name: str = DEMOS[0]) -> None:
        """Args: the clock; where in the loop to start, in seconds; which demonstration."""
        self._clock = clock
        folder = resources.files(__name__)
        self._files, self._of_corosync = folder / name, folder / "corosync"
        timeline = json.loads(self._files.joinpath("timeline.json").read_bytes())
        self._base: int = timeline["base"]
        self._loop: int = timeline["loop_seconds"]
        self._frames: list[dict[str, str]] = timeline["frames"]
        self._began = clock.monotonic() - into % self._loop
        self._began_at = int(clock.time() - into % self._loop)

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        """Return the answer of the command at this point of the loop."""
        del timeout  # returns at once
        command = PurePath(argv[0]).name
        loops, offset = divmod(int(self._clock.monotonic() - self._began), self._loop)
        frame = [frame for frame in self._frames if int(frame["at"]) <= offset][-1]
        if command == "crm_node":
            answer = LOCAL_NODE.encode()
        elif command.startswith("corosync-"):
            name = f"{frame['corosync']}-{_corosync_answer(command, argv)}.txt"
            answer = (self._of_corosync / name).read_bytes()
        elif command == "cibadmin":
            answer = self._read(frame["cib"])
        else:
            shift = self._began_at + loops * self._loop - self._base
            answer = _shifted(self._read(frame["file"]), shift)
        return Completed(tuple(argv), 0, answer, "")

    def _read(self, name: str) -> bytes:
        packed = self._files / PACKED
        return _unpacked(packed, name) if packed.is_file() else (self._files / name).read_bytes()


def _corosync_answer(command: str, argv: Sequence[str]) -> str:
    if command == "corosync-quorumtool":
        return "quorum"
    return "statistics" if argv[1] == "-m" else "settings"


def _unpacked(packed: Traversable, name: str) -> bytes:
    """Return a file of a demonstration that is packed."""
    import tarfile  # noqa: PLC0415 - saves the exporter of a real cluster its memory

    with packed.open("rb") as file, tarfile.open(fileobj=file) as files:
        member = files.extractfile(name)
        return member.read() if member else b""


def _shifted(xml: bytes, seconds: int) -> bytes:
    """Shift every time in an answer that was created with TZ=UTC."""

    def move(match: re.Match[bytes]) -> bytes:
        change, text = match.group(1), match.group(2).decode()
        form = _CTIME if text[0].isalpha() else _ISO
        original = datetime.strptime(text, form).replace(tzinfo=UTC)
        moved = original + timedelta(seconds=seconds)
        if change:
            # The CIB has local time of the node that made the change; here, of this machine.
            moved = moved.astimezone()
        return change + b'"' + moved.strftime(form).encode() + b'"'

    return _TIME.sub(move, xml)
