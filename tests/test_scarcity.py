"""The program where something has run out, with the real crm_mon: it lives on, and recovers."""

import base64
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import see
from tests.support.certificates import HASH
from tests.support.programs import eventually, get, running
from tests.support.states import STATES
from tests.support.web import RIGHT

pytestmark = pytest.mark.real

FLAGS = ("--web.listen-address=127.0.0.1:0", "--poll.interval=200ms")
NOBODY = 65534
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    "--bounding-set=-all,+dac_read_search",
)
"""Root has no limit; nobody may read what is in root's home."""


def _need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take the means of a process away, and give them back")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    cib = tmp_path / "cib.xml"
    cib.write_text(STATES["healthy"].xml(), encoding="utf-8")
    # Not COV*: as another user, coverage could not write its data, and would say so.
    found = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return {**found, "CIB_file": str(cib)}


class Program:
    """The exporter, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def said(self, pattern: str) -> int:
        """How often it said something."""
        return len(re.findall(pattern, self.log.read_text(encoding="utf-8")))

    @property
    def address(self) -> str:
        (address,) = re.findall(r"msg=listening address=(\S+)", self.log.read_text("utf-8"))
        return str(address)

    def page(self, path: str) -> str:
        """What a new client with the right password gets."""
        authorization = "Basic " + base64.b64encode(RIGHT.encode()).decode()
        return get(f"http://{self.address}{path}", Authorization=authorization).decode()

    def is_up(self) -> bool:
        """Whether a new client gets a page, and that says that the last poll succeeded."""
        return see.series(self.page("/metrics"))["pacemaker_up"] == 1

    @contextlib.contextmanager
    def limited(self, limit: str, amount: int, *user: str) -> Iterator[None]:
        """It has only so much of something; the words set its user, who alone may say so."""
        argv = [*user, "prlimit", f"--pid={self.process.pid}"]
        before = subprocess.check_output([*argv, f"--{limit}", "--noheadings", "--output=SOFT"])
        subprocess.run([*argv, f"--{limit}={amount}:"], check=True)
        try:
            yield
        finally:
            subprocess.run([*argv, f"--{limit}={before.decode().strip()}:"], check=True)


@contextlib.contextmanager
def exporter(directory: Path, environment: dict[str, str], *prefix: str) -> Iterator[Program]:
    log, config = directory / "log", directory / "web.yml"
    config.write_text(f"basic_auth_users: {{alice: {HASH}}}\n")
    argv = [*prefix, sys.executable, "-m", "exporter", *FLAGS, f"--web.config.file={config}"]
    with running(argv, log, env=environment) as process:
        program = Program(process, log)
        eventually(lambda: program.said("msg=listening"))
        yield program
        assert process.poll() is None
    assert process.returncode == 0
    assert program.said("Traceback|bug") == 0


def test_no_free_descriptors(tmp_path: Path, environment: dict[str, str]) -> None:
    with exporter(tmp_path, environment) as program:
        eventually(program.is_up)
        with program.limited("nofile", 3), ExitStack() as clients:
            line = r'level=error msg="crm_mon cannot be started: Too many open files"'
            eventually(lambda: program.said(line))
            host, port = program.address.split(":")
            for _ in range(3):
                clients.enter_context(socket.create_connection((host, int(port)), 10))
            waiting = r'msg="clients cannot be taken" reason="Too many open files"'
            eventually(lambda: program.said(waiting))
            time.sleep(3)  # asyncio tries again every second
        eventually(program.is_up)
        assert program.said(line) == program.said(waiting) == 1
        assert program.said('msg="crm_mon works again"') == 1


def test_a_full_process_table(tmp_path: Path, environment: dict[str, str]) -> None:
    _need_root()
    with exporter(tmp_path, environment, *AS_NOBODY) as program:
        with program.limited("nproc", 1, *AS_NOBODY[:4]):
            line = r'msg="crm_mon cannot be started: Resource temporarily unavailable"'
            eventually(lambda: program.said(line))
            assert not program.is_up(), "who was not here before is checked all the same"
            assert "The last poll: crm_mon could not be started" in program.page("/")
            time.sleep(3)  # the web configuration is looked at every second
        eventually(program.is_up)
        assert program.said(line) == 1


def test_a_process_table_that_is_full_at_the_start(environment: dict[str, str]) -> None:
    _need_root()
    argv = [*AS_NOBODY, "prlimit", "--nproc=1:", sys.executable, "-m", "exporter", *FLAGS]
    ended = subprocess.run(
        argv, env=environment, capture_output=True, check=False, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert "level=error" in ended.stderr
    assert "cannot start a thread (status page): the process table is full" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_full_tmp_and_nothing_to_write_to(tmp_path: Path, environment: dict[str, str]) -> None:
    """In mounts of its own: everything read-only, and /tmp with no room in it."""
    _need_root()
    script = """
        mount --make-rprivate /
        mkdir "$0/tmp" && mount -t tmpfs -o size=4k tmpfs "$0/tmp"
        head -c 4096 /dev/zero >"$0/tmp/full" && ! head -c 1 /dev/zero 2>&- >"$0/tmp/more" || exit 9
        mount -o remount,bind,ro "$0/tmp" && mount -o remount,bind,ro / || exit 9
        ! touch "$0/written" 2>&- || exit 9
        exec "$@"
    """
    prefix = ("unshare", "--mount", "sh", "-c", script, str(tmp_path))
    with exporter(tmp_path, {**environment, "TMPDIR": str(tmp_path / "tmp")}, *prefix) as program:
        eventually(program.is_up)
        assert program.said("level=error") == 0
