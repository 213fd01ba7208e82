"""`show`: prints the cluster as the exporter understands it, as tables or JSON.

Terminals and pipes get the same words; a terminal adds colour. Names from the cluster are
untrusted: their markup is not interpreted and their control characters are escaped.
"""

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from exporter.cli.flags import PROGRAM, ShowSettings
from exporter.cli.output import CannotWriteError, write_out
from exporter.cluster.details import BundleDetails, Pairs
from exporter.cluster.observation import Observation, Origin
from exporter.cluster.outcome import Failure, Stopped
from exporter.cluster.text import printable
from exporter.judgement.bundles import BundleJudgement
from exporter.judgement.commands import changes_cluster
from exporter.judgement.judge import Judge, Judgement, judge
from exporter.judgement.problem import Problem, Severity, cases, with_new_commands
from exporter.pacemaker import cib
from exporter.pacemaker.cib import UnknownBundleError
from exporter.polling.observer import Observer
from exporter.polling.registry import REGISTRY, Registration
from exporter.report import corosync, tables
from exporter.report.check import check, unknown
from exporter.report.document import details_document, document
from exporter.report.secrets import HIDDEN, without_secrets
from exporter.report.tables import Cell, Table, Tone, when
from exporter.report.wanted import Wanted
from exporter.runtime.clock import Clock
from exporter.sources.configuration import ConfigurationSource
from exporter.sources.source import SIDE_TIMEOUT
from exporter.sources.tools import SourceContext, Tools

UNLIMITED = 10_000
"""Columns without a terminal, if COLUMNS is not set: programs that read lines need whole ones."""

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


def run(tools: Tools, clock: Clock, settings: ShowSettings, wait: Callable[[float], bool]) -> int:
    """Print what the flags ask for, and return the exit status: 0 if there was data to print.

    Args:
        tools: the commands of Pacemaker.
        clock: gives the time.
        settings: the flags.
        wait: waits for a number of seconds; returns True to stop.

    """
    try:
        if settings.check:
            return _check(tools, clock, settings)
        if settings.watch:
            return _watch(tools, clock, settings, wait)
        content = _content(tools, clock, settings)
        if isinstance(content, Failure):
            return _failed(content.message)
        _print(content)
    except (UnknownBundleError, _UnknownNamesError, CannotWriteError) as error:
        return _failed(str(error))
    except Stopped:
        return _EXIT_FAILURE
    return 0


class _UnknownNamesError(Exception):
    """No node, bundle or resource has such a name."""


def _content(
    tools: Tools, clock: Clock, settings: ShowSettings
) -> Mapping[str, Any] | Iterator[RenderableType] | Failure:
    if settings.config:
        details = _details(tools, settings, settings.config)
        if isinstance(details, Failure):
            return details
        return details_document(details) if settings.json else details_page(details)
    judgement = _observe(tools, clock, settings)
    if isinstance(judgement, Failure):
        return judgement
    return document(judgement) if settings.json else _page(judgement, clock, settings)


def _page(judgement: Judgement, clock: Clock, settings: ShowSettings) -> Iterator[RenderableType]:
    wanted = _wanted(settings)
    if nothing := wanted.unknown(judgement):
        raise _UnknownNamesError(_no_such(nothing))
    return page(judgement, clock.time(), wanted)


def _no_such(patterns: Iterable[str]) -> str:
    return f"no node, bundle or resource is called {' or '.join(map(repr, patterns))}"


def _wanted(settings: ShowSettings) -> Wanted:
    return Wanted(settings.names, everything=settings.all, problems_only=settings.problems)


def _check(tools: Tools, clock: Clock, settings: ShowSettings) -> int:
    judgement = _observe(tools, clock, settings)
    if isinstance(judgement, Failure):
        status, line = unknown(judgement.message)
    else:
        wanted = _wanted(settings)
        nothing = wanted.unknown(judgement)
        status, line = unknown(_no_such(nothing)) if nothing else check(judgement, wanted)
    _write(f"{line}\n")
    return status


def _watch(
    tools: Tools, clock: Clock, settings: ShowSettings, wait: Callable[[float], bool]
) -> int:
    """Print again and again, in place, until a signal asks to stop."""
    if sys.stdout is None or not sys.stdout.isatty():
        return _failed("--watch needs a terminal; in a script run show again and again")
    console = Console(highlight=False, markup=False, emoji=False)
    observer, judge_next = _observer(tools, clock, settings), Judge().judge
    with Live(console=console, screen=True, auto_refresh=False) as live, suppress(Stopped):
        while True:
            judgement = observer.observe(judge_next)
            if isinstance(judgement, Failure):
                shown: RenderableType = _text(judgement.message, _STYLES[Tone.FAILED])
            else:
                shown = Group(*_page(judgement, clock, settings))
            live.update(shown, refresh=True)
            if wait(settings.poll_interval):
                break
    return 0


def text_of(parts: Iterable[RenderableType], console: Console) -> str:
    """Return a page as text for a console, without trailing spaces.

    A part that does not fit without breaking words is wider than the console.
    """
    width, anything = console.width, console.options.update(max_width=UNLIMITED)
    with console.capture() as captured:
        for part in parts:
            console.width = max(width, console.measure(part, options=anything).minimum)
            console.print(part)
    console.width = width
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _console() -> Console:
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return Console(
        file=io.StringIO(),  # we write it: rich hides write errors
        force_terminal=terminal,
        # COLUMNS comes first, then the terminal.
        width=shutil.get_terminal_size(fallback=(UNLIMITED, 0)).columns,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _print(content: Mapping[str, Any] | Iterator[RenderableType]) -> None:
    if isinstance(content, Mapping):
        _write(json.dumps(content, indent=2) + "\n")
    else:
        _write(text_of(content, _console()))


def _write(text: str) -> None:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with suppress(BrokenPipeError):  # the reader, such as head, has enough
        write_out(text.encode(encoding, "backslashreplace"))


def _failed(message: str) -> int:
    """Print an error, and return the exit status."""
    _complain(message)
    return _EXIT_FAILURE


def _complain(message: str) -> None:
    sys.stderr.write(f"{PROGRAM} show: {printable(message)}\n")


# ---- Reading the cluster ----


def _observer(tools: Tools, clock: Clock, settings: ShowSettings) -> Observer:
    return Observer(SourceContext(tools, clock, settings.poll_timeout), REGISTRY, settings.origin)


def _observe(tools: Tools, clock: Clock, settings: ShowSettings) -> Judgement | Failure:
    """Poll the cluster once, as the exporter does.

    Raises:
        Stopped: a signal asked to stop.

    """
    observer = _observer(tools, clock, settings)
    judgement = observer.observe(judge)
    if not isinstance(judgement, Failure):
        for source in observer.sources:
            if source.failure and source.source == ConfigurationSource.name:
                _complain(source.failure.message)
    return judgement


def _details(tools: Tools, settings: ShowSettings, bundle: str) -> BundleDetails | Failure:
    timeout = min(SIDE_TIMEOUT, settings.poll_timeout)
    details = cib.read_bundle(cib.ask(tools.commands, tools.cibadmin, timeout), bundle)
    if isinstance(details, Failure) or settings.secrets:
        return details
    return without_secrets(details)


# ---- The state of the cluster ----


def page(
    judgement: Judgement,
    now: float,
    wanted: Wanted = Wanted(),  # noqa: B008 - it is immutable
    registry: Iterable[Registration] = REGISTRY,
) -> Iterator[RenderableType]:
    """Yield the parts of the page: the cluster, what is wrong, and what there is.

    Args:
        judgement: the observation to show, and what it means.
        now: seconds since the epoch, for ages.
        wanted: what to list.
        registry: the sources, for their tables.

    """
    observation = judgement.observation
    yield from _heading(observation, now)
    yield ""
    yield from _what_is_wrong(wanted.problems(judgement), of=" with these" * bool(wanted.patterns))
    if wanted.problems_only:
        return
    yield from _titled(wanted.rows(tables.nodes(judgement)))
    if members := corosync.members(observation):
        yield from _titled(wanted.rows(members))
    yield from _bundles(judgement, wanted)
    resources, devices = wanted.instances(judgement)
    yield from _titled(wanted.rows(tables.resources(resources, every_node=wanted.in_full)))
    if devices:
        yield Group("", _sentence(tables.fencing_devices(devices)).append(" (--all lists them)"))
    for _, table in tables.other_tables(judgement, now):
        yield from _titled(wanted.history(table))
    for registration in registry:
        for table in registration.tables(observation, now):
            yield from _titled(wanted.history(table))


def _heading(observation: Observation, now: float) -> Iterator[Text]:
    cluster = observation.snapshot.cluster
    if observation.origin is Origin.DEMO:
        yield Text("DEMONSTRATION: this is not a real cluster", _STYLES[Tone.TRANSITION])
    name = observation.configuration_or_empty.cluster_name
    title = _text(f"Cluster {name}" if name else "Cluster of unknown name", "bold")
    yield Text(", ").join([title, _text(tables.software(cluster))])
    yield _sentence(tables.summary(cluster))
    if about := corosync.summary(observation.corosync):
        yield _sentence(about)
    if cluster.last_change:
        # The time zone of a saved output is unknown.
        known = "" if observation.taken is None else when(cluster.last_change_time, now, " UTC")
        changed = known or cluster.last_change
        parts = filter(None, (changed, tables.author_of_last_change(cluster)))
        yield _text(f"Configuration changed {', '.join(parts)}", _FAINT)
    if observation.taken is None:
        yield Text("Read from a saved output of crm_mon: the CIB is unknown", _FAINT)
    else:
        here = f" by {observation.local_node}" if observation.local_node else ""
        yield _text(f"Seen{here} {when(observation.taken, now, ' UTC')}", _FAINT)


def _bundles(judgement: Judgement, wanted: Wanted) -> Iterator[RenderableType]:
    """Yield a table for each bundle that is not well, and a row for each that is."""
    in_full, in_short = wanted.bundles(judgement)
    for judged in in_full:
        yield ""
        yield from _bundle(judged)
    yield from _titled(wanted.rows(tables.bundles(in_short)))


def _bundle(judged: BundleJudgement) -> Iterator[RenderableType]:
    bundle = judged.bundle
    state = _sentence(tables.bundle_state(judged))
    yield Text(" ").join([_text(bundle.id, "bold"), state])
    yield _indented(Text(tables.bundle_kind(bundle), _FAINT, overflow="fold"))
    if replicas := tables.replicas(judged):
        yield _indented(_Listing(replicas))


_SEVERITIES = {
    Severity.CRITICAL: Tone.FAILED,
    Severity.WARNING: Tone.TRANSITION,
    Severity.INFO: Tone.FAINT,
}


def _what_is_wrong(found: Sequence[Problem], of: str) -> Iterator[RenderableType]:
    if not found:
        yield Text(f"Nothing is wrong{of}.", _STYLES[Tone.STARTED])
        return
    on_purpose = all(problem.severity is Severity.INFO for problem in found)
    yield Text("Worth a look" if on_purpose else "What is wrong", "bold")
    for case, commands in with_new_commands(cases(found)):
        severity = _text(f"{case.severity}:", _STYLES[_SEVERITIES[case.severity]])
        yield _indented(Text(" ", overflow="fold").join([severity, _text(case.sentence, "bold")]))
        for text in case.texts:
            yield _hanging("-", _text(text))
        for command in commands:
            mark = "  # changes the cluster" if changes_cluster(command) else ""
            yield _hanging("$", _text(command, "cyan") + _text(mark, _FAINT))


# ---- The configuration of a bundle ----


def details_page(details: BundleDetails) -> Iterator[RenderableType]:
    """Yield the parts of the page with a bundle's configuration."""
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
    """Return a paragraph after a mark, with a hanging indent."""
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text(mark, _FAINT), text)
    return Padding(grid, (0, 0, 0, indent))


def _section(title: str, table: RenderableType) -> Iterator[RenderableType]:
    yield Group("", Text(title, "bold"), _indented(table))


def _titled(table: Table | None) -> Iterator[RenderableType]:
    if table is not None:
        note = f" ({table.note})" if table.note else ""
        left_out = f": {table.left_out} (--all lists them)" if table.left_out else ""
        title = table.title + left_out + note
        if table.rows:
            yield from _section(title, _Listing(table))
        else:
            yield Group("", Text(title, "bold"))


@dataclass(frozen=True)
class _Listing:
    """A table whose columns share the room so that no word is broken."""

    table: Table

    @cached_property
    def _cells(self) -> list[list[Text]]:
        headers = [Text(header.upper()) for header in self.table.headers]
        return [headers, *([*map(_sentence, row)] for row in self.table.rows)]

    @cached_property
    def _widths(self) -> list[tuple[int, int]]:
        """The least width and the natural width of each column."""
        return [
            (
                # A time on two lines is hard to read, and so is a name.
                max(map(_width if header in _WHOLE else _longest_word, column)),
                max(map(_width, column)),
            )
            for header, column in zip(
                self.table.headers, zip(*self._cells, strict=True), strict=True
            )
        ]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        gaps = _GAP * len(self._widths)
        least, natural = (sum(widths) for widths in zip(*self._widths, strict=True))
        return Measurement(least + gaps, natural + gaps)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        grid = Grid(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style=_FAINT)
        heads, *rows = self._cells
        room = options.max_width - self.__rich_measure__(console, options).minimum
        for head, width in zip(heads, _shared(self._widths, room), strict=True):
            grid.add_column(head, overflow="fold", width=width)
        for row in rows:
            grid.add_row(*row)
        yield grid


_GAP = 2
"""Columns between the columns of a table."""
_WHOLE = tables.TIMES | tables.NAMES


def _width(text: Text) -> int:
    return cell_len(text.plain)


def _longest_word(text: Text) -> int:
    return max(map(cell_len, text.plain.split()), default=0)


def _shared(widths: Sequence[tuple[int, int]], room: int) -> list[int]:
    """Return the widths of columns that share the room beyond what they need at least."""
    found = [least for least, _ in widths]
    wishes = sorted(range(len(widths)), key=lambda place: widths[place][1] - widths[place][0])
    for left, place in zip(range(len(widths), 0, -1), wishes, strict=True):
        more = min(widths[place][1] - widths[place][0], max(room, 0) // left)
        found[place] += more
        room -= more
    return found
