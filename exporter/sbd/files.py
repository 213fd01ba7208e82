"""Reads the files of SBD on this node."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from exporter.cluster.outcome import Failure, Outcome

LIMIT = 64 * 1024
"""Maximum bytes of a file; the configuration that the package brings has 4 KiB."""


@dataclass(frozen=True, slots=True)
class SbdFiles:
    """The paths of the files."""

    configuration: tuple[Path, ...] = (Path("/etc/sysconfig/sbd"), Path("/etc/default/sbd"))
    """Of EL and SUSE, and of Debian and Ubuntu; the first that exists counts."""
    pid: Path = Path("/run/sbd.pid")
    """The unit of SBD sets this path."""


@dataclass(frozen=True, slots=True)
class SbdTexts:
    """The contents of the files; None for a file that does not exist."""

    configuration: str | None
    pid: str | None


def read_files(files: SbdFiles) -> SbdTexts | Failure:
    """Return the contents of the files, or why one could not be read."""
    configuration = None
    for path in files.configuration:
        configuration = _read(path)
        if configuration is not None:
            break
    pid = _read(files.pid)
    if isinstance(configuration, Failure):
        return configuration
    if isinstance(pid, Failure):
        return pid
    return SbdTexts(configuration, pid)


def _read(path: Path) -> str | Failure | None:
    try:
        # Opening a pipe could block, and opening a device could change something.
        if not stat.S_ISREG(path.stat().st_mode):
            return Failure(Outcome.MALFORMED, f"{path} is not a regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            data = file.read(LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        return Failure(Outcome.PERMISSION_DENIED, f"cannot read {path}: {error.strerror}")
    except OSError as error:
        return Failure(Outcome.NOT_FOUND, f"cannot read {path}: {error.strerror}")
    if len(data) > LIMIT:
        return Failure(Outcome.TOO_LARGE, f"{path} has more than {LIMIT} bytes")
    return data.decode(errors="replace")
