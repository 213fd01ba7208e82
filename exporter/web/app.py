"""The pages and what answers them, as an ASGI application."""

import html
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from exporter.clock import Clock
from exporter.process import ProcessMetrics
from exporter.state import Identity, State, View
from exporter.web.metrics_page import MetricsPage
from exporter.web.negotiation import accepts_gzip, choose_format

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ALLOWED = "GET, HEAD, OPTIONS"
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


class App:
    """Answers from memory: no request starts a command, or waits for one."""

    def __init__(
        self,
        state: Callable[[], State],
        identity: Identity,
        clock: Clock,
        telemetry_path: str,
        *,
        demo: bool,
    ) -> None:
        """Args: the poller's state, what does not change, the clock, where the metrics are."""
        self._state = state
        self._identity = identity
        self._clock = clock
        self._telemetry_path = telemetry_path
        self._demo = demo
        self._metrics_page = MetricsPage(ProcessMetrics())
        self._pages: dict[str, Callable[[Request], Response]] = {
            "/": self._landing,
            "/-/healthy": self._healthy,
            "/-/ready": self._ready,
            telemetry_path: self._metrics,
        }

    async def __call__(self, scope: Message, _receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        response = self._respond(scope)
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
        await send({"type": "http.response.body", "body": response.body})

    def _respond(self, scope: Message) -> Response:
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
        return page(
            Request(
                scope["query_string"].decode("latin-1"),
                headers["accept"],
                headers["accept-encoding"],
            )
        )

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

    def _landing(self, _request: Request) -> Response:
        now = self._clock.monotonic()
        view = View.at(self._state(), self._identity, now)
        outcome = view.state.last_outcome
        seen = "none"
        if view.state.sighting is not None:
            age = f"{now - view.state.sighting.monotonic:.0f} s old"
            seen = age if view.fresh else f"{age}: too old, its metrics are withdrawn"
        banner = "<p><strong>DEMONSTRATION: this is not a real cluster.</strong></p>\n"
        body = f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Pacemaker bundle exporter</title></head>
<body>
<h1>Pacemaker bundle exporter</h1>
{banner if self._demo else ""}<p>Version {html.escape(self._identity.version)}</p>
<ul>
<li>Last poll of crm_mon: {outcome.value if outcome else "none has ended yet"}</li>
<li>Data: {seen}</li>
<li>Trusted (quorum, and a DC elected): {"yes" if view.trusted else "no"}</li>
</ul>
<ul>
<li><a href="{html.escape(self._telemetry_path)}">Metrics</a></li>
<li><a href="/-/healthy">Health</a></li>
<li><a href="/-/ready">Readiness</a></li>
</ul>
</body>
</html>
"""
        policy = ("content-security-policy", "default-src 'none'")
        return Response(HTTPStatus.OK, body.encode(), "text/html; charset=utf-8", (policy,))

    def _healthy(self, _request: Request) -> Response:
        return Response(HTTPStatus.OK, b"Healthy\n")

    def _ready(self, _request: Request) -> Response:
        if self._state().last_outcome is None:
            return Response(HTTPStatus.SERVICE_UNAVAILABLE, b"The first poll has not ended yet\n")
        return Response(HTTPStatus.OK, b"Ready\n")
