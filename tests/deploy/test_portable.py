"""The portable exporter on glibc 2.17 and a kernel that answers like Linux 3.10.

`make portable` must have built it, for this machine. Not covered: that kernel itself.
"""

import contextlib
import filecmp
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from exporter import __version__
from tests.support.harness import see
from tests.support.harness.certificates import HASH, Pki, serve
from tests.support.harness.programs import eventually, get, running
from tests.support.harness.web import RIGHT, configure
from tests.support.paths import ROOT

pytestmark = pytest.mark.portable

NAME = f"pacemaker-bundle-exporter-{__version__}.linux-amd64"
DIST = ROOT / "dist"
FORMS = ("directory", "file")
AFTER_LINUX_3_10 = ("ENOSYS", "314", "100000")
"""Numbers of system calls on x86_64; finit_module, the last of 3.10, has 313."""
OLD_GLIBC = (2, 17)
LIMIT = 15_000_000
APPLETS = ("sh", "cat", "readlink", "sleep", "env", "head")
CRM_MON_1_1 = """\
#!/bin/sh
case "$*" in
    *--output-as*) echo "crm_mon: unrecognized option '--output-as=xml'" >&2; exit 1 ;;
    *--as-xml*) cat /answer.xml ;;
esac
"""
CAPTURE = ROOT / "tests" / "captures" / "1.1.18" / "e02-promoted.legacy.xml"


def built(suffix: str = "") -> Path:
    path = DIST / (NAME + suffix)
    if not path.exists():
        pytest.skip(f"{path} is missing: run `make portable`")
    return path


def unpack(archive: Path, into: Path, *arguments: str) -> None:
    subprocess.run(("tar", "-xf", str(archive), "-C", str(into), *arguments), check=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive."""
    directory = tmp_path_factory.mktemp("tree")
    unpack(built(".tar.gz"), directory)
    return directory / NAME


@dataclass(frozen=True)
class OldSystem:
    """A root directory with glibc 2.17 and busybox, and the portable exporter in both forms."""

    root: Path

    def argv(self, form: str, *arguments: str) -> list[str]:
        """Return a command that runs the exporter there; its processes end with it."""
        where = f"/opt/{NAME}/pacemaker-bundle-exporter" if form == "directory" else "/opt/one"
        return self.command(where, *arguments)

    def command(self, *command: str) -> list[str]:
        mounts = 'mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec "$@"'
        return [
            *(see.need("unshare"), "--mount", "sh", "-c", mounts, str(self.root)),
            *(sys.executable, "-m", "tests.support.harness.seccomp", *AFTER_LINUX_3_10),
            # OpenSSL asks for the version of a kernel that has no getrandom.
            *("setarch", "--uname-2.6", "chroot", str(self.root), *command),
        ]

    def run(self, form: str, *arguments: str, status: int = 0) -> str:
        return self.output(*self.argv(form, *arguments), status=status)

    def output(self, *argv: str, status: int = 0) -> str:
        done = subprocess.run(
            argv, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == status, done.stderr
        return done.stdout


ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "LC_ALL": "C"}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, tree: Path) -> OldSystem:
    if os.geteuid() != 0 or os.uname().machine != "x86_64":
        pytest.skip("only root can change the root directory; glibc 2.17 is for x86_64")
    root = tmp_path_factory.mktemp("root")
    for name in ("bin", "dev", "proc", "tmp", "usr/sbin", "opt"):
        (root / name).mkdir(parents=True)
    (root / "lib64").mkdir()
    packed = Path(str(resources.files("ppbt") / "_toolchain" / "x86_64-linux-gnu.tar.xz"))
    wanted = ("--wildcards", "--strip-components=4", "x86_64-linux-gnu/*/sysroot/lib/*.so*")
    unpack(packed, root / "lib64", *wanted)
    shutil.copy2(see.need("busybox"), root / "bin" / "busybox")
    for name in APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    crm_mon = root / "usr" / "sbin" / "crm_mon"
    crm_mon.write_text(CRM_MON_1_1)
    crm_mon.chmod(0o755)
    shutil.copyfile(CAPTURE, root / "answer.xml")
    shutil.copytree(tree, root / "opt" / NAME, symlinks=True)
    shutil.copy2(built(), root / "opt" / "one")
    return OldSystem(root)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def exporter(
    system: OldSystem, form: str, tmp_path: Path
) -> Callable[..., "contextlib.AbstractContextManager[int]"]:
    @contextlib.contextmanager
    def start(*arguments: str) -> Iterator[int]:
        log = tmp_path / "log"
        argv = system.argv(form, "--web.listen-address=127.0.0.1:0", *arguments)
        with running(argv, log, cwd=ROOT, env=ENVIRONMENT):

            def port() -> int:
                found = re.search(r"msg=listening address=\S+:(\d+)", log.read_text("utf-8"))
                return int(found[1]) if found else 0

            yield eventually(port)

    return start


# ------------------------------------------------------------------------- on the old system


def test_old_system_is_old(system: OldSystem) -> None:
    said = system.output(*system.command("/lib64/libc.so.6"))
    assert "version 2.17" in said


def test_version_has_the_revision(system: OldSystem, form: str) -> None:
    assert re.match(rf"pacemaker-bundle-exporter {__version__}\b", system.run(form, "--version"))


def test_demonstration_is_scraped(exporter: Callable[..., Any]) -> None:
    with exporter("--demo") as port:
        eventually(lambda: get(f"http://127.0.0.1:{port}/-/ready"))
        page = get(f"http://127.0.0.1:{port}/metrics").decode()
        status_page = get(f"http://127.0.0.1:{port}/").decode()
    assert "\npacemaker_up 1\n" in page
    assert 'pacemaker_bundle_replicas_expected{bundle="galera-bundle"} 3' in page
    assert re.search(r'pacemaker_exporter_build_info\{[^}]*revision="[0-9a-f]{12}', page)
    assert "galera-bundle" in status_page


def test_tls_with_a_user_is_scraped(
    system: OldSystem, exporter: Callable[..., Any], form: str
) -> None:
    directory = system.root / "etc" / form
    directory.mkdir(parents=True)
    pki = Pki(directory)
    configure(pki, {"tls_server_config": serve(pki), "basic_auth_users": {"alice": HASH}})
    with exporter("--demo", f"--web.config.file=/etc/{form}/web.yml") as port:
        request = urllib.request.Request(
            f"https://127.0.0.1:{port}/metrics",
            headers={"Authorization": f"Basic {b64encode(RIGHT.encode()).decode()}"},
        )
        context = ssl.create_default_context(cafile=str(pki.bundle))

        def page() -> bytes:
            with urllib.request.urlopen(request, context=context, timeout=20) as answer:
                return bytes(answer.read())

        eventually(lambda: b"\npacemaker_up 1\n" in page())


def test_output_of_pacemaker_1_1_is_shown(system: OldSystem, form: str) -> None:
    shown = system.run(form, "show")
    assert re.search(r"web-bundle .* promoted", shown), shown
    page = system.run(form, "--once", "--no-collector.corosync")
    assert "\npacemaker_up 1\n" in page
    assert 'pacemaker_bundle_replicas_in_role{bundle="web-bundle",role="promoted"} 1' in page


def test_packed_demonstration_is_shown(system: OldSystem, form: str) -> None:
    assert "compute-0" in system.run(form, "show", "--demo=cloud", "--all")


def test_every_module_of_the_exporter_can_be_imported(system: OldSystem) -> None:
    script = (
        "import exporter, importlib, pkgutil\n"
        "for found in pkgutil.walk_packages(exporter.__path__, 'exporter.'):\n"
        "    importlib.import_module(found.name)\n"
        "    print(found.name)\n"
    )
    python = f"/opt/{NAME}/bin/python3.13"
    names = system.output(*system.command(python, "-sPc", script)).splitlines()
    assert len(names) > 80
    assert "exporter.cli.show" in names


# ------------------------------------------------------------------------------- the contents


def programs(directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def test_every_program_and_library_needs_at_most_glibc_2_17(tree: Path) -> None:
    found = {built(): set[str](), **{path: set[str]() for path in programs(tree)}}
    assert len(found) > 5
    for path, versions in found.items():
        argv = (see.need("readelf"), "--wide", "--version-info", str(path))
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        versions.update(re.findall(r"Name: GLIBC_([\d.]+)", said))
        newest = max(tuple(map(int, version.split("."))) for version in versions)
        assert newest <= OLD_GLIBC, path


def test_interpreter_needs_only_glibc(tree: Path) -> None:
    for path in (tree / "bin" / "python3.13", built()):
        argv = (see.need("readelf"), "--wide", "--dynamic", str(path))
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", said))
        glibc = {f"lib{name}.so" for name in ("c", "m", "dl", "pthread", "util", "rt")}
        assert {name.rpartition(".")[0] for name in needed} <= {*glibc, "ld-linux-x86-64.so"}


def test_files_are_small() -> None:
    assert built(".tar.gz").stat().st_size < LIMIT
    assert built().stat().st_size < 2 * LIMIT


def test_everything_in_the_list_has_its_license(tree: Path) -> None:
    bill = json.loads(built(".cdx.json").read_bytes())
    listed = (tree / "licenses" / "LIST").read_text("utf-8")
    names = {component["name"] for component in bill["components"]}
    assert {"openssl", "python3.13", "lxml", "bcrypt", "rich"} <= names
    for component in (*bill["components"], bill["metadata"]["component"]):
        assert f"{component['name']} {component['version']}: " in listed
        assert component["licenses"][0], component
    installed = {path.name for path in (tree / "licenses").iterdir() if path.is_dir()}
    assert len(installed) == len(names - {"libxml2", "libxslt"}) + 1, "lxml has theirs"
    for directory in (tree / "licenses").iterdir():
        if directory.is_dir():
            assert all(text.stat().st_size > 200 for text in directory.iterdir()), directory


def test_list_has_the_libraries_inside_lxml(tree: Path) -> None:
    script = (
        "from lxml import etree\n"
        "print('.'.join(map(str, etree.LIBXML_COMPILED_VERSION)))\n"
        "print('.'.join(map(str, etree.LIBXSLT_COMPILED_VERSION)))\n"
    )
    argv = (tree / "bin" / "python3.13", "-sPc", script)
    versions = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    bill = json.loads(built(".cdx.json").read_bytes())
    listed = {component["name"]: component["version"] for component in bill["components"]}
    assert [listed["libxml2"], listed["libxslt"]] == versions


def test_documents_are_beside_the_program(tree: Path) -> None:
    share = tree / "share"
    for name in (
        "man/man1/pacemaker-bundle-exporter.1",
        "bash-completion/completions/pacemaker-bundle-exporter",
        "pacemaker-bundle-exporter/deploy/systemd/pacemaker-bundle-exporter.service",
        "pacemaker-bundle-exporter/deploy/prometheus/pacemaker-alerts.rules.yml",
        "pacemaker-bundle-exporter/grafana/dashboards",
        "pacemaker-bundle-exporter/deploy/runbooks/PacemakerBundleDown.md",
    ):
        assert (share / name).exists(), name


def test_second_build_gives_the_same_bytes(tmp_path: Path) -> None:
    subprocess.run((sys.executable, "-m", "tools.portable", str(tmp_path)), cwd=ROOT, check=True)
    for suffix in ("", ".tar.gz", ".cdx.json"):
        again, before = tmp_path / (NAME + suffix), built(suffix)
        assert filecmp.cmp(again, before, shallow=False), suffix
