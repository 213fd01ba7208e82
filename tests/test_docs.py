"""The documents agree with the program."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import hatch_build
from exporter.cluster.outcome import Outcome
from exporter.metrics.declaration import Family
from exporter.metrics.families import EVERY_FAMILY
from tests.support.oracle.packaged import links, shared
from tests.support.oracle.promtool import promtool
from tests.support.oracle.rules import rules
from tests.support.paths import ROOT
from tools.reference import reference

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
DECLARED: tuple[Family[Any], ...] = EVERY_FAMILY
NAMES = {family.name for family in DECLARED}
LABELS = {label for family in DECLARED for label in family.labels}
RECORDED = set(rules("record"))


def test_reference_of_metrics_is_current() -> None:
    current = (ROOT / "docs" / "METRICS.md").read_text(encoding="utf-8")
    assert current == reference(current), "run: make reference"


def test_readme_has_every_flag_with_its_default() -> None:
    for action in hatch_build.commands()[""]._actions:
        flag = action.option_strings[-1]
        if flag == "--help":
            continue
        assert f"`{flag}" in README, flag
        default = re.search(r"\(default: (.*)\)", action.help or "")
        if default and default[1] != "none":
            row = next(line for line in README.splitlines() if line.startswith(f"| `{flag}"))
            assert f"`{default[1]}`" in row, flag


def test_readme_has_every_outcome() -> None:
    for outcome in Outcome:
        assert f"`{outcome.value}`" in README, outcome


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_only_declared_metrics(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = set(
        re.findall(r"[\w:]*\bpacemaker_(?!bundle_exporter)[a-z_]+[a-z]\b(?!\*)[\w:]*", text)
    )
    assert named - NAMES - LABELS - RECORDED == set()


@pytest.mark.prometheus
def test_expressions_of_the_reference_are_valid(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "METRICS.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```promql\n(.*?)```", page, re.DOTALL)
    expressions = [
        "\n".join(line for line in part.splitlines() if not line.startswith("#"))
        for part in block.split("\n\n")
    ]
    assert len(expressions) == 4
    rules = [{"alert": f"A{n}", "expr": text} for n, text in enumerate(expressions)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}), encoding="utf-8")
    checked = promtool("check", "rules", file)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_document_has_content(document: Path) -> None:
    assert len(document.read_text(encoding="utf-8").splitlines()) > 5


INSTALLED = [*shared(), ROOT / "docs", ROOT / "LICENSE", *DOCUMENTS]
"""What packages bring, laid out as in the sources."""


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, *(path for directory in shared() for path in sorted(directory.rglob("*.md")))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_to_files_resolve_also_in_packages(document: Path) -> None:
    for link in links(document):
        assert link.exists(), link
        assert any(link.resolve().is_relative_to(place) for place in INSTALLED), link
