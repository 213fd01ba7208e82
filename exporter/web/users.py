"""Who may come in: users whose passwords are kept as bcrypt hashes."""

import asyncio
import base64
import binascii
import collections
import enum
import hmac
import secrets
from collections.abc import Mapping
from concurrent.futures import Executor

import bcrypt

AT_A_TIME = 16
"""Checks that may wait for their turn; there is one at a time, as each keeps a core busy."""
PER_CLIENT = 4
"""Of these, from one address."""
_PASSWORD_BYTES = 72  # bcrypt looks at no more


class Verdict(enum.Enum):
    """What came of a check."""

    WELCOME = enum.auto()
    NOBODY = enum.auto()
    """No credentials."""
    WRONG = enum.auto()
    BUSY = enum.auto()
    """Too many are waiting to be checked."""


class Users:
    """Checks user and password.

    A right password is remembered, as it comes with every scrape: as its digest with a key that
    only this process knows. Wrong ones are not, so they cannot push anything out.
    """

    def __init__(self, hashes: Mapping[str, str], thread: Executor) -> None:
        """Args: bcrypt hashes by user; where they are checked, one at a time."""
        self._hashes = {user: value.encode() for user, value in hashes.items()}
        self._thread = thread
        self._key = secrets.token_bytes(32)
        self._right: dict[str, bytes] = {}
        self._checks: dict[bytes, asyncio.Future[bool]] = {}
        self._clients: collections.Counter[str] = collections.Counter()
        self._closed = False

    async def check(self, authorization: str, client: str) -> Verdict:
        """Check an Authorization header.

        Args:
            authorization: the header.
            client: the address that it came from.

        """
        credentials = _credentials(authorization)
        if credentials is None:
            return Verdict.NOBODY
        user, password = credentials
        digest = hmac.digest(self._key, f"{user}:".encode() + password, "sha256")
        if hmac.compare_digest(self._right.get(user, b""), digest):
            return Verdict.WELCOME
        check = self._checks.get(digest) or self._start(user, password, digest, client)
        if check is None:
            return Verdict.BUSY
        await asyncio.wait({check})
        if check.cancelled():
            return Verdict.BUSY
        if not check.result() or user not in self._hashes:
            return Verdict.WRONG
        self._right[user] = digest
        return Verdict.WELCOME

    def close(self) -> None:
        """Give up what is being checked, and check no more."""
        self._closed = True
        for check in self._checks.values():
            check.cancel()

    def _start(
        self, user: str, password: bytes, digest: bytes, client: str
    ) -> asyncio.Future[bool] | None:
        full = len(self._checks) >= AT_A_TIME or self._clients[client] >= PER_CLIENT
        if full or self._closed:
            return None
        stored = self._hashes.get(user) or self._decoy(user)
        check = asyncio.get_running_loop().run_in_executor(
            self._thread, bcrypt.checkpw, password[:_PASSWORD_BYTES], stored
        )
        self._checks[digest] = check
        self._clients[client] += 1

        def done(_check: asyncio.Future[bool]) -> None:
            del self._checks[digest]
            self._clients[client] -= 1
            self._clients += collections.Counter()  # drops what is at zero

        check.add_done_callback(done)
        return check

    def _decoy(self, user: str) -> bytes:
        """Return a hash that no password has, and that takes as long to check as somebody's.

        Always as long as the same one's, after a restart, too: nobody learns which users there are.
        """
        models = sorted(self._hashes.values())
        chosen = hmac.digest(b"".join(models), user.encode(), "sha256")
        model = models[int.from_bytes(chosen, "big") % len(models)]
        return model[:-31] + b"." * 31


def _credentials(authorization: str) -> tuple[str, bytes] | None:
    """Read user and password of RFC 7617, or return None."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None
