"""States for the status page to show, and the page as a tree."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lxml import html

from exporter.cluster.configuration import BundleConfiguration, Configuration
from exporter.cluster.model import (
    Bundle,
    Cluster,
    FailedAction,
    Instance,
    Node,
    NodeType,
    Replica,
    Resource,
    Role,
    Snapshot,
)
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Outcome
from exporter.judgement.judge import judge
from exporter.metrics.exporter import Identity
from exporter.polling.registry import REGISTRY
from exporter.polling.state import State
from exporter.web.status_page import Inputs, PageOptions, Rendered, StatusPage

NOW, MONOTONIC = 1767225600.0, 1000.0
IDENTITY = Identity("1.2.3", "abc", "3.11", poll_interval=10, max_age=90)
HOSTILE = """"><script>document.title='taken'</script><img src=x onerror=alert(1)>'&amp;</style>"""


def seen(observation: Observation, outcome: Outcome = Outcome.SUCCESS, *, age: float = 4) -> State:
    """The state after a sighting so many seconds ago, and a last poll that ended so."""
    return State(
        judgement=judge(replace(observation, taken=NOW - age)),
        started=MONOTONIC - age,
        snapshot_time=NOW - age,
        last_outcome=outcome,
        last_poll_time=NOW - 3,
        poll_duration=0.4,
    )


def unseen(outcome: Outcome, *, last_seen: float | None = None) -> State:
    """The state of an exporter that sees nothing."""
    return State(last_outcome=outcome, last_poll_time=NOW - 3, snapshot_time=last_seen)


def replica(
    id_: str,
    index: int,
    host: Node | None,
    role: Role = Role.STARTED,
    **fields: Any,  # noqa: ANN401 - fields of Resource
) -> Replica:
    """A replica of a bundle without a primitive, on a host or stopped."""
    container = Resource(
        id_,
        "ocf:heartbeat:podman",
        role if host else Role.STOPPED,
        active=host is not None,
        nodes=(host,) if host else (),
        **fields,
    )
    return Replica(str(index), container)


def cluster(
    bundles: int = 1, replicas: int = 3, *, wrong: Sequence[int] = (), suffix: str = ""
) -> Observation:
    """A cluster; the bundles with these numbers have a last replica that has failed.

    The suffix is added to every name there is.
    """
    nodes = tuple(
        Node(f"node-{n}{suffix}", str(n), NodeType.MEMBER, online=True, dc=n == 0) for n in range(3)
    )
    found = tuple(
        Bundle(
            f"bundle-{n}{suffix}",
            "podman",
            f"registry.example.com/image:{n}{suffix}",
            unique=False,
            managed=True,
            failed=False,
            maintenance=False,
            replicas=tuple(
                replica(
                    f"bundle-{n}-podman-{index}{suffix}",
                    index,
                    nodes[index % 3],
                    failed=n in wrong and index == replicas - 1,
                )
                for index in range(replicas)
            ),
        )
        for n in range(bundles)
    )
    address = Resource(
        f"address{suffix}", "ocf:heartbeat:IPaddr2", Role.STARTED, active=True, nodes=nodes[:1]
    )
    action = FailedAction(
        f"address{suffix}", nodes[0].name, "monitor", "complete", "1", f"reason{suffix}", NOW - 60
    )
    summary = Cluster(
        "2.1.5", stack="corosync", dc_elected=True, dc_name=nodes[0].name, quorate=True
    )
    return Observation(
        Snapshot(summary, nodes, found, (Instance(address),), failed_actions=(action,)),
        Configuration(
            f"cluster{suffix}", {bundle.id: BundleConfiguration(0, 1) for bundle in found}
        ),
        configuration_current=True,
        local_node=nodes[0].name,
    )


def with_summary(observation: Observation, **changes: Any) -> Observation:  # noqa: ANN401 - fields of Cluster
    """The same with another summary."""
    snapshot = observation.snapshot
    changed = replace(snapshot.cluster, **changes)
    return replace(observation, snapshot=replace(snapshot, cluster=changed))


def without_quorum(observation: Observation) -> Observation:
    """The same in a partition that has no quorum."""
    return with_summary(observation, quorate=False)


def fenced(observation: Observation) -> Observation:
    """The same with fencing enabled: then nothing tells that it is not."""
    return with_summary(observation, fencing_enabled=True)


def rendered(
    state: State,
    options: PageOptions | None = None,
    *,
    refreshing: bool = True,
    identity: Identity = IDENTITY,
) -> Rendered:
    """The page at the moment NOW."""
    page = StatusPage(options or PageOptions("/metrics"), REGISTRY)
    shown = Inputs(state, identity, NOW, MONOTONIC)
    return asyncio.run(page.html(lambda: shown, refreshing=refreshing))


def tree(state: State, options: PageOptions | None = None) -> html.HtmlElement:
    """The page, parsed."""
    return html.document_fromstring(rendered(state, options).plain.decode())


def texts(page: html.HtmlElement, path: str) -> list[str]:
    """The texts of elements, with spaces as a reader sees them."""
    return [" ".join(element.text_content().split()) for element in page.xpath(path)]


def rows(table: html.HtmlElement) -> list[Mapping[str, str]]:
    """A table's rows by the headers of its columns."""
    headers = texts(table, ".//thead//th")
    return [
        dict(zip(headers, texts(row, "./th | ./td"), strict=True))
        for row in table.xpath(".//tbody/tr")
    ]
