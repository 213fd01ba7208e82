"""Explains polls that did not succeed."""

from dataclasses import dataclass

from exporter.cluster.outcome import Outcome
from exporter.judgement.commands import STATUS


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened, in words, and the commands to inspect or repair it."""

    text: str
    commands: tuple[str, ...] = ()


_FAILED_POLLS = {
    Outcome.NOT_CONNECTED: Explanation(
        "Pacemaker is not running on this node", ("pcs status", "pcs cluster start")
    ),
    Outcome.PERMISSION_DENIED: Explanation(
        "the exporter's user has no access to the cluster: add it to group haclient and restart the"
        " exporter",
        ("getent group haclient",),
    ),
    Outcome.TIMEOUT: Explanation(
        "crm_mon gave no answer in time: a daemon of Pacemaker hangs, or the machine is overloaded",
        (STATUS,),
    ),
    Outcome.NOT_FOUND: Explanation(
        "crm_mon could not be started: check --crm_mon.path, --command.prefix and the"
        " exporter's log"
    ),
    Outcome.EXIT_STATUS: Explanation(
        "crm_mon failed: see its message in the exporter's log",
        ("crm_mon --one-shot --inactive",),
    ),
    Outcome.MALFORMED: Explanation(
        "crm_mon did not print its XML: see the exporter's log",
        ("crm_mon --output-as=xml --inactive",),
    ),
    Outcome.INCOMPLETE: Explanation(
        "crm_mon succeeded but printed no status: a Pacemaker daemon on this node does not answer,"
        " or ACLs do not allow the exporter's user to read",
        (STATUS, "pcs acl"),
    ),
    Outcome.TOO_LARGE: Explanation(
        "crm_mon printed more than 64 MiB, the most that the exporter reads"
    ),
    Outcome.OUT_OF_MEMORY: Explanation(
        "the exporter ran out of memory for crm_mon's output: free memory on this node, or raise"
        " the exporter's limit (LimitAS= of its systemd unit, ulimit -v)",
        ("free -m",),
    ),
}


def failed_poll(outcome: Outcome) -> Explanation:
    """Explain the outcome of a poll that did not succeed."""
    return _FAILED_POLLS[outcome]
