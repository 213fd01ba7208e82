"""Inputs with which the fuzzer found a fault, minimized."""

from pathlib import Path

import pytest

from tests.fuzz import checks
from tests.support.harness import see
from tests.support.paths import ROOT

FOUND = sorted((ROOT / "tests" / "fuzz" / "regressions").iterdir())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_input_found_by_the_fuzzer_gives_a_page_or_an_error(path: Path) -> None:
    checks.check(path.read_bytes())


@pytest.mark.prometheus
@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_promtool_accepts_the_page_of_found_input(path: Path) -> None:
    promtool = see.need("promtool")
    for seen in checks.check(path.read_bytes()):
        assert list(checks.complaints_of_promtool(seen, promtool)) == []
