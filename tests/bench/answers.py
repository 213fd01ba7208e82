"""Stand-ins for crm_mon that cost next to nothing: what is left is the exporter's own."""

from pathlib import Path

from tests.bench.clusters import Cib, CibFile
from tests.support.harness.see import ask, real_commands


def _script(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
    path.chmod(0o755)
    return path


def answer(cib: CibFile, *, brief: bool = False) -> bytes:
    """What the real crm_mon says when it is asked for everything that the exporter wants.

    Or for everything but the histories, as at most polls.
    """
    commands = real_commands(cib.file, **cib.environment)
    completed = ask(commands, histories=not brief)
    assert completed.status == 0, completed.stderr
    return completed.stdout


def hangs_after_one(directory: Path, cib: Cib) -> Path:
    """It answers each exporter once, and never again."""
    saved, answered = directory / "one.xml", directory / "answered-$PPID"
    saved.write_bytes(answer(cib))
    return _script(
        directory,
        "hangs-after-one",
        f"[ -e {answered} ] && exec sleep 3600\n: >{answered}\nexec cat {saved}\n",
    )


def prints_two_in_turn(directory: Path, cib: Cib) -> Path:
    """Two answers that differ in one value, in turn; brief ones to who asks for no histories."""
    for parity in ("even", "odd"):
        (directory / f"{parity}.xml").write_bytes(answer(cib))
        (directory / f"{parity}-brief.xml").write_bytes(answer(cib, brief=True))
        cib.change()
    odd = directory / "odd"
    return _script(
        directory,
        "prints-two-in-turn",
        'case "$*" in *failcounts*) kind= ;; *) kind=-brief ;; esac\n'
        f"mkdir {odd} 2>/dev/null && exec cat {odd}$kind.xml\n"
        f"rmdir {odd}\nexec cat {directory / 'even'}$kind.xml\n",
    )
