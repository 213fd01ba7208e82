"""`show`: the cluster as the exporter understands it, for a person or as JSON.

What a person runs at night, and what a bug report carries. The words are the same on a terminal
and in a pipe; a terminal adds colour. Names come from the cluster, and are shown as they are:
markup in them means nothing, and what a terminal would obey is written out.
"""

import io
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from exporter import cib, crm_mon, crm_node, tables
from exporter.cib import HIDDEN, BundleDetails, Pairs, UnknownBundleError
from exporter.clock import Clock
from exporter.command import Completed
from exporter.document import Sight, details_document, document
from exporter.errors import PollError, Stopped
from exporter.explain import Problem, changes_cluster, told_once
from exporter.model import Bundle, Snapshot
from exporter.output import CannotWriteError, write_out
from exporter.poller import SIDE_TIMEOUT, Site
from exporter.settings import PROGRAM, ShowSettings
from exporter.tables import Cell, Table, Tone, printable, when

PLAIN_WIDTH = 100
"""Columns where there is no terminal: what is compared or mailed should not depend on a window."""

_EXIT_FAILURE = 1
_FAINT = "dim"
_STYLES = {
    Tone.PLAIN: "",
    Tone.FAINT: _FAINT,
    Tone.PROMOTED: "bold green",
    Tone.STARTED: "green",
    Tone.UNPROMOTED: "cyan",
    Tone.TRANSITION: "yellow",
    Tone.STOPPED: _FAINT,
    Tone.FAILED: "bold red",
}


def run(site: Site, clock: Clock, chosen: ShowSettings) -> int:
    """Print what was asked for, and return the exit status: 0 when there was something to see."""
    try:
        if chosen.config:
            details = _details(site, chosen, chosen.config)
            _print(details_document(details) if chosen.json else details_page(details))
        else:
            sight = _look(site, clock, chosen)
            _print(document(sight) if chosen.json else page(sight))
    except (PollError, UnknownBundleError, CannotWriteError) as error:
        _complain(error)
        return _EXIT_FAILURE
    except Stopped:
        return _EXIT_FAILURE
    return 0


def text_of(parts: Iterable[RenderableType], console: Console) -> str:
    """Lay out a page for a console, without spaces at the ends of lines."""
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _print(content: Mapping[str, Any] | Iterator[RenderableType]) -> None:
    if isinstance(content, Mapping):
        text = json.dumps(content, indent=2) + "\n"
    else:
        terminal = sys.stdout is not None and sys.stdout.isatty()
        console = Console(
            file=io.StringIO(),  # ours is to write: rich would lose what cannot be written
            force_terminal=terminal,
            width=shutil.get_terminal_size().columns if terminal else PLAIN_WIDTH,
            highlight=False,
            markup=False,
            emoji=False,
        )
        text = text_of(content, console)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with suppress(BrokenPipeError):  # into head, say: enough was seen
        write_out(text.encode(encoding, "backslashreplace"))


def _complain(error: Exception) -> None:
    sys.stderr.write(f"{PROGRAM} show: {printable(str(error))}\n")


# ---- Asking ----


def _look(site: Site, clock: Clock, chosen: ShowSettings) -> Sight:
    """Ask crm_mon, and the others as far as they answer.

    Raises:
        PollError: crm_mon gave no snapshot.
        Stopped: a signal came.

    """
    taken = clock.time()
    answer = crm_mon.CrmMon(site.commands, site.crm_mon).ask(chosen.poll_timeout)
    snapshot = crm_mon.read(answer)
    if chosen.from_file:
        return Sight(snapshot, source="file", now=clock.time())
    try:
        configuration = cib.read(_ask_cib(site, chosen))
    except PollError as error:
        _complain(error)
        configuration = None
    return Sight(
        snapshot,
        configuration,
        _local_node(site, chosen, snapshot),
        "demo" if chosen.demo else "cluster",
        clock.time(),
        taken,
    )


def _details(site: Site, chosen: ShowSettings, bundle: str) -> BundleDetails:
    details = cib.parse_bundle(cib.output(_ask_cib(site, chosen)), bundle)
    return details if chosen.secrets else cib.without_secrets(details)


def _ask_cib(site: Site, chosen: ShowSettings) -> Completed:
    return cib.ask(site.commands, site.cibadmin, min(SIDE_TIMEOUT, chosen.poll_timeout))


def _local_node(site: Site, chosen: ShowSettings, snapshot: Snapshot) -> str:
    try:
        return crm_node.ask(site.commands, site.crm_node, min(SIDE_TIMEOUT, chosen.poll_timeout))
    except PollError:
        return crm_node.by_host_name(site.host_name, (node.name for node in snapshot.nodes))


# ---- For a person ----


def page(sight: Sight) -> Iterator[RenderableType]:
    """Yield the parts of the page: what there is, then what is wrong."""
    snapshot = sight.snapshot
    yield from _heading(sight)
    yield from _titled(tables.nodes(sight))
    for bundle in snapshot.bundles:
        yield ""
        yield from _bundle(bundle, sight)
    for table in (
        tables.resources(snapshot.instances),
        tables.fail_counts(sight),
        tables.failed_actions(sight),
        tables.fencing(sight),
        tables.left_over(sight),
        tables.tickets(snapshot),
    ):
        yield from _titled(table)
    yield ""
    yield from _what_is_wrong(sight.problems)


def _heading(sight: Sight) -> Iterator[Text]:
    cluster = sight.snapshot.cluster
    if sight.source == "demo":
        yield Text("DEMONSTRATION: this is not a real cluster", _STYLES[Tone.TRANSITION])
    name = sight.configuration.cluster_name if sight.configuration else ""
    title = _text(f"Cluster {name}" if name else "Cluster of unknown name", "bold")
    yield Text(", ").join([title, _text(tables.software(cluster))])
    yield _sentence(tables.conditions(cluster))
    if cluster.last_change:
        # Of a saved answer nobody knows in which zone it was written.
        known = "" if sight.taken is None else when(cluster.last_change_time, sight, " UTC")
        changed = known or cluster.last_change
        yield _text(f"Configuration changed {changed}", _FAINT)
    if sight.taken is None:
        yield Text("Read from a saved answer of crm_mon: the CIB is unknown", _FAINT)
    else:
        here = f" by {sight.local_node}" if sight.local_node else ""
        yield _text(f"Seen{here} {when(sight.taken, sight, ' UTC')}", _FAINT)


def _bundle(bundle: Bundle, sight: Sight) -> Iterator[RenderableType]:
    state = _sentence(tables.bundle_state(bundle, sight.configuration))
    yield Text(" ").join([_text(bundle.id, "bold"), state])
    yield _indented(Text(tables.bundle_kind(bundle), _FAINT, overflow="fold"))
    if replicas := tables.replicas(bundle, sight.snapshot):
        yield _indented(_table(replicas))


def _what_is_wrong(found: Sequence[Problem]) -> Iterator[RenderableType]:
    if not found:
        yield Text("Nothing is wrong.", _STYLES[Tone.STARTED])
        return
    yield Text("What is wrong", "bold")
    for problem, commands in told_once(found):
        yield _indented(_text(problem.title, "bold"))
        for text in problem.texts:
            yield _hanging("-", _text(text))
        for command in commands:
            mark = "  # changes the cluster" if changes_cluster(command) else ""
            yield _hanging("$", _text(command, "cyan") + _text(mark, _FAINT))


# ---- The configuration of a bundle ----


def details_page(details: BundleDetails) -> Iterator[RenderableType]:
    """Yield the parts of a bundle's configuration, as the CIB has it."""
    yield _text(f"{details.id} ({details.engine})", "bold")
    yield from _settings("Container", details.container)
    yield from _settings("Network", details.network)
    yield from _listed("Port mappings", details.port_mappings)
    yield from _listed("Storage mappings", details.storage_mappings)
    if primitive := details.primitive:
        yield ""
        yield _text(f"Primitive {primitive.id} ({primitive.agent or 'of a template'})", "bold")
        yield from _settings("Instance attributes", primitive.instance_attributes)
        yield from _settings("Meta attributes", primitive.meta_attributes)
        yield from _listed("Operations", primitive.operations)
    yield from _settings("Meta attributes of the bundle", details.meta_attributes)
    if HIDDEN in str(details):
        yield ""
        yield Text(f"{HIDDEN}: --secrets shows it", _FAINT)


def _settings(title: str, pairs: Pairs) -> Iterator[RenderableType]:
    if pairs:
        grid = Grid.grid(padding=(0, 2, 0, 0))
        for name, value in pairs:
            grid.add_row(_text(name, "cyan"), _text(value))
        yield from _section(title, grid)


def _listed(title: str, entries: Sequence[Pairs]) -> Iterator[RenderableType]:
    if entries:
        yield Group("", Text(title, "bold"))
    for entry in entries:
        yield _hanging("-", _text(" ".join(f"{name}={value}" for name, value in entry)), 2)


# ---- Layout ----


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style, overflow="fold")


def _sentence(words: Cell) -> Text:
    parts = (Text(part.text, _STYLES[part.tone], overflow="fold") for part in words)
    return Text(", ", overflow="fold").join(parts)


def _indented(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, 2))


def _hanging(mark: str, text: Text, indent: int = 4) -> Padding:
    """Set a paragraph behind a mark, its further lines below its first."""
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text(mark, _FAINT), text)
    return Padding(grid, (0, 0, 0, indent))


def _section(title: str, table: Grid) -> Iterator[RenderableType]:
    yield Group("", Text(title, "bold"), _indented(table))


def _titled(table: Table | None) -> Iterator[RenderableType]:
    if table is not None:
        note = f" ({table.note})" if table.note else ""
        yield from _section(table.title + note, _table(table))


def _table(table: Table) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=_FAINT)
    for header in table.headers:
        # A time in two lines is hard to read, and to compare.
        grid.add_column(Text(header.upper()), overflow="fold", no_wrap=header in tables.TIMES)
    for row in table.rows:
        grid.add_row(*map(_sentence, row))
    return grid
