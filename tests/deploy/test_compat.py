"""The recorded names of ha_cluster_exporter have the values of the real one."""

import contextlib
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.support.harness import see
from tests.support.harness.alerting import but
from tests.support.harness.corosync import stdout
from tests.support.harness.programs import (
    Prometheus,
    eventually,
    exporter,
    free_port,
    get,
    prometheus,
    running,
)
from tests.support.model.cib import Failure
from tests.support.model.states import NOW, STATES
from tests.support.paths import ROOT

pytestmark = [pytest.mark.real, pytest.mark.prometheus, pytest.mark.peer]

RULES = ROOT / "deploy" / "prometheus" / "compat" / "ha_cluster_exporter.rules.yml"
CONDITIONS = frozenset({"ha_cluster_pacemaker_nodes", "ha_cluster_pacemaker_resources"})
OF_THE_TARGET = frozenset({"__name__", "instance", "job"})
CLUSTER = but(
    STATES["healthy"].cluster,
    galera=lambda bundle: bundle.but(1, failures=(Failure(rc=7, at=-40, count=2),)),
)
ADDRESSES = {f"172.31.99.1{number}": f"controller-{number}" for number in range(3)}
NODE_DOWN = "corosync3.1.7-nodedown-controller-0-labhag"

Values = Mapping[frozenset[tuple[str, str]], float]


def script(path: Path, *cases: tuple[str, str]) -> Path:
    """Write a stand-in for a command of corosync, which would need a running one.

    Args:
        path: where.
        cases: a pattern of the arguments, and what to print.

    """
    branches = "".join(f"{pattern}) printf %s {shlex.quote(text)} ;;\n" for pattern, text in cases)
    path.write_text(f'#!/bin/sh\ncase "$*" in\n{branches}esac\n', encoding="utf-8")
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def both(directory: Path) -> Iterator[tuple[Prometheus, str, str]]:
    """Prometheus over the two exporters, which see the same; and their addresses."""
    cib = directory / "cib.xml"
    cib.write_text(CLUSTER.xml(NOW), encoding="utf-8")
    quorum = stdout(f"{NODE_DOWN}-quorumtool-i-p-s")
    named = quorum
    for address, name in ADDRESSES.items():
        named = named.replace(address, name)
    quorumtool = script(directory / "quorumtool", ("-p", named), ("*", quorum))
    cmapctl = script(
        directory / "cmapctl",
        ("'-m '*", stdout(f"{NODE_DOWN}-cmapctl-mstats")),
        ("*", stdout(f"{NODE_DOWN}-cmapctl")),
    )
    cfgtool = script(directory / "cfgtool", ("*", stdout(f"{NODE_DOWN}-cfgtool-s")))
    # There is no cluster that the real one could ask.
    crm_node = script(directory / "crm_node", ("*", "controller-0"))
    port = free_port()
    peer = f"127.0.0.1:{port}"
    argv = [
        see.need("ha_cluster_exporter"),
        f"--web.listen-address={peer}",
        f"--crm-mon-path={see.need('crm_mon')}",
        f"--cibadmin-path={see.need('cibadmin')}",
        f"--corosync-cfgtoolpath-path={cfgtool}",
        f"--corosync-quorumtool-path={quorumtool}",
    ]
    with (
        running(argv, directory / "peer.log", env={"CIB_file": str(cib), "LC_ALL": "C"}),
        exporter(
            directory,
            "--poll.interval=1s",
            f"--corosync-cmapctl.path={cmapctl}",
            f"--corosync-quorumtool.path={quorumtool}",
            f"--crm_node.path={crm_node}",
            CIB_file=str(cib),
        ) as base,
    ):
        eventually(lambda: get(f"http://{peer}/metrics"))
        ours = base.removeprefix("http://")
        with prometheus(directory, [ours, peer], rules=[RULES]) as server:
            recorded = f'ha_cluster_corosync_quorate{{instance="{ours}"}}'
            scraped = f'ha_cluster_corosync_quorate{{instance="{peer}"}}'
            eventually(lambda: server.query(f"{recorded} and on () {scraped}"), 60)
            # The rules evaluate once more, with what was scraped of both.
            time.sleep(3)
            yield server, ours, peer


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, str, str]]:
    with both(tmp_path_factory.mktemp("compat")) as found:
        yield found


def values(server: Prometheus, name: str, instance: str, *left_out: str) -> Values:
    """The series of an exporter by their labels, without those of the target and some others.

    A condition that does not hold is 0, or has no series.
    """
    return {
        frozenset(
            (label, value)
            for label, value in sample["metric"].items()
            if label not in OF_THE_TARGET and label not in left_out and value
        ): float(sample["value"][1])
        for sample in server.query(f'{name}{{instance="{instance}"}}')
        if float(sample["value"][1]) or name not in CONDITIONS
    }


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("ha_cluster_corosync_quorate", ()),
        ("ha_cluster_corosync_quorum_votes", ()),
        ("ha_cluster_corosync_member_votes", ("node_id",)),
        ("ha_cluster_pacemaker_config_last_change", ()),
        ("ha_cluster_pacemaker_stonith_enabled", ()),
        ("ha_cluster_pacemaker_nodes", ()),
        ("ha_cluster_pacemaker_fail_count", ()),
        ("ha_cluster_pacemaker_migration_threshold", ()),
        ("ha_cluster_pacemaker_resources", ()),
    ],
)
def test_recorded_metric_is_that_of_the_other_exporter(
    sides: tuple[Prometheus, str, str], name: str, left_out: tuple[str, ...]
) -> None:
    server, ours, peer = sides
    theirs = values(server, name, peer, *left_out)
    assert theirs, "it has none"
    assert values(server, name, ours, *left_out) == theirs


def test_links_are_seen_where_the_other_exporter_finds_none(
    sides: tuple[Prometheus, str, str],
) -> None:
    """Both links to the third node are down. It does not understand the output of corosync 3."""
    server, ours, peer = sides
    errors, rings = "ha_cluster_corosync_ring_errors", "ha_cluster_corosync_rings"
    assert values(server, errors, peer) == {frozenset(): 0}
    assert values(server, rings, peer) == {}
    assert values(server, errors, ours) == {frozenset(): 2}
    assert values(server, rings, ours) == {
        frozenset({("number", "0"), ("address", "172.31.99.10")}): 0,
        frozenset({("number", "1"), ("address", "172.31.98.10")}): 0,
    }


def test_every_rule_records_something_or_has_nothing_to_record(
    sides: tuple[Prometheus, str, str],
) -> None:
    server, ours, _ = sides
    names = {
        rule["record"]
        for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    }
    recorded = {name for name in names if values(server, name, ours)}
    # No text attributes were asked for, and nothing is banned.
    assert names - recorded == {
        "ha_cluster_pacemaker_node_attributes",
        "ha_cluster_pacemaker_location_constraints",
    }
