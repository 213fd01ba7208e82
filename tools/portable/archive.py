"""Packs the directory into an archive and into a single file: always the same bytes."""

import gzip
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tools.portable.interpreter import PYTHON, Interpreter
from tools.portable.recipe import DIRECTORY

_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""The first date of a zip."""


def write_archive(tree: Path, to: Path, date: int) -> None:
    """Write the directory as .tar.gz."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = date
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with (
        to.open("wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        archive.add(tree, tree.name, recursive=False, filter=plain)
        for path in sorted(tree.rglob("*")):
            archive.add(
                path, f"{tree.name}/{path.relative_to(tree)}", recursive=False, filter=plain
            )


def write_single_file(tree: Path, interpreter: Interpreter, to: Path) -> None:
    """Write the interpreter with a zip of the directory's modules and licenses at its end."""
    to.write_bytes(interpreter.launch.read_bytes())
    with zipfile.ZipFile(to, "a") as archive:
        for name, path in sorted(_members(tree)):
            member = zipfile.ZipInfo(name, _FIRST_DATE)
            archive.writestr(member, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    to.chmod(0o755)


def _members(tree: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of the zip: compiled modules, where zipimport looks for them, and data."""
    modules = tree / "lib" / PYTHON
    for path in modules.rglob("*"):
        name = path.relative_to(modules).as_posix().removeprefix("site-packages/")
        if path.is_dir() or ".dist-info/" in name or name.startswith("lib-dynload/"):
            continue
        if path.suffix == ".pyc":
            yield name.replace("__pycache__/", "").replace(".cpython-313.pyc", ".pyc"), path
        elif path.suffix != ".py":
            yield name, path
    for path in (tree / "licenses").rglob("*"):
        if path.is_file():
            yield path.relative_to(tree).as_posix(), path
    yield "__portable__.py", DIRECTORY / "start.py"
