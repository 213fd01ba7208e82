"""A clean Debian, and one with the package and a real Pacemaker; booted, with a real systemd."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.harness import see
from tests.support.harness.programs import eventually
from tests.support.paths import ROOT

SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
UNIT = "pacemaker-bundle-exporter.service"

# What --demo shows when nothing is installed but what the package depends on.
DEMO = "pacemaker-bundle-exporter --once --demo"


def package() -> Path:
    """The Debian package that `make package` built."""
    found = sorted((ROOT / "dist").glob("pacemaker-bundle-exporter_*.deb"))
    if not found:
        pytest.skip("there is no package: run make package")
    return found[-1]


@contextlib.contextmanager
def clean_root(deb: Path) -> Iterator[Path]:
    """A minimal Debian 12, with the package and what it depends on, and then with Pacemaker."""
    install = 'chroot "$1" apt-get install --quiet --yes --no-install-recommends'
    with debian(
        "bookworm",
        hooks=(
            f'cp {deb} "$1/root/exporter.deb"',
            f"{install} /root/exporter.deb",
            f'chroot "$1" {DEMO} >"$1/root/demo.prom"',
            f"{install} pacemaker pacemaker-cli-utils corosync nftables ansible-core python3-apt",
        ),
    ) as root:
        yield root


@contextlib.contextmanager
def debian(release: str, *packages: str, hooks: tuple[str, ...] = ()) -> Iterator[Path]:
    """A minimal Debian with some packages; afterwards hooks run, whose $1 is its directory."""
    if os.geteuid() != 0:
        pytest.skip("only root can make and boot a machine")
    # Not below /tmp, which the booted machine covers with its own.
    directory = Path(tempfile.mkdtemp(prefix="machine-", dir="/var/tmp"))
    try:
        sources = directory / "debian.sources"
        if SOURCES.exists():
            text = SOURCES.read_text(encoding="utf-8")
            sources.write_text(re.sub(r"(?<![\w/])bookworm", release, text), encoding="utf-8")
        made = subprocess.run(
            [
                # What it mounts and starts ends with it, or removing the root would go into that.
                *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
                see.need("mmdebstrap"),
                "--variant=minbase",
                "--quiet",
                *(f"--include={name}" for name in packages),
                *(f"--customize-hook={hook}" for hook in hooks),
                release,
                str(directory / "root"),
                *([str(sources)] if sources.exists() else []),
            ],
            capture_output=True,
            check=False,
            text=True,
            timeout=600,
        )
        assert made.returncode == 0, made.stderr[-5000:]
        yield directory / "root"
    finally:
        shutil.rmtree(directory)


class Machine:
    """A booted machine."""

    def __init__(self, root: Path, pid: int) -> None:
        """Args: its root directory and, seen from here, its PID 1."""
        self.root = root
        self.pid = pid

    def run(self, *argv: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command in it as root."""
        spaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
        return subprocess.run(
            ["nsenter", f"--target={self.pid}", *spaces, *argv],
            capture_output=True,
            check=False,
            text=True,
            timeout=timeout,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )

    def output(self, *argv: str, timeout: float = 60) -> str:
        """What a command prints that succeeds."""
        ended = self.run(*argv, timeout=timeout)
        assert ended.returncode == 0, f"{argv}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def get(self, path: str) -> str:
        """A page of its exporter."""
        curl = (see.need("curl"), "--fail", "--silent", "--show-error", "--max-time", "9")
        ended = subprocess.run(
            ("nsenter", f"--target={self.pid}", "--net", *curl, f"http://127.0.0.1:19664{path}"),
            capture_output=True,
            check=False,
            text=True,
        )
        if ended.returncode != 0:
            raise OSError(ended.stderr.strip())
        return ended.stdout

    def value(self, series: str) -> float | None:
        """A sample of its exporter, by name and labels."""
        return see.series(self.get("/metrics")).get(series)

    def wait_until(self, series: str, value: float, seconds: float = 60) -> None:
        """Wait for a sample to be so, or more."""
        eventually(lambda: (found := self.value(series)) is not None and found >= value, seconds)

    def wait_for_end(self, series: str) -> None:
        """Wait for a sample to be 0."""
        eventually(lambda: self.value(series) == 0)

    def property(self, name: str) -> str:
        """What systemd knows of the service."""
        return self.output("systemctl", "show", "--property", name, "--value", UNIT).strip()

    def journal(self) -> str:
        """What the service said."""
        return self.output("journalctl", "--unit", UNIT, "--output=cat", "--no-pager")

    @contextlib.contextmanager
    def drop_in(self, text: str) -> Iterator[None]:
        """The service with changes to its unit."""
        path = self.root / "etc" / "systemd" / "system" / f"{UNIT}.d" / "test.conf"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"[Service]\n{text}\n", encoding="utf-8")
        self._restart()
        try:
            yield
        finally:
            path.unlink()
            with contextlib.suppress(OSError):  # another drop-in is there
                path.parent.rmdir()
            self._restart()

    @contextlib.contextmanager
    def flags(self, text: str) -> Iterator[None]:
        """The service with flags, where its administrator writes them."""
        path = self.root / "etc" / "default" / "pacemaker-bundle-exporter"
        before = path.read_text(encoding="utf-8")
        assert 'ARGS=""' in before
        path.write_text(before.replace('ARGS=""', f'ARGS="{text}"'), encoding="utf-8")
        self._restart()
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")
            self._restart()

    def _restart(self) -> None:
        self.output("systemctl", "daemon-reload")
        self.run("systemctl", "reset-failed", UNIT)
        self.run("systemctl", "restart", UNIT)


@contextlib.contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Boot it, and switch it off."""
    spaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork")
    argv = ["unshare", *spaces, str(Path(__file__).with_name("boot.sh")), str(root)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        pid = eventually(lambda: int(children.read_text(encoding="utf-8").split()[0]), 10)
        machine = Machine(root, pid)
        try:
            eventually(lambda: _is_up(machine), 60)
            yield machine
        finally:
            os.kill(pid, 9)
            process.communicate(timeout=30)


def _is_up(machine: Machine) -> bool:
    comm = Path(f"/proc/{machine.pid}/comm").read_text(encoding="utf-8").strip()
    state = machine.run("systemctl", "is-system-running").stdout.strip()
    return comm == "systemd" and state in {"running", "degraded"}
