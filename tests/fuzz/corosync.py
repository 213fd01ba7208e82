"""Coverage-guided fuzzing of the readers of corosync: python -m tests.fuzz.corosync [arguments].

The arguments are those of tests.fuzz.crm_mon. An input is the output of corosync-cmapctl or of
corosync-quorumtool; the same bytes are given to both readers.
"""

import importlib
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from exporter.cluster.corosync import Corosync, CorosyncState
from exporter.cluster.outcome import Failure
from exporter.corosync import cmapctl, quorumtool
from exporter.metrics.corosync import COROSYNC, CorosyncView
from exporter.metrics.text import Format, join, render
from exporter.pacemaker.runner import Completed
from tests.fuzz.crm_mon import FAILED

CAPTURES = Path(__file__).parents[1] / "captures" / "corosync"
TARGET = "FUZZ_TARGET"
"""Set in the process that fuzzes."""


def check(data: bytes) -> None:
    """Read the bytes as either answer; whatever is accepted makes a page that can be parsed."""
    answer = Completed(("corosync",), 1, data, "")
    for corosync in _read(answer):
        page = join(render(COROSYNC, CorosyncView(corosync, corosync.names({}))), Format.TEXT)
        names = [
            (sample.name, *sorted(sample.labels.items()))
            for family in text_string_to_metric_families(page.decode())
            for sample in family.samples
        ]
        assert len(names) == len(set(names)), "a series is there twice"


def _read(answer: Completed) -> Iterator[Corosync]:
    quorum = quorumtool.read(answer)
    if not isinstance(quorum, Failure):
        yield Corosync(CorosyncState.ANSWERED, quorum=quorum)
    keys = cmapctl.keys(answer)
    if isinstance(keys, Failure):
        return
    settings = cmapctl.settings(keys)
    statistics = cmapctl.statistics(keys, 1)
    if not isinstance(settings, Failure):
        yield Corosync(CorosyncState.ANSWERED, settings)
    if not isinstance(statistics, Failure):
        yield Corosync(
            CorosyncState.ANSWERED,
            links=statistics.links,
            rings=statistics.rings,
            counters=statistics.counters,
        )


def seeds() -> Iterator[bytes]:
    """Yield what the captured commands printed."""
    for path in sorted(CAPTURES.glob("*.txt")):
        yield path.read_bytes().partition(b"--- stdout\n")[2].partition(b"--- stderr\n")[0]


def main(arguments: Sequence[str]) -> int:
    """Run the fuzzer in a process of its own; returns an exit status."""
    if importlib.util.find_spec("atheris") is None:
        print("no atheris here: see pyproject.toml", file=sys.stderr)
        return 1 if (sys.platform, platform.machine()) == ("linux", "x86_64") else 0
    FAILED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as corpus:
        for number, seed in enumerate(seeds()):
            Path(corpus, f"seed-{number}").write_bytes(seed)
        command = [
            *(sys.executable, "-m", "tests.fuzz.corosync"),
            *(f"-artifact_prefix={FAILED}/", "-max_len=20000", "-timeout=20"),
            *arguments,
            corpus,
        ]
        return subprocess.run(command, env={**os.environ, TARGET: "1"}, check=False).returncode


def _fuzz() -> None:
    # Not by name: mypy runs where there is no atheris too.
    atheris: Any = importlib.import_module("atheris")

    atheris.instrument_all()
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    if os.environ.get(TARGET):
        _fuzz()
    else:
        sys.exit(main(sys.argv[1:]))
