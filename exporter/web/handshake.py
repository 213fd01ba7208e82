"""TLS handshakes that tell the client why they fail.

asyncio (3.11 at least) ends the connection without sending the alert that OpenSSL wrote, so that
clients know of an end of file only, and Prometheus shows no more than that.
"""

import ssl
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

SEND: ContextVar[Callable[[bytes], None]] = ContextVar("SEND")
"""Sends to the client whose handshake the current task begins."""


class _Handshake(ssl.SSLObject):
    """One client's side of TLS, in memory."""

    outgoing: ssl.MemoryBIO
    send: Callable[[bytes], None]

    def do_handshake(self) -> None:
        """Go on with the handshake; send the alert if it fails.

        Raises:
            ssl.SSLError: it failed, or waits for the client.

        """
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            self.send(self.outgoing.read())
            raise


class Context(ssl.SSLContext):
    """What a server's connections share."""

    sslobject_class = _Handshake

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        *arguments: Any,  # noqa: ANN401 - passed on
        **named: Any,  # noqa: ANN401 - same
    ) -> ssl.SSLObject:
        """Begin a client's side; asyncio calls it in the task that begins the handshake."""
        made = super().wrap_bio(incoming, outgoing, *arguments, **named)
        if isinstance(made, _Handshake):
            made.outgoing = outgoing
            made.send = SEND.get()
        return made
