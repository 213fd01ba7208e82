"""TLS handshakes that tell the client why they failed.

asyncio (at least 3.11) closes the connection without sending OpenSSL's alert, so that clients, such
as Prometheus, report only an end of file. A client that speaks plain HTTP would not understand an
alert; it gets the same answer as from Go's server.
"""

import ssl
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

PLAIN_HTTP_ANSWER = (
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)
SEND_RAW: ContextVar[Callable[[bytes], None]] = ContextVar("SEND_RAW")
"""Sends raw bytes to the client whose handshake the current task runs."""


class _Handshake(ssl.SSLObject):
    """The TLS state of one client."""

    outgoing: ssl.MemoryBIO
    send: Callable[[bytes], None]

    def do_handshake(self) -> None:
        """Continue the handshake; on failure, send the alert, or an HTTP error to an HTTP client.

        Raises:
            ssl.SSLError: the handshake failed, or needs more data from the client.

        """
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.send(PLAIN_HTTP_ANSWER if error.reason == "HTTP_REQUEST" else self.outgoing.read())
            raise


class Context(ssl.SSLContext):
    """An SSL context whose handshakes report their failure to the client."""

    sslobject_class = _Handshake

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        *arguments: Any,  # noqa: ANN401 - passed on
        **named: Any,  # noqa: ANN401 - same
    ) -> ssl.SSLObject:
        """Create a client's TLS state; asyncio calls this in the task that runs the handshake."""
        made = super().wrap_bio(incoming, outgoing, *arguments, **named)
        if isinstance(made, _Handshake):
            made.outgoing = outgoing
            made.send = SEND_RAW.get()
        return made
