"""The target of libFuzzer; tests/fuzz/crm_mon.py starts it in its own process."""

import importlib
import os
import sys
import time
from random import Random
from typing import Any

from tests.fuzz.mutate import mutate

PROMTOOL_EVERY = 5000
"""Accepted inputs; promtool takes longer for one page than all of the rest for hundreds."""


def main(promtool: str | None) -> None:
    """Fuzz, with sys.argv as libFuzzer's arguments; does not return."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    # Not by name: mypy runs where there is no atheris too.
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["exporter"]):
        checks = importlib.import_module("tests.fuzz.checks")

    accepted = 0

    def one_input(data: bytes) -> None:
        nonlocal accepted
        for seen in checks.check(data):
            accepted += 1
            if promtool and accepted % PROMTOOL_EVERY == 0:
                complaints = list(checks.complaints_of_promtool(seen, promtool))
                assert not complaints, complaints

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        # libFuzzer's own mutations know the dictionary and what was compared with what.
        random = Random(seed)
        changed = mutate(data, random) if random.randrange(5) else data
        if changed == data or len(changed) > max_size:
            changed = atheris.Mutate(data, max_size)
        return changed

    atheris.Setup(sys.argv, one_input, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main(os.environ.get("PROMTOOL"))
