"""From CIBs to pages: exporters on the nodes of a cluster, and the shipped monitoring over them."""

import contextlib
import functools
import http.server
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support.harness import see
from tests.support.harness.programs import (
    Prometheus,
    eventually,
    exporter,
    free_port,
    get,
    prometheus_with,
    running,
)
from tests.support.model.cib import Cluster
from tests.support.model.states import HOSTS, NOW
from tests.support.oracle.rules import RULE_FILES, read, rules, seconds
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"

FOR = 4
"""Seconds that a fault has to last here, where exporters and Prometheus look each second."""
KEPT = 15
"""Seconds that an alert goes on after its data is gone."""


def changes(shorter: Callable[[float], float], **alerts: Any) -> dict[str, Any]:  # noqa: ANN401
    """Changes of the shipped rules, for override.py, that shorten what alerts wait for.

    Args:
        shorter: shortens a number of seconds.
        alerts: changes of single alerts, which replace these.

    """

    def of(rule: Mapping[str, Any]) -> dict[str, Any]:
        waits = {
            key: f"{shorter(seconds(rule[key])):.0f}s"
            for key in ("for", "keep_firing_for")
            if key in rule
        }
        ranges = set(re.findall(r"\[(?:\d+[smhd])+\]|offset \w+", rule["expr"]))
        limits = set(re.findall(r">= \d{3,}", rule["expr"]))
        replaced = {text: _shorter(text, shorter) for text in (*ranges, *limits)}
        return {**waits, **({"replace": replaced} if replaced else {})}

    return {"alerts": {name: of(rule) for name, rule in rules("alert").items()} | alerts}


def _shorter(text: str, shorter: Callable[[float], float]) -> str:
    """A range, an offset or a limit in seconds."""
    if text.startswith(">="):
        return f">= {shorter(float(text[3:])):.0f}"
    return re.sub(r"(\d+[smhd])+", lambda found: f"{shorter(seconds(found[0])):.0f}s", text)


def _story(waits: float) -> float:
    """Up to ten minutes are as long as FOR; what lasts longer stays."""
    return FOR if waits <= 600 else waits


def _stories() -> dict[str, Any]:
    """What the stories change of the shipped rules."""
    found = changes(_story)
    for rule in found["alerts"].values():
        rule |= {
            key: f"{lasts}s"
            for key, lasts in (("for", FOR), ("keep_firing_for", KEPT))
            if key in rule
        }
    # Of no cluster, and true from one story to the next, and until the first targets are read.
    return {"alerts": found["alerts"] | {"PacemakerExporterAbsent": False}}


# ---- The cluster ----

CRM_MON = """#!/bin/sh
[ ! -e "$0.hangs" ] || exec sleep 60
[ ! -e "$0.answer" ] || exec cat "$0.answer"
exec {crm_mon} "$@"
"""
"""The real one, until a test wants it to hang, or to say what it once said elsewhere."""


@dataclass
class Node:
    """A node of the cluster: its view of the CIB, and its exporter while that runs."""

    name: str
    directory: Path
    address: str = ""
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def sees(self, cluster: Cluster) -> None:
        """Have this in its CIB."""
        cib = self.directory / "cib.new"
        cib.write_text(cluster.xml(NOW), encoding="utf-8")
        cib.replace(self.directory / "cib.xml")

    def hangs(self) -> None:
        """Have crm_mon hang from now on."""
        (self.directory / "crm_mon.hangs").touch()

    def answers(self, recorded: Path) -> None:
        """Have crm_mon say what it said when that was recorded."""
        copy = self.directory / "answer.new"
        shutil.copy(recorded, copy)
        copy.replace(self.directory / "crm_mon.answer")

    def start(self) -> None:
        """Start the exporter."""
        for program, script in (
            ("crm_mon", CRM_MON.format(crm_mon=shlex.quote(see.need("crm_mon")))),
            # There is no cluster that the real one could ask.
            ("crm_node", f"#!/bin/sh\necho {self.name}\n"),
        ):
            path = self.directory / program
            path.write_text(script, encoding="utf-8")
            path.chmod(0o755)
        base = self._running.enter_context(
            exporter(
                self.directory,
                "--poll.interval=1s",
                "--poll.timeout=3s",
                "--poll.max-age=6s",
                f"--crm_mon.path={self.directory / 'crm_mon'}",
                f"--crm_node.path={self.directory / 'crm_node'}",
                CIB_file=str(self.directory / "cib.xml"),
            )
        )
        self.address = base.removeprefix("http://")

    def stop(self) -> None:
        """Stop the exporter."""
        self._running.close()


@dataclass
class Site:
    """A cluster of three nodes with an exporter each."""

    name: str
    nodes: Sequence[Node]

    def sees(self, cluster: Cluster) -> None:
        """Have all nodes agree on this."""
        for node in self.nodes:
            node.sees(cluster)


@contextlib.contextmanager
def site_of(directory: Path, name: str, cluster: Cluster) -> Iterator[Site]:
    """A cluster with its exporters started."""
    with contextlib.ExitStack() as started:
        nodes = []
        for host in HOSTS:
            place = directory / (name or "nameless") / host
            place.mkdir(parents=True)
            node = Node(host, place)
            node.sees(cluster)
            started.callback(node.stop)
            node.start()
            nodes.append(node)
        yield Site(name, nodes)


# ---- What people are told ----


@dataclass(frozen=True)
class Notification:
    """One message to a receiver."""

    receiver: str
    content: Mapping[str, Any]
    at: float = field(default_factory=time.time)
    """When it came, in seconds since the epoch."""

    @property
    def status(self) -> str:
        """Whether it says firing or resolved."""
        return str(self.content["status"])

    def names(self, status: str = "firing") -> set[str]:
        """The alerts in it."""
        alerts = self.content["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["status"] == status}


class Receiver:
    """Where Alertmanager's webhooks end."""

    def __init__(self) -> None:
        """Listen."""
        self.notifications: list[Notification] = []
        took = self.notifications

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                took.append(Notification(self.path.strip("/"), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def told(self, site: str, receiver: str = "pager") -> list[Notification]:
        """What was said of a cluster, in order."""
        return [
            notification
            for notification in list(self.notifications)
            if notification.receiver == receiver
            and notification.content["groupLabels"].get("cluster", "") == site
        ]


@contextlib.contextmanager
def files(directory: Path) -> Iterator[str]:
    """A web server over a directory, as the runbooks may be served by."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def overridden(into: Path, changed: Mapping[str, Any] | None = None) -> None:
    """The shipped rules, changed the way an operator changes them."""
    into.mkdir(parents=True, exist_ok=True)
    file = into / "changes.yml"
    file.write_text(yaml.safe_dump(changed or _stories()), encoding="utf-8")
    script = DEPLOY / "prometheus" / "override.py"
    subprocess.run(
        [sys.executable, script, file, *RULE_FILES, "--into", into], check=True, timeout=60
    )


@contextlib.contextmanager
def alertmanager(directory: Path, configuration: Mapping[str, Any]) -> Iterator[str]:
    """A real Alertmanager; gives its address."""
    address = f"127.0.0.1:{free_port()}"
    file = directory / "alertmanager.yml"
    file.write_text(yaml.safe_dump(dict(configuration)), encoding="utf-8")
    argv = [
        see.need("prometheus-alertmanager"),
        f"--config.file={file}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",  # alone: it sends nothing to peers
    ]
    with running(argv, directory / "alertmanager.log"):
        eventually(lambda: get(f"http://{address}/-/ready"))
        yield address


def routing(receiver: str) -> Any:  # noqa: ANN401 - what YAML holds
    """The shipped routing with our receiver in it, and no long waits."""
    shipped = read(DEPLOY / "alertmanager" / "alertmanager.yml")
    for entry in shipped["receivers"]:
        for webhook in entry.get("webhook_configs", ()):
            webhook["url"] = f"{receiver}/{entry['name']}"
    (ours,) = shipped["route"]["routes"]
    for route in (ours, *ours["routes"]):
        if "group_wait" in route:
            route.update(group_wait="1s", group_interval="2s")
    return shipped


def scraping(targets: Path, alertmanager: str, runbooks: str) -> Any:  # noqa: ANN401
    """The shipped configuration of Prometheus for targets in a file, and all each second."""
    shipped = read(DEPLOY / "prometheus" / "prometheus.yml")
    shipped["global"].update(
        scrape_interval="1s",
        scrape_timeout="1s",
        evaluation_interval="1s",
        external_labels={"runbooks": runbooks, "grafana": "http://grafana.test"},
    )
    shipped["rule_files"] = [str(targets.parent / "rules" / "*.rules.yml")]
    (servers,) = shipped["alerting"]["alertmanagers"]
    servers["static_configs"] = [{"targets": [alertmanager]}]
    (job,) = shipped["scrape_configs"]
    del job["static_configs"]
    job["file_sd_configs"] = [{"files": [str(targets)]}]
    return shipped


def scrape(targets: Path, *sites: Site) -> None:
    """Have Prometheus scrape these from now on."""
    groups = [
        {
            "targets": [node.address for node in site.nodes],
            "labels": {"cluster": site.name} if site.name else {},
        }
        for site in sites
    ]
    new = targets.with_suffix(".new")
    new.write_text(json.dumps(groups), encoding="utf-8")
    new.replace(targets)


class Monitoring:
    """Prometheus with the shipped rules, Alertmanager with the shipped routing, and who is told."""

    def __init__(self, directory: Path) -> None:
        """Know where its files are."""
        self.directory = directory
        self.targets = directory / "targets.json"
        self.prometheus = Prometheus("")
        self.receiver = Receiver()
        self._sites: list[Site] = []
        self._stopping = contextlib.ExitStack()
        self._starts: Callable[[], contextlib.AbstractContextManager[Prometheus]]

    @contextlib.contextmanager
    def running(self, changed: Mapping[str, Any] | None = None, *flags: str) -> Iterator[Self]:
        """Have all of it run.

        Args:
            changed: changes of the rules; by default those of the stories.
            flags: of Prometheus.

        """
        overridden(self.directory / "rules", changed)
        with (
            self.receiver,
            files(DEPLOY / "runbooks") as runbooks,
            alertmanager(self.directory, routing(self.receiver.url)) as address,
            self._stopping,
        ):
            scrape(self.targets)
            configuration = scraping(self.targets, address, runbooks)
            self._starts = functools.partial(prometheus_with, self.directory, configuration, *flags)
            self.start()
            yield self

    def start(self) -> None:
        """Start Prometheus, on the data that it left."""
        self.prometheus = self._stopping.enter_context(self._starts())

    def stop(self) -> None:
        """Stop Prometheus."""
        self._stopping.close()

    @contextlib.contextmanager
    def site(self, name: str, healthy: Cluster) -> Iterator[Site]:
        """A cluster that is healthy and watched."""
        with site_of(self.directory, name, healthy) as site:
            self._sites.append(site)
            scrape(self.targets, *self._sites)
            trusted = f'cluster:pacemaker_view_trusted:sum{{cluster="{name}"}} == 3'
            eventually(lambda: self.prometheus.query(trusted), 60)
            try:
                yield site
            finally:
                self._sites.remove(site)
                scrape(self.targets, *self._sites)

    def firing(self, name: str) -> set[str]:
        """The alerts of a cluster that are firing, or about to."""
        return {
            key for (key,) in self.prometheus.values(f'ALERTS{{cluster="{name}"}}', "alertname")
        }


def but(cluster: Cluster, **bundles: Callable[[Any], Any]) -> Cluster:
    """The cluster with some of its bundles changed: ``galera=lambda bundle: ...``."""
    return replace(
        cluster,
        resources=tuple(
            bundles.get(resource.id.removesuffix("-bundle"), lambda same: same)(resource)
            for resource in cluster.resources
        ),
    )
