"""The clock for ages, and jumps of the wall clock for the exporter and crm_mon."""

import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter.runtime.clock import SystemClock
from tests.support.harness import programs, see
from tests.support.model.states import STATES
from tests.support.paths import ROOT

SUSPENDED = 100_000.0
"""Seconds."""


def test_ages_include_the_suspension_of_the_machine() -> None:
    """A time namespace shows a suspension, which only CLOCK_BOOTTIME includes."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a time namespace")
    code = "from exporter.runtime.clock import SystemClock; print(SystemClock().monotonic())"
    argv = ["unshare", "--time", f"--boottime={SUSPENDED:.0f}", sys.executable, "-c", code]
    argv[0] = see.need("unshare")
    before = SystemClock().monotonic()
    there = float(subprocess.check_output(argv, timeout=60))
    assert SUSPENDED <= there - before < SUSPENDED + 60


DAY = 86400.0
JUMPS = {
    "+0": 0,
    "+5h": 3600 * 5,
    "-5h": -3600 * 5,
    "+20y": 20 * 365 * DAY,
    "-50y": -50 * 365 * DAY,
    "-1": -1,
}
"""Offsets as faketime writes them, and in seconds; from one to the next the clock jumps."""

STAMPS = ("last_poll", "snapshot")


@pytest.mark.real
def test_wall_clock_jump_of_hours_or_years_withdraws_no_data(tmp_path: Path) -> None:
    """Python, the C library and the real crm_mon all see the jump."""
    offset, cib = tmp_path / "offset", tmp_path / "cib.xml"
    STATES["healthy"].write(cib)
    library = subprocess.check_output(
        [see.need("faketime"), "-f", "+0", "printenv", "LD_PRELOAD"], text=True
    ).strip()
    environment = {
        "CIB_file": str(cib),
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(ROOT / "tests" / "support" / "harness" / "faketime"),
    }
    log = tmp_path / "exporter.log"

    def jump(text: str) -> None:
        new = offset.with_suffix(".new")
        new.write_text(f"{text}\n", encoding="utf-8")
        new.replace(offset)

    jump("+0")
    flags = ("--poll.interval=200ms", "--log.level=debug")
    with programs.exporter(tmp_path, *flags, **environment) as base:

        def page() -> dict[str, float]:
            return dict(see.series(programs.get(f"{base}/metrics").decode()))

        def seconds_off(found: dict[str, float], name: str, offset: float) -> float:
            return abs(found[f"pacemaker_exporter_{name}_timestamp_seconds"] - time.time() - offset)

        programs.eventually(lambda: page()["pacemaker_up"])
        before = page()
        for text, seconds in JUMPS.items():
            jump(text)
            until = time.monotonic() + 30
            polled = False
            while not polled:
                assert time.monotonic() < until, text
                after = page()
                assert after["pacemaker_up"] == after["pacemaker_view_trusted"] == 1
                assert set(after) == set(before)
                polled = all(seconds_off(after, name, seconds) < 60 for name in STAMPS)
            last = re.findall(r"^ts=(\S+)Z ", log.read_text(encoding="utf-8"), re.MULTILINE)[-1]
            logged = datetime.fromisoformat(last).replace(tzinfo=UTC).timestamp()
            assert abs(logged - time.time() - seconds) < 60
    assert "level=error" not in log.read_text(encoding="utf-8")
