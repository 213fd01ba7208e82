"""Captured answers of corosync's commands, from tests/captures/corosync."""

import re
from collections.abc import Sequence
from pathlib import PurePath

from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker.runner import Completed
from tests.support.harness.see import CAPTURES

FOLDER = CAPTURES / "corosync"
_PARTS = re.compile(
    r"(?P<head>(?:#.*\n)+)--- stdout\n(?P<stdout>.*)--- stderr\n(?P<stderr>.*)", re.DOTALL
)


def capture(name: str) -> Completed | Failure:
    """Return a captured answer as the runner would; the name is that of its file, without .txt."""
    parts = _PARTS.fullmatch((FOLDER / f"{name}.txt").read_text(encoding="utf-8"))
    assert parts is not None, name
    argv = tuple(re.findall(r"# command: (.*)", parts["head"])[0].split())
    status = re.findall(r"# exit: (.*)", parts["head"])[0]
    if not status.isdigit():
        return Failure(Outcome.TIMEOUT, f"{argv[0]} did not answer within 5 s")
    return Completed(argv, int(status), parts["stdout"].encode(), parts["stderr"])


def stdout(name: str) -> str:
    """What a command printed."""
    found = capture(name)
    assert isinstance(found, Completed)
    return found.stdout.decode()


def printed(name: str) -> str:
    """What a command wrote to standard output and standard error."""
    found = capture(name)
    assert isinstance(found, Completed)
    return found.stdout.decode() + found.stderr


class CapturedCorosync:
    """Answers as corosync did in one state: for ScriptedCommands.corosync.

    Without a capture of the settings in this state, those of another one are given.
    """

    def __init__(
        self,
        statistics: str,
        quorum: str,
        settings: str = "corosync3.1.7-healthy-labhag-cmapctl",
    ) -> None:
        """Args: names of captures."""
        self.statistics, self.quorum, self.settings = statistics, quorum, settings
        self.asked: list[tuple[str, ...]] = []
        self.timeouts: list[float] = []

    def __call__(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        """Answer."""
        self.asked.append((PurePath(argv[0]).name, *argv[1:]))
        self.timeouts.append(timeout)
        if PurePath(argv[0]).name == "corosync-quorumtool":
            return capture(self.quorum)
        return capture(self.statistics if argv[1] == "-m" else self.settings)
