"""The HTTP server: uvicorn, on sockets that are bound before anything else starts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
import ssl
from typing import TYPE_CHECKING, Any, Protocol, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exporter.logs import Repeated
from exporter.web.handshake import SEND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from exporter.clock import Clock
    from exporter.settings import ListenAddress
    from exporter.web.app import Message, Receive, Send

KEEP_ALIVE = 120
"""Seconds that an idle connection is kept: longer than scrape intervals are."""
LAST_RESPONSES = 0.3
"""Seconds that responses under way get when the exporter stops."""
BACKLOG = 128
TICK = 1.0
ACCEPTED_AT_ONCE = 1
"""asyncio (3.11) takes so many clients in a row. When descriptors have run out, each of them is a
line in its log and a timer that tries again."""

log = logging.getLogger(__name__)


class CannotListenError(Exception):
    """An address cannot be listened on; one line says which and why."""


def bind(addresses: Sequence[ListenAddress]) -> list[socket.socket]:
    """Bind every address, or none.

    Raises:
        CannotListenError: one of them is in use, unknown, or not allowed.

    """
    with contextlib.ExitStack() as opened:
        sockets = []
        for address in addresses:
            try:
                sockets.append(opened.enter_context(_bind(address)))
            except OSError as error:
                # socket.create_server adds the address to the text of its errors.
                resolver = isinstance(error, socket.gaierror)
                reason = error.strerror if resolver else os.strerror(error.errno or 0)
                raise CannotListenError(f"cannot listen on {address}: {reason}") from error
        for listening in sockets:
            # Or on a kept connection the body waits 40 ms for the client to acknowledge the head.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
    # A name may have both kinds of address: the older kind is the one that everybody reaches.
    family, *_, where = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return socket.create_server(where[:2], family=family, backlog=BACKLOG)


class Tls(Protocol):
    """How connections are encrypted, and who may come in."""

    @property
    def context(self) -> ssl.SSLContext:
        """Certificate, key, and what is asked of clients."""

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a client with this certificate, which was verified, may come in."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection, for clients that stall or send without end: those are cut off."""

    request_timeout = 10.0
    """Seconds that a client gets to send a request; before it, as many for the TLS handshake."""
    keep_alive = float(KEEP_ALIVE)
    """Seconds from a request to the end of its answer, and to the next."""
    request_limit = 64 * 1024
    """Bytes of a request, headers and body."""
    max_connections = 256
    """Connections at a time; fewer where descriptors are short, as polls need some, too."""

    since = 0.0
    """When the wait for the client began, on the loop's clock."""
    socket: asyncio.Transport | None = None
    """What carries TLS, if there is TLS."""
    outdated: Callable[[], bool] | None = None
    """Whether another configuration is in force than when the client came in."""

    _timer: asyncio.TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client, if need be in the place of another."""
        super().connection_made(transport)
        self._expect(self.request_timeout)
        make_room(self.connections, self.max_connections)

    def cut(self) -> None:
        """End the connection now.

        At the socket, as a TLS transport that was closed twice cannot be aborted (Python 3.11).
        """
        (self.socket or self.transport).abort()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if self.transport.is_closing():  # TLS passes on what came before it knew
            return
        self._received += len(data)
        if self._received > self.request_limit:
            self.cut()
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Expect the rest of a request."""
        super().on_message_begin()
        self._expect(self.request_timeout)

    def on_headers_complete(self) -> None:
        """Begin to answer; it is the last answer if new certificates are in force."""
        super().on_headers_complete()
        if self.outdated is not None and self.outdated():
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Have all of it; wait longer for the answer to be read, and for what comes next.

        uvicorn ends its own wait for the next request at any byte, a stray line end even.
        """
        super().on_message_complete()
        self._received = 0
        self._expect(self.keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        # None would have uvicorn close it once more: then a TLS transport (Python 3.11) fails when
        # an answer that is under way is written to it.
        super().connection_lost(exc or ConnectionResetError())
        self._unset_keepalive_if_required()
        self._unexpect()

    def _expect(self, seconds: float) -> None:
        """Arm the one timer that a connection has from its first moment to its last."""
        self._unexpect()
        self.since = self.loop.time()
        self._timer = self.loop.call_later(seconds, self.cut)

    def _unexpect(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Entrance(asyncio.Protocol):
    """Where a client is until its TLS handshake is done.

    asyncio's own servers keep one context for ever and tell nobody of those who wait, or why a
    handshake failed.
    """

    def __init__(
        self, connection: Connection, tls: Tls, current: Callable[[], Tls | None], warn: Repeated
    ) -> None:
        """Args: the connection behind it, what is in force now and later, where to tell of it."""
        self.transport: asyncio.Transport
        self.since = 0.0
        self._connection = connection
        self._tls = tls
        self._current = current
        self._warn = warn
        self._early = bytearray()
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the handshake."""
        self.transport = transport
        transport.pause_reading()
        connection = self._connection
        self.since = connection.loop.time()
        places = cast("set[Entrance | Connection]", connection.connections)
        places.add(self)
        make_room(places, connection.max_connections)
        self._handshake = connection.loop.create_task(self._shake_hands(places))

    def data_received(self, data: bytes) -> None:
        """Keep what comes between the handshake's end and the connection's begin."""
        self._early += data

    def cut(self) -> None:
        """End it now."""
        self.transport.abort()

    shutdown = cut

    async def _shake_hands(self, places: set[Entrance | Connection]) -> None:
        connection = self._connection
        SEND.set(self.transport.write)
        try:
            secured = await connection.loop.start_tls(
                self.transport,
                self,
                self._tls.context,
                server_side=True,
                ssl_handshake_timeout=connection.request_timeout,
                ssl_shutdown_timeout=connection.request_timeout,
            )
        except OSError as error:  # ssl's errors are among them
            self._failed(_reason(error))
            error.with_traceback(None)  # which leads back to the error, and holds large buffers
            return
        finally:
            places.discard(self)
        if secured is None or secured.is_closing():
            return
        if not self._tls.admits(secured.get_extra_info("peercert")):
            self._failed("no name of the certificate is among client_allowed_sans")
            self.cut()
            return
        connection.socket = self.transport
        current, tls = self._current, self._tls
        connection.outdated = lambda: current() is not tls
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if self._early:
            connection.data_received(bytes(self._early))
            self._early.clear()

    def _failed(self, reason: str) -> None:
        peer = self.transport.get_extra_info("peername")
        self._warn("TLS handshake failed", client=peer[0] if peer else "", reason=reason)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"client certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "protocol error").lower().replace("_", " ")
    if isinstance(error, ConnectionAbortedError):
        return "not done in time"
    return "ended by the client"


def make_room(places: set[Any], most: int) -> None:
    """Cut off whoever kept the exporter waiting for longest, until the others have room.

    Not the newcomer: those who stall would lock out those who do not.
    """
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    while len(places) > min(most, descriptors // 2):
        longest = min(places, key=lambda place: place.since)
        places.discard(longest)
        longest.cut()


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: those belong to the program."""

    def __init__(
        self,
        app: Callable[[Message, Receive, Send], Awaitable[None]],
        clock: Clock,
        connection: type[Connection] = Connection,
        tls: Callable[[], Tls | None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Args: the application, the clock, what treats a client, what encrypts, what else ends."""
        self._on_stop = on_stop
        self._stopping = asyncio.Event()
        self._warn = Repeated(log, logging.WARNING, clock)

        def accept(**parts: Any) -> Connection | Entrance:  # noqa: ANN401 - passed on
            behind, now = connection(**parts), tls()
            return behind if now is None else Entrance(behind, now, tls, self._warn)

        super().__init__(
            uvicorn.Config(
                app,
                # uvicorn asks no more of a class than to be called.
                http=cast("type[asyncio.Protocol]", accept),
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=ACCEPTED_AT_ONCE,
                timeout_keep_alive=KEEP_ALIVE,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, with room for those who wait."""
        asyncio.get_running_loop().set_exception_handler(self._tell)
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(BACKLOG)

    def _tell(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Tell what went wrong beside every task; that a client cannot be taken, now and then."""
        error = context.get("exception")
        if isinstance(error, OSError) and "socket" in context:
            self._warn("clients cannot be taken", reason=os.strerror(error.errno or 0))
        else:
            loop.default_exception_handler(context)

    @property
    def accepting(self) -> bool:
        """Whether every address is listened on."""
        return self.started and all(server.is_serving() for server in self.servers)

    async def main_loop(self) -> None:
        """Wake once a second, for the head's date: uvicorn itself does ten times."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK)

    async def stop(self) -> None:
        """Stop listening, let responses under way end, and cut what is left."""
        self.should_exit = True
        self._stopping.set()
        self._on_stop()
        await asyncio.sleep(LAST_RESPONSES)
        for connection in cast("list[Connection | Entrance]", list(self.server_state.connections)):
            connection.cut()
