"""Coverage-guided fuzzing of parsers and renderer: python -m tests.fuzz.crm_mon [libFuzzer's args].

    -max_total_time=60      so many seconds, instead of until it finds something
    FILE                    runs one input again
    DIRECTORY               keeps there what reached new code, to go on from

Inputs that fail are written to build/fuzz/; those worth keeping, made small, belong into
tests/fuzz/regressions/, where tests/pacemaker/test_fuzz_regressions.py runs them.
"""

import importlib.util
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from tests.fuzz import checks
from tests.fuzz.mutate import ATTRIBUTES, TAGS, VALUES
from tests.fuzz.seeds import seeds

FAILED = Path("build/fuzz")
SAMPLE = 25
"""Accepted inputs whose pages promtool gets to see in the end."""
_WORD = 60


def main(arguments: Sequence[str]) -> int:
    """Run the fuzzer, then promtool over some of what was accepted; returns an exit status."""
    if importlib.util.find_spec("atheris") is None:
        print("no atheris here: see pyproject.toml", file=sys.stderr)
        return 1 if (sys.platform, platform.machine()) == ("linux", "x86_64") else 0
    promtool = shutil.which("promtool")
    if promtool is None:
        print("WARNING: no promtool here: no page is checked with it", file=sys.stderr)
    FAILED.mkdir(parents=True, exist_ok=True)
    again = any(Path(argument).is_file() for argument in arguments)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        status = _fuzz(arguments, Path(temporary), promtool, again=again)
        if status == 0 and promtool is not None and not again:
            status = _promtool_over(Path(temporary, "corpus"), promtool)
    return status


def _fuzz(arguments: Sequence[str], temporary: Path, promtool: str | None, *, again: bool) -> int:
    dictionary, corpus = temporary / "dictionary", temporary / "corpus"
    dictionary.write_text("".join(map(_entry, _words())), encoding="ascii")
    corpus.mkdir()
    for number, seed in enumerate(seeds()):
        Path(corpus, f"seed-{number}").write_bytes(seed)
    command = [
        *(sys.executable, "-m", "tests.fuzz.target"),
        f"-dict={dictionary}",
        f"-artifact_prefix={FAILED}/",
        *("-max_len=30000", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"),
        *arguments,
        *([] if again else [str(corpus)]),
    ]
    environment = {**os.environ, "PROMTOOL": promtool or ""}
    with subprocess.Popen(command, env=environment) as fuzzer:
        try:
            return fuzzer.wait()
        except KeyboardInterrupt:
            return fuzzer.wait()  # the terminal told it too


def _words() -> list[str]:
    words = {*TAGS, *ATTRIBUTES, *(f'{name}="' for name in ATTRIBUTES), *VALUES}
    return sorted(word for word in words if 0 < len(word) < _WORD)


def _entry(word: str) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n'


def _promtool_over(corpus: Path, promtool: str) -> int:
    paths = sorted(corpus.iterdir())
    random.Random(0).shuffle(paths)
    accepted = (seen for path in paths for seen in checks.check(path.read_bytes()))
    complaints = [
        complaint
        for seen in islice(accepted, SAMPLE)
        for complaint in checks.complaints_of_promtool(seen, promtool)
    ]
    print(f"promtool: {len(complaints)} complaints about {SAMPLE} pages", *complaints, sep="\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
