"""SBD on this node as a table."""

from collections.abc import Iterator

from exporter.cluster.observation import Observation
from exporter.cluster.sbd import Sbd
from exporter.cluster.text import printable
from exporter.judgement import sbd_problems
from exporter.report.tables import Cell, Table, Tone, Words


def tables(observation: Observation, now: float) -> Iterator[Table]:
    """Yield a table with one row for this node, unless it has no SBD."""
    del now
    sbd = observation.fact(Sbd)
    if sbd is None or sbd.running is None:
        return
    columns = {
        "Node": Words(printable(observation.local_node or "this node")),
        "Daemon": _daemon(sbd, down=sbd_problems.is_down(observation)),
        "Devices": Words(printable(", ".join(sbd.devices or ()) or "none")),
    }
    row: tuple[Cell, ...] = tuple((words,) for words in columns.values())
    yield Table("SBD", tuple(columns), (row,))


def _daemon(sbd: Sbd, *, down: bool) -> Words:
    if sbd.running:
        return Words("running", Tone.STARTED)
    return Words("not running", Tone.FAILED if down else Tone.FAINT)
