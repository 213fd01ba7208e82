"""The real podman, apart from this machine's own: its store, its files and its containers."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.harness.programs import eventually
from tests.support.paths import ROOT

CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"
BUILD = "podman build"
CONFIGURATION = """\
[containers]
cgroups = "disabled"
cgroupns = "host"
pids_limit = 0
log_driver = "k8s-file"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
static_dir = "{run}/libpod"
tmp_dir = "{run}/tmp"
volume_path = "{run}/volumes"

[network]
network_backend = "netavark"
network_config_dir = "{run}/networks"
"""
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{store}"
runroot = "{run}/run"
"""
# crun refuses the hybrid of cgroup v1 and v2.
PREPARE = """
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
mkdir -p /run/containers /var/lib/containers
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run/containers
mount -t tmpfs cache /var/lib/containers
ip link set lo up
"""


@dataclass(frozen=True, slots=True)
class Podman:
    """Podman in namespaces of its own. Every container ends with them."""

    pid: int
    """The process that holds the namespaces."""
    environment: Sequence[str]
    """NAME=VALUE."""

    def words(self, *argv: str | Path, cwd: Path = Path("/")) -> tuple[str, ...]:
        """Return the words that run a command beside the containers."""
        spaces = ("--mount", "--net", "--pid", "--ipc")
        # nsenter changes to the directory of the target.
        inside = ("env", f"--chdir={cwd}", *self.environment)
        return ("nsenter", f"--target={self.pid}", *spaces, "--", *inside, *map(str, argv))

    def run(
        self,
        *argv: str | Path,
        cwd: Path = Path("/"),
        timeout: float = 120,
    ) -> str:
        """Run a command that must succeed, and return what it prints."""
        ended = subprocess.run(
            self.words(*argv, cwd=cwd),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=timeout,
        )
        printed = ended.stdout.decode() + ended.stderr.decode()
        assert ended.returncode == 0, f"{' '.join(map(str, argv))}: {printed[-5000:]}"
        return ended.stdout.decode()


@contextlib.contextmanager
def podman(store: Path, run: Path, *, network: str) -> Iterator[Podman]:
    """Podman with the images in a directory.

    Args:
        store: images, and what containers write.
        run: an empty directory for the rest.
        network: "host" is this machine's, "own" a new one, without a way out.

    """
    (run / "containers.conf").write_text(CONFIGURATION.format(run=run), encoding="utf-8")
    (run / "storage.conf").write_text(STORAGE.format(run=run, store=store), encoding="utf-8")
    spaces = ("--mount", "--propagation=private", "--pid", "--mount-proc", "--ipc")
    starter = subprocess.Popen(
        (
            *("setpriv", "--pdeathsig=KILL", "unshare", *spaces),
            *(["--net"] if network == "own" else []),
            *("--fork", "--kill-child=KILL", "catatonit", "-P"),
        ),
        stdin=subprocess.DEVNULL,
    )
    try:
        children = Path(f"/proc/{starter.pid}/task/{starter.pid}/children")
        pid = eventually(lambda: int(children.read_text(encoding="ascii").split()[0]))
        init = Path(f"/proc/{pid}/cmdline")
        eventually(lambda: init.read_bytes() == b"catatonit\0-P\0")
        found = Podman(
            pid,
            (
                f"CONTAINERS_CONF={run / 'containers.conf'}",
                f"CONTAINERS_STORAGE_CONF={run / 'storage.conf'}",
            ),
        )
        found.run("sh", "-ec", PREPARE)
        yield found
    finally:
        starter.kill()
        starter.wait(30)


def documented(name: str) -> str:
    """Return the command of podman that the Containerfile documents, in the words of a shell."""
    text = CONTAINERFILE.read_text(encoding="utf-8")
    (found,) = re.findall(rf"^#   (podman {name} (?:.*\\\n)*.*)", text, re.MULTILINE)
    return re.sub(r"\\\n# *", "", found)


def copy_programs(root: Path, *programs: str | Path) -> None:
    """Copy programs or libraries of this machine into a root, with the libraries that they need."""
    linked = subprocess.run(
        ("ldd", *programs), capture_output=True, check=False, text=True, timeout=60
    ).stdout
    libraries = {word for word in linked.split() if word.startswith("/") and word[-1] != ":"}
    for path in {*map(str, programs), *libraries}:
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
