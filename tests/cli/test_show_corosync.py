"""Corosync in `show`, in JSON and on the status page."""

import json
from dataclasses import replace

from exporter.cluster.corosync import Corosync, CorosyncState
from exporter.cluster.observation import Observation
from exporter.judgement.judge import judge
from exporter.polling.observer import Observer
from exporter.report import corosync
from exporter.report.document import document
from exporter.report.tables import has_exceptions
from exporter.sources.tools import SourceContext, Tools
from tests.cli.test_show_parts import lines
from tests.support.harness.corosync import CapturedCorosync
from tests.support.harness.fakes import FrozenClock, ScriptedCommands
from tests.support.harness.results import good

NODE_DOWN = (
    "corosync3.1.7-nodedown-controller-0-labhag-cmapctl-mstats",
    "corosync3.1.7-nodedown-controller-0-labhag-quorumtool-i-p-s",
    "corosync3.1.7-nodedown-controller-0-labhag-cmapctl",
)
QNETD_GONE = "corosync3.1.7-qdevice-qnetd-gone-controller-0-root-quorumtool-i-p-s"


def observed(commands: ScriptedCommands, answers: CapturedCorosync) -> Observation:
    """What a poll sees."""
    commands.corosync = answers
    return good(
        Observer(SourceContext(Tools(commands), FrozenClock(), 30)).observe(lambda seen: seen)
    )


def test_show_has_votes_members_and_links(commands: ScriptedCommands) -> None:
    page = lines(judge(observed(commands, CapturedCorosync(*NODE_DOWN))))
    assert "corosync has quorum, 2 of 3 votes are present, 2 are needed" in page
    begin = page.index("Corosync")
    assert page[begin : begin + 5] == [
        "Corosync",
        "  NODE          MEMBERSHIP     VOTES  LINKS",
        "  controller-0  member (here)  1",
        "  controller-1  member         1      0 up, 1 up",
        "  controller-2  not a member          0 down, 1 down",
    ]


def test_only_wanted_nodes_are_shown(commands: ScriptedCommands) -> None:
    judgement = judge(observed(commands, CapturedCorosync(*NODE_DOWN)))
    page = lines(judgement, "controller-1")
    assert "  controller-1  member      1      0 up, 1 up" in page
    assert not [line for line in page if line.startswith("  controller-2")]


def test_quorum_device_has_a_column(commands: ScriptedCommands) -> None:
    found = observed(commands, CapturedCorosync(NODE_DOWN[0], QNETD_GONE, NODE_DOWN[2]))
    settings = replace(found.corosync.settings, has_qdevice=True)
    found = replace(found, corosync=replace(found.corosync, settings=settings))
    page = lines(judge(found))
    assert "  controller-1  member         1      does not vote  0 up, 1 up" in page
    assert any("the quorum device casts no vote: it is alive" in line for line in page)


def test_frozen_node_says_so_first(commands: ScriptedCommands) -> None:
    found = observed(commands, CapturedCorosync(*NODE_DOWN))
    page = lines(judge(replace(found, corosync=Corosync(CorosyncState.UNRESPONSIVE))))
    assert "corosync on this node does not answer" in page
    first = next(line for line in page if line.startswith("  critical: "))
    assert first.startswith("  critical: corosync on this node does not answer: this view may be")
    assert "Corosync" not in page


def test_corosync_that_may_not_be_asked_is_not_mentioned(commands: ScriptedCommands) -> None:
    found = observed(commands, CapturedCorosync(*NODE_DOWN))
    page = lines(judge(replace(found, corosync=Corosync())))
    assert not [line for line in page if "corosync" in line.lower()]


def test_links_are_counted(commands: ScriptedCommands) -> None:
    found = observed(commands, CapturedCorosync(*NODE_DOWN)).corosync
    assert corosync.links(found) == "2 of 4 links from this node are up"
    assert corosync.links(Corosync(CorosyncState.ANSWERED)) == ""


def test_table_without_anything_to_look_at_is_told_apart(commands: ScriptedCommands) -> None:
    found = observed(commands, CapturedCorosync(*NODE_DOWN))
    table = corosync.members(found)
    assert table is not None
    assert has_exceptions(table)
    well = replace(table, rows=table.rows[:2])
    assert not has_exceptions(well)


def test_summaries() -> None:
    def words(state: CorosyncState) -> list[str]:
        return [part.text for part in corosync.summary(Corosync(state))]

    assert words(CorosyncState.UNKNOWN) == []
    assert words(CorosyncState.NOT_RUNNING) == ["corosync is not running on this node"]
    assert words(CorosyncState.ANSWERED) == ["corosync has no quorum provider"]


def test_json(commands: ScriptedCommands) -> None:
    told = document(judge(observed(commands, CapturedCorosync(*NODE_DOWN))))
    found = json.loads(json.dumps(told))["corosync"]
    assert (found["state"], found["transport"], found["local_id"]) == ("answered", "knet", 1)
    assert (found["quorate"], found["votes_present"], found["votes_needed"]) == (True, 2, 2)
    assert found["nodes"][2] == {
        "id": 3,
        "name": "controller-2",
        "addresses": {"0": "172.31.99.12", "1": "172.31.98.12"},
        "member": False,
    }
    assert found["members"][0] == {
        "id": 1,
        "name": "controller-0",
        "votes": 1,
        "qdevice_registered": False,
        "qdevice_alive": False,
        "qdevice_voting": False,
    }
    assert found["links"][0] == {
        "peer": "controller-1",
        "link": 0,
        "connected": True,
        "latency_average_seconds": 5.1e-05,
    }
    assert found["last_pause"] is None


def test_json_of_a_frozen_node_is_not_trusted(commands: ScriptedCommands) -> None:
    found = observed(commands, CapturedCorosync(*NODE_DOWN))
    assert document(judge(found))["trusted"] is True
    told = document(judge(replace(found, corosync=Corosync(CorosyncState.UNRESPONSIVE))))
    assert (told["trusted"], told["corosync"]["state"]) == (False, "unresponsive")
