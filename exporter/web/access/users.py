"""Checks users and passwords against bcrypt hashes."""

import asyncio
import base64
import binascii
import enum
import hmac
import secrets
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

import bcrypt

from exporter.web.access.turns import Guess, Recurring, Turns, network_of

MAX_WAITING = 256
"""Maximum different credentials waiting for a check; as many as there may be connections."""
MAX_KNOWN_NETWORKS = 1024
"""Maximum remembered networks from which somebody logged in."""
MAX_OWED_ROUNDS = 32
"""Maximum rounds still to run for clients that left before their answer."""
_PASSWORD_BYTES = 72  # bcrypt ignores the rest


class Verdict(enum.Enum):
    """The result of a check."""

    ADMITTED = enum.auto()
    NO_CREDENTIALS = enum.auto()
    """The request has no valid credentials."""
    WRONG = enum.auto()
    BUSY = enum.auto()
    """Not checked: too many clients are waiting, or the exporter stops."""
    GONE = enum.auto()
    """The client left before the answer."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The user name and password that a client sends."""

    user: str
    password: bytes = field(repr=False)


def read_credentials(authorization: str) -> Credentials | None:
    """Parse an Authorization header of scheme Basic (RFC 7617); return None if it is invalid."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return Credentials(user.decode(), password[:_PASSWORD_BYTES]) if colon else None
    except (binascii.Error, ValueError):
        return None


class Users:
    """Checks users and passwords.

    Right passwords are remembered, because they come with every scrape. Only a digest of password
    and hash is kept, made with a key that only this process knows. It is valid until the user's
    hash changes.

    All other passwords are checked in rounds, by one thread. A round has one check for each user
    and one spare check. At its end, one waiting client of each user name gets the answer that its
    password is wrong. If there is nothing to check for a user, the thread checks a hash that no
    password has. So neither answers nor their timing reveal which users exist, and guesses for one
    name do not delay another.

    The spare checks go to the users in turn. They take the guess that came most often, as a
    scraper's does, even if its client left before the answer; otherwise the guess that has waited
    longest. Only a right password changes the answer.
    """

    def __init__(self, hashes: Mapping[str, str], thread: Executor) -> None:
        """Prepare to check passwords.

        Args:
            hashes: bcrypt hashes by user.
            thread: runs the checks, one at a time.

        """
        self._thread = thread
        self._key = secrets.token_bytes(32)
        self._hashes: dict[str, bytes] = {}
        self._changes = 0
        self._right_digests: dict[str, bytes] = {}
        self._known_networks: dict[str, None] = {}
        self._turns = Turns()
        self._recurring = Recurring()
        self._clients: dict[Guess, list[asyncio.Future[Verdict]]] = {}
        self._owed_rounds = 0
        self._rounds_done = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.change(hashes)

    def change(self, hashes: Mapping[str, str]) -> None:
        """Replace the users; those whose hash is unchanged need no new check."""
        before = self._hashes
        self._hashes = {user: value.encode() for user, value in hashes.items()}
        for user in before:
            if self._hashes.get(user) != before[user]:
                self._right_digests.pop(user, None)
                self._recurring.forget(user)
        self._turns.forget_checked()
        self._changes += 1

    def remembers(self, credentials: Credentials, client: str) -> bool:
        """Return whether these credentials are known to be right.

        Args:
            credentials: the user and the password.
            client: the client's address.

        """
        right = self._right_digests.get(credentials.user, b"")
        if not hmac.compare_digest(right, self._digest(credentials.user, credentials.password)):
            return False
        self._remember_network(network_of(client))
        return True

    async def check(self, credentials: Credentials, client: str) -> Verdict:
        """Check credentials. Cancel this if the client disconnects.

        Args:
            credentials: the user and the password.
            client: the client's address.

        """
        if self.remembers(credentials, client):
            return Verdict.ADMITTED
        if self._closed:
            return Verdict.BUSY
        guess = Guess(credentials.user, credentials.password, network_of(client))
        answer = asyncio.get_running_loop().create_future()
        self._wait_for(guess, answer)
        try:
            verdict: Verdict = await answer
        except asyncio.CancelledError:
            self._leave(guess, answer)
            raise
        return verdict

    def close(self) -> None:
        """Stop the checks, answer all waiting clients with BUSY, and start no more checks."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        for guess in tuple(self._clients):
            self._answer(guess, Verdict.BUSY)

    def _wait_for(self, guess: Guess, answer: asyncio.Future[Verdict]) -> None:
        if guess not in self._clients:
            if len(self._clients) >= MAX_WAITING:
                self._answer(next(iter(self._clients)), Verdict.BUSY)
            self._clients[guess] = []
            self._turns.add(guess)
        self._clients[guess].append(answer)
        if guess.user in self._hashes:
            self._recurring.note(guess, self._digest(guess.user, guess.password))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._rounds())
            self._task.add_done_callback(self._task_done)

    def _leave(self, guess: Guess, answer: asyncio.Future[Verdict]) -> None:
        """Forget a client that left, but not that its credentials may be right."""
        answers = self._clients.get(guess, [])
        if answer in answers:
            answers.remove(answer)
            self._owed_rounds = min(self._owed_rounds + 1, MAX_OWED_ROUNDS)
            if not answers:
                del self._clients[guess]
                self._turns.remove(guess)

    def _answer(self, guess: Guess, verdict: Verdict) -> None:
        for answer in self._clients.pop(guess):
            if not answer.done():
                answer.set_result(verdict)
        self._turns.remove(guess)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        if error is not None:  # a bug: each waiting request fails with it
            for guess, answers in tuple(self._clients.items()):
                for answer in answers:
                    if not answer.done():
                        answer.set_exception(error)
                del self._clients[guess]
                self._turns.remove(guess)

    async def _rounds(self) -> None:
        while self._clients or self._owed_rounds:
            await self._round()
        self._recurring.forget()

    async def _round(self) -> None:
        changes, owed, users = self._changes, self._owed_rounds, list(self._hashes)
        answered = self._turns.round()
        turn = {guess.user: guess for guess in answered}
        users.sort(key=lambda user: user not in turn)
        for user in users:
            if any(guess in self._clients for guess in answered):
                await self._check_for_user(user, turn.get(user))
        if owed or any(guess in self._clients for guess in answered):
            await self._check_for_user(*self._spare_check())
        self._owed_rounds = max(0, self._owed_rounds - 1)
        for guess in answered:
            if guess in self._clients and changes == self._changes:
                self._answer(guess, Verdict.WRONG)

    def _spare_check(self) -> tuple[str, Guess | None]:
        """Return the user of the spare check, and the guess if there is one.

        The users take turns. If the user in turn has no guess, another user may go first, but only
        one whose hash costs the same. Otherwise the time of a round would reveal that somebody
        guesses for a user.
        """
        users = sorted(self._hashes)
        begin = self._rounds_done % len(users)
        self._rounds_done += 1
        first, *others = users[begin:] + users[:begin]
        cost = self._hashes[first][4:6]
        for user in (first, *(other for other in others if self._hashes[other][4:6] == cost)):
            guess = self._recurring.next(user, self._known_networks) or self._turns.oldest(
                user, self._known_networks
            )
            if guess:
                return user, guess
        return first, None

    async def _check_for_user(self, user: str, guess: Guess | None) -> None:
        """Check a guess for a user; without one, take the time of a check."""
        stored = self._hashes.get(user)
        if stored is None:  # removed since the round began
            return
        password, against = (guess.password, stored) if guess else (b"", _impossible(stored))
        right = await asyncio.get_running_loop().run_in_executor(
            self._thread, bcrypt.checkpw, password, against
        )
        if guess is None or self._hashes.get(user) != stored:
            return
        digest = self._digest(user, password)
        self._recurring.mark_checked(guess, digest)
        self._turns.mark_checked(guess)
        if right:
            self._right_digests[user] = digest
            self._remember_network(guess.network)
            for same in self._turns.same(guess):
                self._answer(same, Verdict.ADMITTED)

    def _remember_network(self, network: str) -> None:
        self._known_networks.pop(network, None)
        self._known_networks[network] = None
        if len(self._known_networks) > MAX_KNOWN_NETWORKS:
            del self._known_networks[next(iter(self._known_networks))]

    def _digest(self, user: str, password: bytes) -> bytes:
        stored = self._hashes.get(user, b"")
        return hmac.digest(self._key, b"%b %b:%b" % (stored, user.encode(), password), "sha256")


def _impossible(stored: bytes) -> bytes:
    """Return a hash that no password has, and that takes as long to check as `stored`."""
    return stored[:-31] + b"." * 31
