"""Problems of SBD, and near misses."""

from collections.abc import Iterator

import pytest

from exporter.cluster.configuration import Configuration
from exporter.cluster.model import Cluster, Snapshot
from exporter.cluster.observation import Observation
from exporter.cluster.sbd import Sbd
from exporter.judgement.judge import judge
from exporter.judgement.problem import CLUSTER, Kind, Problem, Severity, Subject, SubjectType

GOOD = Cluster(dc_elected=True, quorate=True, fencing_enabled=True)
DISKLESS = Configuration(watchdog=True, watchdog_timeout=10)
ONE, TWO = ("/dev/sda",), ("/dev/sda", "/dev/sdb")


def told(
    configuration: Configuration | None, sbd: Sbd | None = None, node: str = "c0"
) -> Iterator[Problem]:
    seen = Observation(
        Snapshot(GOOD),
        configuration,
        local_node=node,
        configuration_current=True,
        facts={Sbd: sbd} if sbd else {},
    )
    return (problem for problem in judge(seen).problems if problem.kind.value.startswith("sbd"))


@pytest.mark.parametrize("timeout", [10, 0.5, -1])
def test_missing_watchdog_is_told(timeout: float) -> None:
    (problem,) = told(Configuration(watchdog=False, watchdog_timeout=timeout))
    assert (problem.kind, problem.severity) == (Kind.SBD_WATCHDOG_MISSING, Severity.WARNING)
    assert problem.subjects == (CLUSTER,)
    assert problem.sentence == (
        "stonith-watchdog-timeout is set, but Pacemaker does not find SBD running:"
        " no watchdog stops a lost node"
    )
    assert problem.commands == ("pcs stonith sbd status", "pcs stonith sbd config")


@pytest.mark.parametrize(
    ("watchdog", "timeout"), [(False, None), (False, 0), (True, 10), (None, 10), (None, None)]
)
def test_watchdog_that_nobody_relies_upon_may_be_missing(
    watchdog: bool | None, timeout: float | None
) -> None:
    assert not list(told(Configuration(watchdog=watchdog, watchdog_timeout=timeout)))


@pytest.mark.parametrize(
    ("configuration", "devices", "detail"),
    [
        (Configuration(), ONE, "1 device in SBD_DEVICE"),
        (None, TWO, "2 devices in SBD_DEVICE"),
        (DISKLESS, (), "no devices in SBD_DEVICE"),
    ],
)
def test_daemon_that_does_not_run_is_told(
    configuration: Configuration | None, devices: tuple[str, ...], detail: str
) -> None:
    (problem,) = told(configuration, Sbd(devices, running=False))
    assert (problem.kind, problem.severity) == (Kind.SBD_DAEMON_DOWN, Severity.CRITICAL)
    assert problem.subjects == (Subject(SubjectType.NODE, "c0"),)
    assert problem.sentence == "node c0 has no running SBD daemon"
    assert problem.texts == (detail,)


def test_daemon_of_a_node_without_a_name_is_told() -> None:
    (problem,) = told(None, Sbd(ONE, running=False), node="")
    assert problem.subjects == (CLUSTER,)
    assert problem.sentence == "the node of this exporter has no running SBD daemon"


@pytest.mark.parametrize(
    ("configuration", "sbd"),
    [
        (DISKLESS, None),
        (DISKLESS, Sbd()),
        (DISKLESS, Sbd((), running=True)),
        (DISKLESS, Sbd(ONE, running=True)),
        (DISKLESS, Sbd(None, running=False)),  # a pid file that was left behind
        (None, Sbd((), running=False)),  # installed, but not used
        (Configuration(watchdog=False), Sbd((), running=False)),
    ],
)
def test_daemon_that_need_not_run_is_not_told(
    configuration: Configuration | None, sbd: Sbd | None
) -> None:
    assert not list(told(configuration, sbd))
