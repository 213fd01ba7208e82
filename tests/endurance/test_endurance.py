"""A short storm of `make endurance`, and clock jumps and time zones separately."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.endurance.checks import complaints
from tests.endurance.storm import JUMPS, Jumpy, storm
from tests.support.harness.programs import eventually, exporter, get
from tests.support.harness.see import CAPTURES, series
from tests.support.harness.stand_in import HEALTHY

pytestmark = pytest.mark.endurance

LAST_CHANGE = "pacemaker_cluster_last_change_timestamp_seconds"
POLLED = "pacemaker_exporter_last_poll_timestamp_seconds"


def test_storm_leaves_no_process_file_or_memory_behind(tmp_path: Path) -> None:
    report = storm(tmp_path, 1000, seed=1)
    print(report.tables())
    assert list(complaints(report)) == []


def test_wall_clock_jump_withdraws_no_data(tmp_path: Path) -> None:
    clock = Jumpy(tmp_path, 0)
    command = tmp_path / "crm_mon"
    command.write_text(f"#!/bin/sh\nexec cat {HEALTHY}\n", encoding="utf-8")
    command.chmod(0o755)
    flags = (f"--crm_mon.path={command}", "--poll.interval=50ms", "--poll.max-age=20s")
    with exporter(tmp_path, *flags, "--poll.timeout=10s", **clock.environment) as base:

        def page() -> dict[str, float]:
            return dict(series(get(f"{base}/metrics").decode()))

        def polled_by_that_clock(offset: int) -> bool:
            now = datetime.now(UTC).timestamp() + offset
            return abs(page()[POLLED] - now) < 5

        for offset in (*JUMPS, *reversed(JUMPS)):
            before = page()
            clock.to(offset)
            eventually(lambda offset=offset: polled_by_that_clock(offset))  # type: ignore[misc]
            after = page()
            assert after["pacemaker_up"] == after["pacemaker_view_trusted"] == 1
            assert set(after) == set(before)
            assert b"</html>" in get(f"{base}/")


@pytest.mark.parametrize(
    "zone", ["UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati", "Europe/Berlin"]
)
def test_only_times_without_offset_depend_on_the_zone_of_the_host(zone: str) -> None:
    def once(zone: str) -> dict[str, float]:
        capture = CAPTURES / "live-2.1.5" / "03b-galera-replica-failed.xml"
        argv = [sys.executable, "-m", "exporter", "--once", f"--from-file={capture}"]
        done = subprocess.run(
            argv, env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True
        )
        return {
            name: value
            for name, value in series(done.stdout).items()
            if not name.startswith("pacemaker_exporter_")
        }

    here, there = once("UTC"), once(zone)
    moment = datetime.fromtimestamp(there.pop(LAST_CHANGE), ZoneInfo(zone))
    assert moment.replace(tzinfo=UTC).timestamp() == here.pop(LAST_CHANGE)
    assert there == here
