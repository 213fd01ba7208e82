"""A memory cgroup of the kernel, version 1 or 2: what has used it up is killed."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.harness.programs import eventually

_ROOT = Path("/sys/fs/cgroup")


class MemoryCgroup:
    """Its processes have so much memory together."""

    def __init__(self, directory: Path, limit: str) -> None:
        """Args: where it is, and the file that holds the limit."""
        self._directory = directory
        self._limit = directory / limit

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words that start a command in it."""
        return ("sh", "-c", f'echo $$ >{self._directory}/cgroup.procs; exec "$@"', "sh")

    def limit(self, megabytes: int) -> None:
        """Set what its processes may have."""
        self._limit.write_text(str(megabytes << 20))

    @property
    def kills(self) -> int:
        """How many processes the kernel has killed for want of memory."""
        events = ("memory.oom_control", "memory.events")
        (path,) = (path for name in events if (path := self._directory / name).exists())
        counts = dict(line.split() for line in path.read_text().splitlines())
        return int(counts["oom_kill"])


@contextlib.contextmanager
def memory_cgroup(megabytes: int) -> Iterator[MemoryCgroup]:
    """A cgroup that is removed once its processes have ended."""
    if os.geteuid() != 0:
        pytest.skip("only root can limit the memory of processes together")
    parent, limit = _ROOT / "memory", "memory.limit_in_bytes"
    if not parent.is_dir():
        parent, limit = _ROOT, "memory.max"
        (parent / "cgroup.subtree_control").write_text("+memory")
    directory = Path(tempfile.mkdtemp(prefix="exporter-test-", dir=parent))
    try:
        found = MemoryCgroup(directory, limit)
        found.limit(megabytes)
        yield found
    finally:
        eventually(lambda: not (directory / "cgroup.procs").read_text(), 30)
        directory.rmdir()
