"""What packages hold beside the program."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT


def shared() -> list[Path]:
    """The directories of the sources that are installed as they are."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    return [ROOT / name for name in found]


def links(document: Path) -> Iterator[Path]:
    """The files to which a document links."""
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        yield document.parent / link
