"""The files of SBD: which one counts, and what is refused."""

import os
from pathlib import Path

import pytest

from exporter.cluster.outcome import Outcome
from exporter.sbd.files import LIMIT, SbdFiles, SbdTexts, read_files
from tests.support.harness.results import failed


@pytest.fixture
def files(tmp_path: Path) -> SbdFiles:
    return SbdFiles((tmp_path / "sysconfig", tmp_path / "default"), tmp_path / "sbd.pid")


def test_absent_files_are_no_failure(files: SbdFiles) -> None:
    assert read_files(files) == SbdTexts(None, None)
    elsewhere = SbdFiles((Path("/dev/null/sbd"),), Path("/nonexistent/sbd.pid"))
    assert read_files(elsewhere) == SbdTexts(None, None)


def test_first_configuration_counts(files: SbdFiles) -> None:
    first, second = files.configuration
    second.write_text("2")
    files.pid.write_text("7\n")
    assert read_files(files) == SbdTexts("2", "7\n")
    first.write_text("")
    assert read_files(files) == SbdTexts("", "7\n")


def test_paths_are_those_of_the_distributions() -> None:
    paths = SbdFiles()
    assert list(map(str, paths.configuration)) == ["/etc/sysconfig/sbd", "/etc/default/sbd"]
    assert str(paths.pid) == "/run/sbd.pid"


def test_odd_bytes_are_replaced(files: SbdFiles) -> None:
    files.pid.write_bytes(b"\xff7")
    assert read_files(files) == SbdTexts(None, "\ufffd7")


@pytest.mark.parametrize("which", ["configuration", "pid"])
def test_large_file_is_refused(files: SbdFiles, which: str) -> None:
    path = files.pid if which == "pid" else files.configuration[0]
    path.write_bytes(b"#" * LIMIT)
    assert isinstance(read_files(files), SbdTexts)
    path.write_bytes(b"#" * (LIMIT + 1))
    failure = failed(read_files(files))
    assert failure.outcome is Outcome.TOO_LARGE
    assert failure.message == f"{path} has more than 65536 bytes"


def test_pipe_directory_and_device_are_never_opened(files: SbdFiles) -> None:
    first, second = files.configuration
    os.mkfifo(first)
    failure = failed(read_files(files))
    assert failure.outcome is Outcome.MALFORMED
    assert failure.message == f"{first} is not a regular file"
    first.unlink()
    second.mkdir()
    assert failed(read_files(files)).message == f"{second} is not a regular file"
    second.rmdir()
    files.pid.symlink_to("/dev/zero")
    assert failed(read_files(files)).message == f"{files.pid} is not a regular file"


def test_file_that_cannot_be_read_is_named(files: SbdFiles) -> None:
    path = files.configuration[0]
    path.symlink_to(path)
    failure = failed(read_files(files))
    assert failure.outcome is Outcome.NOT_FOUND
    assert failure.message == f"cannot read {path}: Too many levels of symbolic links"


@pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
def test_file_that_is_not_for_everybody_is_denied(files: SbdFiles) -> None:
    path = files.configuration[0]
    path.write_text("")
    path.chmod(0o600)
    os.seteuid(65534)
    try:
        failure = failed(read_files(files))
    finally:
        os.seteuid(0)
    assert failure.outcome is Outcome.PERMISSION_DENIED
    assert failure.message == f"cannot read {path}: Permission denied"
