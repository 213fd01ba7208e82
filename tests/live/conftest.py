"""The cluster: started once, and gone with the tests however they end."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.cluster import FILES, Cluster, Site
from tests.live.monitoring import MEMORY, Monitoring, monitoring
from tests.live.sampler import Sampler
from tests.live.watch import Watch
from tests.support.harness.podman import BUILD, documented, podman
from tests.support.paths import ROOT

DEBIAN_PYTHON = "/usr/bin/python3"
"""An interpreter that an unprivileged user can run: others may lie below /root."""


@pytest.fixture(scope="session")
def images(pytestconfig: pytest.Config) -> Path:
    """Podman's store with the image of the bundles: made once, kept in pytest's cache."""
    assert pytestconfig.cache is not None
    script = FILES / "image.sh"
    packages = ("dpkg-query", "--show", "pacemaker", "podman")
    versions = subprocess.run(packages, capture_output=True, check=True).stdout
    key = hashlib.sha256(script.read_bytes() + versions).hexdigest()[:16]
    kept = pytestconfig.cache.mkdir("cluster-images")
    store = kept / key
    if not store.is_dir():
        shutil.rmtree(kept)
        unfinished = kept / "unfinished"
        subprocess.run((script, unfinished), check=True, timeout=600)
        unfinished.rename(store)
    return store


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exporter, installed as the README says."""
    directory = tmp_path_factory.mktemp("exporter") / "venv"
    for words in (
        (DEBIAN_PYTHON, "-m", "venv", directory),
        (directory / "bin" / "pip", "install", "-q", "-c", "constraints.txt", "."),
    ):
        subprocess.run(words, check=True, cwd=ROOT, timeout=300)
    return directory


@pytest.fixture(scope="session")
def exporter_image(images: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The image of deploy/container in podman's store, built with the documented command.

    Layers that did not change come from the store. pip finds packages that this machine's pip
    fetched: how that reaches an index is not known in a container.
    """
    directory = tmp_path_factory.mktemp("image")
    context, wheels, files = (directory / name for name in ("context", "wheels", "podman"))
    files.mkdir()
    shutil.copytree(ROOT / "deploy" / "container", context / "deploy" / "container")
    shutil.copy(ROOT / "constraints.txt", context)
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir")
    subprocess.run((*build, context / "dist", ROOT), check=True, capture_output=True, timeout=120)
    pip = (installed / "bin" / "pip", "download", "-q", "-c", "constraints.txt", "-d", wheels)
    subprocess.run((*pip, *(context / "dist").glob("*.whl")), check=True, cwd=ROOT, timeout=300)
    configuration = directory / "pip.conf"
    configuration.write_text("[global]\nno-index = true\nfind-links = /wheels\n", encoding="utf-8")
    # Building, the engine has to reach Debian.
    added = f"--network=host -v {wheels}:/wheels:ro -v {configuration}:/etc/pip.conf:ro"
    command = documented("build").replace(BUILD, f"{BUILD} {added}", 1)
    with podman(images, files, network="host") as engine:
        engine.run("sh", "-ec", f"nice {command}", cwd=context, timeout=600)
        engine.run("podman", "image", "prune", "--force")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, images: Path, installed: Path) -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("a cluster of namespaces needs root")
    site = Site(tmp_path_factory.mktemp("cluster"), images, installed)
    yield site
    site.end()


@pytest.fixture(scope="session")
def cluster(site: Site) -> Iterator[Cluster]:
    """Three nodes online, with the configuration of an OpenStack controller cluster."""
    cluster = Cluster(site)
    with cluster.power:
        cluster.start()
        cluster.reset()
        yield cluster
    for node in cluster.nodes:
        node.power_off()


@pytest.fixture(scope="session")
def monitored(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    """Prometheus and Alertmanager."""
    with monitoring(tmp_path_factory.mktemp("monitoring"), cluster) as found:
        yield found


@pytest.fixture(scope="session")
def sampler(cluster: Cluster) -> Iterator[Sampler]:
    """Looks for what is impossible, from the first test to the last."""
    with Sampler(cluster.nodes) as sampler:
        yield sampler
    print(f"{sampler.scrapes} scrapes sampled, the slowest took {sampler.slowest:.3f} s")


@pytest.fixture
def watch(cluster: Cluster, monitored: Monitoring, sampler: Sampler) -> Iterator[Watch]:
    """A healthy cluster, which the test has to leave healthy; after one that fails it restarts."""
    watch = Watch(cluster, monitored, sampler)
    yield watch
    if not watch.left_healthy:
        sampler.wrong.clear()
        # Not mended: that may be what failed, and would take as long once more.
        cluster.restart()
        restarted = Watch(cluster, monitored, sampler)
        restarted.tolerated |= watch.monitoring.fired(MEMORY)
        restarted.healthy()
