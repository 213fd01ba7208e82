"""A real Prometheus and Alertmanager over all three nodes, with the rules and routes as shipped.

Only their durations are shorter, with deploy/prometheus/override.py: an alert that has a `for` has
FOR, long enough that a restart of a replica is no alert, as it is none with the durations shipped.
"""

import json
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.live.cluster import PORT, Cluster, Site
from tests.support.harness.alerting import changes
from tests.support.harness.programs import eventually
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
CLUSTER = "overcloud"
FOR = 15
"""Seconds, of every alert that has any."""
MEMORY = 30
"""Seconds that alerts look back, in place of an hour."""
_UNINTERESTING = frozenset({"alertname", "cluster", "severity", "job", "alertstate", "__name__"})


def told(labels: dict[str, str]) -> str:
    """Return an alert as its name and what it is about, such as `PacemakerBundleDown x`."""
    about = (labels[name] for name in sorted(labels.keys() - _UNINTERESTING))
    return " ".join([labels["alertname"], *(value.removesuffix(f":{PORT}") for value in about)])


class Monitoring:
    """What the two say."""

    def __init__(self, site: Site) -> None:
        """Args: where they run."""
        self._network = site.network

    def ready(self) -> bool:
        """Whether both run, and Prometheus has scraped all nodes and evaluated the rules."""
        self._network.get("http://127.0.0.1:9093/-/ready")
        return len(self.query("instance:pacemaker_view:chosen")) == 1

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the instant vector of an expression."""
        return list(self._prometheus("query", query=expression)["result"])

    def firing(self) -> frozenset[str]:
        """Return the alerts that fire at this moment, by Prometheus."""
        alerts = self._prometheus("alerts")["alerts"]
        return frozenset(told(alert["labels"]) for alert in alerts if alert["state"] == "firing")

    def fired(self, seconds: float) -> frozenset[str]:
        """Return the alerts that fired at some time within the last so many seconds."""
        span = f"{int(seconds) + 1}s"
        found = self.query(f'last_over_time(ALERTS{{alertstate="firing"}}[{span}])')
        return frozenset(told(sample["metric"]) for sample in found)

    def notified(self) -> frozenset[str]:
        """Return the alerts that Alertmanager tells somebody of: not inhibited, and not info."""
        query = "active=true&inhibited=false&silenced=false"
        alerts = json.loads(self._network.get(f"http://127.0.0.1:9093/api/v2/alerts?{query}"))
        return frozenset(
            told(alert["labels"]) for alert in alerts if alert["labels"]["severity"] != "info"
        )

    def _prometheus(self, path: str, **parameters: str) -> dict[str, Any]:
        query = urllib.parse.urlencode(parameters)
        answer = json.loads(self._network.get(f"http://127.0.0.1:9090/api/v1/{path}?{query}"))
        assert answer["status"] == "success"
        data: dict[str, Any] = answer["data"]
        return data


def _shorter(waits: float) -> float:
    return FOR if waits <= 600 else MEMORY


def _rules(directory: Path) -> None:
    """Write the shipped rules with shorter durations."""
    changed = changes(_shorter)
    for name, rule in changed["alerts"].items():
        # Where a part of the time is in the expression, `for` is only the rest.
        waits = 1 if name in {"PacemakerNodeUnclean", "PacemakerSplitBrain"} else FOR
        rule |= {
            key: f"{lasts}s"
            for key, lasts in (("for", waits), ("keep_firing_for", 2))
            if key in rule
        }
    # As there shorter than its `for`: one time of failures is none again and again.
    changed["alerts"]["PacemakerPollsUnsteady"]["replace"] = {"[10m]": f"[{FOR - 5}s]"}
    # Here one restart takes a quarter of the time that these two look back.
    changed["alerts"]["PacemakerBundleCrashLooping"] = False
    changed["alerts"]["PacemakerBundleReplicaCrashLooping"] = False
    # Nodes come and go, and a busy machine may not schedule corosync in time.
    changed["alerts"]["CorosyncTokenLost"] = False
    changed["alerts"]["CorosyncPaused"] = False
    override = directory / "changes.yml"
    override.write_text(yaml.safe_dump(changed), encoding="utf-8")
    rules = sorted((DEPLOY / "prometheus").glob("*.rules.yml"))
    subprocess.run(
        (
            *(sys.executable, str(DEPLOY / "prometheus" / "override.py"), str(override)),
            *("--into", str(directory), *map(str, rules)),
        ),
        check=True,
    )


def _write(directory: Path, cluster: Cluster) -> None:
    """Write the two configurations: those shipped, with other times and targets."""
    _rules(directory)
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    prometheus["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    prometheus["global"]["scrape_timeout"] = "1s"
    targets = [f"{node.seen}:{PORT}" for node in cluster.nodes]
    prometheus["scrape_configs"] = [
        {
            "job_name": "pacemaker",
            "static_configs": [{"targets": targets, "labels": {"cluster": CLUSTER}}],
            # As they are called in the file that is shipped.
            "relabel_configs": [
                {
                    "source_labels": ["__address__"],
                    "regex": node.seen.replace(".", "[.]") + ":.*",
                    "target_label": "instance",
                    "replacement": node.name,
                }
                for node in cluster.nodes
            ],
        }
    ]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(prometheus), encoding="utf-8")
    alertmanager = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    for route in (routes := alertmanager["route"]["routes"][0]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    assert routes
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager), encoding="utf-8")


@contextmanager
def monitoring(directory: Path, cluster: Cluster) -> Iterator[Monitoring]:
    """Run both beside the nodes."""
    _write(directory, cluster)
    for argv in (
        (
            *("prometheus", f"--config.file={directory}/prometheus.yml"),
            *(f"--storage.tsdb.path={directory}/tsdb", "--web.listen-address=127.0.0.1:9090"),
        ),
        (
            *("prometheus-alertmanager", f"--config.file={directory}/alertmanager.yml"),
            *(f"--storage.path={directory}/alertmanager", "--cluster.listen-address="),
            "--web.listen-address=127.0.0.1:9093",
        ),
    ):
        cluster.site.start(directory / f"{argv[0]}.log", *argv)
    result = Monitoring(cluster.site)
    eventually(result.ready, 60)
    yield result
