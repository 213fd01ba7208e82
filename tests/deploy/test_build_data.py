"""Manual page, completions and revision, which the build makes."""

import os
import pty
import re
import select
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import exporter
import hatch_build
from exporter import __version__
from tests.support.harness import see

PROGRAM = hatch_build.PROGRAM
MADE = {Path(name).parent.name: text for name, text in hatch_build.documents().items()}
BASH, ZSH, FISH = MADE["completions"], MADE["site-functions"], MADE["vendor_completions.d"]
FLAGS = [a.option_strings[-1] for a in hatch_build.commands()[""]._actions]


def _run(*argv: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [see.need(argv[0]), *argv[1:]],
        input=typed,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def test_manual_has_every_flag_and_its_value() -> None:
    text = MADE["man1"].replace("\\-", "-")
    for action in hatch_build.commands()[""]._actions:
        assert f"{action.option_strings[-1]}\\fR" in text
        if action.metavar:
            assert f"\\fB{action.option_strings[-1]}\\fR \\fI{action.metavar}\\fR\n" in text
    assert "\\fB--secrets\\fR" in text
    assert f'"{PROGRAM} {__version__}"' in text


def test_line_that_begins_like_a_roff_request_is_escaped() -> None:
    assert hatch_build._escape(".so /etc/passwd") == "\\&.so /etc/passwd"


@pytest.mark.package
def test_manual_is_well_formed(tmp_path: Path) -> None:
    page = tmp_path / f"{PROGRAM}.1"
    page.write_text(MADE["man1"], encoding="utf-8")
    found = _run("mandoc", "-T", "lint", "-W", "warning", str(page))
    assert (found.returncode, found.stdout) == (0, "")
    found = _run("man", "--local-file", "--warnings", str(page))
    assert (found.returncode, found.stderr) == (0, "")
    assert "--web.listen-address [HOST]:PORT" in re.sub(r".\x08", "", found.stdout)


def _bash_offers(directory: Path, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    script = directory / "completions"
    script.write_text(BASH, encoding="utf-8")
    typed = f"""
        source {script}
        COMP_WORDS=({PROGRAM} {" ".join(f"'{word}'" for word in words)})
        COMP_CWORD={len(words)}
        $(complete -p {PROGRAM} | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    found = _run("bash", "--norc", typed=typed)
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout.split()


def test_bash_completion_offers_flags_values_and_commands(tmp_path: Path) -> None:
    assert sorted(_bash_offers(tmp_path, "--")) == sorted(FLAGS)
    assert _bash_offers(tmp_path, "--poll.ti") == ["--poll.timeout"]
    assert _bash_offers(tmp_path, "--log.level", "") == ["debug", "info", "warning", "error"]
    assert _bash_offers(tmp_path, "sh") == ["show"]
    assert "--secrets" in _bash_offers(tmp_path, "show", "--")


@pytest.mark.package
def test_zsh_completion_offers_flags(tmp_path: Path) -> None:
    (tmp_path / f"_{PROGRAM}").write_text(ZSH, encoding="utf-8")
    begin = f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D; PS1='ready> '\n"
    (tmp_path / ".zshrc").write_text(begin, encoding="utf-8")
    # It completes only for somebody at a terminal.
    ours, its = pty.openpty()
    environment = {"ZDOTDIR": str(tmp_path), "TERM": "dumb", "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [see.need("zsh"), "-i"], stdin=its, stdout=its, stderr=its, env=environment
    ) as zsh:
        try:
            _read_until(ours, b"ready> ")
            os.write(ours, f"{PROGRAM} --poll.ti\t".encode())
            _read_until(ours, b"--poll.timeout")
        finally:
            zsh.kill()
            os.close(ours)
            os.close(its)


def _read_until(terminal: int, text: bytes) -> None:
    seen = b""
    until = time.monotonic() + 20
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, until - time.monotonic()))
        assert ready, seen
        seen += os.read(terminal, 4096)


@pytest.mark.package
def test_fish_completion_offers_flags_and_values(tmp_path: Path) -> None:
    script = tmp_path / f"{PROGRAM}.fish"
    script.write_text(FISH, encoding="utf-8")
    typed = f"source {script}; complete --do-complete '{PROGRAM} --poll.'"
    found = _run("fish", "--no-config", "--command", typed)
    assert (found.returncode, found.stderr) == (0, "")
    flags = [line.split("\t")[0] for line in found.stdout.splitlines()]
    assert sorted(flags) == ["--poll.interval", "--poll.max-age", "--poll.timeout"]


def test_revision_is_that_of_git(tmp_path: Path) -> None:
    git = ("git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org")
    _run(*git, "init", "--quiet")
    (tmp_path / "file").write_text("one", encoding="utf-8")
    _run(*git, "add", "file")
    _run(*git, "commit", "--quiet", "--message=one")
    clean = hatch_build.revision(tmp_path)
    assert _run(*git, "rev-parse", "HEAD").stdout.startswith(clean)
    assert len(clean) == 12
    (tmp_path / "file").write_text("two", encoding="utf-8")
    assert hatch_build.revision(tmp_path) == f"{clean}-dirty"


def test_revision_is_unknown_without_git(tmp_path: Path) -> None:
    assert hatch_build.revision(tmp_path) == ""


def test_revision_is_read_from_a_zip(tmp_path: Path) -> None:
    """The single-file executable has its modules in a zip."""
    path = tmp_path / "modules.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(exporter.__file__, "exporter/__init__.py")
        archive.writestr("exporter/REVISION", "0123abcd\n")
    script = "import exporter; print(exporter.__file__, exporter.__revision__)"
    done = subprocess.run(
        (sys.executable, "-Pc", script),
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == f"{path}/exporter/__init__.py 0123abcd\n"
