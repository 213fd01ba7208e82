"""Parses the files of SBD."""

import os
import re
from collections.abc import Callable

from exporter.cluster.outcome import Failure, Outcome
from exporter.cluster.sbd import Sbd
from exporter.sbd.files import SbdTexts

HIGHEST_PID = 1 << 22
"""PID_MAX_LIMIT of the kernel."""

_DEVICE = re.compile(r"^[ \t]*(?:export[ \t]+)?SBD_DEVICE=", re.MULTILINE)
_PIECE = re.compile(
    r"""
    "(?P<double>(?:[^"\\]|\\.)*)"  |
    '(?P<single>[^']*)'            |
    (?P<escaped>\\.)               |
    (?P<plain>[^\s"'\\]|[ \t]+(?![\s\#]))
    """,
    re.VERBOSE | re.DOTALL,
)
"""A piece of a value. Blanks before the end of the line or a comment are not part of the value;
systemd, which reads this file for SBD, allows others."""
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PID = re.compile(r"\s*(\d{1,10})\s*", re.ASCII)


def read(
    answer: SbdTexts | Failure, is_alive: Callable[[int], bool] | None = None
) -> Sbd | Failure:
    """Parse the files.

    Args:
        answer: the files.
        is_alive: whether a process exists; by default this machine is asked.

    Returns:
        What the files say, or why they cannot be parsed. A failure is returned unchanged.

    """
    if isinstance(answer, Failure):
        return answer
    try:
        devices = None if answer.configuration is None else parse_devices(answer.configuration)
        pid = None if answer.pid is None else parse_pid(answer.pid)
    except ValueError as error:
        return Failure(Outcome.MALFORMED, str(error))
    if pid is None:
        return Sbd(devices, None if devices is None else False)
    return Sbd(devices, (is_alive or exists)(pid))


def parse_devices(text: str) -> tuple[str, ...]:
    """Return the devices in SBD_DEVICE; the last assignment counts.

    Raises:
        ValueError: a quote is not closed.

    """
    *_, value = ("", *(_value(text, found.end()) for found in _DEVICE.finditer(text)))
    return tuple(filter(None, (device.strip() for device in value.split(";"))))


def _value(text: str, at: int) -> str:
    """Return the value that begins at a place: quoted or not, with escapes, up to its line's end.

    A comment can only begin after a blank.
    """
    pieces = []
    while found := _PIECE.match(text, at):
        at = found.end()
        quoted, escaped = found["double"], found["escaped"]
        if quoted is not None or escaped is not None:
            piece = quoted if escaped is None else escaped
            pieces.append(_ESCAPED.sub(lambda e: "" if e[1] == "\n" else e[1], piece))
        else:
            pieces.append(found["single"] or found["plain"] or "")
    if text[at : at + 1] in {'"', "'"}:
        raise ValueError("SBD_DEVICE in the configuration of SBD has a quote that is not closed")
    return "".join(pieces)


def parse_pid(text: str) -> int:
    """Return the pid in a pid file.

    Raises:
        ValueError: it is not the pid of a process. 0 and negative numbers name groups.

    """
    found = _PID.fullmatch(text)
    pid = int(found[1]) if found else 0
    if not 0 < pid <= HIGHEST_PID:
        raise ValueError(f"the pid file of SBD does not contain a pid: {text[:40]!r}")
    return pid


def exists(pid: int, send: Callable[[int, int], None] = os.kill) -> bool:
    """Whether a process exists, also one of another user that /proc hides.

    Args:
        pid: its pid.
        send: sends a signal; signal 0 only checks.

    """
    try:
        send(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it exists, and belongs to another user
    return True
