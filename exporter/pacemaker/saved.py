"""A saved output of crm_mon that replaces the cluster."""

import re
from collections.abc import Sequence
from pathlib import PurePath

from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker.runner import Completed

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CIB = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<cib[\s>]")


class SavedCommands:
    """Replaces the command runner: crm_mon returns the saved output, the others fail."""

    def __init__(self, output: bytes) -> None:
        """Args: the saved output of crm_mon; an editor may have put a byte-order mark before it."""
        self._output = output.removeprefix(_BYTE_ORDER_MARK)

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        """Return the saved output; fail with NOT_FOUND for cibadmin and crm_node."""
        del timeout  # returns at once
        command = PurePath(argv[0]).name
        if command in {"cibadmin", "crm_node"}:
            return Failure(
                Outcome.NOT_FOUND,
                f"{command} cannot run on a saved output of crm_mon: its data is left out",
            )
        if mistaken := self._mistaken():
            return Failure(
                Outcome.MALFORMED,
                f"the saved output is {mistaken}: save what `TZ=UTC crm_mon --output-as=xml"
                " --inactive` prints (--as-xml in Pacemaker 1.1)",
            )
        return Completed(tuple(argv), 0, self._output, "")

    def _mistaken(self) -> str:
        """Return what people save instead; empty if it may be XML of crm_mon."""
        if _CIB.match(self._output):
            return "a CIB, which does not tell what runs"
        return "" if self._output.lstrip().startswith(b"<") else "not XML"
