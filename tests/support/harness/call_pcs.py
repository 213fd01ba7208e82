"""Asks the real pcs whether it takes commands, each over a CIB in a file and without a cluster.

What needs a cluster refuses `pcs -f` before it does anything: pcs knows it then, and its words, but
for names, have to be in its help. As a program, run with pcs's own Python, this loads pcs once.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

NEEDS_A_CLUSTER = "Error: Specified option '-f' is not supported in this command\n"
NEEDS_MORE = (
    "Error: When '-f' is specified, '--corosync_conf' must be specified as well\n",
    "does not provide valid metadata: .*, use --force to override\n",  # the agent is not here
)
NAMED_ONLY = (r"Error: .*\bmust (be )?specif(y|ied)\b.*\n", r"\nUsage: {command}\.\.\.\n")
"""What it says to a command without its arguments, as texts speak of one."""


def refused(pcs: str, calls: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return what pcs says to the commands that it does not take.

    Args: the path of pcs; CIBs, each with a command that is for it.
    """
    commands = {command: cib for cib, command in calls}
    shebang = Path(pcs).read_text(encoding="utf-8").splitlines()[0]
    done = subprocess.run(
        [*shlex.split(shebang.removeprefix("#!")), __file__],
        input=json.dumps([(cib, shlex.split(command)[1:]) for command, cib in commands.items()]),
        capture_output=True,
        check=True,
        text=True,
    )
    answers = zip(commands.items(), json.loads(done.stdout), strict=True)
    told = {command: _complaint(command, cib, *answer) for (command, cib), answer in answers}
    return {command: complaint for command, complaint in told.items() if complaint}


def _complaint(command: str, cib: str, code: int, said: str) -> str:
    """Return what pcs has against a command, in a line: nothing where it is one."""
    if said.startswith(NEEDS_A_CLUSTER):
        words = re.findall(r" (--\w+|[a-z]+=|[a-z]+(?= |$))", command)
        odd = [word for word in words if word not in said and f'id="{word}"' not in cib]
        return f"not in its help: {' '.join(odd)}" if odd else ""
    named_only = (pattern.format(command=command) for pattern in NAMED_ONLY)
    if (
        code == 0
        or any(re.match(pattern, said) for pattern in named_only)
        or any(re.search(pattern, said) for pattern in NEEDS_MORE)
    ):
        return ""
    return said.strip().splitlines()[0]


def _call(main: Callable[[list[str]], None], cib: str, words: list[str]) -> tuple[int, str]:
    """Return its exit code and what it says; where it needs a cluster, its help as well."""
    code, said = _run(main, cib, words)
    if said == NEEDS_A_CLUSTER:
        said += _run(main, cib, [*words, "--help"])[1]
    return code, said


def _run(main: Callable[[list[str]], None], cib: str, words: list[str]) -> tuple[int, str]:
    """Call it as its script does, in a process of its own, as options are kept in globals."""
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as output:
        (Path(directory) / "cib.xml").write_text(cib, encoding="utf-8")
        pid = os.fork()
        if pid == 0:
            os.chdir(directory)
            os.dup2(output.fileno(), sys.stdout.fileno())
            os.dup2(output.fileno(), sys.stderr.fileno())
            main(["-f", "cib.xml", *words])
            sys.exit()
        _, status = os.waitpid(pid, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read().decode()


if __name__ == "__main__":
    # Debian's, for Debian's Python: not among the packages that mypy sees.
    from pcs import app  # type: ignore[import-not-found]

    json.dump([_call(app.main, *each) for each in json.load(sys.stdin)], sys.stdout)
