"""The HTTP server: uvicorn, on sockets that are bound before anything else starts."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exporter.settings import ListenAddress
from exporter.web.app import App

KEEP_ALIVE = 120
"""Seconds that an idle connection is kept: longer than scrape intervals are."""
LAST_RESPONSES = 0.3
"""Seconds that responses under way get when the exporter stops."""
BACKLOG = 128


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


class Connection(HttpToolsProtocol):
    """uvicorn's connection, for clients that stall or send without end: those are cut off."""

    request_timeout = 10.0
    """Seconds that a client gets to send a request."""
    keep_alive = float(KEEP_ALIVE)
    """Seconds from a request to the end of its answer, and to the next."""
    request_limit = 64 * 1024
    """Bytes of a request, headers and body."""
    max_connections = 256
    """Connections at a time; fewer where descriptors are short, as polls need some, too."""

    _timer: asyncio.TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client, if there is room."""
        super().connection_made(transport)
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if len(self.connections) > min(self.max_connections, descriptors // 2):
            transport.abort()
        else:
            self._expect(self.request_timeout)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        self._received += len(data)
        if self._received > self.request_limit:
            self.transport.abort()
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Expect the rest of a request."""
        super().on_message_begin()
        self._expect(self.request_timeout)

    def on_message_complete(self) -> None:
        """Have all of it; wait longer for the answer to be read, and for what comes next.

        uvicorn ends its own wait for the next request at any byte, a stray line end even.
        """
        super().on_message_complete()
        self._received = 0
        self._expect(self.keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        super().connection_lost(exc)
        self._unexpect()

    def _expect(self, seconds: float) -> None:
        """Arm the one timer that a connection has from its first moment to its last."""
        self._unexpect()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _unexpect(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: those belong to the program."""

    def __init__(self, app: App, connection: type[Connection] = Connection) -> None:
        """Args: the ASGI application, and what treats a client."""
        super().__init__(
            uvicorn.Config(
                app,
                http=connection,
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def stop(self) -> None:
        """Stop listening, let responses under way end, and cut what is left."""
        self.should_exit = True
        await asyncio.sleep(LAST_RESPONSES)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
