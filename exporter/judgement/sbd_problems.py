"""Finds problems of SBD: a watchdog that is relied upon and missing, a daemon that does not run."""

from collections.abc import Iterator

from exporter.cluster.observation import Observation
from exporter.cluster.sbd import Sbd
from exporter.judgement.commands import Command
from exporter.judgement.facts import Facts
from exporter.judgement.problem import (
    CLUSTER,
    Finding,
    Kind,
    Severity,
    Subject,
    SubjectType,
    about_cluster,
)

_COMMANDS = ("pcs stonith sbd status", "pcs stonith sbd config")


def find(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with SBD."""
    observation = facts.observation
    configuration = observation.configuration_or_empty
    if configuration.watchdog is False and configuration.watchdog_timeout:
        yield about_cluster(
            Kind.SBD_WATCHDOG_MISSING,
            Severity.WARNING,
            "stonith-watchdog-timeout is set, but Pacemaker does not find SBD running:"
            " no watchdog stops a lost node",
            *_COMMANDS,
        )
    if is_down(observation):
        yield _daemon_down(observation)


def is_down(observation: Observation) -> bool:
    """Whether SBD is configured on this node and its daemon does not run.

    Its package brings a file without devices, so without devices the cluster has to use SBD.
    """
    sbd = observation.fact(Sbd) or Sbd()
    used = sbd.devices is not None and observation.configuration_or_empty.watchdog is True
    return sbd.running is False and bool(sbd.devices or used)


def _daemon_down(observation: Observation) -> Finding:
    devices = len((observation.fact(Sbd) or Sbd()).devices or ())
    name = observation.local_node
    return Finding(
        Kind.SBD_DAEMON_DOWN,
        Severity.CRITICAL,
        Subject(SubjectType.NODE, name) if name else CLUSTER,
        (f"{devices or 'no'} device{'' if devices == 1 else 's'} in SBD_DEVICE",) if name else (),
        tuple(map(Command, _COMMANDS)),
        says="" if name else "the node of this exporter has no running SBD daemon",
    )
