"""Inputs that the fuzzer found something with, made small, and named by what it was."""

from pathlib import Path

import pytest

from tests.fuzz import checks
from tests.support import see

FOUND = sorted((Path(__file__).parent / "fuzz" / "regressions").iterdir())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_was_found_once(path: Path) -> None:
    checks.check(path.read_bytes())


@pytest.mark.prometheus
@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_prometheus_takes_its_page(path: Path) -> None:
    promtool = see.need("promtool")
    for seen in checks.check(path.read_bytes()):
        assert list(checks.complaints_of_promtool(seen, promtool)) == []
