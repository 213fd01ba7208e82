"""No part of the cluster outlives a test run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.harness.programs import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.real]

SITE = """
import sys, time
from pathlib import Path
from tests.live.cluster import Site
path = Path(sys.argv[1])
site = Site(path, path, path)
site.start(path / "sleep.log", "sleep", "987")
print(site.pid, flush=True)
time.sleep(60)
"""


def test_killed_test_run_leaves_no_process(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a cluster of namespaces needs root")
    argv = (sys.executable, "-c", SITE, str(tmp_path))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        site = Path("/proc") / run.stdout.readline().strip()
        namespace = (site / "ns" / "net").readlink()
        assert processes_in(namespace)
        run.kill()
    eventually(lambda: not site.exists() and not processes_in(namespace))
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert str(tmp_path) not in mounts


def processes_in(namespace: Path) -> list[Path]:
    """Return the processes in a network namespace."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and (process / "ns" / "net").readlink() == namespace:
                found.append(process)
        except OSError:
            continue  # it has ended
    return found
