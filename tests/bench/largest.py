"""The largest cluster behind a real Prometheus, everything with its defaults."""

import json
import tempfile
import time
from pathlib import Path

from tests.bench.clusters import SIZES, Cib
from tests.bench.measure import AS_A_SERVICE, say, table
from tests.support.harness.programs import (
    eventually,
    exporter_process,
    free_port,
    get,
    prometheus_with,
    running,
)
from tests.support.harness.see import need

_CONFIGURATION = """
global: {{scrape_interval: 15s, scrape_timeout: 10s}}
scrape_configs:
  - job_name: pacemaker
    static_configs: [{{targets: [{}]}}]
  - job_name: peer
    static_configs: [{{targets: [{}]}}]
"""


def _children(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return sum(len(task.read_text(encoding="utf-8").split()) for task in tasks)


def report(seconds: int = 120, *, probes: bool = True) -> str:
    """What Prometheus sees from the first good poll on, and what the exporter runs and logs."""
    say(f"largest: {seconds} s with{'' if probes else 'out'} probes")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        cib, port = Cib(directory, SIZES[-1], probes=probes), free_port()
        peer = [need("ha_cluster_exporter"), f"--web.listen-address=127.0.0.1:{port}"]
        with (
            running(peer, directory / "peer.log", env=cib.environment),
            exporter_process(directory, **cib.environment, **AS_A_SERVICE) as (base, pid),
        ):
            eventually(lambda: b"\npacemaker_up 1\n" in get(f"{base}/metrics"), 300)
            ours, theirs = base.removeprefix("http://"), f"127.0.0.1:{port}"
            configuration = _CONFIGURATION.format(json.dumps(ours), json.dumps(theirs))
            with prometheus_with(directory, configuration) as server:
                until, most, ages = time.monotonic() + seconds, 0, [0.0]
                while time.monotonic() < until:
                    time.sleep(0.5)
                    most = max(most, _children(pid))
                    told = server.values("time() - pacemaker_exporter_snapshot_timestamp_seconds")
                    ages += told.values()
                up = server.values(f"avg_over_time(up[{seconds}s])", "job")
                shown = server.values(f"avg_over_time(pacemaker_up[{seconds}s])")
                took = server.values(
                    f"max_over_time(pacemaker_exporter_source_duration_seconds{{source='status'}}[{seconds}s])"
                )
                scrape = server.values(f"max_over_time(scrape_duration_seconds[{seconds}s])", "job")
            logged = (directory / "exporter.log").read_text(encoding="utf-8").splitlines()
        heads = ("cluster", "scrapes that succeed", "pacemaker_up", "slowest scrape",
                 "longest crm_mon", "oldest data", "commands at a time", "errors logged",
                 "scrapes of ha_cluster_exporter that succeed")  # fmt: skip
        row = (cib, f"{up['pacemaker',]:.0%}", f"{shown[()]:.0%}", f"{scrape['pacemaker',]:.2f} s",
               f"{took[()]:.0f} s", f"{max(ages):.0f} s", most,
               sum("level=error" in line for line in logged), f"{up['peer',]:.0%}")  # fmt: skip
        return table(heads, [row])
