"""The cluster: started once, and gone with the tests however they end."""

import hashlib
import os
import shutil
import subprocess
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
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment."""
    directory = tmp_path_factory.mktemp("exporter") / "venv"
    subprocess.run((DEBIAN_PYTHON, "-m", "venv", directory), check=True, timeout=300)
    return directory


@pytest.fixture(scope="session")
def wheels(environment: Path) -> Path:
    """A directory with the wheels of the exporter and of what it needs."""
    directory = environment.with_name("wheels")
    pip = (environment / "bin" / "pip", "wheel", "-q", "-c", "constraints.txt", "-w", directory)
    subprocess.run((*pip, "."), check=True, cwd=ROOT, timeout=300)
    return directory


@pytest.fixture(scope="session")
def installed(environment: Path, wheels: Path) -> Path:
    """The exporter, installed as the README says, but from wheels."""
    pip = (environment / "bin" / "pip", "install", "-q", "-c", "constraints.txt")
    subprocess.run(
        (*pip, "--no-index", f"--find-links={wheels}", "pacemaker-bundle-exporter"),
        check=True,
        cwd=ROOT,
        timeout=300,
    )
    return environment


@pytest.fixture(scope="session")
def exporter_image(images: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The image of deploy/container in podman's store, built with the documented command.

    Layers that did not change come from the store. pip gets the wheels: how it reaches an index
    from a container differs between machines.
    """
    directory = tmp_path_factory.mktemp("image")
    context, files = directory / "context", directory / "podman"
    files.mkdir()
    shutil.copytree(ROOT / "deploy" / "container", context / "deploy" / "container")
    shutil.copy(ROOT / "constraints.txt", context)
    (wheel,) = wheels.glob("pacemaker_bundle_exporter-*.whl")
    (context / "dist").mkdir()
    shutil.copy(wheel, context / "dist")
    configuration = directory / "pip.conf"
    configuration.write_text("[global]\nno-index = true\nfind-links = /wheels\n", encoding="utf-8")
    # Building, the engine has to reach Debian.
    added = f"--network=host -v {wheels}:/wheels:ro -v {configuration}:/etc/pip.conf:ro"
    command = documented("build").replace(BUILD, f"{BUILD} {added}", 1)
    with podman(images, files, network="host") as engine:
        engine.run("sh", "-ec", f"nice {command}", cwd=context, timeout=600)
        # Layers of other sources; those of the last day may be used again.
        engine.run("podman", "image", "prune", "--force", "--filter=until=24h")


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
