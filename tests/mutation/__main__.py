"""Mutation testing: which change of the code does no test notice?

    .venv/bin/python -m tests.mutation [--sample 100] [--seed 1] [MODULE ...]

The tree is copied and broken there. Each mutant meets the quick tests first; what survives them
meets the slower ones too, with the real crm_mon. Each run is a fork of this process, which has
loaded the libraries: starting pytest would take longer than the tests.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# Loaded for the forks; nothing of `exporter`, which differs from one to the next.
import freezegun  # noqa: F401
import hypothesis  # noqa: F401
import prometheus_client.parser  # noqa: F401
import pytest
import uvicorn  # noqa: F401
from lxml import etree  # noqa: F401

from tests.bench.measure import say
from tests.mutation.mutants import Mutant, mutant, places
from tests.support.paths import ROOT

MODULES = (
    *("pacemaker/crm_mon", "pacemaker/cib", "pacemaker/xml", "cluster/model"),
    *("cluster/role_changes", "metrics/families", "polling/poller", "polling/state"),
)
QUICK = (
    *("pacemaker/crm_mon", "pacemaker/captures", "pacemaker/cib", "pacemaker/around_bundles"),
    *("pacemaker/fuzz_regressions", "cluster/role_changes", "metrics/declaration"),
    *("polling/poller", "sources/status", "cli/show", "web/app", "docs"),
)
SLOW = (
    *("metrics/states", "sources/status", "cli/show", "pacemaker/crm_mon_request"),
    *("judgement/problems", "web/status_page"),
)
BY_THE_CLOCK = "tests/pacemaker/test_crm_mon_request.py::test_hanging_old_crm_mon_gets_one_timeout"
"""Fails at times on a machine that is as busy as this makes it."""
TIMEOUT = 240
"""Seconds; a mutant may well loop for ever."""
_EXIT_BUG = 70


def main() -> int:
    """Run, and print who survived."""
    parser = argparse.ArgumentParser(prog="tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, metavar="MODULE[:LINE,...]")
    parser.add_argument("--sample", type=int, default=0, help="mutants of each module; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="which mutants are in the sample")
    chosen = parser.parse_args()
    rows: list[tuple[str, int, int, int, int]] = []
    tried = {}
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "tree"
        ignore = shutil.ignore_patterns(".*", "build", "dist", "__pycache__")
        shutil.copytree(ROOT, copy, ignore=ignore)
        for tests in (_quick, _slow):
            if tests(copy, write_bytecode=True):
                print("the tests fail without any mutant", file=sys.stderr)
                return 1
        survived = {}
        for words in chosen.modules:
            module, _, lines = words.partition(":")
            only = {int(line) for line in lines.split(",") if line}
            tried[module], survived[module] = _survivors(copy, module, only, chosen)
        for module, mutants in survived.items():
            left = [changed for changed in mutants if _passes(copy, module, changed, _slow)]
            quick, slow = tried[module] - len(mutants), len(mutants) - len(left)
            rows.append((module, tried[module], quick, slow, len(left)))
            for changed in left:
                print(f"{module}:{changed.line}: {changed.operator}\n{changed.diff}\n", flush=True)
    print("| module | tried | killed | killed by slower tests | survived |")
    print("|---|---|---|---|---|")
    for row in (*rows, ("all", *map(sum, zip(*[row[1:] for row in rows], strict=True)))):
        print("| " + " | ".join(map(str, row)) + " |")
    return 0


def _survivors(
    copy: Path, module: str, lines: set[int], chosen: argparse.Namespace
) -> tuple[int, list[Mutant]]:
    """How many mutants met the quick tests, and which of them survived."""
    source = (copy / "exporter" / f"{module}.py").read_text(encoding="utf-8")
    every = places(source)
    size = min(chosen.sample or len(every), len(every))
    sample = random.Random(chosen.seed).sample(every, size)
    changed = [found for place in sample if (found := mutant(source, place))]
    changed = [found for found in changed if not lines or found.line in lines]
    survivors = []
    for number, candidate in enumerate(changed, 1):
        if _passes(copy, module, candidate, _quick):
            survivors.append(candidate)
            say(f"{module}:{candidate.line}: {candidate.operator}\n{candidate.diff}")
        if number % 10 == 0:
            say(f"{module}: {number} of {len(changed)} of {len(every)}, {len(survivors)} survive")
    return len(changed), survivors


def _passes(copy: Path, module: str, changed: Mutant, tests: Callable[[Path], int]) -> bool:
    path = copy / "exporter" / f"{module}.py"
    source = path.read_text(encoding="utf-8")
    for bytecode in path.parent.glob(f"__pycache__/{path.stem}.*"):
        bytecode.unlink()  # it goes by the file's size and second
    path.write_text(changed.text, encoding="utf-8")
    try:
        return tests(copy) == 0
    finally:
        path.write_text(source, encoding="utf-8")


def _file(name: str) -> str:
    package, _, subject = name.rpartition("/")
    return str(Path("tests", package, f"test_{subject}.py"))


def _quick(copy: Path, *, write_bytecode: bool = False) -> int:
    words = ["-m", "not real", *map(_file, QUICK)]
    return _run(copy, words, write_bytecode=write_bytecode)


def _slow(copy: Path, *, write_bytecode: bool = False) -> int:
    words = [
        "-m",
        "not browser",
        "--deselect",
        BY_THE_CLOCK,
        *map(_file, SLOW),
    ]
    return _run(copy, words, write_bytecode=write_bytecode)


def _run(copy: Path, words: Sequence[str], *, write_bytecode: bool) -> int:
    """Run pytest in a fork; return 0 if all tests passed."""
    pid = os.fork()
    if pid == 0:
        code = _EXIT_BUG
        try:
            os.setpgid(0, 0)
            code = _test(copy, words, write_bytecode=write_bytecode)
        finally:
            os._exit(code)
    until = time.monotonic() + TIMEOUT
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > until:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.02)
    return os.waitstatus_to_exitcode(status)


def _test(copy: Path, words: Sequence[str], *, write_bytecode: bool) -> int:
    """What the fork does."""
    os.chdir(copy)
    sys.dont_write_bytecode = not write_bytecode
    if not write_bytecode:
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    sys.path[:] = [str(copy), *(entry for entry in sys.path if Path(entry) != ROOT)]
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a descriptor
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    # That libraries were loaded before is the point.
    loaded = "-Wignore::pytest.PytestAssertRewriteWarning"
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", loaded, *words]))


if __name__ == "__main__":
    sys.exit(main())
