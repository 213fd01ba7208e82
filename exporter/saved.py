"""A saved output of crm_mon, in place of a cluster."""

from collections.abc import Sequence
from pathlib import PurePath

from exporter.command import Completed
from exporter.errors import Outcome, PollError


class SavedCommands:
    """Answers for crm_mon with what was saved; there is nobody to answer for the others."""

    def __init__(self, output: bytes) -> None:
        """Args: what crm_mon printed."""
        self._output = output

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        """Answer, or refuse as a machine without that command would."""
        del timeout  # nothing takes time here
        command = PurePath(argv[0]).name
        if command in {"cibadmin", "crm_node"}:
            raise PollError(
                Outcome.NOT_FOUND,
                f"{command} cannot be asked about a saved output: what only it knows is left out",
            )
        return Completed(tuple(argv), 0, self._output, "")
