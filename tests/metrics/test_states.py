"""The exporter on the real crm_mon, over a CIB for every state a cluster can be in."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from exporter.cluster.observation import Observation
from tests.support.harness import see
from tests.support.model.states import STATES
from tests.support.oracle.promtool import promtool

pytestmark = pytest.mark.real


def test_summary_of_every_state_is_the_expected_one(
    observed: Mapping[str, Observation], golden: Callable[[str, str], None]
) -> None:
    short = [
        f"{name}: {STATES[name].says}\n{see.summary(seen.snapshot)}"
        for name, seen in observed.items()
    ]
    golden("states.txt", "\n".join(short))


@pytest.mark.parametrize("name", ["healthy", "unique", "networked", "blocked", "remote-nodes"])
def test_page_of_a_state_is_the_expected_one(
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


def test_ready_replicas_never_outnumber_running_ones(observed: Mapping[str, Observation]) -> None:
    for name, seen in observed.items():
        for bundle in seen.snapshot.bundles:
            for replica in bundle.replicas:
                assert replica.running or not replica.ready, name


def test_configured_limits_are_those_of_the_cib(observed: Mapping[str, Observation]) -> None:
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
def test_promtool_accepts_the_page_of_every_state(observed: Mapping[str, Observation]) -> None:
    for name, seen in observed.items():
        checked = promtool("check", "metrics", given=see.text(seen))
        assert (checked.returncode, checked.stderr) == (0, ""), name


def test_last_change_is_read_in_the_zone_of_the_host(tmp_path: Path) -> None:
    path = STATES["healthy"].write(tmp_path / "cib.xml")
    assert see.observe(path).snapshot.cluster.last_change_time is not None
