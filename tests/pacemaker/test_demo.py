"""The demonstration is plausible, current and named as such."""

import json
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory

import exporter.pacemaker.demo
from exporter.cluster.agents import is_address, is_fencing_device
from exporter.cluster.model import NodeType, Role, Snapshot
from exporter.pacemaker import cib, crm_mon
from exporter.pacemaker.demo import DEMOS, PACKED, DemoCommands
from exporter.polling.poller import Poller
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness import see
from tests.support.harness.fakes import FrozenClock
from tests.support.harness.results import good
from tools.demo import bundles, cloud, story

DIRECTORY = Path(exporter.pacemaker.demo.__file__).parent
STORIES = {"bundles": bundles, "cloud": cloud}
TIMELINES = {
    name: json.loads((DIRECTORY / name / "timeline.json").read_text(encoding="utf-8"))
    for name in DEMOS
}
TIMELINE = TIMELINES["bundles"]


def ask(commands: DemoCommands) -> Snapshot:
    return good(crm_mon.read(see.ask(commands)))


def ready(snapshot: Snapshot) -> dict[str, str]:
    return {
        bundle.id.removesuffix("-bundle"): f"{sum(replica.ready for replica in bundle.replicas)}"
        f"/{len(bundle.replicas)}"
        f" {bundle.in_role(Role.PROMOTED)} promoted"
        for bundle in snapshot.bundles
    }


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of a demonstration, also those that are packed."""
    found = {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
    if PACKED in found:
        del found[PACKED]
        with tarfile.open(directory / PACKED) as packed:
            for member in packed:
                file = packed.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


def moments(name: str, clock: FrozenDateTimeFactory) -> Iterator[str]:
    """Move the clock from frame to frame."""
    for frame in TIMELINES[name]["frames"]:
        clock.move_to(f"2026-11-22 12:{frame['at'] // 60:02}:{frame['at'] % 60:02}")
        yield frame["name"]


@pytest.mark.real
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n == "cloud" else ()) for n in DEMOS]
)
def test_frames_are_what_crm_mon_prints(name: str, tmp_path: Path) -> None:
    version = subprocess.run(
        [see.need("crm_mon"), "--version"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    if not version.startswith("Pacemaker 2.1.5"):
        pytest.skip(f"the frames are made with Pacemaker 2.1.5, this is {version.splitlines()[0]}")
    see.need("faketime")
    story.write(tmp_path / name, STORIES[name].frames())
    made, kept = contents(tmp_path / name), contents(DIRECTORY / name)
    assert sorted(made) == sorted(kept)
    differing = [file for file, content in made.items() if kept[file] != content]
    assert differing == [], "run: python -m tools.demo exporter/pacemaker/demo"


def test_demonstrations_are_small_in_the_package() -> None:
    sizes = [path.stat().st_size for path in (DIRECTORY / "cloud").rglob("*")]
    assert sum(sizes) < 50_000


def test_frames_tell_the_documented_story(clock: FrozenDateTimeFactory) -> None:
    commands = DemoCommands(FrozenClock())
    seen = {name: ready(ask(commands)) for name in moments("bundles", clock)}
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


def test_cloud_loses_a_rack_and_galera_fails_meanwhile(clock: FrozenDateTimeFactory) -> None:
    commands = DemoCommands(FrozenClock(), name="cloud")
    seen = {name: ask(commands) for name in moments("cloud", clock)}

    def wrong(name: str) -> tuple[int, int, str, int]:
        """Unclean and offline computes, Galera, stopped addresses."""
        remote = [node for node in seen[name].nodes if node.type is NodeType.REMOTE]
        assert len(remote) == 300
        return (
            sum(node.unclean for node in remote),
            sum(not node.online and not node.unclean for node in remote),
            ready(seen[name])["galera"],
            sum(
                is_address(instance.resource) and not instance.resource.active
                for instance in seen[name].instances
            ),
        )

    three, two = "3/3 3 promoted", "2/3 2 promoted"
    assert {name: wrong(name) for name in seen} == {
        "healthy": (0, 0, three, 0),
        "rack-unclean": (100, 0, three, 0),
        "rack-fenced": (0, 100, three, 0),
        "galera-failed": (0, 100, two, 0),
        "address-stopped": (0, 100, two, 1),
        "galera-recovered": (0, 100, three, 1),
        "cleaned-up": (0, 100, three, 0),
        "rack-returning": (0, 50, three, 0),
        "rack-back": (0, 0, three, 0),
        "recovered": (0, 0, three, 0),
    }
    healthy = seen["healthy"]
    assert len(healthy.bundles) == 6
    assert sum(is_address(instance.resource) for instance in healthy.instances) == 6
    assert sum(is_fencing_device(instance.resource) for instance in healthy.instances) == 304
    clone = [i for i in healthy.instances if i.clone and i.resource.active]
    assert len(clone) == 300
    assert not healthy.failed_actions
    assert not seen["recovered"].failed_actions


@pytest.mark.parametrize("into", [0, 240])
def test_nothing_is_wrong_with_the_cloud_before_and_after(into: int) -> None:
    commands = DemoCommands(FrozenClock(), into, "cloud")
    poller = Poller(SourceContext(Tools(commands), FrozenClock(), 30), 10)
    poller.poll()
    assert poller.state.judgement is not None
    assert poller.state.judgement.problems == ()


@pytest.mark.parametrize("timeline", TIMELINES.values(), ids=TIMELINES)
def test_loop_takes_minutes_and_every_frame_outlasts_a_poll(timeline: Mapping[str, Any]) -> None:
    assert 120 <= timeline["loop_seconds"] <= 600
    starts = [frame["at"] for frame in timeline["frames"]] + [timeline["loop_seconds"]]
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
    first = (DIRECTORY / "bundles/frames/00-healthy.xml").read_bytes()
    before_base = base - (crm_mon.parse(first).cluster.last_change_time or 0)
    assert changed == pytest.approx(time.time() - before_base, abs=5)


@pytest.mark.parametrize("name", DEMOS)
def test_every_time_of_a_frame_is_moved_to_the_present(
    name: str, clock: FrozenDateTimeFactory
) -> None:
    commands = DemoCommands(FrozenClock(), name=name)
    for frame in moments(name, clock):
        answer = commands.run(("crm_mon",), 1).stdout.decode()
        assert "2025" not in answer, frame
        assert "2026-01-" not in answer, frame
        assert " Jan " not in answer, frame


@pytest.mark.parametrize(("name", "cluster"), [("bundles", "demo"), ("cloud", "demo-cloud")])
def test_cluster_name_says_that_it_is_a_demonstration(
    name: str, cluster: str, clock: FrozenDateTimeFactory
) -> None:
    commands = DemoCommands(FrozenClock(), name=name)
    for _ in moments(name, clock):
        assert good(cib.read(cib.ask(commands, "cibadmin", 1))).cluster_name == cluster
    poller = Poller(SourceContext(Tools(commands), FrozenClock(), 30), 10)
    poller.poll()
    assert poller.state.observation is not None
    assert poller.state.observation.local_node == "controller-0"
    assert f'cluster_name="{cluster}"'.encode() in poller.state.page.shared
