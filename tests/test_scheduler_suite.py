"""Against Pacemaker's own scheduler regression suite: some 800 CIBs, and crm_mon's text on them.

Nobody of this project wrote these CIBs: they come from bug reports of twenty years. The source
package is fetched once with apt-get, which verifies it, and kept in pytest's cache.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePosixPath

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from exporter.clock import SystemClock
from exporter.command import SystemCommands
from exporter.exposition import Format
from exporter.poller import Poller, Site
from exporter.process import ProcessMetrics
from exporter.state import Identity, View
from exporter.web.metrics_page import MetricsPage
from tests.support import crm_mon_text
from tests.support.crm_mon_text import Line, Status
from tests.support.states import STATES

pytestmark = [pytest.mark.suite, pytest.mark.real, pytest.mark.prometheus]

ROOT = Path(__file__).parent.parent
THREADS = 2 * (os.cpu_count() or 1)
TIMEOUT = 60


def need(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: run tests/setup.sh apt dev")
    return path


# ---------------------------------------------------------------------------- the suite

APT_SOURCES = Path("/etc/apt")
APT_CONFIGURATION = """
Dir::Etc::SourceList "{directory}/sources.list";
Dir::Etc::SourceParts "{directory}/sources.list.d";
Dir::State::Lists "{directory}/lists";
Dir::Cache "{directory}/cache";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
"""Everything that apt-get writes goes below one directory, so it needs no root and leaves the
machine's own configuration and lists alone. What is not here, such as a proxy, stays the machine's.
Root does not become _apt, whom pytest's directories are closed to; hooks are for the real lists."""


def write_apt_configuration(directory: Path) -> Path:
    """Make the machine's package sources, in either of their formats, sources of source packages."""
    parts = directory / "sources.list.d"
    for made in (parts, directory / "lists" / "partial", directory / "cache" / "archives"):
        made.mkdir(parents=True)
    one_line = [APT_SOURCES / "sources.list", *(APT_SOURCES / "sources.list.d").glob("*.list")]
    lines = (
        re.sub(r"^\s*deb(-src)?(?=[\s\[])", "deb-src", line)
        for path in one_line
        if path.is_file()
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith("deb")
    )
    text = "".join(f"{line}\n" for line in dict.fromkeys(lines))
    (directory / "sources.list").write_text(text, encoding="utf-8")
    for path in (APT_SOURCES / "sources.list.d").glob("*.sources"):
        stanzas = re.sub(r"(?mi)^Types:.*$", "Types: deb-src", path.read_text(encoding="utf-8"))
        (parts / path.name).write_text(stanzas, encoding="utf-8")
    configuration = directory / "apt.conf"
    configuration.write_text(APT_CONFIGURATION.format(directory=directory), encoding="utf-8")
    return configuration


def fetch_source(package: str, directory: Path) -> Path:
    """Download the upstream part of a source package; apt-get checks it against its signed lists.

    --tar-only needs no dpkg-dev, which would only unpack it.
    """
    configuration = write_apt_configuration(directory)
    apt = (need("apt-get"), "-c", str(configuration), "-q")
    said = ""
    # A list that cannot be had (a third party's, say) need not be one that matters here.
    for arguments in (("update",), ("source", "--download-only", "--tar-only", package)):
        done = subprocess.run(
            (*apt, *arguments),
            cwd=directory,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said += done.stderr
    archive = next(directory.glob(f"{package}_*.orig.tar.*"), None)
    if archive is None:
        pytest.skip(f"apt-get source {package} brought nothing: {' '.join(said.split())}")
    return archive


@pytest.fixture(scope="session")
def version() -> str:
    """Of the crm_mon here, such as 2.1.5."""
    done = subprocess.run(
        (need("crm_mon"), "--version"), capture_output=True, text=True, check=True
    )
    return done.stdout.split()[1]


@pytest.fixture(scope="session")
def suite(pytestconfig: pytest.Config, version: str) -> list[Path]:
    """The CIBs of the scheduler suite of this version of Pacemaker."""
    assert pytestconfig.cache is not None
    kept = pytestconfig.cache.mkdir("pacemaker-source") / version
    if not kept.is_dir():
        with tempfile.TemporaryDirectory(dir=kept.parent) as temporary:
            fresh = Path(temporary, "xml")
            fresh.mkdir()
            with tarfile.open(fetch_source("pacemaker", Path(temporary))) as archive:
                for member in archive:
                    path = PurePosixPath(member.name)
                    if path.match("cts/scheduler/xml/*.xml") and (
                        file := archive.extractfile(member)
                    ):
                        (fresh / path.name).write_bytes(file.read())
            fresh.rename(kept)
    cibs = sorted(kept.iterdir())
    assert len(cibs) > 700, f"is this the scheduler suite? Delete {kept}"
    return cibs


def for_all(check: Callable[[Path], Iterable[str]], files: Iterable[Path]) -> None:
    """Check files side by side, and name every one that fails with all that is wrong with it."""

    def complaints(file: Path) -> list[str]:
        try:
            return list(check(file))
        except Exception as error:  # noqa: BLE001 - of whatever kind: the other files count too
            return [repr(error)]

    files = list(files)
    with ThreadPool(THREADS) as pool:
        found = zip(files, pool.map(complaints, files, chunksize=1), strict=True)
    report = [f"{file.name}: {complaint}" for file, wrong in found for complaint in wrong]
    assert not report, "\n".join([f"{len(report)} complaints", *report])


# -------------------------------------------------- the bundles, and what the text says of them

Labels = tuple[str, ...]
TRANSITIONAL = frozenset({"Starting", "Stopping", "Promoting", "Demoting", "Migrating"})
RUNNING = frozenset({"Started", "Unpromoted", "Promoted"})
ROLES = RUNNING | TRANSITIONAL | {"Stopped", "Unknown"}


@dataclass
class Expected:
    """The samples that crm_mon's text asks for, by family and labels' values.

    Every family of which there is a sample here has to have these samples and no others.
    """

    samples: dict[str, dict[Labels, float]] = field(default_factory=dict)
    roles: dict[Labels, frozenset[str]] = field(default_factory=dict)
    """By bundle and replica: those that the text leaves open."""

    def add(self, name: str, labels: Labels, value: float) -> None:
        self.samples.setdefault(name, {})[labels] = value


def possible_roles(line: Line) -> frozenset[str]:
    """The roles that a line may stand for.

    "FAILED" is printed in the place of any role but Promoted, and the XML has the role all the
    same: that is Pacemaker's way of writing, no disagreement. A host says it is not stopped.
    """
    if line.role is not None:
        return frozenset({line.role})
    return frozenset({"Started", "Unpromoted"} if line.hosts else {"Stopped"})


def is_active(line: Line, nodes: Mapping[str, str]) -> bool:
    """Whether it is somewhere: on a node that is up, or that is lost and not known to be down.

    Where Pacemaker does not manage it, it does not know that it ended with its node either.
    """
    return any(
        is_online(nodes.get(host, ""))
        or nodes.get(host, "").startswith("UNCLEAN")
        or not line.flags.isdisjoint({"unmanaged", "blocked"})
        for host in line.hosts
    )


def is_online(status: str) -> bool:
    return status.startswith(("online", "standby", "maintenance", "UNCLEAN (online)"))


def expected_of(plain: Status, detailed: Status) -> Expected:
    """Turn crm_mon's text, with and without --show-detail, into the samples of the bundles.

    The two texts are checked against each other on the way: the short one is what operators read.
    """
    expected = Expected()
    assert [b.id for b in plain.bundles] == [b.id for b in detailed.bundles]
    for short, bundle in zip(plain.bundles, detailed.bundles, strict=True):
        assert [r.index for r in short.replicas] == [r.index for r in bundle.replicas]
        running_on: Counter[str] = Counter()
        running = ready = promoted_ready = 0
        services = []
        for shown, replica in zip(short.replicas, bundle.replicas, strict=True):
            labels = (bundle.id, replica.index)
            parts = replica.components
            container = parts["container"]
            service = parts.get("service", container)
            services.append(service)
            (line,) = shown.lines
            assert (line.agent, line.role, line.hosts) == (
                service.agent,
                service.role,
                container.hosts,
            ), f"the texts with and without --show-detail differ about {line.name}"
            roles = possible_roles(service)
            expected.roles[labels] = frozenset(role.lower() for role in roles)
            for host in container.hosts:
                expected.add("replica_node", (*labels, host), 1)
            for kind, part in parts.items():
                active = is_active(part, detailed.nodes)
                expected.add("replica_component_active", (*labels, kind, part.name), active)
            runs = roles <= RUNNING and is_active(service, detailed.nodes)
            sound = runs and is_sound(parts, detailed.nodes)
            expected.add("replica_ready", labels, sound)
            running += runs
            ready += sound
            promoted_ready += sound and service.role == "Promoted"
            running_on.update(container.hosts if runs else ())
            for condition, holds in conditions(parts, detailed):
                expected.add("replica_condition", (*labels, condition), holds)
        service = services[0]
        primitive = "service" in bundle.replicas[0].components
        engine = bundle.replicas[0].components["container"].agent.rpartition(":")[2]
        unique = "true" if bundle.unique else "false"
        agent, id_ = (service.agent, service.name) if primitive else ("", "")
        if bundle.unique:
            id_ = id_.rpartition(":")[0]
        expected.add("info", (bundle.id, engine, bundle.image, unique, agent, id_), 1)
        for name, value in {
            "replicas": len(bundle.replicas),
            "replicas_running": running,
            "replicas_ready": ready,
            "replicas_promoted_ready": promoted_ready,
            "running_nodes": len(running_on),
            "replicas_per_host_max": max(running_on.values(), default=0),
            "enabled": not all("disabled" in line.flags for line in services),
            "managed": bundle.managed,
            "maintenance": plain.maintenance,
        }.items():
            expected.add(name, (bundle.id,), value)
    return expected


def is_sound(parts: Mapping[str, Line], nodes: Mapping[str, str]) -> bool:
    """Whether a running replica is ready, by the contract's words and the text alone."""
    hosts = parts["container"].hosts
    return (
        all(
            is_active(part, nodes)
            and not (part.failed and "failure ignored" not in part.flags)
            and "blocked" not in part.flags
            and not part.orphaned
            for part in parts.values()
        )
        and len(hosts) == 1
        and is_online(nodes[hosts[0]])
        and "UNCLEAN" not in nodes[hosts[0]]
        and ("connection" not in parts or is_online(nodes.get(parts["connection"].name, "")))
    )


def conditions(parts: Mapping[str, Line], status: Status) -> Iterator[tuple[str, bool]]:
    lines = parts.values()
    hosts = parts["container"].hosts
    yield "failed", any(line.failed for line in lines)
    yield "blocked", any("blocked" in line.flags for line in lines)
    yield "orphaned", any(line.orphaned for line in lines)
    yield "unmanaged", any("unmanaged" in line.flags for line in lines)
    yield (
        "maintenance",
        status.maintenance or any("maintenance" in status.nodes[host] for host in hosts),
    )
    yield "pending", any(line.role in TRANSITIONAL for line in lines)


# Not in the text: whether the bundle itself is marked failed, and what only the CIB says.
UNSAID = {"failed", "promoted_max", "replicas_per_host_limit"}


def disagreements(expected: Expected, page: str) -> Iterator[str]:
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(page):
        if family.name.startswith("pacemaker_bundle_"):
            short = family.name.removeprefix("pacemaker_bundle_")
            found[short] = {tuple(s.labels.values()): s.value for s in family.samples}
    in_role = found.pop("replicas_in_role", {})
    roles: dict[Labels, str] = {}
    for bundle, replica, role in found.pop("replica_role", {}):
        if (bundle, replica) in roles:
            yield f"{bundle} {replica}: has more than one role"
        roles[bundle, replica] = role
    if roles.keys() != expected.roles.keys():
        yield f"replica_role is of {sorted(roles)}, the text of {sorted(expected.roles)}"
    for replica, possible in expected.roles.items():
        if roles.get(replica) not in possible:
            yield f"{' '.join(replica)}: {roles.get(replica)}, the text says {sorted(possible)}"
    counted = Counter((bundle, role) for (bundle, _), role in roles.items())
    bundles = {bundle for bundle, _ in expected.roles}
    wanted = {
        (bundle, role.lower()): counted[bundle, role.lower()]
        for bundle in bundles
        for role in ROLES
    }
    if in_role != wanted:
        yield f"replicas_in_role is {in_role}, replica_role makes it {wanted}"
    for name in sorted((found.keys() | expected.samples.keys()) - UNSAID):
        exported, said = found.get(name, {}), expected.samples.get(name, {})
        for labels in sorted(exported.keys() | said.keys()):
            ours, theirs = exported.get(labels), said.get(labels)
            if ours != theirs:
                yield f"{name}{labels}: exported {ours}, by the text {theirs}"


def run(command: tuple[str, ...], cib: Path) -> str:
    """What a command prints, with a CIB in the cluster's place."""
    environment = {**os.environ, "CIB_file": str(cib), "LC_ALL": "C"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]} exited {done.returncode}: {done.stderr}"
    return done.stdout


def against_the_text(cib: Path) -> Iterator[str]:
    text = (need("crm_mon"), "-1", "--inactive")
    plain = crm_mon_text.read(run(text, cib))
    detailed = crm_mon_text.read(run((*text, "--show-detail"), cib))
    page = run((sys.executable, "-m", "exporter", "--once"), cib)
    yield from disagreements(expected_of(plain, detailed), page)


@pytest.fixture
def known_text(version: str) -> None:
    if version != "2.1.5":
        pytest.skip(f"the reader of crm_mon's text knows that of 2.1.5, here is {version}")


def test_bundles_are_as_the_text_of_crm_mon_has_them(suite: list[Path], known_text: None) -> None:
    bundled = [cib for cib in suite if b"<bundle " in cib.read_bytes()]
    assert len(bundled) > 30
    for_all(against_the_text, bundled)


def test_bundles_in_named_states_are_as_the_text_has_them(tmp_path: Path, known_text: None) -> None:
    """The suite knows no pending operation in a bundle, nothing blocked, disabled or twice active."""
    for name, state in STATES.items():
        (tmp_path / f"{name}.xml").write_text(state.xml(), encoding="utf-8")
    for_all(against_the_text, sorted(tmp_path.iterdir()))


# --------------------------------------------------------------- every CIB makes a good page


def pages_of(cib: Path) -> tuple[str, str]:
    """What a scrape shows in either format, after one poll of the real commands over a CIB.

    In this process: a start of the program for each would take most of the time.
    """
    commands = SystemCommands({**os.environ, "CIB_file": str(cib)}, threading.Event())
    clock = SystemClock()
    poller = Poller(Site(commands), clock, interval=TIMEOUT, timeout=TIMEOUT)
    if error := poller.poll():
        raise error
    identity = Identity("1", "1", "3", poll_interval=TIMEOUT, max_age=TIMEOUT)
    moment = clock.monotonic()
    view = View.at(poller.state, identity, moment)
    page = MetricsPage(ProcessMetrics())
    text, open_metrics = (
        page.whole(view, moment, form, compress=False).decode()
        for form in (Format.TEXT, Format.OPENMETRICS)
    )
    return text, open_metrics


def faults(cib: Path) -> Iterator[str]:
    text, open_metrics = pages_of(cib)
    series = Counter(
        line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")
    )
    yield from (f"{name}: {count} times" for name, count in series.items() if count > 1)
    parsed = {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples}
    if parsed["pacemaker_up"] != 1:
        yield "pacemaker_up is not 1"
    read = 'pacemaker_exporter_cib_reads_total{outcome="success"} 1'
    if read not in text.splitlines():
        yield "the CIB was not read"
    for _ in openmetrics.text_string_to_metric_families(open_metrics):
        pass  # it raises what it finds wrong, repeated samples included
    # promtool ends with 3 when all it has is advice, on a name for example: taken as well.
    linted = subprocess.run(
        (need("promtool"), "check", "metrics"),
        input=text,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if linted.returncode:
        yield f"promtool: {linted.stdout}{linted.stderr}"


def test_every_cib_of_the_suite_makes_a_page_that_prometheus_takes(suite: list[Path]) -> None:
    """crm_mon 2.1.5 reads them all, so there is none whose poll may fail."""
    for program in ("crm_mon", "cibadmin", "promtool"):
        need(program)
    for_all(faults, suite)
