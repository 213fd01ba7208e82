"""SBD on this node: read at every poll, and shown everywhere."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from exporter.cli import flags, show
from exporter.cluster.observation import Observation, Origin
from exporter.cluster.sbd import Sbd
from exporter.judgement.judge import judge
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import Format, join, render
from exporter.polling.observer import Observer
from exporter.report import sbd as report
from exporter.report.document import document
from exporter.report.tables import Tone
from exporter.sbd.files import LIMIT, SbdFiles
from exporter.service import program
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness.fakes import CIB, FrozenClock, ScriptedCommands
from tests.support.harness.fakes import document as crm_mon
from tests.support.harness.results import good
from tests.support.harness.see import series

DISKLESS = CIB.replace(
    b"</cluster_property_set>",
    b'<nvpair name="have-watchdog" value="true"/>'
    b'<nvpair name="stonith-watchdog-timeout" value="10s"/></cluster_property_set>',
)


class Node:
    """Polls with files of SBD that a test writes."""

    def __init__(self, commands: ScriptedCommands, directory: Path) -> None:
        self.configuration, self.pid = directory / "sbd", directory / "sbd.pid"
        files = SbdFiles((self.configuration,), self.pid)
        tools = Tools(commands, host_name="c0", sbd_files=files)
        self.observer = Observer(SourceContext(tools, FrozenClock(), 30))

    def poll(self) -> Observation:
        return good(self.observer.observe(lambda seen: seen))

    def reads(self) -> dict[str, int]:
        (status,) = (s for s in self.observer.sources if s.source == "sbd")
        return {outcome.value: count for outcome, count in status.reads.items() if count}


@pytest.fixture
def node(commands: ScriptedCommands, tmp_path: Path) -> Node:
    return Node(commands, tmp_path)


def metrics(seen: Observation) -> Mapping[str, float]:
    """The metrics of SBD and the watchdog."""
    found = series(join(render(FAMILIES, judge(seen)), Format.TEXT).decode())
    return {name: value for name, value in found.items() if "sbd" in name or "watchdog" in name}


def test_files_are_read_at_every_poll(node: Node) -> None:
    assert node.poll().fact(Sbd) == Sbd()
    node.configuration.write_text("SBD_DEVICE=/dev/sda;/dev/sdb")
    assert node.poll().fact(Sbd) == Sbd(("/dev/sda", "/dev/sdb"), running=False)
    node.pid.write_text(f"{os.getpid()}\n")
    assert node.poll().fact(Sbd) == Sbd(("/dev/sda", "/dev/sdb"), running=True)
    assert node.reads() == {"success": 3}


def test_metrics_of_sbd_and_of_the_watchdog(node: Node, commands: ScriptedCommands) -> None:
    assert metrics(node.poll()) == {}
    commands.crm_mon = lambda: crm_mon("Sun Sep 13 12:26:41 2020")
    commands.cibadmin = lambda: DISKLESS
    node.configuration.write_text("")
    found = metrics(node.poll())
    assert found == {
        "pacemaker_cluster_watchdog": 1,
        "pacemaker_cluster_stonith_watchdog_timeout_seconds": 10,
        "sbd_devices_configured": 0,
        "sbd_running": 0,
        'pacemaker_problems{kind="sbd_daemon_down",severity="critical"}': 1,
    }
    node.configuration.write_text("SBD_DEVICE=/dev/sda")
    node.pid.write_text(f"{os.getpid()}\n")
    found = metrics(node.poll())
    assert (found["sbd_devices_configured"], found["sbd_running"]) == (1, 1)
    assert not any(name.startswith("pacemaker_problems") for name in found)
    node.configuration.unlink()
    found = metrics(node.poll())
    assert "sbd_devices_configured" not in found
    assert found["sbd_running"] == 1


def test_odd_file_is_logged_once_and_costs_no_other_data(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    node.configuration.write_bytes(b"#" * (LIMIT + 1))
    for _ in range(3):
        seen = node.poll()
        assert seen.fact(Sbd) is None
        assert seen.local_node == "c0"
    assert metrics(seen) == {}
    assert caplog.messages == [f"{node.configuration} has more than {LIMIT} bytes"]
    assert node.reads() == {"too_large": 3}
    node.configuration.write_text("")
    assert node.poll().fact(Sbd) == Sbd((), running=False)
    assert caplog.messages[1:] == ["reading the files of SBD works again"]


def test_nothing_is_read_where_commands_run_elsewhere(commands: ScriptedCommands) -> None:
    observer = Observer(SourceContext(Tools(commands), FrozenClock(), 30))
    assert good(observer.observe(lambda seen: seen)).fact(Sbd) is None
    (status,) = (s for s in observer.sources if s.source == "sbd")
    assert status.last_outcome is None


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ([], True),
        (["--command.prefix=podman exec pacemaker"], False),
        (["--demo"], False),
        (["--once", "--from-file=x.xml"], False),
    ],
)
def test_files_are_those_of_this_machine_only(words: list[str], read: bool) -> None:
    assert program._sbd_files(flags.parse(words)) == (SbdFiles() if read else None)


def test_saved_output_has_no_sbd(node: Node, commands: ScriptedCommands, tmp_path: Path) -> None:
    tools = Tools(commands, sbd_files=SbdFiles((node.configuration,), node.pid))
    context = SourceContext(tools, FrozenClock(), 30)
    observer = Observer(context, origin=Origin.FILE)
    assert "sbd" not in {status.source for status in observer.sources}


# ---- What is shown ----


def row(node: Node) -> list[tuple[str, Tone]]:
    (table,) = report.tables(node.poll(), 0)
    assert (table.title, table.headers) == ("SBD", ("Node", "Daemon", "Devices"))
    ((name, daemon, devices),) = table.rows
    return [(cell[0].text, cell[0].tone) for cell in (name, daemon, devices)]


def test_table_has_the_daemon_and_the_devices(node: Node) -> None:
    assert not list(report.tables(node.poll(), 0))
    node.configuration.write_text("")
    assert row(node) == [
        ("c0", Tone.PLAIN), ("not running", Tone.FAINT), ("none", Tone.PLAIN)
    ]  # fmt: skip
    node.configuration.write_text("SBD_DEVICE='/dev/a\x1b;/dev/b'")
    assert row(node)[1:] == [
        ("not running", Tone.FAILED),
        ("/dev/a\\x1b, /dev/b", Tone.PLAIN),
    ]
    node.pid.write_text(f"{os.getpid()}\n")
    assert row(node)[1] == ("running", Tone.STARTED)


def test_show_has_the_problem_and_the_table(node: Node) -> None:
    node.configuration.write_text("SBD_DEVICE=/dev/sda")
    text = show.text_of(show.page(judge(node.poll()), 0.0), Console(width=100))
    assert "critical: node c0 has no running SBD daemon" in text
    assert "SBD\n  NODE  DAEMON       DEVICES\n  c0    not running  /dev/sda\n" in text


def test_json_has_sbd_and_the_watchdog(node: Node, commands: ScriptedCommands) -> None:
    assert document(judge(node.poll()))["sbd"] is None
    commands.cibadmin = lambda: DISKLESS
    commands.crm_mon = lambda: crm_mon("Sun Sep 13 12:26:41 2020")
    node.configuration.write_text("SBD_DEVICE=/dev/sda")
    found = json.loads(json.dumps(document(judge(node.poll()))))
    assert found["sbd"] == {"devices": ["/dev/sda"], "running": False}
    assert found["cluster"]["watchdog"] is True
    assert found["cluster"]["stonith_watchdog_timeout"] == 10
