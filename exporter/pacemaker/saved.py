"""A saved output of crm_mon that replaces the cluster."""

from collections.abc import Sequence
from pathlib import PurePath

from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker.runner import Completed


class SavedCommands:
    """Replaces the command runner: crm_mon returns the saved output, the others fail."""

    def __init__(self, output: bytes) -> None:
        """Args: the saved output of crm_mon."""
        self._output = output

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        """Return the saved output; fail with NOT_FOUND for cibadmin and crm_node."""
        del timeout  # returns at once
        command = PurePath(argv[0]).name
        if command in {"cibadmin", "crm_node"}:
            return Failure(
                Outcome.NOT_FOUND,
                f"{command} cannot run on a saved output of crm_mon: its data is left out",
            )
        return Completed(tuple(argv), 0, self._output, "")
