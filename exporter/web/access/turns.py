"""Decides which password is checked next, so that guesses do not delay the right one for long."""

import ipaddress
from array import array
from collections.abc import Container
from dataclasses import dataclass, field

MAX_REMEMBERED_TURNS = 4096
"""Maximum pairs of user name and network whose last turn is remembered."""
MAX_RECURRING_PER_USER = 256
"""Maximum recurring guesses for one user that are kept until they are checked."""
TABLE_SLOTS = 1 << 16
"""Slots of the table that counts guesses; each takes four bytes."""
_COUNT_BITS = 0xF
"""The bits of a slot that hold the count, up to 15. Count 0 means that the guess was checked."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A user name and a password from a network; they may be right."""

    user: str
    password: bytes = field(repr=False)
    network: str


def network_of(client: str) -> str:
    """Return the network that stands for one host: an IPv4 address, or the /64 of an IPv6 address.

    An IPv6 host can use every address of its /64.
    """
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))


class Turns:
    """The guesses that clients are waiting for.

    Each round serves one guess of every user name, whether the user exists or not, so guesses for
    one name do not delay other names. Within a name, the network whose last turn is longest ago
    comes first. Within a network, the newest guess comes first, so that it need not wait behind
    older ones.
    """

    def __init__(self) -> None:
        """Begin without guesses."""
        self._waiting: dict[str, dict[str, dict[Guess, int]]] = {}
        """Arrival numbers of the guesses, by user name and network."""
        self._last_turns: dict[tuple[str, str], int] = {}
        """Number of the last turn of each user name and network."""
        self._checked: set[Guess] = set()
        self._number = 0

    def add(self, guess: Guess) -> None:
        """Add a guess as the newest."""
        self._number += 1
        networks = self._waiting.setdefault(guess.user, {})
        networks.setdefault(guess.network, {})[guess] = self._number

    def remove(self, guess: Guess) -> None:
        """Remove a guess."""
        self._checked.discard(guess)
        networks = self._waiting[guess.user]
        del networks[guess.network][guess]
        if not networks[guess.network]:
            del networks[guess.network]
        if not networks:
            del self._waiting[guess.user]

    def round(self) -> list[Guess]:
        """Return one guess of each user name, without removing it."""
        return [self._next(name, networks) for name, networks in self._waiting.items()]

    def same(self, guess: Guess) -> list[Guess]:
        """Return the guesses with the same user and password from all networks."""
        networks = self._waiting.get(guess.user, {})
        every = (other for guesses in networks.values() for other in guesses)
        return [other for other in every if other.password == guess.password]

    def mark_checked(self, guess: Guess) -> None:
        """Note that a guess was checked and is wrong, though its client has no answer yet."""
        if guess in self._waiting.get(guess.user, {}).get(guess.network, {}):
            self._checked.add(guess)

    def forget_checked(self) -> None:
        """Forget which guesses were checked, because passwords changed."""
        self._checked.clear()

    def oldest(self, user: str, known_networks: Container[str]) -> Guess | None:
        """Return the unchecked guess for a user that has waited longest.

        Args:
            user: the user.
            known_networks: networks whose guesses come first.

        """
        networks = self._waiting.get(user, {})
        first = (
            (network not in known_networks, number, guess)
            for network, guesses in networks.items()
            for guess, number in guesses.items()
            if guess not in self._checked
        )
        found = min(first, key=lambda one: one[:2], default=None)
        return found[2] if found else None

    def _next(self, name: str, networks: dict[str, dict[Guess, int]]) -> Guess:
        # Among networks without a turn, the newest comes first.
        network = min(
            reversed(networks), key=lambda network: self._last_turns.get((name, network), 0)
        )
        self._number += 1
        self._last_turns.pop((name, network), None)
        self._last_turns[name, network] = self._number
        if len(self._last_turns) > MAX_REMEMBERED_TURNS:
            del self._last_turns[next(iter(self._last_turns))]
        return next(reversed(networks[network]))


class Recurring:
    """Guesses that came more than once and were not checked.

    A scraper sends the same password at each scrape, whereas a guesser gains nothing by repetition.
    A table of fixed size counts how often each guess came. New guesses overwrite old ones, but a
    repeated guess is still recognised among tens of thousands of others.
    """

    def __init__(self) -> None:
        """Begin without guesses."""
        self._table = array("I", bytes(array("I").itemsize * TABLE_SLOTS))
        self._waiting: dict[str, dict[Guess, int]] = {}

    def note(self, guess: Guess, digest: bytes) -> None:
        """Count a guess, unless it was checked.

        Args:
            guess: the guess.
            digest: identifies the guess; clients must not be able to predict it.

        """
        slot, mark = self._place(digest)
        times = 1
        if self._table[slot] & ~_COUNT_BITS == mark:
            if self._table[slot] & _COUNT_BITS == 0:
                return
            times = min(self._table[slot] & _COUNT_BITS, _COUNT_BITS - 1) + 1
        self._table[slot] = mark | times
        if times > 1:
            guesses = self._waiting.setdefault(guess.user, {})
            guesses.pop(guess, None)  # moves it to the end
            guesses[guess] = times
            if len(guesses) > MAX_RECURRING_PER_USER:
                del guesses[min(guesses, key=lambda one: guesses[one])]

    def mark_checked(self, guess: Guess, digest: bytes) -> None:
        """Note that a guess was checked."""
        slot, mark = self._place(digest)
        self._table[slot] = mark
        self._waiting.get(guess.user, {}).pop(guess, None)

    def forget(self, user: str | None = None) -> None:
        """Forget the waiting guesses for one user, or for all, but not the counts."""
        if user is None:
            self._waiting.clear()
        else:
            self._waiting.pop(user, None)

    def next(self, user: str, known_networks: Container[str]) -> Guess | None:
        """Return the guess for a user that came most often, and of those the newest.

        Args:
            user: the user.
            known_networks: networks whose guesses come first.

        """
        guesses = self._waiting.get(user, {})
        return max(
            reversed(guesses),
            key=lambda guess: (guess.network in known_networks, guesses[guess]),
            default=None,
        )

    @staticmethod
    def _place(digest: bytes) -> tuple[int, int]:
        """Return the slot of a digest, and its mark: the upper bits of a slot in use."""
        return int.from_bytes(digest[:4]) % TABLE_SLOTS, int.from_bytes(digest[4:8]) & ~_COUNT_BITS
