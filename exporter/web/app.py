"""The pages and what answers them, as an ASGI application."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from exporter.clock import Clock
from exporter.process import ProcessMetrics
from exporter.state import Identity, State, View
from exporter.web import status_page
from exporter.web.metrics_page import MetricsPage
from exporter.web.negotiation import accepts_gzip, choose_format
from exporter.web.status_page import Moment, StatusPage, Surroundings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ALLOWED = "GET, HEAD, OPTIONS"
PART = 256 * 1024
"""Bytes that are sent at once: what waits for a client is a copy of its own."""
_PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What the pages look at of a request."""

    query: str
    accept: str
    accept_encoding: str


@dataclass(frozen=True, slots=True)
class Response:
    """What is sent."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = _PLAIN
    headers: tuple[tuple[str, str], ...] = ()


async def reply(response: Response, send: Send) -> None:
    """Send a response."""
    headers = [
        ("content-type", response.content_type),
        ("content-length", str(len(response.body))),
        ("x-content-type-options", "nosniff"),
        *response.headers,
    ]
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.encode(), value.encode()) for name, value in headers],
        }
    )
    body = response.body
    for begin in range(0, max(1, len(body)), PART):
        end = begin + PART
        part = {"type": "http.response.body", "body": body[begin:end], "more_body": end < len(body)}
        await send(part)


class App:
    """Answers from memory: no request starts a command, or waits for one."""

    def __init__(
        self,
        state: Callable[[], State],
        identity: Identity,
        clock: Clock,
        surroundings: Surroundings,
    ) -> None:
        """Args: the poller's state, what does not change, the clock, what pages link to."""
        self._state = state
        self._identity = identity
        self._clock = clock
        self._metrics_page = MetricsPage(ProcessMetrics())
        self._status_page = StatusPage(surroundings)
        self._pages: dict[str, Callable[[Request], Response | Awaitable[Response]]] = {
            "/": self._status,
            "/-/healthy": self._healthy,
            "/-/ready": self._ready,
            surroundings.telemetry_path: self._metrics,
        }

    async def __call__(self, scope: Message, _receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        await reply(await self._respond(scope), send)

    async def _respond(self, scope: Message) -> Response:
        page = self._pages.get(scope["path"])
        if page is None:
            return Response(HTTPStatus.NOT_FOUND, b"Not found\n")
        if scope["method"] == "OPTIONS":
            return Response(HTTPStatus.OK, headers=(("allow", ALLOWED),))
        if scope["method"] not in {"GET", "HEAD"}:
            allow = (("allow", ALLOWED),)
            return Response(HTTPStatus.METHOD_NOT_ALLOWED, b"Method not allowed\n", headers=allow)
        headers = {"accept": "", "accept-encoding": ""}
        for name, value in scope["headers"]:
            key = name.decode("latin-1")
            if key in headers:
                headers[key] += "," + value.decode("latin-1")
        found = page(
            Request(
                scope["query_string"].decode("latin-1"),
                headers["accept"],
                headers["accept-encoding"],
            )
        )
        return found if isinstance(found, Response) else await found

    def _metrics(self, request: Request) -> Response:
        now = self._clock.monotonic()
        view = View.at(self._state(), self._identity, now)
        form = choose_format(request.accept)
        compress = accepts_gzip(request.accept_encoding)
        names = frozenset(parse_qs(request.query).get("name[]", ()))
        if names:
            body = self._metrics_page.named(view, form, names, compress=compress)
        else:
            body = self._metrics_page.whole(view, now, form, compress=compress)
        encoding = (("content-encoding", "gzip"),) if compress else ()
        vary = ("vary", "Accept, Accept-Encoding")
        return Response(HTTPStatus.OK, body, form.value, (vary, *encoding))

    def _look(self) -> Moment:
        now = self._clock.monotonic()
        return Moment(View.at(self._state(), self._identity, now), self._clock.time(), now)

    async def _status(self, request: Request) -> Response:
        refreshing = "off" not in parse_qs(request.query).get("refresh", ())
        page = await self._status_page.html(self._look, refreshing=refreshing)
        compress = accepts_gzip(request.accept_encoding)
        body = page.compressed if compress else page.plain
        encoding = (("content-encoding", "gzip"),) if compress else ()
        headers = (*status_page.HEADERS, *encoding)
        return Response(HTTPStatus.OK, body, "text/html; charset=utf-8", headers)

    def _healthy(self, _request: Request) -> Response:
        return Response(HTTPStatus.OK, b"Healthy\n")

    def _ready(self, _request: Request) -> Response:
        if self._state().last_outcome is None:
            return Response(HTTPStatus.SERVICE_UNAVAILABLE, b"The first poll has not ended yet\n")
        return Response(HTTPStatus.OK, b"Ready\n")
