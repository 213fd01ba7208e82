"""The demonstration is plausible, current and named as such."""

import filecmp
import json
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from freezegun.api import FrozenDateTimeFactory

import exporter.pacemaker.demo
from exporter.cluster.model import Role, Snapshot
from exporter.pacemaker import cib, crm_mon
from exporter.pacemaker.demo import DemoCommands
from exporter.polling.poller import Poller
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness import see
from tests.support.harness.fakes import FrozenClock
from tests.support.harness.results import good
from tools import demo

DIRECTORY = Path(exporter.pacemaker.demo.__file__).parent
TIMELINE = json.loads((DIRECTORY / "timeline.json").read_text(encoding="utf-8"))


def ask(commands: DemoCommands) -> Snapshot:
    return good(crm_mon.read(see.ask(commands)))


def ready(snapshot: Snapshot) -> dict[str, str]:
    return {
        bundle.id.removesuffix("-bundle"): f"{sum(replica.ready for replica in bundle.replicas)}"
        f"/{len(bundle.replicas)}"
        f" {bundle.in_role(Role.PROMOTED)} promoted"
        for bundle in snapshot.bundles
    }


@pytest.mark.real
def test_frames_are_what_crm_mon_prints(tmp_path: Path) -> None:
    version = subprocess.run(
        [see.need("crm_mon"), "--version"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    if not version.startswith("Pacemaker 2.1.5"):
        pytest.skip(f"the frames are made with Pacemaker 2.1.5, this is {version.splitlines()[0]}")
    see.need("faketime")
    demo.write(tmp_path)
    made = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert made == sorted(
        str(p.relative_to(DIRECTORY)) for p in DIRECTORY.rglob("*") if p.suffix in {".xml", ".json"}
    )
    _, differing, missing = filecmp.cmpfiles(tmp_path, DIRECTORY, made, shallow=False)
    assert (differing, missing) == ([], []), "run: python -m tools.demo exporter/pacemaker/demo"


def test_frames_tell_the_documented_story(clock: FrozenDateTimeFactory) -> None:
    commands = DemoCommands(FrozenClock())
    seen = {}
    for frame in TIMELINE["frames"]:
        clock.move_to(f"2026-11-22 12:{frame['at'] // 60:02}:{frame['at'] % 60:02}")
        seen[frame["name"]] = ready(ask(commands))
    healthy = {
        "galera": "3/3 3 promoted",
        "rabbitmq": "3/3 0 promoted",
        "redis": "3/3 1 promoted",
        "haproxy": "3/3 0 promoted",
        "openstack-cinder-volume": "1/1 0 promoted",
    }
    for name in ("healthy", "redis-failed-over", "galera-recovered", "recovered", "moved-back"):
        assert seen[name] == healthy, name
    assert seen["maintenance"] == healthy
    assert seen["redis-failed"]["redis"] == "2/3 0 promoted"
    assert seen["galera-failed"]["galera"] == "2/3 2 promoted"
    unclean = seen["node-unclean"]
    assert unclean["galera"] == "2/3 3 promoted", "still listed as promoted, and not ready"
    assert unclean["openstack-cinder-volume"] == "0/1 0 promoted"
    assert seen["node-fenced"]["openstack-cinder-volume"] == "1/1 0 promoted"


def test_loop_takes_minutes_and_every_frame_outlasts_a_poll() -> None:
    assert 120 <= TIMELINE["loop_seconds"] <= 600
    starts = [frame["at"] for frame in TIMELINE["frames"]] + [TIMELINE["loop_seconds"]]
    assert starts[0] == 0
    assert all(later - earlier >= 10 for earlier, later in pairwise(starts))


def test_demonstration_starts_again_after_a_loop(clock: FrozenDateTimeFactory) -> None:
    commands = DemoCommands(FrozenClock())
    first = ask(commands)
    clock.tick(TIMELINE["loop_seconds"])
    again = ask(commands)
    assert again.bundles == first.bundles
    assert first.cluster.last_change_time is not None
    assert again.cluster.last_change_time == first.cluster.last_change_time + 300


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_times_of_the_demonstration_are_current_in_any_zone(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        changed = ask(DemoCommands(FrozenClock())).cluster.last_change_time
    finally:
        monkeypatch.undo()
        time.tzset()
    assert changed is not None
    base = TIMELINE["base"]
    first = (DIRECTORY / "frames/00-healthy.xml").read_bytes()
    before_base = base - (crm_mon.parse(first).cluster.last_change_time or 0)
    assert changed == pytest.approx(time.time() - before_base, abs=5)


def test_every_time_of_a_frame_is_moved_to_the_present(clock: FrozenDateTimeFactory) -> None:
    commands = DemoCommands(FrozenClock())
    for frame in TIMELINE["frames"]:
        clock.move_to(f"2026-11-22 12:{frame['at'] // 60:02}:{frame['at'] % 60:02}")
        answer = commands.run(("crm_mon",), 1).stdout.decode()
        assert "2025" not in answer, frame["name"]
        assert "2026-01-" not in answer, frame["name"]
        assert " Jan " not in answer, frame["name"]


def test_cluster_name_of_the_demonstration_is_demo(clock: FrozenDateTimeFactory) -> None:
    commands = DemoCommands(FrozenClock())
    for frame in TIMELINE["frames"]:
        clock.move_to(f"2026-11-22 12:{frame['at'] // 60:02}:{frame['at'] % 60:02}")
        assert good(cib.read(cib.ask(commands, "cibadmin", 1))).cluster_name == "demo"
    poller = Poller(SourceContext(Tools(commands), FrozenClock(), 30), 10)
    poller.poll()
    assert poller.state.observation is not None
    assert poller.state.observation.local_node == "controller-0"
    assert b'cluster_name="demo"' in poller.state.page.shared
