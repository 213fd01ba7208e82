"""Fetches source packages of Debian with apt, checks and unpacks them, and applies patches."""

import functools
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from tools.debian_sources import write_apt_configuration
from tools.portable.recipe import PortableError, Recipe, Source


class Apt:
    """apt-get with the machine's sources, for a release of Debian."""

    def __init__(self, directory: Path, release: str) -> None:
        """Args: for everything that apt writes; the release."""
        if not shutil.which("apt-get"):
            raise PortableError("apt-get is missing: build the portable exporter on Debian")
        self._release = release
        self._configuration = str(write_apt_configuration(directory, release))
        # Not all lists need be there: a failure shows when a package is missing.
        self._said = self._run("apt-get", "-q", "update").stderr

    def fetch(self, source: Source, directory: Path, *, newer: bool) -> Source:
        """Download a source package and return it, in the version that there is.

        Args:
            source: which one.
            directory: for its files.
            newer: take another version if Debian no longer has this one.

        Raises:
            PortableError: the version cannot be downloaded, or its sums are wrong.

        """
        if self._downloaded(source, directory):
            if not source.sha256:
                raise PortableError(
                    f"deploy/portable/recipe.toml has no sums of {source.package}"
                    f" {source.version}; apt has verified these:\n{_sums(directory)}"
                )
            check(source, directory)
            return source
        versions = list(self._versions(source.package))
        if newer:
            for version in versions:
                if self._downloaded(found := source.at(version), directory):
                    print(f"portable: {source.package} {version} instead of {source.version};")
                    print(f"for deploy/portable/recipe.toml:\n{_sums(directory)}")
                    return found
        raise PortableError(
            f"cannot download {source.package} {source.version}: Debian {self._release}"
            f" offers {', '.join(versions) or 'none'}; update deploy/portable/recipe.toml"
            " (CONTRIBUTING.md says how), or try another version with PORTABLE_ARGS=--newer."
            f" apt-get said: {' '.join(self._said.split()) or 'nothing'}"
        )

    def _downloaded(self, source: Source, directory: Path) -> bool:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        wanted = f"{source.package}={source.version}"
        done = self._run("apt-get", "-q", "source", "--download-only", wanted, within=directory)
        self._said = done.stderr
        return done.returncode == 0

    def _versions(self, package: str) -> Iterator[str]:
        """Yield the versions that the lists have, the newest first."""
        said = self._run("apt-cache", "showsrc", "--only-source", package).stdout
        found = {
            line.partition(": ")[2] for line in said.splitlines() if line.startswith("Version: ")
        }
        yield from sorted(found, key=functools.cmp_to_key(_compare), reverse=True)

    def _run(
        self, program: str, *arguments: str, within: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (program, "-c", self._configuration, *arguments),
            cwd=within,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )


def _sums(directory: Path) -> str:
    """Return the sums of the archives of a source, as in the recipe."""
    archives = sorted(path for path in directory.iterdir() if ".tar." in path.name)
    return "\n".join(
        f'"{path.name}" = "{hashlib.sha256(path.read_bytes()).hexdigest()}"'
        for path in archives
        if path.suffix != ".asc"
    )


def _compare(one: str, other: str) -> int:
    argv = ("dpkg", "--compare-versions", one, "lt", other)
    return -1 if subprocess.run(argv, check=False).returncode == 0 else int(one != other)


def check(source: Source, directory: Path) -> None:
    """Check the files of a source against the recipe.

    Raises:
        PortableError: a file is missing or differs.

    """
    for name, expected in source.sha256.items():
        path = directory / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"
        if found != expected:
            raise PortableError(
                f"{name}: its SHA-256 is {found}, and not {expected} as in"
                " deploy/portable/recipe.toml: do not use it before you know why"
            )


def fetch_all(recipe: Recipe, directory: Path, *, newer: bool) -> Recipe:
    """Download all sources, each into a directory of its name; return those that were there."""
    apt = Apt(directory / "apt", recipe.release)
    versions = {
        source.name: apt.fetch(source, directory / source.name, newer=newer).version
        for source in recipe.sources
    }
    return recipe.at(versions)


def unpack(source: Source, files: Path, into: Path) -> None:
    """Unpack a source and apply its patches."""
    (archive,) = files.glob("*.orig.tar.?z")
    (debian,) = files.glob("*.debian.tar.xz")
    into.mkdir(parents=True)
    _run("tar", "-x", "--strip-components=1", "-f", str(archive), "-C", str(into))
    if not source.patches:
        return
    _run("tar", "-x", "-f", str(debian), "-C", str(files), "debian/patches")
    patches = files / "debian" / "patches"
    for line in (patches / "series").read_text(encoding="utf-8").splitlines():
        name = line.partition("#")[0].strip()
        if any(fnmatch(name, pattern) for pattern in source.patches):
            how = ("-s", "-p1", "--no-backup-if-mismatch", "-d", str(into))
            _run("patch", *how, "-i", str(patches / name))


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())
        raise PortableError(f"{' '.join(argv)} failed: {said}")
