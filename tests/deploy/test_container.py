"""deploy/container: the quadlet runs podman as the Containerfile documents it.

The live cluster runs the container. Debian 12 has no quadlet, so this takes the one of Debian 13.
"""

import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.harness.podman import CONTAINERFILE, documented

pytestmark = pytest.mark.package

UNIT = CONTAINERFILE.with_name("pacemaker-bundle-exporter.container")
SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
PROGRAM = Path("usr/libexec/podman/quadlet")
ADDED = {
    "--cidfile=%t/%N.cid",
    "--replace",
    "--rm",
    "--cgroups=split",
    "--sdnotify=conmon",
}
"""What quadlet adds for systemd."""


@pytest.fixture(scope="module")
def quadlet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generator of Debian 13's podman. It needs nothing but libc."""
    directory = tmp_path_factory.mktemp("quadlet")
    source = next(path for path in SOURCES if path.exists() and path.stat().st_size)
    text = source.read_text(encoding="utf-8").replace("bookworm", "trixie")
    (directory / source.name).write_text(text, encoding="utf-8")
    for name in ("lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True)
    (directory / "status").touch()
    options = {
        "Dir::Etc::SourceList": directory / source.name,
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": directory / "lists",
        "Dir::State::Status": directory / "status",
        "Dir::Cache": directory / "cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    apt = ("apt-get", "--quiet", *(f"--option={name}={value}" for name, value in options.items()))
    _run(*apt, "update", cwd=directory)
    _run(*apt, "download", "podman", cwd=directory)
    (package,) = directory.glob("podman_*.deb")
    files = directory / "files.tar"
    with files.open("wb") as output:
        subprocess.run(
            ("dpkg-deb", "--fsys-tarfile", package), stdout=output, check=True, timeout=60
        )
    _run("tar", "-xf", str(files), f"./{PROGRAM}", cwd=directory)
    return directory / PROGRAM


def _run(*argv: str, cwd: Path) -> None:
    ended = subprocess.run(argv, cwd=cwd, capture_output=True, check=False, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _generate(quadlet: Path, directory: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Return what quadlet makes of a unit."""
    (directory / UNIT.name).write_text(text, encoding="utf-8")
    return subprocess.run(
        (quadlet, "-dryrun"),
        env={**os.environ, "QUADLET_UNIT_DIRS": str(directory)},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def _flags(words: Sequence[str]) -> Iterator[str]:
    """Yield the flags of `podman run`, each as one word, and its last word, the image."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        is_value = rest and not rest[0].startswith("-")
        yield (
            f"{word}={rest.pop(0)}"
            if word.startswith("--") and "=" not in word and is_value
            else word
        )


def test_quadlet_runs_podman_as_documented(quadlet: Path, tmp_path: Path) -> None:
    made = _generate(quadlet, tmp_path, UNIT.read_text(encoding="utf-8"))
    assert made.returncode == 0, made.stderr
    (line,) = (line for line in made.stdout.splitlines() if line.startswith("ExecStart="))
    program, command, *words = shlex.split(line.removeprefix("ExecStart="))
    assert (Path(program).name, command) == ("podman", "run")
    flags = set(_flags(words))
    assert flags >= ADDED
    told = {word.replace("localhost/", "") for word in flags - ADDED}
    assert told == set(_flags(shlex.split(documented("run"))[2:]))


def test_quadlet_reports_an_unknown_key(quadlet: Path, tmp_path: Path) -> None:
    """Or its acceptance would show nothing."""
    text = UNIT.read_text(encoding="utf-8").replace("ReadOnly=", "ReadOnlyRoot=")
    made = _generate(quadlet, tmp_path, text)
    assert made.returncode != 0
    assert "ReadOnlyRoot" in made.stderr
