"""Three clusters with a Prometheus each, gathered by federation and by remote write."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.test_alerting import GALERA_DOWN, HEALTHY, READY
from tests.support.harness import see
from tests.support.harness.alerting import (
    DEPLOY,
    Receiver,
    alertmanager,
    overridden,
    routing,
    scrape,
    scraping,
    site_of,
)
from tests.support.harness.programs import Prometheus, eventually, prometheus_with
from tests.support.oracle.rules import read

pytestmark = [pytest.mark.real, pytest.mark.prometheus, pytest.mark.story]

FLEET = DEPLOY / "prometheus" / "fleet"
CLUSTERS = ("north", "east", "west")


def gathering(name: str, address: str, **changes: Any) -> Any:  # noqa: ANN401 - what YAML holds
    """A shipped configuration of a central Prometheus, with intervals of a second."""
    shipped = read(FLEET / name)
    shipped["global"].update(scrape_interval="1s", scrape_timeout="1s", evaluation_interval="1s")
    shipped["rule_files"] = ["fleet.rules.yml"]
    (servers,) = shipped["alerting"]["alertmanagers"]
    servers["static_configs"] = [{"targets": [address]}]
    return {**shipped, **changes}


@contextlib.contextmanager
def gatherer(directory: Path, configuration: Any, *flags: str) -> Iterator[Prometheus]:  # noqa: ANN401
    """A central Prometheus with the rules of the fleet and shorter durations."""
    directory.mkdir()
    rules = (FLEET / "pacemaker-fleet.rules.yml").read_text(encoding="utf-8")
    short = rules.replace("for: 1m", "for: 2s").replace("[4m]", "[5s]").replace("[1h]", "[2m]")
    (directory / "fleet.rules.yml").write_text(short, encoding="utf-8")
    # Samples that come with a time of their own count for five minutes when no more follow.
    lookback = "--query.lookback-delta=5s"
    with prometheus_with(directory, configuration, lookback, *flags) as server:
        yield server


def test_federation_and_remote_write_gather_three_clusters(tmp_path: Path) -> None:
    see.need("crm_mon")
    with contextlib.ExitStack() as running:
        enter = running.enter_context
        receiver = enter(Receiver())
        address = enter(alertmanager(tmp_path, routing(receiver.url)))
        received = enter(
            gatherer(
                tmp_path / "receiving",
                gathering("receiving.yml", address),
                "--web.enable-remote-write-receiver",
            )
        )
        sending = read(FLEET / "sending.yml")
        sending["remote_write"][0]["url"] = f"{received.base}/api/v1/write"
        sites, bases = {}, []
        west = contextlib.ExitStack()
        for name in CLUSTERS:
            directory = tmp_path / f"of-{name}"
            overridden(directory / "rules")
            sites[name] = enter(site_of(directory, name, HEALTHY))
            scrape(directory / "targets.json", sites[name])
            configuration = {
                **scraping(directory / "targets.json", address, "http://runbooks.test"),
                **sending,
            }
            start = west.enter_context if name == "west" else enter
            bases.append(start(prometheus_with(directory, configuration)).base)
        enter(west)
        (job,) = read(FLEET / "federating.yml")["scrape_configs"]
        job["static_configs"] = [{"targets": [base.removeprefix("http://") for base in bases]}]
        federated = enter(
            gatherer(
                tmp_path / "federating",
                gathering("federating.yml", address, scrape_configs=[job]),
            )
        )

        # Four bundles of each cluster, under the same four names, and none of one another's.
        bundles = ("galera-bundle", "haproxy-bundle", "rabbitmq-bundle", "redis-bundle")
        all_ready = {(name, bundle): 3.0 for name in CLUSTERS for bundle in bundles}

        def ready(server: Prometheus) -> bool:
            return server.values(READY, "cluster", "bundle") == all_ready

        for server in (federated, received):
            eventually(partial(ready, server), 90)
            (found,) = server.query(f'{READY}{{cluster="east",bundle="galera-bundle"}}')
            # Federation adds the name of its own job where there is none.
            assert found["metric"].keys() - {"job"} == {"__name__", "cluster", "bundle"}
            assert not server.query("pacemaker_bundle_replicas"), "only what was recorded"
        assert receiver.notifications == []

        # A fault pages from beside the cluster, and shows where all are gathered.
        sites["east"].sees(GALERA_DOWN)
        eventually(lambda: receiver.told("east"), 60)
        firing = 'ALERTS{alertstate="firing",severity="critical"}'
        down = ("east", "PacemakerBundleDown", "galera-bundle")

        def fired(server: Prometheus) -> bool:
            found = server.values(firing, "cluster", "alertname", "bundle")
            return down in found and {cluster for cluster, *_ in found} == {"east"}

        for server in (federated, received):
            eventually(partial(fired, server))
        (page,) = receiver.told("east")
        assert page.names() == {"PacemakerBundleDown"}

        # A cluster whose own Prometheus is gone is missed by both, and paged once.
        west.close()
        eventually(lambda: receiver.told("west"), 60)
        silent = 'ALERTS{alertstate="firing",alertname="PacemakerClusterSilent"}'
        for server in (federated, received):
            eventually(partial(server.values, silent, "cluster"), 60)
            assert server.values(silent, "cluster") == {("west",): 1.0}
        (page,) = receiver.told("west")
        assert page.names() == {"PacemakerClusterSilent"}
        assert receiver.told("north") == []
