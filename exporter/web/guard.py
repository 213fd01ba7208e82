"""What stands before the pages when there is a web configuration: the same for every page.

The order is that of Prometheus' own exporters: first the rate, then the headers, then the user.
"""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from exporter.clock import Clock
from exporter.logs import Repeated
from exporter.threads import own_thread
from exporter.web.app import Message, Receive, Response, Send, reply
from exporter.web.config import RateLimit, WebConfig
from exporter.web.users import Users, Verdict

_CHALLENGE = (("www-authenticate", 'Basic realm="exporter", charset="UTF-8"'),)
_REFUSALS = {
    Verdict.NOBODY: Response(HTTPStatus.UNAUTHORIZED, b"Unauthorized\n", headers=_CHALLENGE),
    Verdict.WRONG: Response(HTTPStatus.UNAUTHORIZED, b"Unauthorized\n", headers=_CHALLENGE),
    Verdict.BUSY: Response(
        HTTPStatus.SERVICE_UNAVAILABLE, b"Busy\n", headers=(("retry-after", "1"),)
    ),
}
_TOO_MANY = Response(HTTPStatus.TOO_MANY_REQUESTS, b"Too many requests\n")

log = logging.getLogger(__name__)


class Guard:
    """Lets requests through to an application as the configuration in force says (ASGI 3)."""

    def __init__(
        self,
        app: Callable[[Message, Receive, Send], Awaitable[None]],
        config: Callable[[], WebConfig],
        clock: Clock,
    ) -> None:
        """Args: what is guarded, the configuration in force, the clock."""
        self._app = app
        self._config = config
        self._clock = clock
        self._bucket = Bucket(config().rate_limit, clock)
        self._hashes = config().users
        self._thread = own_thread("bcrypt")
        self._users = Users(self._hashes, self._thread)
        self._warn = Repeated(log, logging.WARNING, clock)

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

        verdict = await self._check(config, scope, client)
        if verdict is Verdict.WELCOME:
            await self._app(scope, receive, send_with_headers)
        else:
            await reply(_REFUSALS[verdict], send_with_headers)

    def close(self) -> None:
        """Give up what is being checked, so that the requests end."""
        self._users.close()

    async def _check(self, config: WebConfig, scope: Message, client: str) -> Verdict:
        if config.users != self._hashes:
            self._hashes = config.users
            self._users = Users(self._hashes, self._thread)
        if not config.users:
            return Verdict.WELCOME
        found = [value for name, value in scope["headers"] if name == b"authorization"]
        given = found[0].decode("latin-1") if len(found) == 1 else ""
        verdict = await self._users.check(given, client)
        # Without the name: people type their password there, too.
        if verdict is Verdict.WRONG:
            self._warn("wrong user or password", client=client)
        elif verdict is Verdict.BUSY:
            self._warn("too many passwords to check", client=client)
        return verdict


class Bucket:
    """A token bucket, full at first."""

    def __init__(self, limit: RateLimit | None, clock: Clock) -> None:
        """Args: what it allows, or None for everything."""
        self.limit = limit
        self._clock = clock
        self._tokens = float(limit.burst) if limit else 0.0
        self._filled = clock.monotonic()

    def take(self) -> bool:
        """Take a token, if there is one."""
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
