"""The exporter on the real crm_mon, over a CIB for every state a cluster can be in."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from exporter.state import Observation
from tests.support import see
from tests.support.states import STATES

pytestmark = pytest.mark.real


def test_every_state_in_short(
    observed: Mapping[str, Observation], golden: Callable[[str, str], None]
) -> None:
    short = [
        f"{name}: {STATES[name].says}\n{see.summary(seen.snapshot)}"
        for name, seen in observed.items()
    ]
    golden("states.txt", "\n".join(short))


@pytest.mark.parametrize("name", ["healthy", "unique", "networked", "blocked", "remote-nodes"])
def test_full_page(
    name: str, observed: Mapping[str, Observation], golden: Callable[[str, str], None]
) -> None:
    golden(f"states/{name}.prom", see.text(observed[name]))


def test_roles_add_up_to_replicas(observed: Mapping[str, Observation]) -> None:
    for name, seen in observed.items():
        page = see.series(see.text(seen))
        for bundle in seen.snapshot.bundles:
            label = f'bundle="{bundle.id}"'
            roles = sum(
                value
                for key, value in page.items()
                if key.startswith(f"pacemaker_bundle_replicas_in_role{{{label},")
            )
            assert roles == page[f"pacemaker_bundle_replicas{{{label}}}"] > 0, name


def test_ready_is_never_more_than_running(observed: Mapping[str, Observation]) -> None:
    for name, seen in observed.items():
        for bundle in seen.snapshot.bundles:
            for replica in bundle.replicas:
                assert replica.running or not replica.ready, name


def test_configuration_is_that_of_the_cib(observed: Mapping[str, Observation]) -> None:
    page = see.series(see.text(observed["healthy"]))
    promoted_max = {
        "galera-bundle": 3,
        "redis-bundle": 1,
        "rabbitmq-bundle": 0,
        "haproxy-bundle": 0,
    }
    for bundle, expected in promoted_max.items():
        assert page[f'pacemaker_bundle_promoted_max{{bundle="{bundle}"}}'] == expected
        assert page[f'pacemaker_bundle_replicas_per_host_limit{{bundle="{bundle}"}}'] == 1
    unique = see.series(see.text(observed["unique"]))
    assert unique['pacemaker_bundle_replicas_per_host_limit{bundle="cache-bundle"}'] == 2
    assert unique['pacemaker_bundle_replicas_per_host_max{bundle="cache-bundle"}'] == 2


@pytest.mark.prometheus
def test_promtool_has_nothing_to_say(observed: Mapping[str, Observation]) -> None:
    promtool = see.need("promtool")
    for name, seen in observed.items():
        checked = subprocess.run(
            [promtool, "check", "metrics"],
            input=see.text(seen).encode(),
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (checked.returncode, checked.stderr) == (0, b""), name


def test_the_zone_of_the_host_is_that_of_the_last_change(tmp_path: Path) -> None:
    path = tmp_path / "cib.xml"
    path.write_text(STATES["healthy"].xml(), encoding="utf-8")
    assert see.observe(path).snapshot.cluster.last_change_time is not None
