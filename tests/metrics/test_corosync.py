"""The metrics of corosync, from answers of real ones."""

from collections.abc import Callable

import pytest

from exporter.cluster.corosync import Corosync, CorosyncState
from exporter.metrics.corosync import COROSYNC, CorosyncView
from exporter.metrics.text import Format, join, render
from exporter.polling.observer import Observer
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness.corosync import CapturedCorosync
from tests.support.harness.fakes import FrozenClock, ScriptedCommands
from tests.support.harness.results import good
from tests.support.harness.see import series

HEALTHY = "corosync3.1.7-healthy-labhag-cmapctl"
STATES = {
    "3.1.7-nodedown-controller-0-labhag": "corosync3.1.7-nodedown-controller-0-labhag-cmapctl",
    "3.1.7-quorumlost-controller-0-labhag": "corosync3.1.7-quorumlost-controller-0-labhag-cmapctl",
    "3.1.7-flags-wfa-atb-lms-controller-0-root": HEALTHY,
    "3.1.7-twonode-waitforall-alone-controller-0-root": HEALTHY,
    "3.1.7-udpu-partition-controller-0-root": HEALTHY,
    "2.4.6-partition-majority-controller-0-root": (
        "corosync2.4.6-partition-majority-controller-0-root-cmapctl-selected"
    ),
}
"""Captured states, each with the capture of its settings, or of settings that fit."""


def text(corosync: Corosync) -> str:
    """Prometheus' text."""
    view = CorosyncView(corosync, corosync.names({}))
    return join(render(COROSYNC, view), Format.TEXT).decode()


def observed(commands: ScriptedCommands, captures: CapturedCorosync) -> Corosync:
    """What the exporter makes of captures."""
    commands.corosync = captures
    observer = Observer(SourceContext(Tools(commands), FrozenClock(), 30))
    found = good(observer.observe(lambda seen: seen)).corosync
    assert found.state is CorosyncState.ANSWERED
    return found


@pytest.mark.parametrize("name", STATES)
def test_states(name: str, commands: ScriptedCommands, golden: Callable[[str, str], None]) -> None:
    answers = CapturedCorosync(
        f"corosync{name}-cmapctl-mstats", f"corosync{name}-quorumtool-i-p-s", STATES[name]
    )
    golden(f"corosync/{name}.prom", text(observed(commands, answers)))


def test_quorum_device(commands: ScriptedCommands) -> None:
    """One that is alive and casts no vote, because qnetd is gone."""
    name = "corosync3.1.7-qdevice-qnetd-gone-controller-0-root-quorumtool-i-p-s"
    found = observed(
        commands,
        CapturedCorosync("corosync3.1.7-nodedown-controller-0-labhag-cmapctl-mstats", name),
    )
    assert "corosync_qdevice_votes" not in text(found), "it is not in these settings"
    configured = Corosync(
        found.state,
        type(found.settings)(nodes=found.settings.nodes, has_qdevice=True),
        found.quorum,
    )
    page = series(text(configured))
    assert page["corosync_qdevice_configured"] == 1
    assert page["corosync_qdevice_votes"] == 0
    assert {
        condition: page[
            f'corosync_qdevice_condition{{node="controller-1",condition="{condition}"}}'
        ]
        for condition in ("registered", "alive", "voting", "master_wins")
    } == {"registered": 1, "alive": 1, "voting": 0, "master_wins": 0}


@pytest.mark.parametrize(
    ("state", "up"),
    [
        (CorosyncState.UNKNOWN, {}),
        (CorosyncState.NOT_RUNNING, {"corosync_up": 0}),
        (CorosyncState.UNRESPONSIVE, {"corosync_up": 0}),
    ],
)
def test_without_an_answer_there_is_only_up(state: CorosyncState, up: dict[str, float]) -> None:
    assert series(text(Corosync(state))) == up


def test_three_nodes_with_two_links_have_few_series(commands: ScriptedCommands) -> None:
    answers = CapturedCorosync(
        "corosync3.1.7-nodedown-controller-0-labhag-cmapctl-mstats",
        "corosync3.1.7-nodedown-controller-0-labhag-quorumtool-i-p-s",
    )
    page = series(text(observed(commands, answers)))
    links = [name for name in page if name.startswith("corosync_link_")]
    # Two links that are down have no latency.
    assert (len(links), len(page) - len(links)) == (4 * 9 - 2, 25)
