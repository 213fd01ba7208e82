"""One client's connection: checks requests and limits what a client may cost.

httptools parses the headers. This module also rejects requests that httptools accepts and Go's
server does not, so that the exporter answers like other Prometheus exporters (SECURITY.md lists the
differences).
"""

from __future__ import annotations

import contextlib
import re
import resource
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Mapping


WRITE_BUFFER_LIMIT = 64 * 1024
"""Bytes buffered for a client before the next part of the page waits. For TLS the
default is 512 KiB."""
JOIN_LIMIT = 64 * 1024
"""Bodies up to this many bytes are joined with the head: copying is cheaper than a system call."""
TLS_BUFFER = 512 * 1024
"""Maximum bytes that asyncio and OpenSSL buffer for each TLS client, to read and to write."""
LINGER = 0.5
"""Seconds to wait before closing a connection on which more data may arrive. Closing it with unread
data makes the kernel send a reset, which may cost the client the answer."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_REQUEST_LINE = re.compile(rb"(%b+) ([!-~\x80-\xff]+) HTTP/(\d\.\d)\r\n" % _TOKEN)
_NOT_A_REQUEST = re.compile(rb"\A(?!%b)|(?<!\r)\n" % _TOKEN)
"""Matches the beginning of data that cannot become a request."""
_BAD_ESCAPE = re.compile(rb"[^?]*%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(rb"[!$%&()*+,.:;='\[\]_~0-9A-Za-z-]*")
_LARGEST_LENGTH = 2**63 - 1
_CHECKED = frozenset({b"host", b"expect", b"content-length", b"transfer-encoding"})
_VERSIONS = frozenset({b"1.0", b"1.1"})
_HEAD_END = b"\r\n\r\n"


class Refusal(Exception):  # noqa: N818 - an answer, not an error of the exporter
    """A request that is answered with an error before it reaches the application."""

    def __init__(self, status: HTTPStatus, why: str = "") -> None:
        """Answer with this status, and the reason if there is more to say."""
        super().__init__(status, why)
        self.status = status
        self.text = f"{status} {status.phrase}" + (f": {why}" if why else "")


class Connection(HttpToolsProtocol):
    """uvicorn's connection, but with one request at a time, and cutting off clients that stall."""

    request_timeout = 10.0
    """Seconds a client may take to send a request; also for the TLS handshake before it."""
    keep_alive = 120.0
    """Seconds from a request until its answer is read and the next request begins."""
    request_limit = 64 * 1024
    """Maximum bytes of a request's head."""
    max_connections = 256
    """Maximum connections; at most half of the file descriptors, because polls need some too."""
    max_held = 64 * 1024 * 1024
    """Maximum bytes buffered for all clients. Above it, clients that do not read are cut off."""

    since = 0.0
    """Since when the exporter waits for this client, on the loop's clock."""
    page = b""
    """The page being sent in parts. Several clients may share it."""
    socket: asyncio.Transport | None = None
    """The TCP transport below TLS; None without TLS."""
    outdated: Callable[[], bool] | None = None
    """Returns whether the TLS settings changed since the client connected."""

    _timer: asyncio.TimerHandle | None = None
    _discarding = False
    """Whether all further input is discarded."""
    _half_closed = False
    """Whether the client closed its sending side and waits for answers."""
    _request_timed = False
    """Whether the timeout for receiving a request is running."""
    _has_body = False
    _head: bytes | memoryview | None = b""
    """The head of the current answer: None until it is written, empty once it is sent."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - passed on
        """Pass all arguments on to uvicorn."""
        super().__init__(*arguments, **named)
        self._unread = bytearray()

    @property
    def held(self) -> int:
        """Bytes buffered for this client alone."""
        tls = TLS_BUFFER + self.socket.get_write_buffer_size() if self.socket else 0
        return len(self._unread) + self.transport.get_write_buffer_size() + tls

    @property
    def slow(self) -> bool:
        """Whether the client has not read everything yet."""
        return bool(self.page) or self.transport.get_write_buffer_size() > 0

    # ---- Called by the transport ----

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a client; cut off another one if there are too many."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(WRITE_BUFFER_LIMIT)
        self._start_timer(self.request_timeout, self.cut)
        limit_connections(self.connections, self.max_connections)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request, or several requests."""
        if self._discarding or self.transport.is_closing():  # TLS delivers data after the close
            return
        known = len(self._unread)
        self._unread += data
        if self._answering:
            self.flow.pause_reading()
        else:
            self._next_request(known)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own type
        """Close the connection, or let the current answer finish first.

        A client that disconnected looks the same as one that only closed its sending side. If the
        answer has not started, the application is woken: it receives the end of the request once
        more.
        """
        if not self._answering:
            return False
        self._half_closed = self.transport.can_write_eof()
        if not self._half_closed:  # TLS closes both directions; asyncio logs later writes
            self.cycle.disconnected = True
            self.flow.resume_writing()
        if not self.cycle.response_started:
            self.cycle.message_event.set()
        return self._half_closed

    def pause_writing(self) -> None:
        """Stop writing until the client has read, and keep to the memory limit."""
        super().pause_writing()
        limit_held(cast("set[Any]", self.connections), self.max_held)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything kept for the client."""
        # With None, uvicorn closes the transport again. After that a TLS transport (Python 3.11)
        # fails when a running answer is written to it.
        super().connection_lost(exc or ConnectionResetError())
        self._unset_keepalive_if_required()
        self._stop_timer()
        self._unread.clear()
        self.page = b""
        if self.cycle is not None:  # breaks a reference cycle
            self.cycle.transport = self.transport

    def cut(self) -> None:
        """Abort the connection.

        This aborts the TCP transport, because a TLS transport that was closed twice cannot be
        aborted (Python 3.11).
        """
        (self.socket or self.transport).abort()

    # ---- Requests ----

    @property
    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _next_request(self, known: int = 0) -> None:
        """Handle the next request if its head is complete.

        Requests are handled one at a time: a queued request costs a hundred times what the client
        paid for it.

        Args:
            known: number of bytes that were searched before.

        """
        try:
            head = self._next_head(known)
            if head:
                self._start_answer(head)
        except Refusal as refusal:
            self._refuse(refusal)

    def _next_head(self, known: int) -> bytes:
        """Return the head of the next request, or nothing while it is incomplete.

        Raises:
            Refusal: it is too large, or cannot become a request.

        """
        unread = self._unread
        end = unread.find(_HEAD_END, max(0, known - len(_HEAD_END) + 1))
        if (len(unread) if end < 0 else end) > self.request_limit:
            raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if end >= 0:
            head = bytes(unread[: end + len(_HEAD_END)])
            del unread[: len(head)]
            self._request_timed = False
            self._start_timer(self.keep_alive, self.cut)
            return head
        if self._half_closed:
            self.transport.close()
        elif unread:
            if _NOT_A_REQUEST.search(unread, max(0, known - 1)):
                raise Refusal(HTTPStatus.BAD_REQUEST)
            if not self._request_timed:
                self._request_timed = True
                self._start_timer(self.request_timeout, self.cut)
        return b""

    def _start_answer(self, head: bytes) -> None:
        """Parse the head and start the answer.

        Raises:
            Refusal: the request is invalid.

        """
        line = _REQUEST_LINE.match(head)
        if line is None:
            raise Refusal(HTTPStatus.BAD_REQUEST)
        method, target, version = line.groups()
        if version not in _VERSIONS:
            raise Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "unsupported protocol version")
        if b"%" in target and _BAD_ESCAPE.match(target):
            raise Refusal(HTTPStatus.BAD_REQUEST)
        if target == b"*" and method != b"OPTIONS":
            raise Refusal(HTTPStatus.BAD_REQUEST)
        try:
            self.parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # ignore the request to upgrade
        except httptools.HttpParserInvalidMethodError:
            raise Refusal(HTTPStatus.NOT_IMPLEMENTED, "unknown method") from None
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, Refusal):  # raised by on_headers_complete
                raise error.__context__ from None
            raise Refusal(HTTPStatus.BAD_REQUEST) from None
        if self._has_body:
            # No page reads a body, so its end need not be found: discard all further input.
            self._discarding = True
            self._unread.clear()
            self.flow.pause_reading()

    def on_headers_complete(self) -> None:
        """Start the answer. It is the connection's last one if the TLS settings changed."""
        self._check()
        super().on_headers_complete()
        self._head = None
        self.cycle.transport = cast("asyncio.Transport", self)
        if self.outdated is not None and self.outdated():
            self.cycle.keep_alive = False

    def _check(self) -> None:
        """Reject headers that httptools accepts and Go's server does not.

        Raises:
            Refusal: the request is invalid.

        """
        found: dict[bytes, list[bytes]] = {}
        for name, value in self.headers:
            if name in _CHECKED:
                found.setdefault(name, []).append(value)
        hosts = found.get(b"host", [])
        if len(hosts) != 1:
            if hosts:
                raise Refusal(HTTPStatus.BAD_REQUEST, "too many Host headers")
            if self.parser.get_http_version() != "1.0":
                raise Refusal(HTTPStatus.BAD_REQUEST, "missing required Host header")
        elif not _HOST.fullmatch(hosts[0].strip()):
            raise Refusal(HTTPStatus.BAD_REQUEST, "malformed Host header")
        if len(found) - bool(hosts):
            self._check_body(found)
        else:
            self._has_body = False

    def _check_body(self, found: Mapping[bytes, list[bytes]]) -> None:
        codings = found.get(b"transfer-encoding", [])
        if codings and [coding.lower() for coding in codings] != [b"chunked"]:
            raise Refusal(HTTPStatus.NOT_IMPLEMENTED, "unsupported transfer encoding")
        (length,) = found.get(b"content-length", [b"0"])
        if int(length) > _LARGEST_LENGTH:
            raise Refusal(HTTPStatus.BAD_REQUEST, "bad Content-Length")
        (expected, *_) = found.get(b"expect", [b""])
        if expected and b"100-continue" not in expected.lower():
            raise Refusal(HTTPStatus.EXPECTATION_FAILED)
        self._has_body = bool(codings or int(length))

    # ---- Answers ----

    def write(self, data: bytes | memoryview) -> None:
        """Send a piece of an answer: first the head, then parts of the page.

        A small page is sent together with the head, in one system call and one packet.
        """
        if self._head is None:
            self._head = data
            return
        if isinstance(data, memoryview):
            self.page = cast("bytes", data.obj)
        if self._head and len(data) <= JOIN_LIMIT:
            # Not writelines: in some versions of Python 3.12 and 3.13 it never calls pause_writing.
            data = b"".join((self._head, data))
            self._head = b""
        self._flush()
        self.transport.write(data)

    def close(self) -> None:
        """Close the connection after an answer, as uvicorn closes a transport."""
        self._flush()
        if not self._discarding:  # on_response_complete closes it otherwise
            self.transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is closing, as a transport would."""
        return self.transport.is_closing()

    def _flush(self) -> None:
        """Send the head if it is still waiting for a body."""
        if self._head:
            self.transport.write(self._head)
        self._head = b""

    def on_response_complete(self) -> None:
        """Continue with input that arrived during the answer."""
        self._flush()
        self.page = b""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()  # uvicorn's timer; this class has its own
        if self._discarding:
            self._close_gently()
        elif self._unread or self._half_closed:
            self._next_request()

    def _refuse(self, refusal: Refusal) -> None:
        body = refusal.text.encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[refusal.status] + lines + b"\r\n" + body)
        self._close_gently()

    def _close_gently(self) -> None:
        """Close the connection once the client can have read the last answer."""
        self._discarding = True
        self._unread.clear()
        if not self.transport.can_write_eof():
            self._close()  # TLS waits for the client's close_notify
            return
        self.flow.pause_reading()
        with contextlib.suppress(OSError):  # the client has reset the connection meanwhile
            self.transport.write_eof()
        self._start_timer(LINGER, self._close)

    def _close(self) -> None:
        self.transport.close()
        self._start_timer(self.keep_alive, self.cut)

    # ---- Time ----

    def _start_timer(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        """Restart the connection's only timer: call `on_timeout` after these seconds."""
        self._stop_timer()
        self.since = self.loop.time()
        self._timer = self.loop.call_later(seconds, on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def limit_connections(clients: set[Any], limit: int) -> None:
    """Cut off the clients that stalled longest until there are at most `limit`.

    Newcomers are accepted, because otherwise stalling clients could lock out all others.
    """
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    while len(clients) > min(limit, descriptors // 2):
        longest = min(clients, key=lambda client: client.since)
        clients.discard(longest)
        longest.cut()


def held(clients: Collection[Any]) -> int:
    """Return the bytes buffered for clients; a page that several clients share counts once."""
    pages = {id(client.page): len(client.page) for client in clients}
    return sum(pages.values(), 0) + sum(int(client.held) for client in clients)


def limit_held(clients: set[Any], limit: int) -> None:
    """Cut off the clients that stopped reading first until at most `limit` bytes are buffered."""
    while held(clients) > limit:
        slow = [client for client in clients if client.slow]
        if len(slow) < 2:  # noqa: PLR2004 - always serve one, however large its page
            return
        longest = min(slow, key=lambda client: client.since)
        clients.discard(longest)
        longest.cut()
