"""The HTTP server: uvicorn, on sockets that are bound before anything else starts."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator, Sequence

import uvicorn

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


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: those belong to the program."""

    def __init__(self, app: App) -> None:
        """Args: the ASGI application."""
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
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
