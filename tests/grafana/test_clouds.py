"""With hundreds of nodes and alerts, the dashboards show the worst first and count the rest."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from grafana.overview import CLUSTER_STATES
from tests.support.harness import past
from tests.support.oracle.dashboards import dashboards, queries

END = past.EPOCH
FOUND = dashboards()


def _answered(
    directory: Path, lines: Iterable[str], name: str, **values: str
) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Answer the queries of a dashboard at the end of some lines: labels and value of each row."""
    past.block(lines, directory / "tsdb")
    values = {
        "cluster": "east",
        "instance": ".*",
        "__range": "1h",
        "__rate_interval": "1m",
    } | values
    with past.serving(directory) as server:
        return {
            query.of: [
                (dict(labels), samples[END])
                for labels, samples in server.over(query.with_(values), END, END, 15).items()
            ]
            for query in queries(name, FOUND[name])
        }


def _alerts(severity: str, number: int, age: int) -> Iterator[str]:
    """Yield alerts of different names; each is a second older than the one before."""
    for each in range(number):
        of = f'alertname="Pacemaker{severity}{each}",severity="{severity}",cluster="east"'
        yield f'ALERTS{{{of},alertstate="firing"}} 1 {END}\n'
        yield f"ALERTS_FOR_STATE{{{of}}} {END - age - each} {END}\n"


def _sorted_alerts(rows: list[tuple[dict[str, str], float]]) -> list[tuple[str, str, str]]:
    """Sort rows as the panel does: by severity, then the oldest first."""
    by = [(labels["severity"], -age, labels) for labels, age in rows]
    by.sort(key=lambda row: row[:2])
    return [(rank, labels.get("alertname", ""), labels["what"]) for rank, _, labels in by]


@pytest.mark.prometheus
@pytest.mark.parametrize("name", ["overview", "cluster", "bundle"])
def test_critical_alerts_come_first_and_the_number_of_the_rest_is_shown(
    tmp_path: Path, name: str
) -> None:
    lines = [
        *_alerts("info", 10, 7200),
        *_alerts("warning", 60, 3600),
        *_alerts("critical", 3, 60),
    ]
    found = _answered(tmp_path, lines, name, bundle="b")
    shown = _sorted_alerts(found["Firing alerts A"])
    the_cluster = "the cluster"
    assert shown[:4] == [
        ("1", "Pacemakercritical2", the_cluster),
        ("1", "Pacemakercritical1", the_cluster),
        ("1", "Pacemakercritical0", the_cluster),
        ("2", "Pacemakerwarning59", the_cluster),
    ]
    assert shown[49:] == [
        ("2", "Pacemakerwarning13", the_cluster),
        ("4", "", "23 more are not shown"),
    ]


@pytest.mark.prometheus
def test_the_oldest_of_too_many_critical_alerts_are_shown(tmp_path: Path) -> None:
    lines = [*_alerts("critical", 60, 60), *_alerts("warning", 5, 7200)]
    shown = _sorted_alerts(_answered(tmp_path, lines, "overview")["Firing alerts A"])
    assert shown[0][1] == "Pacemakercritical59"
    assert shown[49][1] == "Pacemakercritical10"
    assert shown[50:] == [("4", "", "15 more are not shown")]


@pytest.mark.prometheus
def test_as_many_alerts_as_there_are_rows_need_no_further_row(tmp_path: Path) -> None:
    found = _answered(tmp_path, _alerts("warning", 50, 60), "overview")["Firing alerts A"]
    assert {labels["severity"] for labels, _ in found} == {"2"}
    assert len(found) == 50


OF = 'cluster="east",instance="a",job="pacemaker"'


def _line(name: str, labels: str, value: float = 1) -> str:
    return f"{name}{{{labels}}} {value:.0f} {END}\n"


def _cloud(lost: int, *, remote: int = 300, addresses_down: int = 0) -> Iterator[str]:
    """Yield series of a cluster of which some remote nodes are lost, and some addresses down."""
    east = 'cluster="east"'
    yield _line("instance:pacemaker_view:chosen", OF)
    yield _line("cluster:pacemaker_view_trusted:sum", east)
    for kind, severity, number in (
        ("remote_node_offline", "critical", lost),
        ("address_down", "critical", addresses_down),
    ):
        if number:
            labels = f'{OF},kind="{kind}",severity="{severity}"'
            yield _line("pacemaker_problems", labels, number)
    yield _line("cluster:pacemaker_remote_nodes:count", east, remote)
    for each in range(lost):
        # One was lost long before the others.
        node, age = f'{east},node="compute-{each}"', 120 if each else 86400
        yield _line("cluster_node:pacemaker_lost_remote_node_unclean:max", node, each % 2)
        since = "cluster_node:pacemaker_remote_node_lost_since_timestamp_seconds:min"
        yield _line(since, node, END - age)
    for state, number in ("online", remote - lost), ("offline", lost):
        labels = f'{east},node_type="remote",state="{state}"'
        yield _line("cluster:pacemaker_nodes:max", labels, number)
    yield from _node("controller", "member", online=True)
    for each in range(remote):
        yield from _node(f"compute-{each}", "remote", online=each >= lost)
        yield from _connection(f"compute-{each}", online=each >= lost)
    for each in range(6):
        yield from _address(f"ip-{each}", down=each < addresses_down)
    galera = f'{OF},resource="galera",node="controller",bundle="galera-bundle",bundle_replica="1"'
    yield _line("pacemaker_resource_failures", galera)
    yield _line("pacemaker_resource_failures", f'{OF},resource="ip-0",node="controller"')
    for alert, resource, age in (
        ("VirtualIPDown", "ip-0", 90),
        ("VirtualIPDown", "ip-1", 30),
        ("VirtualIPDown", "ip-5", 900),
    ):
        labels = f'{east},alertname="Pacemaker{alert}",severity="any",resource="{resource}"'
        yield _line("ALERTS_FOR_STATE", labels, END - age)


def _node(name: str, node_type: str, *, online: bool) -> Iterator[str]:
    """Yield a node's state, and a fencing device."""
    at = f'{OF},node="{name}",node_type="{node_type}"'
    for condition, holds in ("online", online), ("unclean", False), ("out_of_service", False):
        yield _line("pacemaker_node_condition", f'{at},condition="{condition}"', holds)
    device = f'{OF},resource="fence-{name}",agent="stonith:fence_ipmilan",node="controller"'
    yield _line("pacemaker_resource_role", f'{device},role="started"')


def _connection(name: str, *, online: bool) -> Iterator[str]:
    """Yield the connection to a remote node; that to a lost one has failed for good."""
    connection = f'{OF},resource="{name}",agent="ocf:pacemaker:remote"'
    if online:
        yield _line("pacemaker_resource_role", f'{connection},node="controller",role="started"')
        return
    yield _line("pacemaker_resource_role", f'{connection},role="stopped"')
    yield _line("pacemaker_resource_condition", f'{connection},condition="down"')
    failed = f'{OF},resource="{name}",node="controller"'
    yield _line("pacemaker_resource_failures", failed, 1_000_000)


def _address(name: str, *, down: bool) -> Iterator[str]:
    address = f'{OF},resource="{name}",agent="ocf:heartbeat:IPaddr2"'
    yield _line("pacemaker_resource_role", f'{address},role="{"stopped" if down else "started"}"')
    if down:
        yield _line("pacemaker_resource_condition", f'{address},condition="down"')


Tile = tuple[str, str, float]
"""Its letter, what it says, and for how many seconds."""


def _tiles(found: Mapping[str, list[tuple[dict[str, str], float]]]) -> list[Tile]:
    names = ("have", "want", "bundle", "resource", "kind")
    return [
        (ref, " ".join(labels[name] for name in names if name in labels), value)
        for ref in "ABCDEFGHIJKLM"
        for labels, value in found[f"What is wrong, and for how long {ref}"]
    ]


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("lost", "remote", "addresses_down", "expected", "state"),
    [
        (100, 300, 1, [("F", "ip-0", 90), ("H", "100 300", 120)], "critical"),
        (100, 300, 0, [("H", "100 300", 120)], "critical"),
        (60, 300, 0, [("H", "60 300", 120)], "critical"),
        (59, 300, 0, [("K", "59 300", 86400)], "node lost"),
        (2, 4, 0, [("K", "2 4", 86400)], "node lost"),
        (3, 4, 0, [("H", "3 4", 120)], "critical"),
        (0, 300, 2, [("F", "ip-0", 90), ("F", "ip-1", 30)], "critical"),
        (0, 300, 3, [("G", "3", 90)], "critical"),
        (0, 300, 0, [], "ok"),
    ],
)
def test_lost_racks_and_addresses_that_are_down_are_on_the_wall(
    tmp_path: Path,
    lost: int,
    remote: int,
    addresses_down: int,
    expected: list[Tile],
    state: str,
) -> None:
    lines = _cloud(lost, remote=remote, addresses_down=addresses_down)
    found = _answered(tmp_path, lines, "overview")
    assert _tiles(found) == expected
    ((_, code),) = found["Clusters A"]
    words = {str(value): word for value, word, _ in CLUSTER_STATES}
    assert words[f"{code:.0f}"] == state


@pytest.mark.prometheus
def test_an_address_without_its_alert_is_on_the_wall(tmp_path: Path) -> None:
    lines = (each for each in _cloud(0, addresses_down=1) if not each.startswith("ALERTS"))
    ((ref, resource, age),) = _tiles(_answered(tmp_path, lines, "overview"))
    assert (ref, resource) == ("F", "ip-0")
    assert math.isnan(age)


@pytest.mark.prometheus
def test_an_address_that_pacemaker_starts_is_not_on_the_wall(tmp_path: Path) -> None:
    conditions = [
        _line(
            "pacemaker_resource_condition",
            f'{OF},resource="{name}",agent="ocf:heartbeat:IPaddr2",condition="{condition}"',
        )
        for name, condition in (("ip-0", "pending"), ("ip-1", "unmanaged"), ("ip-1", "failed"))
    ]
    lines = [*_cloud(0, addresses_down=2), *conditions]
    assert _tiles(_answered(tmp_path, lines, "overview")) == [("F", "ip-1", 30)]


def _bundle(name: str, state: str, ready: int) -> Iterator[str]:
    of = f'cluster="east",bundle="{name}"'
    prefix = "cluster_bundle:pacemaker_bundle_"
    yield _line(f"{prefix}state:max", f'{of},state="{state}"')
    for metric, value in (
        ("replicas_expected:max", 3),
        ("replicas_ready:min", ready),
        ("replicas_promoted_ready:min", 0),
        ("replicas_promoted_expected:max", 0),
        ("degraded_since_timestamp_seconds:min", END - 600),
    ):
        yield _line(f"{prefix}{metric}", of, value)


@pytest.mark.prometheus
def test_bundles_in_trouble_do_not_hide_addresses_and_racks(tmp_path: Path) -> None:
    bundles = [
        *_bundle("down-0", "down", 0),
        *(line for each in range(9) for line in _bundle(f"degraded-{each}", "degraded", 2)),
    ]
    lines = [*bundles, *_cloud(100, addresses_down=1)]
    assert _tiles(_answered(tmp_path, lines, "overview")) == [
        ("B", "0 3 down-0", 600),
        ("E", "9", 600),
        ("F", "ip-0", 90),
        ("H", "100 300", 120),
    ]


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("unseen", "lost", "expected"),
    [
        (6, 100, ("L", "", 2)),
        (5, 2, ("M", "", 1)),
        (4, 2, ("K", "2 300", 86400)),
    ],
)
def test_the_wall_counts_the_problems_that_have_no_tile(
    tmp_path: Path, unseen: int, lost: int, expected: Tile
) -> None:
    """The last tile has the colour of the worst of them."""
    since = "cluster:pacemaker_view_lost_since_timestamp_seconds:min"
    lines = [
        *(_line(since, f'cluster="cluster-{each}"', END - each) for each in range(unseen)),
        *_cloud(lost, addresses_down=1),
        _line("pacemaker_problems", f'{OF},kind="stop_all_resources",severity="critical"'),
    ]
    shown = _tiles(_answered(tmp_path, lines, "overview", cluster=".*"))
    assert shown[-1] == expected
    assert len(shown) == 7 + (expected[0] != "K")


@pytest.mark.prometheus
def test_a_lost_rack_hides_nothing_on_the_dashboard_of_its_cluster(tmp_path: Path) -> None:
    found = _answered(tmp_path, _cloud(100, addresses_down=1), "cluster")
    resources = found["Resources outside bundles A"]
    worst = sorted(resources, key=lambda row: -row[1])[:2]
    assert [(labels["resource"], code) for labels, code in worst] == [
        ("ip-0", 10),
        ("100 of them", 8),
    ]
    others = Counter(labels["resource"] for labels, code in resources if not code)
    assert others == dict.fromkeys(
        ("200 of them", "301 of them", "ip-1", "ip-2", "ip-3", "ip-4", "ip-5"), 1
    )
    nodes = [labels["node"] for labels, _ in found["Nodes that are not well A"]]
    assert len(nodes) == 51
    assert "50 more are not shown" in nodes
    failures = [labels["resource"] for labels, _ in found["Fail-counts A"]]
    assert {"galera", "ip-0", "52 more are not shown"} <= {*failures}
    assert len(failures) == 51
    ((down, _),) = found["Virtual IPs A"]
    assert down["resource"] == "ip-0"
    by_state = {of: value for of in "ABCDEF" for _, value in found[f"Nodes by state {of}"]}
    assert by_state == {"B": 100, "F": 200}
