"""The interpreter of the portable exporter: built once, and kept in a cache."""

import importlib.metadata
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tools.portable.recipe import DIRECTORY, PortableError, Recipe
from tools.portable.sources import fetch_all, unpack

PYTHON = "python3.13"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""The architectures by their names in file names, and what compilers call them."""


@dataclass(frozen=True)
class Interpreter:
    """A built interpreter: program, launcher of the single file, modules, licenses."""

    directory: Path
    recipe: Recipe
    """The sources that it was built from."""

    @property
    def program(self) -> Path:
        """The interpreter."""
        return self.directory / "bin" / PYTHON

    @property
    def launch(self) -> Path:
        """The interpreter whose modules are at the end of its own file."""
        return self.directory / "launch"

    @property
    def modules(self) -> Path:
        """The standard library."""
        return self.directory / "lib" / PYTHON

    @property
    def licenses(self) -> Path:
        """The licenses, in one directory for each source."""
        return self.directory / "licenses"


def cache() -> Path:
    """Return the directory in which interpreters and sources are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "pacemaker-bundle-exporter" / "portable"


def native_architecture() -> str:
    """Return the architecture of this machine.

    Raises:
        PortableError: the exporter cannot be built on such a machine.

    """
    machine = os.uname().machine
    for name, found in MACHINES.items():
        if found == machine:
            return name
    raise PortableError(f"cannot build on {machine}: use a machine with x86_64 or aarch64")


def interpreter(recipe: Recipe, architecture: str, *, newer: bool) -> Interpreter:
    """Return the interpreter for an architecture; build it if it is not in the cache.

    Args:
        recipe: its sources.
        architecture: a key of MACHINES.
        newer: take other versions of sources that Debian no longer has.

    Raises:
        PortableError: it cannot be built.

    """
    how = (architecture, importlib.metadata.version("ziglang"))
    if found := _cached(recipe, *how):
        return found
    work = cache() / f"{recipe.key(*how)}.work"
    built_from = _fetched(recipe, work, newer=newer)
    if found := _cached(built_from, *how):
        shutil.rmtree(work)
        return found
    result = Interpreter(cache() / built_from.key(*how), built_from)
    _build(work, architecture, recipe, newer=newer)
    _collect(work, built_from)
    (work / "result").rename(result.directory)
    shutil.rmtree(work)
    return result


def _fetched(recipe: Recipe, work: Path, *, newer: bool) -> Recipe:
    """Fetch and unpack the sources, unless an earlier run did; return what they are."""
    fetched = work / "fetched"
    done = fetched / "versions.json"
    if done.exists():
        found = recipe.at(json.loads(done.read_bytes()))
        if newer or found == recipe:
            return found
    shutil.rmtree(work, ignore_errors=True)
    fetched.mkdir(parents=True)
    found = fetch_all(recipe, fetched, newer=newer)
    for source in found.sources:
        unpack(source, fetched / source.name, work / "sources" / source.name)
    done.write_text(json.dumps(found.versions), encoding="utf-8")
    return found


def _cached(recipe: Recipe, *how: str) -> Interpreter | None:
    directory = cache() / recipe.key(*how)
    return Interpreter(directory, recipe) if directory.exists() else None


def _build(work: Path, architecture: str, recipe: Recipe, *, newer: bool) -> None:
    machine = MACHINES[architecture]
    environment = dict(os.environ)
    if machine != os.uname().machine:
        # Python's build runs a Python of the same version.
        native = interpreter(recipe, native_architecture(), newer=newer)
        environment["BUILD_PYTHON"] = str(native.program)
    zig = resources.files("ziglang") / "zig"
    argv = (DIRECTORY / "build.sh", str(zig), machine, work / "sources", work / "stage")
    if subprocess.run(argv, env=environment, check=False).returncode:
        raise PortableError(
            "the interpreter could not be built: see above; the next run continues there"
        )


def _collect(work: Path, recipe: Recipe) -> None:
    """Copy what the exporter needs of the build into one directory."""
    result = work / "result"
    shutil.rmtree(result, ignore_errors=True)
    (result / "bin").mkdir(parents=True)
    shutil.copy2(work / "stage" / PYTHON, result / "bin" / PYTHON)
    shutil.copy2(work / "stage" / "launch", result / "launch")
    sources = work / "sources"
    ignore = shutil.ignore_patterns("test", "tests", "__pycache__", "site-packages", "idlelib")
    shutil.copytree(sources / "python" / "Lib", result / "lib" / PYTHON, ignore=ignore)
    for source in recipe.sources:
        for text in source.texts:
            path = result / "licenses" / source.name / Path(text).name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(sources / source.name / text, path)
    compiler = Path(str(resources.files("ziglang") / "LICENSE"))
    (result / "licenses" / "zig").mkdir()
    shutil.copyfile(compiler, result / "licenses" / "zig" / "LICENSE")
