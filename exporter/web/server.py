"""The HTTP server: uvicorn on sockets that are bound before anything else starts."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any, Protocol, cast

import uvicorn

from exporter.runtime.logs import LimitedLog
from exporter.runtime.memory import release_free_memory
from exporter.web.address import ListenAddress
from exporter.web.connection import TLS_BUFFER, Connection, held, limit_connections
from exporter.web.handshake import SEND_RAW
from exporter.web.parts import App, yield_between_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exporter.runtime.clock import Clock

STOP_GRACE = 0.3
"""Seconds to let running responses finish when the exporter stops."""
BACKLOG = 128
SEND_BUFFER = 256 * 1024
"""SO_SNDBUF of each connection: bytes that the kernel buffers for a client, and about as much again
for its own bookkeeping. By default it would buffer up to 4 MiB per client."""
TICK_INTERVAL = 1.0
"""Seconds between updates of the Date header."""
CLIENT_OVERHEAD = 32 * 1024
"""Rough bytes per connection beside its buffers, to notice when many clients have left."""
RELEASE_THRESHOLD = 4 * 1024 * 1024
"""Return free memory to the system once clients hold this many bytes less than at the peak."""
ACCEPTS_PER_EVENT = 1
"""Connections that asyncio (3.11) accepts in a row. When file descriptors run out, each failed
attempt writes a log line and starts a retry timer."""

log = logging.getLogger(__name__)


_HINTS = {errno.EACCES: ": use a port above 1023, or let systemd listen (--web.systemd-socket)"}


class CannotListenError(Exception):
    """The exporter cannot listen on an address; the message says which one and why."""


def bind(addresses: Sequence[ListenAddress]) -> list[socket.socket]:
    """Bind all addresses, or none.

    Raises:
        CannotListenError: an address is in use, unknown, or not allowed.

    """
    with contextlib.ExitStack() as opened:
        sockets = []
        for address in addresses:
            try:
                sockets.append(opened.enter_context(_bind(address)))
            except OSError as error:
                # socket.create_server adds the address to its error texts.
                resolver = isinstance(error, socket.gaierror)
                reason = error.strerror if resolver else os.strerror(error.errno or 0)
                hint = _HINTS.get(error.errno or 0, "")
                raise CannotListenError(f"cannot listen on {address}: {reason}{hint}") from error
        for listening in sockets:
            prepare(listening)
        opened.pop_all()
        return sockets


def _bind(address: ListenAddress) -> socket.socket:
    if not address.host:
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", address.port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        return socket.create_server(("", address.port), backlog=BACKLOG)
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    # If a name has both IPv4 and IPv6 addresses, use IPv4, which every client can reach.
    family, *_, where = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return socket.create_server(where[:2], family=family, backlog=BACKLOG)


def prepare(listening: socket.socket) -> None:
    """Set the socket options that all connections inherit."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if listening.family != socket.AF_UNIX:
        # Without it, the body on a kept-alive connection waits 40 ms for the client's ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def name_of(listening: socket.socket) -> str:
    """Return a socket's address as flags and .socket units write it."""
    name = listening.getsockname()
    if listening.family != socket.AF_UNIX:
        return str(ListenAddress(*name[:2]))
    return "@" + name[1:].decode(errors="replace") if isinstance(name, bytes) else str(name)


class Tls(Protocol):
    """TLS settings: how to encrypt connections, and which clients to admit."""

    @property
    def context(self) -> ssl.SSLContext:
        """Certificate, key and the requirements for client certificates."""

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Return whether to admit a client with this verified certificate."""


class HandshakeProtocol(asyncio.Protocol):
    """A client's protocol until its TLS handshake is done.

    asyncio's own TLS servers cannot change the certificate, limit the number of waiting clients, or
    report why a handshake failed.
    """

    def __init__(
        self,
        connection: Connection,
        tls: Tls,
        current_tls: Callable[[], Tls | None],
        warn: LimitedLog,
    ) -> None:
        """Prepare a handshake.

        Args:
            connection: handles the client after the handshake.
            tls: the TLS settings for this client.
            current_tls: returns the settings in force, to notice later changes.
            warn: logs failures.

        """
        self.transport: asyncio.Transport
        self.since = 0.0
        self.page = b""
        self.held = TLS_BUFFER
        self.slow = True
        self._connection = connection
        self._tls = tls
        self._current_tls = current_tls
        self._warn = warn
        self._early = bytearray()
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the handshake."""
        self.transport = transport
        transport.pause_reading()
        connection = self._connection
        self.since = connection.loop.time()
        clients = cast("set[HandshakeProtocol | Connection]", connection.connections)
        clients.add(self)
        limit_connections(clients, connection.max_connections)
        self._handshake = connection.loop.create_task(self._do_handshake(clients))

    def data_received(self, data: bytes) -> None:
        """Keep data that arrives between the end of the handshake and the switch of protocols."""
        self._early += data

    def cut(self) -> None:
        """Abort the connection."""
        self.transport.abort()

    shutdown = cut

    async def _do_handshake(self, clients: set[HandshakeProtocol | Connection]) -> None:
        connection = self._connection
        SEND_RAW.set(self.transport.write)
        try:
            secured = await connection.loop.start_tls(
                self.transport,
                self,
                self._tls.context,
                server_side=True,
                ssl_handshake_timeout=connection.request_timeout,
                ssl_shutdown_timeout=connection.request_timeout,
            )
        except OSError as error:  # includes ssl.SSLError
            self._log_failure(_reason(error))
            error.with_traceback(None)  # breaks a cycle that keeps large buffers
            return
        finally:
            clients.discard(self)
        if secured is None or secured.is_closing():
            return
        if not self._tls.admits(secured.get_extra_info("peercert")):
            self._log_failure("the client certificate has none of the names in client_allowed_sans")
            self.cut()
            return
        connection.socket = self.transport
        current_tls, tls = self._current_tls, self._tls
        connection.outdated = lambda: current_tls() is not tls
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if self._early:
            connection.data_received(bytes(self._early))
            self._early.clear()

    def _log_failure(self, reason: str) -> None:
        peer = self.transport.get_extra_info("peername")
        self._warn("TLS handshake failed", client=peer[0] if peer else "", reason=reason)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"client certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "protocol error").lower().replace("_", " ")
    if isinstance(error, ConnectionAbortedError):
        return "timed out"
    return "the client closed the connection"


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers; the program handles signals."""

    def __init__(
        self,
        app: App,
        clock: Clock,
        connection: type[Connection] = Connection,
        tls: Callable[[], Tls | None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare a server.

        Args:
            app: the application.
            clock: limits how often the same event is logged.
            connection: handles each client.
            tls: returns the TLS settings in force, or None for plain HTTP.
            on_stop: called when the server stops.

        """
        self._on_stop = on_stop
        self._stopping = asyncio.Event()
        self._warn = LimitedLog(log, logging.WARNING, clock)
        self._peak_held = 0

        def accept(**parts: Any) -> Connection | HandshakeProtocol:  # noqa: ANN401 - passed on
            self._release_memory()
            client, current = connection(**parts), tls()
            return (
                client if current is None else HandshakeProtocol(client, current, tls, self._warn)
            )

        super().__init__(
            uvicorn.Config(
                yield_between_parts(app),
                # uvicorn only calls it, so that a function will do.
                http=cast("type[asyncio.Protocol]", accept),
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=ACCEPTS_PER_EVENT,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, with a queue for clients that are not accepted yet."""
        asyncio.get_running_loop().set_exception_handler(self._log_loop_error)
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(BACKLOG)

    def _log_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log errors outside of tasks; those that clients can cause are limited."""
        error = context.get("exception")
        transport = context.get("transport")
        peer = transport.get_extra_info("peername") if transport else None
        if isinstance(error, OSError) and "socket" in context:
            self._warn("cannot accept connections", reason=os.strerror(error.errno or 0))
        elif isinstance(error, MemoryError):
            self._warn("no memory left to answer clients", client=peer[0] if peer else "")
        else:
            loop.default_exception_handler({**context, **({"client": peer[0]} if peer else {})})

    @property
    def accepting(self) -> bool:
        """Whether the server accepts connections on every address."""
        return self.started and all(server.is_serving() for server in self.servers)

    async def main_loop(self) -> None:
        """Wake up once a second to update the Date header; uvicorn would do so ten times."""
        while not await self.on_tick(0):
            self._release_memory()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_INTERVAL)

    def _release_memory(self) -> None:
        """Return free memory to the system after clients that held much memory have left."""
        clients = cast("set[Any]", self.server_state.connections)
        now = held(clients) + len(clients) * CLIENT_OVERHEAD
        self._peak_held = max(self._peak_held, now)
        if self._peak_held - now >= RELEASE_THRESHOLD:
            release_free_memory()
            self._peak_held = now

    async def stop(self) -> None:
        """Stop listening, let running responses finish, and cut the other connections."""
        self.should_exit = True
        self._stopping.set()
        self._on_stop()
        await asyncio.sleep(STOP_GRACE)
        for connection in cast(
            "list[Connection | HandshakeProtocol]", list(self.server_state.connections)
        ):
            connection.cut()
