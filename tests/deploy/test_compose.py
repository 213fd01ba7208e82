"""deploy/compose.yaml, as far as that can be checked without a container engine.

Its mounts are laid out in a directory as the containers would see them, and the real promtool and
amtool read their configuration there. test_compose_up.py starts it.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from tests.support.harness import past, see

FILE = Path("deploy/compose.yaml")
Yaml = Mapping[str, Any]


def _read(path: Path) -> Yaml:
    found: Yaml = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


SERVICES: Mapping[str, Yaml] = _read(FILE)["services"]


def _mounts(service: str) -> Iterator[tuple[Path, PurePosixPath]]:
    for volume in SERVICES[service]["volumes"]:
        source, target, mode = volume.split(":")
        assert mode == "ro", volume
        yield (FILE.parent / source).resolve(strict=True), PurePosixPath(target)


def _addresses() -> set[str]:
    """Return the addresses of the services within the network of compose."""
    return {
        f"{name}:{port.rpartition(':')[2]}"
        for name, service in SERVICES.items()
        for port in service["ports"]
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with our files where the containers see them."""
    top = tmp_path_factory.mktemp("root")
    for name in SERVICES.keys() - {"exporter"}:
        for source, target in _mounts(name):
            place = top / target.relative_to("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, place, dirs_exist_ok=True)
            else:
                shutil.copy(source, place)
    return top


def test_compose_file_has_only_valid_keys() -> None:
    known = {"image", "command", "environment", "volumes", "ports", "restart", "security_opt"}
    assert set(_read(FILE)) == {"x-service", "services"}
    for service in SERVICES.values():
        assert service.keys() <= known
        # Podman does not know where to find an image without a registry; latest is not a version.
        assert re.fullmatch(r"docker\.io/[a-z]+/[a-z]+:[\w.-]*\d[\w.-]*", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert all(isinstance(text, str) for text in service.get("environment", {}).values())


@pytest.mark.prometheus
def test_promtool_accepts_the_configuration_with_all_rules(root: Path) -> None:
    directory = root / "etc/prometheus"
    checked = subprocess.run(
        [see.need("promtool"), "check", "config", "prometheus.yml"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    found = re.findall(r"SUCCESS: (\d+) rules found", checked.stdout)
    assert sum(map(int, found)) == len(past.rules()) > 0
    configuration = _read(directory / "prometheus.yml")
    (job,) = configuration["scrape_configs"]
    assert job["job_name"] == "pacemaker"
    targets = {target for each in job["static_configs"] for target in each["targets"]}
    (alertmanagers,) = configuration["alerting"]["alertmanagers"]
    targets |= set(alertmanagers["static_configs"][0]["targets"])
    assert targets == {"exporter:19664", "alertmanager:9093"}
    assert targets <= _addresses()


@pytest.mark.prometheus
def test_amtool_accepts_the_routing(root: Path) -> None:
    file = root / "etc/alertmanager/alertmanager.yml"
    subprocess.run(
        [see.need("amtool"), "check-config", file], check=True, capture_output=True, timeout=60
    )


def test_grafana_is_provisioned_with_data_source_and_dashboards(root: Path) -> None:
    provisioning = root / "etc/grafana/provisioning"
    sources = _read(provisioning / "datasources/prometheus.yaml")
    assert sources["apiVersion"] == 1
    (source,) = sources["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"].removeprefix("http://") in _addresses()
    boards = _read(provisioning / "dashboards/pacemaker.yaml")
    assert boards["apiVersion"] == 1
    (provider,) = boards["providers"]
    assert provider["type"] == "file"
    directory = root / PurePosixPath(provider["options"]["path"]).relative_to("/")
    uids = {json.loads(path.read_bytes())["uid"] for path in directory.glob("*.json")}
    assert {f"pacemaker-{name}" for name in ("overview", "bundle", "cluster", "exporter")} == uids
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (root / PurePosixPath(home).relative_to("/")).is_file()


def test_script_installs_the_exporter_from_a_copy_and_starts_it(tmp_path: Path) -> None:
    """The real script runs; this environment already has the packages that pip would fetch."""
    shell, option, script = SERVICES["exporter"]["command"]
    assert (shell, option) == ("sh", "-c")
    ((source, target),) = _mounts("exporter")
    copy, install, start = re.split(r" && (?=pip |exec )", script)
    assert str(target) not in shlex.split(install), "building writes there, and it is read-only"
    places = {str(target): source, "/tmp/source": tmp_path / "source"}

    def here(text: str) -> str:
        return re.sub(
            r"(?<!\S)[\w/]+/source\b|(?<!\S)/source\b", lambda at: str(places[at[0]]), text
        )

    def run(*argv: str | Path) -> None:
        made = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "made")}
        subprocess.run(argv, cwd=tmp_path, env=made, check=True, capture_output=True, timeout=120)

    run(shell, "-e", option, here(copy))
    offline = ("--no-index", "--no-deps", "--no-build-isolation", f"--target={tmp_path / 'made'}")
    run(sys.executable, "-m", *shlex.split(here(install)), *offline)
    # Compose itself puts in the value of a variable.
    _, program, *flags = shlex.split(re.sub(r"\$\{\w+:-(\w+)\}", r"\1", start))
    assert program == "pacemaker-bundle-exporter"
    run(sys.executable, tmp_path / "made" / "bin" / program, "--once", *flags)
