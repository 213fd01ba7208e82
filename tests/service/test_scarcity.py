"""The program survives scarce resources and recovers, with the real crm_mon."""

import base64
import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.harness import see
from tests.support.harness.certificates import HASH
from tests.support.harness.cgroup import memory_cgroup
from tests.support.harness.programs import eventually, free_port, get, running
from tests.support.harness.stand_in import HEALTHY_CRM_MON, Behaviour, StandIn
from tests.support.harness.web import RIGHT
from tests.support.model.states import STATES
from tests.support.paths import ROOT

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
    cib = STATES["healthy"].write(tmp_path / "cib.xml")
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
def exporter(
    directory: Path, environment: dict[str, str], *prefix: str, flags: Sequence[str] = ()
) -> Iterator[Program]:
    log, config = directory / "log", directory / "web.yml"
    config.write_text(f"basic_auth_users: {{alice: {HASH}}}\n")
    argv = [*prefix, sys.executable, "-m", "exporter", *FLAGS, *flags]
    argv.append(f"--web.config.file={config}")
    with running(argv, log, env=environment) as process:
        program = Program(process, log)
        eventually(lambda: program.said("msg=listening"))
        yield program
        assert process.poll() is None
    assert process.returncode == 0
    assert program.said("Traceback|bug") == 0


def test_exporter_recovers_from_a_lack_of_descriptors(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with exporter(tmp_path, environment) as program:
        eventually(program.is_up)
        with program.limited("nofile", 3), ExitStack() as clients:
            line = r'level=error msg="crm_mon cannot be started: Too many open files"'
            eventually(lambda: program.said(line))
            host, port = program.address.split(":")
            for _ in range(3):
                clients.enter_context(socket.create_connection((host, int(port)), 10))
            waiting = r'msg="cannot accept connections" reason="Too many open files"'
            eventually(lambda: program.said(waiting))
            time.sleep(3)  # asyncio tries again every second
        eventually(program.is_up)
        assert program.said(line) == program.said(waiting) == 1
        assert program.said('msg="crm_mon works again"') == 1


def test_exporter_recovers_from_a_full_process_table(
    tmp_path: Path, environment: dict[str, str]
) -> None:
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


def test_full_process_table_at_the_start_is_reported(environment: dict[str, str]) -> None:
    _need_root()
    argv = [*AS_NOBODY, "prlimit", "--nproc=1:", sys.executable, "-m", "exporter", *FLAGS]
    ended = subprocess.run(
        argv, env=environment, capture_output=True, check=False, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert "level=error" in ended.stderr
    assert "cannot start a thread (status page): the process table is full" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_forbidden_clone3_at_the_start_is_reported(environment: dict[str, str]) -> None:
    """Old container engines answer EPERM to system calls that they do not know."""
    seccomp = (sys.executable, "-m", "tests.support.harness.seccomp", "EPERM", "435", "435")
    argv = [*seccomp, sys.executable, "-m", "exporter", *FLAGS]
    ended = subprocess.run(
        argv, env=environment, cwd=ROOT, capture_output=True, check=False, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert "cannot start a thread (status page): the container engine forbids" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_exporter_runs_with_a_full_tmp_and_read_only_files(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """In its mount namespace everything is read-only and /tmp is full."""
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


OOM_KILLED = re.escape(
    "crm_mon failed (killed by SIGKILL, often by the kernel when memory runs out: see dmesg)"
)


def test_crm_mon_killed_for_lack_of_memory_is_reported(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """The real crm_mon gets less memory than it needs."""
    with memory_cgroup(1) as cgroup:
        flag = f"--command.prefix={shlex.join(cgroup.prefix)}"
        with exporter(tmp_path, environment, flags=(flag,)) as program:
            eventually(lambda: program.said(OOM_KILLED))
            assert not program.is_up()
            assert cgroup.kills >= 1
            cgroup.limit(100)
            eventually(program.is_up)
        assert program.said(OOM_KILLED) == 1


def test_exporter_survives_a_crm_mon_that_exhausts_the_memory(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Exporter and crm_mon share a limit, as with MemoryMax= in the unit."""
    with memory_cgroup(400) as cgroup, StandIn(tmp_path) as crm_mon:
        crm_mon.does(Behaviour(eats=1 << 30))
        flag = f"--crm_mon.path={crm_mon.path}"
        with exporter(tmp_path, environment, *cgroup.prefix, flags=(flag,)) as program:
            eventually(lambda: program.said(OOM_KILLED))
            assert cgroup.kills >= 1
            crm_mon.does(HEALTHY_CRM_MON)
            eventually(program.is_up)


WITHOUT_CAPABILITIES = ("setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all")
"""Of root's, whose files these are: what nobody may read, it may not read either."""


def test_exporter_recovers_when_permissions_and_files_return(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    _need_root()
    directory, work, config = tmp_path / "sbin", tmp_path / "work", tmp_path / "web.yml"
    for path in (directory, work):
        path.mkdir()
    crm_mon = Path(shutil.copy(see.need("crm_mon"), directory))
    # The shell changes into a directory that goes.
    prefix = ("env", "--chdir", str(work), f"PYTHONPATH={ROOT}", *WITHOUT_CAPABILITIES)
    with exporter(tmp_path, environment, *prefix, flags=(f"--crm_mon.path={crm_mon}",)) as program:

        def is_missed(line: str) -> None:
            eventually(lambda: program.said(line))
            assert program.page("/-/healthy")

        eventually(program.is_up)
        work.rmdir()
        for path, mode in ((crm_mon, 0o644), (directory, 0)):
            before = path.stat().st_mode
            path.chmod(mode)
            eventually(lambda: not program.is_up())
            path.chmod(before)
            eventually(program.is_up)
        assert program.said("crm_mon cannot be started: Permission denied; check its path") == 2

        content = config.read_text()
        config.chmod(0)
        is_missed("web.yml: cannot read it: Permission denied; the previous configuration stays in")
        config.unlink()
        is_missed("web.yml: cannot read it: No such file or directory; the previous")
        assert program.is_up()
        config.write_text(content)
        eventually(lambda: program.said("web configuration unchanged"))
        assert program.is_up()


def test_exporter_runs_without_home_user_and_path(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Commands with a path are found, as in a container without a user."""
    _need_root()
    stranger = ("setpriv", "--reuid=54321", "--regid=54321", *AS_NOBODY[3:])
    bare = ("env", "--ignore-environment", "PATH=", f"CIB_file={environment['CIB_file']}")
    flag = f"--crm_mon.path={see.need('crm_mon')}"
    with exporter(tmp_path, environment, *stranger, *bare, flags=(flag,)) as program:
        eventually(program.is_up)
        eventually(lambda: program.said("cibadmin cannot be started: No such file or directory"))
        eventually(lambda: program.said("and PATH .Pacemaker's is /usr/sbin"))


def test_exporter_runs_with_closed_standard_streams(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Pipes and sockets get the numbers of the closed streams."""
    port = free_port()
    argv = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "exporter"]
    argv += [*FLAGS, f"--web.listen-address=127.0.0.1:{port}", "--log.level=debug"]
    argv.remove("--web.listen-address=127.0.0.1:0")
    with running(argv, tmp_path / "log", env=environment) as process:
        url = f"http://127.0.0.1:{port}/metrics"

        def page() -> dict[str, float]:
            return dict(see.series(get(url).decode()))

        eventually(
            lambda: (
                page()['pacemaker_exporter_source_reads_total{source="status",outcome="success"}']
                >= 3
            )
        )
        assert page()["pacemaker_up"] == page()["pacemaker_view_trusted"] == 1
    assert process.returncode == 0
    assert (tmp_path / "log").read_text() == ""


def test_missing_dev_null_is_reported(tmp_path: Path, environment: dict[str, str]) -> None:
    """In its mount namespace /dev is empty; the log names the missing file."""
    _need_root()
    script = 'mount --make-rprivate / && mount -t tmpfs tmpfs /dev && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", script, "sh")
    with exporter(tmp_path, environment, *prefix) as program:
        eventually(lambda: program.said("crm_mon cannot be started: .*: /dev/null"))
        assert not program.is_up()
        assert program.said("check its path") == 0
