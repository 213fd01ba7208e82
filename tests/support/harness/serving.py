"""The exporter's HTTP server in this process."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from exporter.web.address import ListenAddress
from exporter.web.server import Server, bind


@contextlib.contextmanager
def serving(server: Server) -> Iterator[int]:
    """Run a server in a thread, on a free port of loopback; give the port."""
    sockets = bind([ListenAddress("127.0.0.1", 0)])
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets)))
    thread.start()
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
