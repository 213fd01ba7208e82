"""Against Pacemaker's own scheduler regression suite: some 800 CIBs, and crm_mon's text on them.

These CIBs come from twenty years of bug reports. The source
package is fetched once with apt-get, which verifies it, and kept in pytest's cache.
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePosixPath

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from exporter.cluster.selection import Selection
from exporter.judgement.judge import judge
from exporter.metrics.exporter import Identity
from exporter.metrics.process import ProcessMetrics
from exporter.metrics.text import Format
from exporter.pacemaker import crm_mon
from exporter.polling.poller import Poller
from exporter.sources.tools import SourceContext, Tools
from exporter.web.metrics_page import MetricsPage
from tests.support.harness import see
from tests.support.harness.fakes import FrozenClock
from tests.support.model.states import STATES
from tests.support.oracle.agreement import (
    DETAILED,
    PLAIN,
    disagreements_on_bundles,
    disagreements_on_the_rest,
)
from tests.support.oracle.promtool import promtool
from tests.support.paths import ROOT
from tools.debian_sources import write_apt_configuration

pytestmark = [pytest.mark.suite, pytest.mark.real, pytest.mark.prometheus]

THREADS = os.cpu_count() or 1
TIMEOUT = 60


# ---------------------------------------------------------------------------- the suite


def fetch_source(package: str, directory: Path) -> Path:
    """Download the upstream part of a source package; apt-get checks it against its signed lists.

    --tar-only needs no dpkg-dev, which would only unpack it.
    """
    configuration = write_apt_configuration(directory)
    apt = (see.need("apt-get"), "-c", str(configuration), "-q")
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
    """The version of the installed crm_mon, such as 2.1.5."""
    done = subprocess.run(
        (see.need("crm_mon"), "--version"), capture_output=True, text=True, check=True
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
    """Check files in parallel; name every file that fails, with all its faults."""

    def complaints(file: Path) -> list[str]:
        try:
            return list(check(file))
        except Exception as error:  # noqa: BLE001 - of whatever kind: the other files count too
            return [f"{type(error).__name__}: {error}"]

    files = list(files)
    with ThreadPool(THREADS) as pool:
        found = zip(files, pool.map(complaints, files, chunksize=1), strict=True)
    report = [f"{file.name}: {complaint}" for file, wrong in found for complaint in wrong]
    if report:
        pytest.fail("\n".join([f"{len(report)} complaints", *report]), pytrace=False)


# -------------------------------------------------- the bundles, and what the text says of them


def run(command: tuple[str, ...], cib: Path) -> str:
    """Return the output of a command over a CIB file."""
    environment = {**os.environ, "CIB_file": str(cib), "LC_ALL": "C", "TZ": "UTC"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} exited {done.returncode}: {done.stderr}")
    return done.stdout


def against_the_text(cib: Path) -> Iterator[str]:
    text = (see.need("crm_mon"), "-1", "--inactive")
    page = run((sys.executable, "-m", "exporter", "--once"), cib)
    yield from disagreements_on_bundles(run(text, cib), run((*text, "--show-detail"), cib), page)


@pytest.fixture
def known_text(version: str) -> None:
    if version != "2.1.5":
        pytest.skip(f"the reader of crm_mon's text knows that of 2.1.5, here is {version}")


def test_bundles_of_the_suite_agree_with_the_text_of_crm_mon(
    suite: list[Path], known_text: None
) -> None:
    bundled = [cib for cib in suite if b"<bundle " in cib.read_bytes()]
    assert len(bundled) > 30
    for_all(against_the_text, bundled)


def test_bundles_of_named_states_agree_with_the_text_of_crm_mon(
    tmp_path: Path, known_text: None
) -> None:
    """The suite has no bundle with a pending, blocked or disabled resource."""
    for name, state in STATES.items():
        state.write(tmp_path / f"{name}.xml")
    for_all(against_the_text, sorted(tmp_path.iterdir()))


# ------------------------------------------ what the text says of everything beside the bundles


@cache
def pages_of(cib: Path) -> tuple[str, str]:
    """What a scrape shows in either format, after one poll of the real commands over a CIB.

    In this process: a start of the program for each would take most of the time. And once for all
    tests, with every node attribute shown.
    """
    clock = FrozenClock()
    selection = Selection(attribute_names=re.compile(".*"))
    poller = Poller(
        SourceContext(Tools(see.real_commands(cib)), clock, TIMEOUT, selection), TIMEOUT
    )
    assert poller.poll() is None
    identity = Identity("1", "1", "3", poll_interval=TIMEOUT, max_age=TIMEOUT)
    moment = clock.monotonic()
    state = poller.state.at(moment, TIMEOUT)
    page = MetricsPage(ProcessMetrics(), identity)
    text, open_metrics = (
        page.whole(state, moment, form, compress=False).decode()
        for form in (Format.TEXT, Format.OPENMETRICS)
    )
    return text, open_metrics


def everything_against_the_text(cib: Path) -> Iterator[str]:
    program = see.need("crm_mon")
    plain, detailed = run((program, *PLAIN), cib), run((program, *DETAILED), cib)
    page, _ = pages_of(cib)
    known = next((told for files, told in KNOWN.items() if re.fullmatch(files, cib.name)), "(?!)")
    for complaint in disagreements_on_the_rest(plain, detailed, page):
        if not re.match(known, complaint):
            yield complaint


KNOWN = {
    # A rule on a fail-count, and one on attributes of nodes that are offline and still have some:
    # crm_mon evaluates them, and does not list the attributes.
    r"on_fail_demote2\.xml|unmanaged-promoted\.xml": "location_ban_score",
    # A lost ticket with loss-policy=freeze or fence: crm_mon evaluates tickets only if it is to
    # list them, which the exporter does not ask for.
    r"ticket-\w+-(12|24)\.xml": r"resource_condition\(.*'blocked'\)",
    r"ticket-\w+-(9|21)\.xml": "node_condition unclean",
}
"""Known differences: by file, how the complaints about it begin. See the limits in JUDGEMENT.md."""


def test_everything_in_the_suite_agrees_with_the_text_of_crm_mon(
    suite: list[Path], known_text: None
) -> None:
    for_all(everything_against_the_text, suite)


def test_everything_in_named_states_agrees_with_the_text_of_crm_mon(
    tmp_path: Path, known_text: None
) -> None:
    for name, state in STATES.items():
        state.write(tmp_path / f"{name}.xml")
    for_all(everything_against_the_text, sorted(tmp_path.iterdir()))


# ------------------------------------------------------------- bans and tickets from the CIB

ASKS_WHAT_CRM_MON_HIDES = {"on_fail_demote2.xml", "unmanaged-promoted.xml"}
"""A rule on a fail-count, and one on attributes of nodes that are offline and still have some:
crm_mon evaluates them, and does not list the attributes."""


def bans_and_tickets(cib: Path) -> Iterator[str]:
    answer = run((see.need("crm_mon"), "--output-as=xml", "--inactive"), cib)
    listed = crm_mon.parse(answer.encode())
    seen = see.observe(cib)
    found = {ban for ban in judge(seen).bans or () if ban.score < 0}
    if cib.name not in ASKS_WHAT_CRM_MON_HIDES:
        yield from (f"not found: {ban}" for ban in set(listed.bans) - found)
        yield from (f"not listed: {ban}" for ban in found - set(listed.bans))
    if seen.ticket_states is not None and set(seen.tickets) != set(listed.tickets):
        yield f"{seen.tickets}, and not {listed.tickets}"


def test_bans_and_tickets_of_the_suite_are_those_that_crm_mon_lists(suite: list[Path]) -> None:
    marks = (b"<rsc_location", b"<rsc_ticket")
    constrained = [cib for cib in suite if any(mark in cib.read_bytes() for mark in marks)]
    assert len(constrained) > 200
    for_all(bans_and_tickets, constrained)


# --------------------------------------------------------------- every CIB makes a good page


def faults(cib: Path) -> Iterator[str]:
    text, open_metrics = pages_of(cib)
    series = Counter(
        line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")
    )
    yield from (f"{name}: {count} times" for name, count in series.items() if count > 1)
    parsed = {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples}
    if parsed["pacemaker_up"] != 1:
        yield "pacemaker_up is not 1"
    read = 'pacemaker_exporter_source_reads_total{source="configuration",outcome="success"} 1'
    if read not in text.splitlines():
        yield "the CIB was not read"
    # This parser raises what it finds wrong, repeated samples included.
    list(openmetrics.text_string_to_metric_families(open_metrics))  # type: ignore[no-untyped-call]
    # promtool ends with 3 when all it has is advice, on a name for example: taken as well.
    linted = promtool("check", "metrics", given=text)
    if linted.returncode:
        yield f"promtool: {linted.stdout}{linted.stderr}"


def test_promtool_accepts_the_page_of_every_cib_of_the_suite(suite: list[Path]) -> None:
    """crm_mon 2.1.5 reads all of them, so every poll must succeed."""
    for program in ("crm_mon", "cibadmin", "promtool"):
        see.need(program)
    for_all(faults, suite)
