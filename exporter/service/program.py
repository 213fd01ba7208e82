"""The main program: reads the flags, sets up the objects, handles signals, and serves."""

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

from exporter import __revision__, __version__
from exporter.cli import flags
from exporter.cli.flags import CheckSettings, CommandSettings, Settings, ShowSettings
from exporter.cli.output import CannotWriteError, write_out
from exporter.cluster.observation import Origin
from exporter.cluster.outcome import Stopped, WebConfigError, out_of_memory
from exporter.corosync.reader import ReaderCommands
from exporter.metrics.declaration import Kind
from exporter.metrics.exporter import EXPORTER, Identity
from exporter.metrics.text import Format, join, render
from exporter.pacemaker.demo import DemoCommands
from exporter.pacemaker.orphans import Orphans
from exporter.pacemaker.runner import Commands, SystemCommands
from exporter.pacemaker.saved import SavedCommands
from exporter.polling.poller import Poller
from exporter.report.check import unknown
from exporter.runtime import logs
from exporter.runtime.clock import SystemClock
from exporter.runtime.memory import use_one_arena
from exporter.runtime.threads import NoThreadError, Relay
from exporter.sbd.files import SbdFiles
from exporter.service.watchdog import Watchdog
from exporter.sources.tools import SourceContext, Tools
from exporter.web import activation
from exporter.web.app import App
from exporter.web.server import CannotListenError, Server, bind, name_of
from exporter.web.status_page import PageOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.web.access.reload import WebFiles

log = logging.getLogger("exporter")

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    settings: Settings | ShowSettings | CheckSettings
    subcommand = flags.SUBCOMMANDS.get(words[0]) if words else None
    try:
        settings = subcommand(words[1:]) if subcommand else flags.parse(words)
    except flags.UsageError as error:
        if subcommand and "--check" in words:
            # A plugin says everything on standard output.
            status, line = unknown(str(error))
            print(line)
            return status
        what = f"{words[0]} --help" if subcommand else "--help"
        print(f"{flags.PROGRAM}: {error} (see {what})", file=sys.stderr)
        return EXIT_USAGE
    try:
        return _run(settings)
    except KeyboardInterrupt:  # Ctrl+C during start
        return EXIT_FAILURE
    except MemoryError:
        pass  # leaving this block frees memory
    except Exception:
        # Do not continue: only log the bug as one line in the usual place.
        log.critical("this is a bug in the exporter; please report it", exc_info=True)
        return EXIT_BUG
    log.critical("%s", out_of_memory("continue").message)
    return EXIT_FAILURE


def _run(settings: Settings | ShowSettings | CheckSettings) -> int:
    if isinstance(settings, ShowSettings):
        return _show(settings)
    if isinstance(settings, CheckSettings):
        return _check(settings)
    logs.configure(settings.log_level, settings.log_format, SystemClock())
    sys.unraisablehook = logs.ignore_lack_of_memory
    return _export(settings)


def _show(settings: ShowSettings) -> int:
    """Run `show`: print the cluster as the exporter understands it."""
    from exporter.cli import show  # noqa: PLC0415 - saves the exporter the memory of rich

    logs.silence()
    stop, clock = threading.Event(), SystemClock()
    try:
        tools = _tools(settings, clock, stop)
    except OSError as error:
        print(f"{flags.PROGRAM} show: {_read_error(settings, error)}", file=sys.stderr)
        return EXIT_FAILURE
    _stop_on_signals(stop, *STOP_SIGNALS, signal.SIGHUP)
    return show.run(tools, clock, settings, stop.wait)


def _check(settings: CheckSettings) -> int:
    """Run `check-web-config`: load a web configuration and print a one-line summary."""
    from exporter.web.access import reload  # noqa: PLC0415 - loads PyYAML and bcrypt

    try:
        access = reload.read(Path(settings.file))
        facts = ", ".join(f"{name} {value}" for name, value in reload.describe(access).items())
        notes = "".join(f"; {note}" for note in access.notes)
        write_out(f"{settings.file}: valid: {facts.replace('_', ' ')}{notes}\n".encode())
    except (WebConfigError, CannotWriteError, BrokenPipeError) as error:
        print(f"{flags.PROGRAM}: {error}", file=sys.stderr)
        return EXIT_FAILURE
    return 0


def _export(settings: Settings) -> int:
    """Run the exporter: poll and serve, or poll once."""
    descriptors = activation.passed(os.environ)
    stop, clock = threading.Event(), SystemClock()
    identity = Identity(
        version=__version__,
        revision=__revision__,
        python_version=platform.python_version(),
        poll_interval=settings.poll_interval,
        max_age=settings.poll_max_age,
    )
    try:
        tools = _tools(settings, clock, stop)
    except OSError as error:
        log.error("%s", _read_error(settings, error))  # noqa: TRY400 - one line
        return EXIT_FAILURE
    _stop_on_signals(stop, *STOP_SIGNALS, *([signal.SIGHUP] if settings.once else []))
    context = SourceContext(tools, clock, settings.poll_timeout, settings.selection)
    poller = Poller(context, settings.poll_interval, origin=settings.origin)
    if (
        settings.poll_max_age
        < max(settings.poll_interval, settings.poll_timeout) + settings.poll_timeout
    ):
        log.warning(
            "--poll.max-age is short: metrics disappear when crm_mon takes nearly --poll.timeout;"
            " set it to at least --poll.timeout plus the larger of the timeout and --poll.interval"
        )
    favour_scrapes()
    use_one_arena()
    if settings.demo:
        log.warning("DEMONSTRATION: this is not a real cluster")
    if settings.once:
        return _once(poller, identity, clock)
    # Until the event loop handles it. Not SIG_IGN, which commands would inherit.
    signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        web = _web(settings, poller, identity, clock, descriptors)
        relay = Relay(lambda: poller.run(stop.wait))
    except (CannotListenError, NoThreadError, WebConfigError) as error:
        log.error("%s", error)  # noqa: TRY400 - one line
        return EXIT_FAILURE
    watchdog = Watchdog(settings.poll_interval + settings.poll_timeout, clock)
    asyncio.run(_serve(web, poller, relay, watchdog, stop))
    return 0


@dataclass(frozen=True, slots=True)
class _Web:
    """The HTTP server, its sockets, and the files of the web configuration if there is one."""

    server: Server
    sockets: list[socket.socket]
    files: WebFiles | None


def _web(
    settings: Settings,
    poller: Poller,
    identity: Identity,
    clock: SystemClock,
    descriptors: dict[int, str],
) -> _Web:
    """Return the server and its sockets: bound to the listen addresses, or passed by systemd.

    Raises:
        CannotListenError: an address or a socket cannot be listened on.
        NoThreadError: a thread cannot be started.
        WebConfigError: the web configuration is invalid.

    """
    options = PageOptions(
        settings.web_telemetry_path,
        settings.web_runbooks_url,
        settings.web_node_url,
        demo=bool(settings.demo),
    )
    app = App(lambda: poller.state, identity, clock, options)
    if not settings.web_config_file:
        return _Web(Server(app, clock), _sockets(settings, descriptors), None)
    # Import these only if needed: PyYAML and bcrypt take memory.
    from exporter.web.access.guard import Guard  # noqa: PLC0415
    from exporter.web.access.reload import WebFiles  # noqa: PLC0415

    files = WebFiles(Path(settings.web_config_file))
    guard = Guard(app, lambda: files.access.config, clock)
    server = Server(guard, clock, tls=lambda: files.access.tls, on_stop=guard.close)
    return _Web(server, _sockets(settings, descriptors), files)


def _sockets(settings: Settings, descriptors: dict[int, str]) -> list[socket.socket]:
    """Return the sockets to listen on.

    Raises:
        CannotListenError: an address or a socket cannot be listened on.

    """
    if settings.web_systemd_socket:
        return activation.sockets(descriptors)
    try:
        return bind(settings.web_listen_address)
    except CannotListenError as error:
        if descriptors:
            hint = "systemd passed sockets: --web.systemd-socket listens on them"
            raise CannotListenError(f"{error}; {hint}") from error
        raise


def favour_scrapes() -> None:
    """Keep polls, which parse and render for up to half a second, from delaying scrapes.

    Python switches threads every 5 ms by default, and a scrape needs several switches. Polls create
    no reference cycles, so fewer garbage collections, which stop all threads, are enough.
    """
    sys.setswitchinterval(0.00005)
    gc.freeze()
    gc.set_threshold(10_000)


def _stop_on_signals(stop: threading.Event, *numbers: signal.Signals) -> None:
    for number in numbers:
        signal.signal(number, lambda *_: stop.set())
    # The process and its commands inherit ignored and blocked signals from the parent. With SIGCHLD
    # ignored the kernel would reap commands; with SIGTERM blocked nothing could stop us. subprocess
    # restores SIGPIPE and SIGXFSZ itself.
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _read_error(settings: CommandSettings, error: OSError) -> str:
    return f"cannot read {settings.from_file}: {error.strerror}"


def _tools(settings: CommandSettings, clock: SystemClock, stop: threading.Event) -> Tools:
    """Return the commands and their paths.

    Raises:
        OSError: the saved output cannot be read.

    """
    return Tools(
        commands=_commands(settings, clock, stop),
        host_name=socket.gethostname(),
        crm_mon=settings.crm_mon_path,
        cibadmin=settings.cibadmin_path,
        crm_node=settings.crm_node_path,
        corosync_cmapctl=settings.corosync_cmapctl_path,
        corosync_quorumtool=settings.corosync_quorumtool_path,
        corosync=ReaderCommands(settings.corosync_socket, stop)
        if settings.corosync_socket
        else None,
        sbd_files=_sbd_files(settings),
    )


def _sbd_files(settings: CommandSettings) -> SbdFiles | None:
    """Return the files of SBD; None if the commands do not run on this machine, or may not."""
    here = settings.origin is Origin.CLUSTER and not settings.command_prefix
    return SbdFiles() if here else None


def _commands(settings: CommandSettings, clock: SystemClock, stop: threading.Event) -> Commands:
    """Return the runner of commands: the demonstration, saved output, or this machine.

    Raises:
        OSError: the saved output cannot be read.

    """
    if settings.demo:
        # `show` starts in the middle, so that repeated runs show different scenes.
        offset = clock.time() if isinstance(settings, ShowSettings) else 0
        return DemoCommands(clock, offset, settings.demo)
    if settings.from_file == "-":
        return SavedCommands(sys.stdin.buffer.read())
    if settings.from_file:
        return SavedCommands(Path(settings.from_file).read_bytes())
    orphans = None if settings.command_prefix else Orphans()
    return SystemCommands(os.environ, stop, settings.command_prefix, orphans=orphans)


def _once(poller: Poller, identity: Identity, clock: SystemClock) -> int:
    """Print the gauges of one poll. Counters are left out, because each run would start at zero."""
    try:
        error = poller.poll()
    except Stopped:
        return EXIT_FAILURE
    state = poller.state.at(clock.monotonic(), identity.max_age)
    blocks = (*state.page.blocks, *state.corosync_blocks, *render(EXPORTER, state.status(identity)))
    gauges = (block for block in blocks if block.kind is Kind.GAUGE)
    try:
        write_out(join(gauges, Format.TEXT))
    except (CannotWriteError, BrokenPipeError) as failure:
        log.error("%s", failure)  # noqa: TRY400 - one line
        return EXIT_FAILURE
    return EXIT_FAILURE if error else 0


async def _serve(
    web: _Web, poller: Poller, relay: Relay, watchdog: Watchdog, stop: threading.Event
) -> None:
    """Serve and poll until a signal arrives, or until a bug ends one of the tasks."""
    server, files = web.server, web.files
    loop = asyncio.get_running_loop()
    stop_requested = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop_requested.set)
    loop.add_signal_handler(
        signal.SIGHUP, files.request_reload if files else _log_nothing_to_reload
    )
    for listening in web.sockets:
        log.info("listening", extra={"address": name_of(listening)})
    serving = asyncio.create_task(server.serve(web.sockets))
    polling = asyncio.wrap_future(relay.run())
    stopping = asyncio.create_task(stop_requested.wait())
    feeding = asyncio.create_task(
        watchdog.feed(lambda: server.accepting, lambda: poller.state, stop_requested)
    )
    tasks: set[asyncio.Future[Any]] = {serving, polling, stopping, feeding}
    if files:
        tasks.add(asyncio.create_task(files.watch(stop_requested)))
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    stop.set()
    stop_requested.set()
    await server.stop()
    await asyncio.gather(*tasks)


def _log_nothing_to_reload() -> None:
    log.info("SIGHUP ignored: there is no web configuration to reload")
