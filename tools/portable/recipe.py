"""The recipe: which sources the interpreter is built from."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

DIRECTORY = Path(__file__).parents[2] / "deploy" / "portable"
_FILES = ("recipe.toml", "build.sh", "launch.c")
"""The files that decide how the interpreter is built."""


class PortableError(Exception):
    """The portable exporter cannot be built; the message says why, and what to do."""


@dataclass(frozen=True)
class Source:
    """A source package of Debian."""

    name: str
    package: str
    version: str
    license: str
    """As an SPDX expression."""
    texts: tuple[str, ...]
    """The files that have the text of the license."""
    patches: tuple[str, ...]
    """Shell patterns of Debian's patches to apply."""
    sha256: Mapping[str, str]
    """The sums of the files; empty for a version that is newer than the recipe."""

    def at(self, version: str) -> "Source":
        """Return the same source in another version, whose sums only apt knows."""
        return replace(self, version=version, sha256={})


@dataclass(frozen=True)
class Recipe:
    """All sources, and the release of Debian that has them."""

    release: str
    sources: tuple[Source, ...]

    def key(self, *more: str) -> str:
        """Return a name for what is built from these sources, in the same way."""
        found = hashlib.sha256(json.dumps([self.versions, *more]).encode())
        for name in _FILES:
            found.update((DIRECTORY / name).read_bytes())
        return found.hexdigest()[:16]

    @property
    def versions(self) -> dict[str, str]:
        """The version of each source."""
        return {source.name: source.version for source in self.sources}

    def at(self, versions: Mapping[str, str]) -> "Recipe":
        """Return the recipe with these versions of its sources."""
        return replace(
            self,
            sources=tuple(
                source if versions[source.name] == source.version else source.at(found)
                for source in self.sources
                for found in [versions[source.name]]
            ),
        )


def read_recipe() -> Recipe:
    """Read deploy/portable/recipe.toml."""
    content = tomllib.loads((DIRECTORY / "recipe.toml").read_text(encoding="utf-8"))
    sources = (
        Source(
            name,
            found["package"],
            found["version"],
            found["license"],
            tuple(found["texts"]),
            tuple(found["patches"]),
            found["sha256"],
        )
        for name, found in content["sources"].items()
    )
    return Recipe(content["release"], tuple(sources))
