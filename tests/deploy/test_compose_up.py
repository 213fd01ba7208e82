"""deploy/compose.yaml, started with the real podman-compose in a network of its own.

No registry is used. Images with the names in the file are made of this machine's programs: its
Python takes the place of the newer one, and Prometheus and Alertmanager are Debian's. Grafana is
not packaged, so it is left out.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.live.network import Network
from tests.support.harness import past, see
from tests.support.harness.podman import Podman, copy_programs, podman
from tests.support.harness.programs import eventually
from tests.support.paths import ROOT

pytestmark = [pytest.mark.package, pytest.mark.prometheus]

COMPOSE = ROOT / "deploy" / "compose.yaml"
STARTED = ("exporter", "prometheus", "alertmanager")
PYTHON = "/usr/bin/python3"
SOURCES = ("deploy", "exporter", "grafana")
FILES = ("LICENSE", "README.md", "constraints.txt", "hatch_build.py", "pyproject.toml")
NOBODY = 65534
TEMPLATES = Path("/usr/share/prometheus/alertmanager")
"""Debian's Alertmanager reads its texts from there."""
STOPPED = "PacemakerExporterDown"
PROMETHEUS, ALERTMANAGER = "http://127.0.0.1:9090/api", "http://127.0.0.1:9093/api"


class Composition:
    """What the file started."""

    def __init__(self, engine: Podman, file: Path) -> None:
        self.engine = engine
        self._file = file
        self._network = Network(engine.pid)

    def __call__(self, *argv: str) -> str:
        """Run podman-compose."""
        program = Path(sys.executable).with_name("podman-compose")
        return self.engine.run(program, "-f", self._file, *argv, timeout=300)

    def get(self, url: str) -> Any:  # noqa: ANN401 - any JSON
        """Ask an API through a published port."""
        return json.loads(self._network.get(url))

    def eventually(self, check: Callable[[], bool], seconds: float) -> None:
        """Wait for something, and show what the services say if it does not come."""
        try:
            eventually(check, seconds)
        except (AssertionError, OSError):
            print(self.engine.run("podman", "ps", "--all"))
            for name in self.engine.run("podman", "ps", "--all", "--format={{.Names}}").split():
                print(name, self.engine.run("sh", "-c", f"podman logs --tail=30 {name} 2>&1"))
            raise

    def alerts(self) -> list[dict[str, str]]:
        """Return the labels of what Alertmanager was told."""
        return [alert["labels"] for alert in self.get(f"{ALERTMANAGER}/v2/alerts")]


def _import(engine: Podman, root: Path, service: str, *changes: str) -> None:
    """Make an image of a directory, with the name that the file has for a service."""
    name = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"][service]["image"]
    options = [f"--change={change}" for change in changes]
    tar = root.with_suffix(".tar")
    engine.run("tar", "-C", root, "-cf", tar, ".")
    engine.run("podman", "import", *options, tar, name)
    tar.unlink()


def _root(directory: Path) -> Path:
    """Make the least that a program expects of a system."""
    for name in ("etc", "tmp"):
        (directory / name).mkdir(parents=True)
    users = f"root:x:0:0::/root:/bin/sh\nnobody:x:{NOBODY}:{NOBODY}::/:/bin/sh\n"
    (directory / "etc" / "passwd").write_text(users, encoding="ascii")
    return directory


def _server(engine: Podman, root: Path, service: str, program: str, storage: str) -> None:
    """Make the image of a server that starts as those of its makers do."""
    executable = see.need(program)
    copy_programs(_root(root), executable)
    shutil.copytree(TEMPLATES, root / TEMPLATES.relative_to("/"))
    (root / service).mkdir()
    os.chown(root / service, NOBODY, NOBODY)
    flags = [f"--config.file=/etc/{service}/{service}.yml", f"--{storage}=/{service}"]
    start = f"ENTRYPOINT {json.dumps([executable])}", f"CMD {json.dumps(flags)}"
    _import(engine, root, service, *start, f"WORKDIR /{service}", f"USER {NOBODY}")


def _python(engine: Podman, root: Path, directory: Path) -> None:
    """Make an image with Python, and with pip, which finds what this machine's pip fetched."""
    _root(root)
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": "/usr"}))
    unneeded = shutil.ignore_patterns("test", "idlelib", "config-*", "EXTERNALLY-MANAGED")
    shutil.copytree(library, root / library.relative_to("/"), ignore=unneeded, symlinks=False)
    modules = (library / "lib-dynload").glob("*.so")
    copy_programs(root, PYTHON, "/bin/sh", "/bin/tar", "/bin/mkdir", *modules)
    # Wheels may use any library of glibc, and that of C++.
    for name in ("librt.so.1", "libdl.so.2", "libpthread.so.0", "libstdc++.so.6"):
        copy_programs(root, *Path("/usr/lib").glob(f"*-linux-gnu/{name}"))

    environment = directory / "environment"
    subprocess.run((PYTHON, "-m", "venv", environment), check=True, timeout=120)
    (packages,) = environment.glob("lib/python3*/site-packages")
    shutil.copytree(packages, root / "usr/local/lib" / library.name / "dist-packages")
    pip = root / "usr/local/bin/pip"
    pip.parent.mkdir(parents=True, exist_ok=True)
    pip.write_text('#!/bin/sh\nexec python3 -m pip "$@"\n', encoding="ascii")
    pip.chmod(0o755)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = (*project["build-system"]["requires"], *project["project"]["dependencies"], "shtab")
    download = (environment / "bin" / "pip", "download", "-q", "-c", "constraints.txt")
    subprocess.run((*download, "-d", root / "wheels", *wanted), check=True, cwd=ROOT, timeout=300)
    configuration = "[global]\nno-index = true\nfind-links = /wheels\n"
    (root / "etc" / "pip.conf").write_text(configuration, encoding="ascii")
    _import(engine, root, "exporter", "ENV PATH=/usr/local/bin:/usr/bin:/bin")


def _sources(directory: Path) -> Path:
    """Copy the sources; alerts fire after seconds. Return the copy of the file."""
    unneeded = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        shutil.copytree(ROOT / name, directory / name, ignore=unneeded)
    for name in FILES:
        shutil.copy(ROOT / name, directory)
    for path, durations in (
        ("deploy/prometheus/pacemaker-alerts.rules.yml", r"(for): \d+[smh]"),
        ("deploy/compose/prometheus.yml", r"(scrape_interval|evaluation_interval): \d+[sm]"),
    ):
        text, changed = re.subn(durations, r"\1: 3s", (ROOT / path).read_text(encoding="utf-8"))
        assert changed
        (directory / path).write_text(text, encoding="utf-8")
    return directory / COMPOSE.relative_to(ROOT)


@pytest.fixture(scope="module")
def composition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composition]:
    directory = tmp_path_factory.mktemp("compose")
    (directory / "podman").mkdir()
    with podman(directory / "store", directory / "podman", network="own") as engine:
        _server(engine, directory / "p", "prometheus", "prometheus", "storage.tsdb.path")
        _server(engine, directory / "a", "alertmanager", "prometheus-alertmanager", "storage.path")
        _python(engine, directory / "python", directory)
        found = Composition(engine, _sources(directory / "sources"))
        found("up", "-d", *STARTED)
        yield found
        found("down", "--volumes")
        assert not engine.run("podman", "ps", "--all", "--quiet")
    shutil.rmtree(directory)  # half a gigabyte


def test_prometheus_scrapes_the_exporter_that_the_file_builds(composition: Composition) -> None:
    def targets() -> list[tuple[str, str]]:
        found = composition.get(f"{PROMETHEUS}/v1/targets")["data"]["activeTargets"]
        return [(target["health"], target["labels"]["cluster"]) for target in found]

    composition.eventually(lambda: targets() == [("up", "demo")], 180)


def test_prometheus_evaluates_all_rules(composition: Composition) -> None:
    groups = composition.get(f"{PROMETHEUS}/v1/rules")["data"]["groups"]
    assert sum(len(group["rules"]) for group in groups) == len(past.rules())
    states = f"{PROMETHEUS}/v1/query?query=cluster_bundle:pacemaker_bundle_state:max"
    composition.eventually(lambda: bool(composition.get(states)["data"]["result"]), 60)


def test_alert_about_a_stopped_exporter_reaches_alertmanager(composition: Composition) -> None:
    composition("stop", "--timeout=5", "exporter")

    def labels() -> dict[str, str]:
        return next((found for found in composition.alerts() if found["alertname"] == STOPPED), {})

    composition.eventually(lambda: bool(labels()), 60)
    found = labels()
    assert (found["cluster"], found["instance"]) == ("demo", "exporter:19664")
    assert not found.keys() & {"runbooks", "grafana"}
