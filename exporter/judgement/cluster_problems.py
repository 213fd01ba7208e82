"""Finds problems of the cluster itself: trust, options, tickets and the configuration."""

from collections.abc import Iterator

from exporter.cluster.observation import Origin
from exporter.judgement import commands
from exporter.judgement.commands import Command
from exporter.judgement.corosync_problems import waits_for_all
from exporter.judgement.facts import Facts
from exporter.judgement.problem import Finding, Kind, Severity, Subject, SubjectType, about_cluster

_NO_ACTION = "Pacemaker does not start, stop or recover resources"


def find(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with the cluster itself."""
    yield from _trust(facts)
    yield from _options(facts)
    yield from _sources(facts)
    yield from _tickets(facts)


def _trust(facts: Facts) -> Iterator[Finding]:
    cluster = facts.snapshot.cluster
    if cluster.dc_elected is False:
        says = "no DC is elected: do not trust this view yet"
        yield about_cluster(Kind.NO_DC, Severity.CRITICAL, says, commands.STATUS)
    if cluster.quorate is False:
        says = "this partition has no quorum: it does not know what runs elsewhere"
        if waits_for_all(facts.observation.corosync):
            says += "; corosync has the votes, and waits until it sees all nodes (wait_for_all)"
        # `pcs quorum status` fails without quorum.
        yield about_cluster(Kind.NO_QUORUM, Severity.CRITICAL, says, "corosync-quorumtool -s")
    if not facts.snapshot.authoritative and False not in {cluster.dc_elected, cluster.quorate}:
        says = "crm_mon does not tell whether this partition has a DC and quorum: do not trust it"
        yield about_cluster(Kind.QUORUM_UNKNOWN, Severity.CRITICAL, says, commands.STATUS)


def _options(facts: Facts) -> Iterator[Finding]:
    cluster = facts.snapshot.cluster
    if cluster.stop_all_resources:
        yield about_cluster(
            Kind.STOP_ALL_RESOURCES,
            Severity.CRITICAL,
            "stop-all-resources is set: Pacemaker stops every resource",
            "pcs property set stop-all-resources=false",
        )
    if cluster.maintenance_mode:
        yield about_cluster(
            Kind.MAINTENANCE_MODE,
            Severity.INFO,
            f"maintenance mode is on: {_NO_ACTION}",
            "pcs property set maintenance-mode=false",
        )
    elif facts.in_maintenance:
        yield about_cluster(
            Kind.MAINTENANCE_MODE,
            Severity.INFO,
            f"every node is in maintenance: {_NO_ACTION}",
            "pcs node unmaintenance --all",
        )
    if cluster.fencing_enabled is False:
        yield about_cluster(
            Kind.FENCING_DISABLED,
            Severity.WARNING,
            "fencing is disabled: resources of a lost node cannot be recovered safely",
            "pcs stonith status",
            "pcs stonith config",
        )
    if cluster.mixed_version:
        says = "the nodes run different versions of Pacemaker"
        yield about_cluster(Kind.MIXED_VERSIONS, Severity.INFO, says, commands.STATUS)


def _sources(facts: Facts) -> Iterator[Finding]:
    observation = facts.observation
    if facts.snapshot.fencing is None:
        says = "the fencer did not return its history"
        advice = "pcs stonith history"
        yield about_cluster(Kind.FENCING_HISTORY_UNREAD, Severity.WARNING, says, advice)
    # A saved output of crm_mon comes without a CIB.
    if observation.origin is not Origin.FILE and not observation.configuration_current:
        says = (
            "the CIB could not be read: what is expected of resources is a guess"
            if observation.configuration is None
            else "the CIB could not be read since it changed: what is expected may be outdated"
        )
        advice = "cibadmin --query --scope=configuration"
        yield about_cluster(Kind.CONFIGURATION_NOT_CURRENT, Severity.WARNING, says, advice)


def _tickets(facts: Facts) -> Iterator[Finding]:
    """Yield the tickets that are not granted, unless nothing is known to depend on them."""
    configuration = facts.observation.configuration
    for ticket in facts.observation.tickets:
        if (ticket.granted and not ticket.standby) or (
            configuration is not None and ticket.id not in configuration.needed_tickets
        ):
            continue
        yield Finding(
            Kind.TICKET_NOT_GRANTED,
            Severity.INFO,
            Subject(SubjectType.TICKET, ticket.id),
            commands=(Command("pcs constraint ticket config --full"), Command("pcs booth status")),
            says="{is} in standby at this site" if ticket.granted else "",
        )
