"""Permissions of the exporter on a real cluster."""

import hashlib
import re
import time

import pytest

from exporter.cluster.outcome import Outcome
from tests.live.agreement import disagreements
from tests.live.cluster import EXPORTER, STRANGER, USER, Cluster, Node
from tests.live.watch import Watch
from tests.support.harness import see
from tests.support.paths import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.real]

SECURITY = ROOT / "SECURITY.md"
DOCUMENTED = re.compile(r"<!-- acl -->\n```sh\n(.*?)```", re.DOTALL)
"""The commands that SECURITY.md has for it."""
INSUFFICIENT_PRIVILEGES = 4
"""Exit status of Pacemaker's commands."""
CHANGES = (
    ("crm_attribute", "--name=maintenance-mode", "--update=true"),
    ("crm_resource", "--ban", "--resource=redis-bundle", "--node=controller-0"),
    ("crm_resource", "--resource=redis-bundle", "--meta", "-p", "target-role", "-v", "Stopped"),
    ("cibadmin", "--delete", "--xpath=//bundle[@id='redis-bundle']"),
)

POLLS = ("exporter_source_reads", "status", "success")


def polled(node: Node, user: str) -> tuple[str, list[str]]:
    """Poll once as a user; return the outcome, and the lines on standard error."""
    done = node.ask(*EXPORTER, "--once", user=user)
    series = see.series(done.stdout)
    (outcome,) = (
        outcome.value
        for outcome in Outcome
        if series[
            f'pacemaker_exporter_source_last_outcome{{source="status",outcome="{outcome.value}"}}'
        ]
    )
    return outcome, done.stderr.splitlines()


def test_user_outside_haclient_gets_one_clear_error(cluster: Cluster) -> None:
    outcome, said = polled(cluster.nodes[0], STRANGER)
    assert outcome == "permission_denied"
    # Corosync refuses it, too.
    (line,) = (line for line in said if "command=crm_mon" in line)
    assert "haclient" in line
    assert len(said) == 2


def configuration(node: Node) -> str:
    return node.run("cibadmin", "--query", "--local", "--scope=configuration")


def test_read_only_acl_suffices(cluster: Cluster, watch: Watch) -> None:
    node = cluster.nodes[1]
    cluster.attribute("enable-acl", "true")
    cluster.settle()
    outcome, said = polled(node, USER)
    print(outcome, said)
    assert outcome != "success", "with ACLs enabled group haclient alone may read nothing"
    (commands,) = DOCUMENTED.findall(SECURITY.read_text(encoding="utf-8"))
    cluster.run("sh", "-euc", commands)
    cluster.settle()
    assert polled(node, USER) == ("success", [])
    assert disagreements(node) == []
    before = configuration(node)
    for words in CHANGES:
        refused = node.ask(*words, user=USER)
        assert refused.returncode == INSUFFICIENT_PRIVILEGES, words
    assert configuration(node) == before
    cluster.reset()
    watch.tolerated |= watch.monitoring.fired(time.monotonic() - watch.started)
    watch.healthy()


def test_polls_leave_the_cib_unchanged(cluster: Cluster, watch: Watch) -> None:
    """The CIB is identical before and after hundreds of polls."""

    def cib() -> tuple[str, str]:
        text = node.run("cibadmin", "--query", "--local")
        return hashlib.sha256(text.encode()).hexdigest(), text.partition("\n")[0]

    node = cluster.nodes[2]
    for _ in range(5):
        cluster.settle()
        before, polls = cib(), watch.value(node, *POLLS)
        for _ in range(20):
            assert polled(node, USER)[0] == "success"
        after = cib()
        polled_beside = (watch.value(node, *POLLS) or 0) - (polls or 0)
        print(f"{polled_beside:.0f} polls by the exporter, 20 others: {before}, {after}")
        if before == after:
            break
    assert before == after
    watch.healthy()
