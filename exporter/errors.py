"""What can go wrong between asking Pacemaker and holding a snapshot."""

from enum import StrEnum


class Outcome(StrEnum):
    """How a poll, or a read of the CIB, ended: the values of the `outcome` label."""

    SUCCESS = "success"
    NOT_CONNECTED = "not_connected"
    """Pacemaker is not running on this node (crm_mon's exit status 102, or 107 in 1.1)."""
    PERMISSION_DENIED = "permission_denied"
    """The user may not ask the cluster: not in group haclient (exit status 4)."""
    TIMEOUT = "timeout"
    NOT_FOUND = "not_found"
    """The command could not be started: missing, not executable, or the system refused."""
    EXIT_STATUS = "exit_status"
    """The command ended with any other exit status, or by a signal."""
    MALFORMED = "malformed"
    """The output is not the XML that it should be."""
    INCOMPLETE = "incomplete"
    """Well-formed output with no cluster status in it (exit status 0 is no proof of success)."""
    TOO_LARGE = "too_large"


class PollError(Exception):
    """A poll that gave no snapshot; its message is one line: what, where and what to do."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class Stopped(Exception):  # noqa: N818 - the exporter is asked to end, which is no error
    """The exporter was asked to stop while a command was running."""


class WebConfigError(Exception):
    """A web configuration cannot be used; one line says which, where, and what to do."""
