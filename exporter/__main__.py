"""The program: flags, signals and objects wired together."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import platform
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter import __revision__, __version__, logs, settings
from exporter.clock import SystemClock
from exporter.command import Commands, SystemCommands
from exporter.demo import DemoCommands
from exporter.errors import Stopped, WebConfigError
from exporter.exposition import EMPTY, Format, join, render
from exporter.families import EXPORTER
from exporter.metrics import Kind
from exporter.output import CannotWriteError, write_out
from exporter.poller import Poller, Site
from exporter.saved import SavedCommands
from exporter.settings import CheckSettings, ListenAddress, Settings, ShowSettings
from exporter.state import Identity, View
from exporter.threads import NoThreadError, own_thread
from exporter.watchdog import Watchdog
from exporter.web.app import App
from exporter.web.server import CannotListenError, Server, bind
from exporter.web.status_page import Surroundings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from exporter.web.reload import WebFiles

log = logging.getLogger("exporter")

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    chosen: Settings | ShowSettings | CheckSettings
    subcommand = settings.SUBCOMMANDS.get(words[0]) if words else None
    try:
        chosen = subcommand(words[1:]) if subcommand else settings.parse(words)
    except settings.UsageError as error:
        what = f"{words[0]} --help" if subcommand else "--help"
        print(f"{settings.PROGRAM}: {error} (see {what})", file=sys.stderr)
        return EXIT_USAGE
    try:
        if isinstance(chosen, ShowSettings):
            return _show(chosen)
        if isinstance(chosen, CheckSettings):
            return _check(chosen)
        logs.configure(chosen.log_level, chosen.log_format)
        return _export(chosen)
    except KeyboardInterrupt:  # before there is anything to stop
        return EXIT_FAILURE
    except Exception:
        # Not to go on, but to leave it where people look for what happened, in one line.
        log.critical("a bug in the exporter: please report it", exc_info=True)
        return EXIT_BUG


def _show(chosen: ShowSettings) -> int:
    """Print the cluster as the exporter understands it."""
    from exporter import show  # noqa: PLC0415 - what it needs would cost the exporter memory

    stop, clock = threading.Event(), SystemClock()
    try:
        site = _site(chosen, clock, stop)
    except OSError as error:
        print(f"{settings.PROGRAM} show: {_unreadable(chosen, error)}", file=sys.stderr)
        return EXIT_FAILURE
    _stop_on_signals(stop, *STOP_SIGNALS, signal.SIGHUP)
    return show.run(site, clock, chosen)


def _check(chosen: CheckSettings) -> int:
    """Try a web configuration, and say in a line what it amounts to."""
    from exporter.web import reload  # noqa: PLC0415 - what it needs would cost the exporter memory

    try:
        access = reload.read(Path(chosen.file))
        facts = ", ".join(f"{name} {value}" for name, value in reload.describe(access).items())
        notes = "".join(f"; {note}" for note in access.notes)
        write_out(f"{chosen.file}: good: {facts.replace('_', ' ')}{notes}\n".encode())
    except (WebConfigError, CannotWriteError, BrokenPipeError) as error:
        print(f"{settings.PROGRAM}: {error}", file=sys.stderr)
        return EXIT_FAILURE
    return 0


def _export(chosen: Settings) -> int:
    """Poll and serve, or poll once."""
    stop, clock = threading.Event(), SystemClock()
    identity = Identity(
        version=__version__,
        revision=__revision__,
        python_version=platform.python_version(),
        poll_interval=chosen.poll_interval,
        max_age=chosen.poll_max_age,
    )
    try:
        site = _site(chosen, clock, stop)
    except OSError as error:
        log.error("%s", _unreadable(chosen, error))  # noqa: TRY400 - one line
        return EXIT_FAILURE
    _stop_on_signals(stop, *STOP_SIGNALS, *([signal.SIGHUP] if chosen.once else []))
    poller = Poller(
        site,
        clock,
        interval=chosen.poll_interval,
        timeout=chosen.poll_timeout,
        selection=chosen.selection,
    )
    if chosen.poll_max_age < max(chosen.poll_interval, chosen.poll_timeout) + chosen.poll_timeout:
        log.warning(
            "with this --poll.max-age data is withdrawn when crm_mon takes nearly --poll.timeout:"
            " the next answer may come twice as late"
        )
    let_scrapes_through()
    if chosen.demo:
        log.warning("DEMONSTRATION: what is shown is not a real cluster")
    if chosen.once:
        return _once(poller, identity, clock)
    # Until the server takes it. Not ignored, as the commands would then ignore it as well.
    signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        web, thread = _web(chosen, poller, identity, clock), own_thread("poller")
    except (CannotListenError, NoThreadError, WebConfigError) as error:
        log.error("%s", error)  # noqa: TRY400 - one line is all there is to say
        return EXIT_FAILURE
    watchdog = Watchdog(chosen.poll_interval + chosen.poll_timeout, clock)
    asyncio.run(_serve(web, poller, thread, watchdog, stop))
    return 0


@dataclass(frozen=True, slots=True)
class _Web:
    """What serves the pages, where, and the web configuration if there is one."""

    server: Server
    sockets: list[socket.socket]
    files: WebFiles | None


def _web(chosen: Settings, poller: Poller, identity: Identity, clock: SystemClock) -> _Web:
    """Return what serves the pages.

    Raises:
        CannotListenError: an address cannot be listened on.
        NoThreadError: the process table is full.
        WebConfigError: the web configuration cannot be used.

    """
    surroundings = Surroundings(
        chosen.web_telemetry_path, chosen.web_runbooks_url, demo=chosen.demo
    )
    app = App(lambda: poller.state, identity, clock, surroundings)
    if not chosen.web_config_file:
        return _Web(Server(app, clock), bind(chosen.web_listen_address), None)
    # What they need would cost the exporter memory.
    from exporter.web.guard import Guard  # noqa: PLC0415
    from exporter.web.reload import WebFiles  # noqa: PLC0415

    files = WebFiles(Path(chosen.web_config_file))
    guard = Guard(app, lambda: files.access.config, clock)
    server = Server(guard, clock, tls=lambda: files.access.tls, on_stop=guard.close)
    return _Web(server, bind(chosen.web_listen_address), files)


def let_scrapes_through() -> None:
    """Keep polls, which read and render for up to half a second, from holding up the server.

    Python's threads hand over every 5 ms, some times in each scrape. And what a poll makes is free
    of cycles: it is to start fewer searches for them, which stop all threads.
    """
    sys.setswitchinterval(0.00005)
    gc.freeze()
    gc.set_threshold(10_000)


def _stop_on_signals(stop: threading.Event, *numbers: signal.Signals) -> None:
    for number in numbers:
        signal.signal(number, lambda *_: stop.set())
    # Inherited as ignored, it would have the kernel reap our commands.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _unreadable(chosen: Settings | ShowSettings, error: OSError) -> str:
    return f"cannot read {chosen.from_file}: {error.strerror}"


def _site(chosen: Settings | ShowSettings, clock: SystemClock, stop: threading.Event) -> Site:
    """Return whom to ask.

    Raises:
        OSError: the saved output cannot be read.

    """
    return Site(
        commands=_commands(chosen, clock, stop),
        host_name=socket.gethostname(),
        crm_mon=chosen.crm_mon_path,
        cibadmin=chosen.cibadmin_path,
        crm_node=chosen.crm_node_path,
    )


def _commands(
    chosen: Settings | ShowSettings, clock: SystemClock, stop: threading.Event
) -> Commands:
    """Return what answers: a demonstration, a saved output, or this machine.

    Raises:
        OSError: the saved output cannot be read.

    """
    if chosen.demo:
        # Who looks now and then is to see more than the beginning.
        into = clock.time() if isinstance(chosen, ShowSettings) else 0
        return DemoCommands(clock, into)
    if chosen.from_file == "-":
        return SavedCommands(sys.stdin.buffer.read())
    if chosen.from_file:
        return SavedCommands(Path(chosen.from_file).read_bytes())
    return SystemCommands(os.environ, stop, chosen.command_prefix)


def _once(poller: Poller, identity: Identity, clock: SystemClock) -> int:
    """Print what a scrape would show, but for counters: each run would start them anew."""
    try:
        error = poller.poll()
    except Stopped:
        return EXIT_FAILURE
    view = View.at(poller.state, identity, clock.monotonic())
    page = view.sighting.page if view.sighting else EMPTY
    blocks = (*page.blocks, *render(EXPORTER, view))
    gauges = (block for block in blocks if block.kind is Kind.GAUGE)
    try:
        write_out(join(gauges, Format.TEXT))
    except (CannotWriteError, BrokenPipeError) as failure:
        log.error("%s", failure)  # noqa: TRY400 - one line is all there is to say
        return EXIT_FAILURE
    return EXIT_FAILURE if error else 0


async def _serve(
    web: _Web, poller: Poller, thread: Executor, watchdog: Watchdog, stop: threading.Event
) -> None:
    """Serve and poll until a signal comes, or a bug ends one of the two."""
    server, files = web.server, web.files
    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, asked_to_stop.set)
    loop.add_signal_handler(signal.SIGHUP, files.ask if files else _nothing_to_read)
    for listening in web.sockets:
        address = ListenAddress(*listening.getsockname()[:2])
        log.info("listening", extra={"address": str(address)})
    serving = asyncio.create_task(server.serve(web.sockets))
    polling = loop.run_in_executor(thread, poller.run, stop.wait)
    stopping = asyncio.create_task(asked_to_stop.wait())
    feeding = asyncio.create_task(
        watchdog.feed(lambda: server.accepting, lambda: poller.state, asked_to_stop)
    )
    tasks: set[asyncio.Future[Any]] = {serving, polling, stopping, feeding}
    if files:
        tasks.add(asyncio.create_task(files.watch(asked_to_stop)))
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    stop.set()
    asked_to_stop.set()
    await server.stop()
    await asyncio.gather(*tasks)


def _nothing_to_read() -> None:
    log.info("SIGHUP: there is no file to read again")


if __name__ == "__main__":
    sys.exit(main())
