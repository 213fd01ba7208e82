"""Applies the web configuration to every request before the application sees it.

The order is that of other Prometheus exporters: rate limit, headers, user.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus

from exporter.runtime.clock import Clock
from exporter.runtime.logs import LimitedLog
from exporter.runtime.threads import own_thread
from exporter.web.access.config import RateLimit, WebConfig
from exporter.web.access.users import Users, Verdict, read_credentials
from exporter.web.app import Message, Receive, Response, Send, reply
from exporter.web.parts import App

_CHALLENGE = (("www-authenticate", 'Basic realm="exporter", charset="UTF-8"'),)
_BUSY = Response(HTTPStatus.SERVICE_UNAVAILABLE, b"Busy\n", headers=(("retry-after", "1"),))
_REFUSALS = {
    Verdict.NO_CREDENTIALS: Response(
        HTTPStatus.UNAUTHORIZED, b"Unauthorized\n", headers=_CHALLENGE
    ),
    Verdict.WRONG: Response(HTTPStatus.UNAUTHORIZED, b"Unauthorized\n", headers=_CHALLENGE),
    Verdict.BUSY: _BUSY,
    Verdict.GONE: _BUSY,  # nobody reads it
}
_TOO_MANY = Response(HTTPStatus.TOO_MANY_REQUESTS, b"Too many requests\n")

log = logging.getLogger(__name__)


class Guard:
    """ASGI 3 middleware that applies the web configuration in force."""

    def __init__(
        self,
        app: App,
        config: Callable[[], WebConfig],
        clock: Clock,
    ) -> None:
        """Guard an application.

        Args:
            app: the application.
            config: returns the configuration in force.
            clock: refills the rate limit.

        """
        self._app = app
        self._config = config
        self._clock = clock
        self._bucket = Bucket(config().rate_limit, clock)
        self._hashes: Mapping[str, str] = config().users
        self._users = Users(self._hashes, own_thread("bcrypt"))
        self._warn = LimitedLog(log, logging.WARNING, clock)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        config = self._config()
        client = scope["client"][0] if scope.get("client") else ""
        if self._bucket.limit != config.rate_limit:
            self._bucket = Bucket(config.rate_limit, self._clock)
        if not self._bucket.take():
            self._warn("more requests than rate_limit allows", client=client)
            await reply(_TOO_MANY, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in config.headers]
                message["headers"] += [header for header in more if header[0] not in own]
            await send(message)

        verdict = await self._check(config, scope, receive, client)
        if verdict is Verdict.ADMITTED:
            await self._app(scope, receive, send_with_headers)
        else:
            await reply(_REFUSALS[verdict], send_with_headers)

    def close(self) -> None:
        """Stop checking passwords, so that waiting requests end."""
        self._users.close()

    async def _check(
        self, config: WebConfig, scope: Message, receive: Receive, client: str
    ) -> Verdict:
        if config.users != self._hashes:
            self._hashes = config.users
            self._users.change(self._hashes)
        if not config.users:
            return Verdict.ADMITTED
        found = [value for name, value in scope["headers"] if name == b"authorization"]
        credentials = read_credentials(found[0].decode("latin-1")) if len(found) == 1 else None
        if credentials is None:
            return Verdict.NO_CREDENTIALS
        if self._users.remembers(credentials, client):
            return Verdict.ADMITTED
        checking = asyncio.ensure_future(self._users.check(credentials, client))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({checking, leaving}, return_when=asyncio.FIRST_COMPLETED)
            verdict = checking.result() if checking.done() else Verdict.GONE
        finally:
            checking.cancel()
            leaving.cancel()
        # Do not log the user name: people type their password there by mistake.
        if verdict is Verdict.WRONG:
            self._warn("wrong user or password", client=client)
        elif verdict is Verdict.BUSY:
            self._warn("too many passwords to check", client=client)
        return verdict


async def _disconnected(receive: Receive) -> None:
    """Return when the client has closed the connection, or only its sending side."""
    ends = 0
    while ends < 2:  # noqa: PLR2004 - the second end of a request means that the client closed its side
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        ends += not message.get("more_body")


class Bucket:
    """A token bucket that starts full."""

    def __init__(self, limit: RateLimit | None, clock: Clock) -> None:
        """Apply this limit; None allows everything."""
        self.limit = limit
        self._clock = clock
        self._tokens = float(limit.burst) if limit else 0.0
        self._filled = clock.monotonic()

    def take(self) -> bool:
        """Take a token and return whether there was one."""
        if self.limit is None:
            return True
        now = self._clock.monotonic()
        gained = (now - self._filled) / self.limit.interval
        self._tokens = min(float(self.limit.burst), self._tokens + gained)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
