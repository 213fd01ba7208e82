"""The program: flags, signals and objects wired together."""

import asyncio
import logging
import os
import platform
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from exporter import __revision__, __version__, logs, settings
from exporter.clock import SystemClock
from exporter.command import Commands, SystemCommands
from exporter.demo import DemoCommands
from exporter.errors import Stopped
from exporter.exposition import EMPTY, Format, join, render
from exporter.families import EXPORTER
from exporter.metrics import Kind
from exporter.output import CannotWriteError, write_out
from exporter.poller import Poller, Site
from exporter.saved import SavedCommands
from exporter.settings import ListenAddress, Settings, ShowSettings
from exporter.state import Identity, View
from exporter.web.app import App
from exporter.web.server import CannotListenError, Server, bind

log = logging.getLogger("exporter")

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    chosen: Settings | ShowSettings
    try:
        shown = words[:1] == ["show"]
        chosen = settings.parse_show(words[1:]) if shown else settings.parse(words)
    except settings.UsageError as error:
        print(f"{settings.PROGRAM}: {error} (see --help)", file=sys.stderr)
        return EXIT_USAGE
    try:
        if isinstance(chosen, ShowSettings):
            return _show(chosen)
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
    _stop_on_signals(stop)
    return show.run(site, clock, chosen)


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
    _stop_on_signals(stop)
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
    if chosen.demo:
        log.warning("DEMONSTRATION: what is shown is not a real cluster")
    if chosen.once:
        return _once(poller, identity, clock)
    app = App(lambda: poller.state, identity, clock, chosen.web_telemetry_path, demo=chosen.demo)
    try:
        sockets = bind(chosen.web_listen_address)
    except CannotListenError as error:
        log.error("%s", error)  # noqa: TRY400 - one line is all there is to say
        return EXIT_FAILURE
    asyncio.run(_serve(Server(app), sockets, poller, stop))
    return 0


def _stop_on_signals(stop: threading.Event) -> None:
    for number in STOP_SIGNALS:
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
    server: Server, sockets: list[socket.socket], poller: Poller, stop: threading.Event
) -> None:
    """Serve and poll until a signal comes, or a bug ends one of the two."""
    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, asked_to_stop.set)
    for listening in sockets:
        address = ListenAddress(*listening.getsockname()[:2])
        log.info("listening", extra={"address": str(address)})
    serving = asyncio.create_task(server.serve(sockets))
    polling = asyncio.create_task(asyncio.to_thread(poller.run, stop.wait))
    stopping = asyncio.create_task(asked_to_stop.wait())
    await asyncio.wait({serving, polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    stop.set()
    await server.stop()
    await asyncio.gather(serving, polling)


if __name__ == "__main__":
    sys.exit(main())
