"""SBD on this node: reads its files at every poll."""

from dataclasses import replace

from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure, Outcome
from exporter.cluster.sbd import Sbd
from exporter.sbd import reader
from exporter.sbd.files import SbdTexts, read_files
from exporter.sources.source import Source
from exporter.sources.tools import SourceContext


class SbdSource(Source[SbdTexts, Sbd]):
    """Reads two small files. Nothing is read where the commands run elsewhere."""

    name = "sbd"
    command = "reading the files of SBD"

    def __init__(self, context: SourceContext) -> None:
        """Args: see Source."""
        super().__init__(context)
        self._files = context.tools.sbd_files

    def due(self, observation: Observation, now: float) -> bool:
        """Whether the files are those of a cluster node."""
        del observation, now
        return self._files is not None

    def ask(self, timeout: float) -> SbdTexts | Failure:
        """Read the files."""
        del timeout  # local files
        if self._files is None:
            return Failure(Outcome.NOT_FOUND, "the files of SBD are on another machine")
        return read_files(self._files)

    def read(self, answer: SbdTexts | Failure) -> Sbd | Failure:
        """Parse the files, and look for the daemon."""
        return reader.read(answer)

    def add(self, fact: Sbd | None, observation: Observation) -> Observation:
        """Add what is known of SBD."""
        if fact is None:
            return observation
        return replace(observation, facts={**observation.facts, Sbd: fact})
