"""The pages as an ASGI application."""

import difflib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from exporter.metrics.exporter import Identity
from exporter.metrics.families import EVERY_FAMILY
from exporter.metrics.process import ProcessMetrics
from exporter.polling.registry import REGISTRY, Registration
from exporter.polling.state import State
from exporter.runtime.clock import Clock
from exporter.web import status_page
from exporter.web.metrics_page import MetricsPage
from exporter.web.negotiation import accepts_gzip, choose_format
from exporter.web.status_page import Inputs, PageOptions, StatusPage

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ALLOWED = "GET, HEAD, OPTIONS"
PART = 256 * 1024
"""Bytes of a page per send. A smaller page that waits for a client is a copy of its own. A larger
page is sent as views of it."""
SELECTION = "name[]"
"""The parameter of the page of metrics: a family to include."""
_LONGEST_NAME = 80
"""Characters of an unknown name that an answer repeats."""
_PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request that the pages use."""

    query: str
    accept: str
    accept_encoding: str


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

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
    rest: bytes | memoryview = response.body
    if len(rest) > PART:
        rest = memoryview(rest)
    while len(rest) > PART:
        await send({"type": "http.response.body", "body": rest[:PART], "more_body": True})
        rest = rest[PART:]
    await send({"type": "http.response.body", "body": rest})


_NO_MEMORY = Response(HTTPStatus.SERVICE_UNAVAILABLE, b"Not enough memory\n")


class App:
    """Serves the pages from memory: no request runs a command or waits for one."""

    def __init__(
        self,
        state: Callable[[], State],
        identity: Identity,
        clock: Clock,
        options: PageOptions,
        registry: Iterable[Registration] = REGISTRY,
    ) -> None:
        """Args: a function for the state, constant facts, the clock, page options, the sources."""
        self._state = state
        self._identity = identity
        self._clock = clock
        self._metrics_page = MetricsPage(ProcessMetrics(), identity)
        registered = tuple(registry)
        self._names = {family.name for family in EVERY_FAMILY} | {
            family.name for registration in registered for family in registration.families
        }
        self._status_page = StatusPage(options, registered)
        self._pages: dict[str, Callable[[Request], Response | Awaitable[Response]]] = {
            "/": self._status,
            "/status.json": self._status_json,
            "/-/healthy": self._healthy,
            "/-/ready": self._ready,
            options.telemetry_path: self._metrics,
        }

    async def __call__(self, scope: Message, _receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        try:
            response = await self._respond(scope)
        except MemoryError:
            response = _NO_MEMORY
        await reply(response, send)

    async def _respond(self, scope: Message) -> Response:
        page = self._pages.get(scope["path"])
        if page is None:
            if scope["path"] == "*":  # which comes with OPTIONS only
                return Response(HTTPStatus.OK, headers=(("allow", ALLOWED),))
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
        state = self._state().at(now, self._identity.max_age)
        form = choose_format(request.accept)
        compress = accepts_gzip(request.accept_encoding)
        query = parse_qs(request.query, keep_blank_values=True)
        names = frozenset(query.get(SELECTION, ()))
        if mistake := self._mistake(query.keys(), names):
            return Response(HTTPStatus.BAD_REQUEST, f"{mistake}\n".encode())
        if names:
            body = self._metrics_page.named(state, form, names, compress=compress)
        else:
            body = self._metrics_page.whole(state, now, form, compress=compress)
        encoding = (("content-encoding", "gzip"),) if compress else ()
        vary = ("vary", "Accept, Accept-Encoding")
        return Response(HTTPStatus.OK, body, form.value, (vary, *encoding))

    def _mistake(self, parameters: Iterable[str], names: frozenset[str]) -> str:
        """Say what a request for metrics gets wrong; empty if nothing.

        An unknown name is a mistake only if there is no other: exporters of a fleet may differ in
        version.
        """
        for parameter in sorted(parameters):
            if parameter != SELECTION:
                return (
                    f"unknown parameter {parameter[:_LONGEST_NAME]!r}:"
                    f" {SELECTION}=NAME, which may be repeated, selects metrics"
                )
        if not names or any(map(self._is_declared, names)):
            return ""
        name = min(names)[:_LONGEST_NAME]
        near = difflib.get_close_matches(name, sorted(self._names), n=3)
        meant = (
            f"did you mean {', '.join(near)}?" if near else "without parameters this page has all"
        )
        return f"no metric is called {name!r}: {meant}"

    def _is_declared(self, name: str) -> bool:
        """Whether a metric has this name, in either format, with or without samples now."""
        # prometheus_client declares those of the process.
        return bool({name, f"{name}_total"} & self._names) or name.startswith(
            ("process_", "python_")
        )

    def _inputs(self) -> Inputs:
        now = self._clock.monotonic()
        return Inputs(self._state(), self._identity, self._clock.time(), now)

    async def _status(self, request: Request) -> Response:
        refreshing = "off" not in parse_qs(request.query).get("refresh", ())
        page = await self._status_page.html(self._inputs, refreshing=refreshing)
        compress = accepts_gzip(request.accept_encoding)
        body = page.compressed if compress else page.plain
        encoding = (("content-encoding", "gzip"),) if compress else ()
        headers = (*status_page.HEADERS, *encoding)
        return Response(HTTPStatus.OK, body, "text/html; charset=utf-8", headers)

    async def _status_json(self, request: Request) -> Response:
        found = await self._status_page.json(self._inputs)
        if found is None:
            return Response(HTTPStatus.SERVICE_UNAVAILABLE, b"No data: the page / says why\n")
        compress = accepts_gzip(request.accept_encoding)
        body = found.compressed if compress else found.plain
        encoding = (("content-encoding", "gzip"),) if compress else ()
        headers = (("cache-control", "no-store"), ("vary", "Accept-Encoding"), *encoding)
        return Response(HTTPStatus.OK, body, "application/json", headers)

    def _healthy(self, _request: Request) -> Response:
        return Response(HTTPStatus.OK, b"Healthy\n")

    def _ready(self, _request: Request) -> Response:
        if self._state().last_outcome is None:
            return Response(HTTPStatus.SERVICE_UNAVAILABLE, b"The first poll has not ended yet\n")
        return Response(HTTPStatus.OK, b"Ready\n")
