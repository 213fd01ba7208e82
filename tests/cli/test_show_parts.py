"""What `show` leaves out of a large cluster, and what it shows on request."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from exporter.cli import show
from exporter.cluster.observation import Observation, Origin
from exporter.judgement.judge import Judgement, judge
from exporter.pacemaker.demo import DemoCommands
from exporter.polling.observer import Observer
from exporter.polling.registry import REGISTRY
from exporter.report.check import Status, check
from exporter.report.wanted import Wanted
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness import see
from tests.support.harness.fakes import FrozenClock
from tests.support.harness.programs import eventually
from tests.support.harness.results import good
from tests.support.model.cib import Cluster, Failure, Primitive, RemoteNode, Run, controllers
from tests.support.model.states import (
    ADDRESSES,
    FIRST,
    GALERA,
    HAPROXY,
    NOW,
    RABBITMQ,
    REDIS,
    STATES,
)
from tests.support.model.status import fenced

PROGRAM = [sys.executable, "-m", "exporter", "show"]
COMPUTES, LOST = 300, 100
CLOUD = Cluster(
    nodes=(
        *controllers(),
        *(
            RemoteNode(f"compute-{n}", FIRST, "offline" if n < LOST else "online")
            for n in range(COMPUTES)
        ),
    ),
    resources=(
        GALERA.but(1, failures=(Failure(rc=1, reason="local node is not synced"),)),
        *(REDIS, RABBITMQ, HAPROXY),
        replace(ADDRESSES[0], runs=(Run(FIRST, "stopped"),)),
        *ADDRESSES[1:],
    ),
)


def written(page: Iterator[object], width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    return show.text_of(page, console).splitlines()  # type: ignore[arg-type]


def lines(judgement: Judgement, *names: str, width: int = 160, **wanted: bool) -> list[str]:
    return written(show.page(judgement, NOW + 2.0, Wanted(names, **wanted)), width)


def observed(cluster: Cluster, directory: Path) -> Observation:
    path = directory / "cib.xml"
    path.write_text(cluster.xml(NOW), encoding="utf-8")
    return see.observe(path)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Judgement:
    """A third of the computes is lost, one Galera replica failed, one address is stopped."""
    return judge(fenced(observed(CLOUD, tmp_path_factory.mktemp("cloud"))))


@pytest.mark.real
def test_large_cluster_is_shown_worst_first_and_in_short(cloud: Judgement) -> None:
    page = lines(cloud)
    assert len(page) <= 80
    told = [line for line in page if re.match(r"  (critical|warning|info): ", line)]
    assert told[:3] == [
        "  critical: galera-bundle is degraded",
        "  critical: address ip-192.0.2.10 is down",
        "  critical: 100 remote nodes are offline: compute-0, compute-1, compute-2 and 97 more",
    ]
    assert page.index(told[0]) < 8
    assert "Nodes: 203 of 303 are well, 90 others are not listed (--all lists them)" in page
    assert sum(line.startswith("  compute-") for line in page) == 10
    (address,) = (line for line in page if line.startswith("  ip-192.0.2.10 "))
    assert address.endswith("stopped")


def _demonstrated(into: int) -> list[str]:
    """The page of the demonstration's cloud, at a moment of its story."""
    clock = FrozenClock()
    context = SourceContext(Tools(DemoCommands(clock, into, "cloud")), clock, 30)
    return lines(good(Observer(context, REGISTRY, Origin.DEMO).observe(judge)))


def test_services_come_before_a_lost_rack_with_their_reasons() -> None:
    page, lost = _demonstrated(140), "compute-100, compute-101, compute-102 and 97 more"
    begin = page.index("What is wrong")
    assert page[begin : page.index("", begin)] == [
        "What is wrong",
        "  critical: galera-bundle is degraded",
        "    - 2 of 3 expected replicas are ready",
        "    - 2 of 3 expected replicas are promoted and ready",
        "    - replica 1: service has failed: local node is not synced, service is stopping",
        "    $ pcs resource failcount show galera",
        "  critical: address ip-198.51.100.11 is down",
        "    - is stopped; last failure: [findif] failed",
        "    $ pcs status --full",
        f"  critical: 100 remote nodes are offline: {lost}",
    ]
    assert len(page) <= 100


def test_healthy_cloud_is_summed_up_in_a_page() -> None:
    page = _demonstrated(0)
    assert "Nothing is wrong." in page
    assert "Nodes: 303 of 303 are well (--all lists them)" in page
    assert "304 fencing devices: 304 started (--all lists them)" in page
    (clone,) = (line for line in page if line.startswith("  compute-unfence-trigger "))
    assert clone.endswith("started on compute-0, compute-1, compute-2 and 297 more")
    assert len(page) <= 40


def _fenced_by(devices: int, directory: Path) -> Judgement:
    """A cluster with so many fencing devices: one is stopped, one has failed."""
    failed = Run(FIRST, failures=(Failure(rc=1),))
    runs = [(), (failed,), *[(Run(FIRST),)] * (devices - 2)]
    made = (
        Primitive(f"fence-{number}", "stonith:fence_ipmilan", run)
        for number, run in enumerate(runs)
    )
    return judge(observed(Cluster(controllers(), tuple(made), fencing=True), directory))


@pytest.mark.real
def test_many_fencing_devices_are_counted_by_state(tmp_path: Path) -> None:
    many = _fenced_by(11, tmp_path)
    said = "11 fencing devices: 9 started, 1 stopped: fence-0, 1 started, failed: fence-1"
    assert f"{said} (--all lists them)" in lines(many)
    assert not any(" stonith:" in line for line in lines(many))
    assert sum(" stonith:" in line for line in lines(many, everything=True)) == 11
    assert not any(said in line for line in lines(many, everything=True))
    assert sum(" stonith:" in line for line in lines(many, "fence-1")) == 1
    few = lines(_fenced_by(10, tmp_path))
    assert sum(" stonith:" in line for line in few) == 10
    assert not any("fencing devices:" in line for line in few)


@pytest.mark.real
def test_all_lists_every_node_and_resource(cloud: Judgement) -> None:
    page = "\n".join(lines(cloud, everything=True))
    assert "not listed" not in page
    for number in range(COMPUTES):
        assert len(re.findall(rf"^  compute-{number} ", page, re.MULTILINE)) == 2, number


@pytest.mark.real
def test_names_select_what_is_shown(cloud: Judgement) -> None:
    page = "\n".join(lines(cloud, "redis*", "compute-7"))
    assert "\nredis-bundle 3/3 ready" in page
    assert "\n  compute-7 " in page
    assert "100 remote nodes are offline" in page
    assert "galera" not in page
    assert "compute-70" not in page
    assert "Nothing is wrong with these." in lines(cloud, "redis-bundle")
    # A part of a bundle stands for the bundle and its problems.
    assert "  critical: galera-bundle is degraded" in lines(cloud, "galera-bundle-podman-1")


@pytest.mark.real
def test_only_problems_are_shown_on_request(cloud: Judgement) -> None:
    page = lines(cloud, problems_only=True)
    assert "What is wrong" in page
    assert page == lines(cloud)[: len(page)]
    assert not any(line.startswith(("Nodes", "Bundles", "Resources")) for line in page)


@pytest.mark.real
@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_name_is_broken_however_narrow_the_window(cloud: Judgement, width: int) -> None:
    names = {node.node.name for node in cloud.nodes if not node.in_bundle}
    names |= {bundle.id for bundle in cloud.bundles}
    names |= {judged.resource.id for judged in cloud.instances}
    words = set(" ".join(lines(cloud, width=width, everything=True)).replace(",", " ").split())
    assert names <= words


@pytest.mark.real
@pytest.mark.parametrize(
    ("state", "status", "begins"),
    [
        ("healthy-fenced", Status.OK, "PACEMAKER OK: nothing is wrong | members_online=3;;;0;3 "),
        ("bundle-disabled", Status.OK, "PACEMAKER OK: "),
        ("constraints", Status.WARNING, "PACEMAKER WARNING: 2 bundles have a constraint left"),
        ("service-failed", Status.CRITICAL, "PACEMAKER CRITICAL: galera-bundle is degraded"),
    ],
)
def test_check_gives_the_status_of_a_plugin_and_one_line(
    state: str, status: Status, begins: str, tmp_path: Path
) -> None:
    judgement = judge(fenced(observed(STATES[state].cluster, tmp_path)))
    found, line = check(judgement, Wanted())
    assert (found, line[: len(begins)]) == (status, begins)
    text, _, data = line.partition(" | ")
    assert "\n" not in line
    assert "|" not in text + data
    for datum in data.split():
        assert re.fullmatch(r"[a-z_]+=\d+;;;0(;\d+)?", datum)


@pytest.mark.real
def test_check_counts_the_cloud(cloud: Judgement) -> None:
    status, line = check(cloud, Wanted())
    assert status is Status.CRITICAL
    assert "members_online=3;;;0;3 remote_nodes_online=200;;;0;300" in line
    assert " replicas_ready=11;;;0;12 " in line
    assert check(cloud, Wanted(("redis-bundle",)))[0] is Status.OK


def ended(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--check", "--crm_mon.path=/no/such"], (3, "PACEMAKER UNKNOWN: /no/such cannot be ")),
        (["--demo", "--check", "nope"], (3, "PACEMAKER UNKNOWN: no node, bundle or resource is ")),
        (["--check", "--json"], (3, "PACEMAKER UNKNOWN: --check and --json exclude each other")),
        (["--check", "--nope"], (3, "PACEMAKER UNKNOWN: unknown argument '--nope'")),
    ],
)
def test_check_of_what_cannot_be_read_is_unknown(
    arguments: list[str], expected: tuple[int, str]
) -> None:
    status, out, _ = ended(*arguments)
    assert (status, out[: len(expected[1])]) == expected


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--demo", "nope", "redis*"], 1, "no node, bundle or resource is called 'nope'"),
        (["--demo", "--json", "--all"], 2, "--all does not go with --json"),
        (["--demo", "--json", "--watch"], 2, "--watch and --json exclude each other"),
        (["--demo", "--watch"], 1, "--watch needs a terminal"),
    ],
)
def test_each_mistake_is_told_in_one_line(arguments: list[str], status: int, words: str) -> None:
    found, out, err = ended(*arguments)
    assert (found, out) == (status, "")
    assert words in err
    assert err.count("\n") == 1


def test_columns_decide_where_lines_are_wrapped() -> None:
    saved = str(see.CAPTURES / "live-2.1.5" / "07-node-unclean-pending-fencing.xml")

    def longest(**environment: str) -> int:
        clean = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
        done = subprocess.run(
            [*PROGRAM, "--from-file", saved],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**clean, **environment},
        )
        return max(map(len, done.stdout.splitlines()))

    assert longest(COLUMNS="80") <= 80
    assert longest() > 100


def test_watch_prints_again_in_place_until_it_is_stopped(tmp_path: Path) -> None:
    saved, polls = tmp_path / "crm_mon", tmp_path / "polls"
    answer = see.CAPTURES / "live-2.1.5" / "01-healthy.xml"
    saved.write_text(f"#!/bin/sh\necho >>{polls}\nexec cat {answer}\n", encoding="utf-8")
    saved.chmod(0o755)
    ours, theirs = pty.openpty()
    argv = [*PROGRAM, "--watch", "--poll.interval=100ms", f"--crm_mon.path={saved}"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "50"}
    with subprocess.Popen(argv, stdout=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        printed = b""

        def read() -> bool:
            nonlocal printed
            while select.select([ours], [], [], 0)[0]:
                printed += os.read(ours, 65536)
            return len(polls.read_bytes().splitlines()) >= 3 if polls.exists() else False

        eventually(read, 30)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        with suppress(OSError):  # EIO: the other end is closed
            while chunk := os.read(ours, 65536):
                printed += chunk
    os.close(ours)
    assert process.returncode == 0
    assert time.monotonic() - began < 5
    enter, leave = b"\x1b[?1049h", b"\x1b[?1049l"
    assert printed.count(enter) == printed.count(leave) == 1
    assert printed.count(b"haproxy-bundle") >= 2


def test_json_has_everything_whatever_the_size() -> None:
    done = ended("--demo", "--json")
    assert len(json.loads(done[1])["bundles"]) == 5
