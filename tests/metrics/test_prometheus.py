"""The whole chain: a real crm_mon reads a CIB, a real Prometheus scrapes the exporter."""

from pathlib import Path

import pytest

from tests.support.harness import see
from tests.support.harness.programs import eventually, exporter, get, prometheus
from tests.support.model.states import STATES
from tests.support.oracle.promtool import promtool

pytestmark = [pytest.mark.real, pytest.mark.prometheus]


def test_prometheus_query_returns_what_the_cib_says(tmp_path: Path) -> None:
    see.need("crm_mon")
    cib = STATES["healthy"].write(tmp_path / "cib.xml")
    with (
        exporter(tmp_path, "--poll.interval=200ms", CIB_file=str(cib)) as base,
        prometheus(tmp_path, [base.removeprefix("http://")]) as server,
    ):

        def ready() -> dict[tuple[str, ...], float]:
            return server.values("pacemaker_bundle_replicas_ready", "bundle")

        healthy = {
            ("galera-bundle",): 3.0,
            ("rabbitmq-bundle",): 3.0,
            ("redis-bundle",): 3.0,
            ("haproxy-bundle",): 3.0,
        }
        assert eventually(ready) == healthy
        assert server.values("pacemaker_up") == {(): 1.0}
        degraded = (
            "pacemaker_bundle_replicas_promoted_ready < clamp_max(pacemaker_bundle_promoted_max, 3)"
        )
        assert server.query(degraded) == []

        # The operator's question: which bundle of the cluster is degraded?
        STATES["node-unclean"].write(cib)
        eventually(lambda: set(ready().values()) == {2.0})
        assert server.values(degraded, "bundle") == {("galera-bundle",): 2.0}
        assert (
            server.values("pacemaker_bundle_replicas_running", "bundle")["haproxy-bundle",] == 3
        ), "crm_mon still lists it as started"
        unclean = 'pacemaker_node_condition{condition="unclean"} == 1'
        assert ("controller-2",) in server.values(unclean, "node")

        # What is gone from the cluster is gone from the next scrape.
        STATES["healthy-galera"].write(cib)
        eventually(lambda: ready() == {("galera-bundle",): 3.0})

        # Without a CIB crm_mon says OK, ends with 0, and shows nothing.
        cib.unlink()
        outcomes = 'pacemaker_exporter_source_last_outcome{source="status"} == 1'
        eventually(lambda: server.values(outcomes, "outcome") == {("incomplete",): 1.0})
        assert server.values("pacemaker_up") == {(): 0.0}
        assert ready() == {("galera-bundle",): 3.0}, "the last good data, within its maximum age"
        STATES["healthy"].write(cib)
        eventually(lambda: ready() == healthy)

        (target,) = server.targets()
        assert (target["health"], target["lastError"]) == ("up", "")


@pytest.mark.parametrize("names", ["", "?name[]=pacemaker_up&name[]=process_cpu_seconds_total"])
def test_promtool_accepts_the_whole_page(names: str, tmp_path: Path) -> None:
    with exporter(tmp_path, "--demo") as base:
        page = get(f"{base}/metrics{names}")
    checked = promtool("check", "metrics", given=page)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_prometheus_reads_both_formats_and_gzip(tmp_path: Path) -> None:
    with (
        exporter(tmp_path, "--demo") as base,
        prometheus(tmp_path, [base.removeprefix("http://")]) as server,
    ):
        # Prometheus asks for OpenMetrics and gzip; what it stored is what the text page shows.
        stored = eventually(lambda: server.query('{job="pacemaker",__name__=~"pacemaker_.*"}'))
        text = see.series(get(f"{base}/metrics").decode())
        assert len(stored) == sum(name.startswith("pacemaker_") for name in text)
        counters = server.values(
            'pacemaker_exporter_source_reads_total{source="status"}', "outcome"
        )
        assert counters["success",] >= 1
