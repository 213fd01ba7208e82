"""The cloud of the demonstration, as a CIB in a file for the real crm_mon."""

from collections.abc import Iterator
from pathlib import Path

from tests.bench.clusters import CibFile
from tests.support.model.states import NOW
from tools.demo.cloud import COMPUTES, RACK, Scene


class CloudCib(CibFile):
    """The CIB of a cloud in a file that can be changed."""

    def __init__(self, directory: Path, lost: int) -> None:
        """Write it with the first compute nodes lost."""
        self._texts = [Scene(offline=range(count)).cluster.xml(NOW) for count in (lost, lost + 1)]
        super().__init__(directory / f"cloud-{lost}.xml", self._texts[0])

    def change(self) -> None:
        """Let one more compute node be lost, or come back."""
        self._texts.reverse()
        self.write(self._texts[0])


def clouds(directory: Path) -> Iterator[tuple[str, CloudCib]]:
    """Yield the cloud healthy, and with a rack lost, each with its name in tables."""
    for lost, what in ((0, "healthy"), (len(RACK), f"{len(RACK)} lost")):
        yield f"{COMPUTES} computes, {what}", CloudCib(directory, lost)
