"""Users and passwords: verdicts, and the order of checks while others guess."""

import asyncio
import functools
import hashlib
import http.client
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from exporter.runtime.threads import own_thread
from exporter.web.access import turns, users
from exporter.web.access.turns import Guess, Recurring, Turns, network_of
from exporter.web.access.users import Credentials, Users, Verdict, read_credentials
from tests.support.harness.certificates import HASH, PASSWORD, Pki
from tests.support.harness.guessing import FAILED, ask, guessing, header, scrapes_until_let_in
from tests.support.harness.programs import eventually
from tests.support.harness.web import Site, configure, site

RIGHT = Credentials("alice", PASSWORD.encode())
HERE, THERE = "10.0.0.1", "10.0.0.2"


def wrong(number: int = 0, user: str = "alice") -> Credentials:
    return Credentials(user, b"no %d" % number)


def guess(password: str, network: str = HERE) -> Guess:
    return Guess("alice", password.encode(), network)


def digest(of: Guess) -> bytes:
    return hashlib.sha256(of.password).digest()


class Stepwise(Executor):
    """Runs password checks only when the test steps."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, bytes, Future[Any]]] = []
        self.done: list[tuple[bytes, bytes]] = []
        """Passwords and hashes that were checked."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:  # noqa: ANN401 - Executor's
        found: Future[Any] = Future()
        self.waiting.append((*arguments, found))
        return found

    async def step(self) -> bytes:
        """Do one check; return its password."""
        await settled()
        ((password, stored, found),) = self.waiting
        self.waiting.clear()
        self.done.append((password, stored))
        found.set_result(bcrypt.checkpw(password, stored))
        await settled()
        return password


def note(where: list[str], what: str, _done: object) -> None:
    where.append(what)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@dataclass
class World:
    """Users, and the steps of their checks."""

    users: Users
    steps: Stepwise

    def ask(self, credentials: Credentials, client: str = HERE) -> "asyncio.Task[Verdict]":
        return asyncio.ensure_future(self.users.check(credentials, client))

    async def until_answered(self, question: "asyncio.Task[Verdict]", most: int = 100) -> int:
        """Return the number of checks after which it was answered."""
        for count in range(most):
            await settled()
            if question.done():
                return count
            await self.steps.step()
        raise AssertionError(f"not within {most} checks")


def play(test: Callable[[World], Awaitable[None]], hashes: Mapping[str, str] | None = None) -> None:
    async def run() -> None:
        steps = Stepwise()
        checked = Users(hashes or {"alice": HASH}, steps)
        try:
            await test(World(checked, steps))
        finally:
            checked.close()
            await settled()

    asyncio.run(run())


class TestCredentials:
    @pytest.mark.parametrize(
        ("given", "credentials"),
        [
            (header("alice", "a:b"), Credentials("alice", b"a:b")),
            (header("alice", "x").replace("Basic", "bAsIc "), Credentials("alice", b"x")),
            (header("", ""), Credentials("", b"")),
            (header("alice", "x" * 80), Credentials("alice", b"x" * 72)),
            ("", None),
            ("Basic", None),
            ("Basic !!!", None),
            ("Basic YWxpY2U=", None),
            ("Basic /zpw", None),
            ("Bearer abc", None),
        ],
    )
    def test_credentials_are_read_from_the_header(
        self, given: str, credentials: Credentials | None
    ) -> None:
        assert read_credentials(given) == credentials

    def test_password_is_not_in_the_representation(self) -> None:
        assert PASSWORD not in repr(RIGHT)
        assert PASSWORD not in repr(Guess("alice", PASSWORD.encode(), HERE))


class TestVerdict:
    def check(self, *credentials: Credentials, hashes: Mapping[str, str]) -> list[Verdict]:
        async def run() -> list[Verdict]:
            checked = Users(hashes, own_thread("bcrypt"))
            try:
                return [await checked.check(each, HERE) for each in credentials]
            finally:
                checked.close()

        return asyncio.run(run())

    @pytest.mark.parametrize(
        ("user", "password", "verdict"),
        [
            ("alice", PASSWORD, Verdict.ADMITTED),
            ("alice", "wrong", Verdict.WRONG),
            ("alice", "", Verdict.WRONG),
            ("Alice", PASSWORD, Verdict.WRONG),
            ("bob", PASSWORD, Verdict.WRONG),
            ("", "", Verdict.WRONG),
            ("alice", "a\0b", Verdict.WRONG),
        ],
    )
    def test_credentials_get_the_expected_verdict(
        self, user: str, password: str, verdict: Verdict
    ) -> None:
        credentials = Credentials(user, password.encode())
        assert self.check(credentials, hashes={"alice": HASH}) == [verdict]

    @pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
    def test_hashes_of_htpasswd_go_and_python_are_accepted(self, prefix: str) -> None:
        assert self.check(RIGHT, hashes={"alice": prefix + HASH[4:]}) == [Verdict.ADMITTED]

    def test_only_the_first_72_bytes_of_a_password_count(self) -> None:
        hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
        long = read_credentials(header("a", "x" * 80))
        assert long is not None
        assert self.check(long, hashes={"a": hashed}) == [Verdict.ADMITTED]


class TestRememberedPasswords:
    def test_right_password_needs_one_check_and_is_not_kept(self) -> None:
        async def test(world: World) -> None:
            question = world.ask(RIGHT)
            assert await world.until_answered(question) == 1
            assert question.result() is Verdict.ADMITTED
            assert world.users.remembers(RIGHT, THERE)
            assert not world.users.remembers(wrong(), HERE)
            assert await world.users.check(RIGHT, HERE) is Verdict.ADMITTED
            await settled()
            assert not world.steps.waiting, "nobody waits: no check goes on"
            assert PASSWORD not in str(vars(world.users))

        play(test)

    def test_change_of_users_forgets_only_users_with_a_changed_hash(self) -> None:
        other = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        bob = Credentials("bob", PASSWORD.encode())

        async def test(world: World) -> None:
            for each in (RIGHT, bob):
                await world.until_answered(world.ask(each))
            world.users.change({"alice": HASH, "bob": other, "carol": HASH})
            assert world.users.remembers(RIGHT, HERE)
            assert not world.users.remembers(bob, HERE)
            world.users.change({"bob": other})
            assert not world.users.remembers(RIGHT, HERE)
            world.users.change({"alice": HASH})
            assert not world.users.remembers(RIGHT, HERE), "removed is removed"

        play(test, {"alice": HASH, "bob": HASH})

    def test_hash_that_changes_during_its_check_is_checked_again(self) -> None:
        other = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()

        async def test(world: World) -> None:
            old, new = world.ask(RIGHT), world.ask(Credentials("alice", b"other"), THERE)
            await settled()
            world.users.change({"alice": other})
            await world.until_answered(old)
            await world.until_answered(new)
            assert (old.result(), new.result()) == (Verdict.WRONG, Verdict.ADMITTED)

        play(test)

    def test_user_removed_during_the_check_is_refused(self) -> None:
        async def test(world: World) -> None:
            question = world.ask(RIGHT)
            await settled()
            world.users.change({"bob": HASH})
            await world.until_answered(question)
            assert question.result() is Verdict.WRONG

        play(test)


class TestUserEnumeration:
    """Answers must not reveal whether a user exists."""

    HASHES: Mapping[str, str] = {
        "alice": HASH.replace("$05$", "$04$"),
        "bob": HASH.replace("$05$", "$06$"),
    }

    def test_wrong_answers_follow_the_same_number_of_checks(self) -> None:
        """Every name costs the same checks, and answers come in the order of requests."""
        seen = {}
        for name in ("alice", "bob", "nobody"):

            async def test(world: World, name: str = name) -> None:
                await world.until_answered(world.ask(wrong(user=name)))
                costs = [stored[4:6] for _, stored in world.steps.done]
                seen[name] = sorted(costs[:2]), len(costs)

            play(test, self.HASHES)
        assert seen["nobody"] == seen["alice"] == seen["bob"] == ([b"04", b"06"], 3)

    @pytest.mark.parametrize("order", [1, -1])
    def test_wrong_answers_keep_the_order_of_the_requests(self, order: int) -> None:
        async def test(world: World) -> None:
            told: list[str] = []
            names = ["alice", "nobody", "bob", "somebody"][::order]
            questions = [world.ask(wrong(user=name)) for name in names]
            for name, question in zip(names, questions, strict=True):
                question.add_done_callback(functools.partial(note, told, name))
            for _ in range(3):
                assert told == []
                await world.steps.step()
            assert told == names

        play(test, self.HASHES)

    @pytest.mark.parametrize("attacked", ["alice", "nobody"])
    def test_guesses_for_one_name_do_not_delay_another(self, attacked: str) -> None:
        async def test(world: World) -> None:
            flood = [world.ask(wrong(n, attacked)) for n in range(50)]
            others = [world.ask(wrong(user=name)) for name in ("bob", "somebody")]
            checks = [await world.until_answered(each) for each in others]
            assert checks == [3, 0]
            assert sum(each.done() for each in flood) == 1

        play(test, self.HASHES)

    @pytest.mark.parametrize("name", ["alice", "nobody"])
    def test_departed_client_does_not_change_the_next_answer(self, name: str) -> None:
        async def test(world: World) -> None:
            gone = world.ask(wrong(1, name))
            await settled()
            gone.cancel()
            assert await world.until_answered(world.ask(wrong(2, name))) == 4, "and one under way"

        play(test, self.HASHES)


class TestBoundedMemory:
    def test_full_queue_drops_the_oldest_request(self) -> None:
        async def test(world: World) -> None:
            first = world.ask(wrong())
            rest = [world.ask(wrong(n + 1), f"10.1.0.{n}") for n in range(users.MAX_WAITING)]
            await settled()
            assert first.result() is Verdict.BUSY
            assert not any(each.done() for each in rest)
            world.users.close()
            await settled()
            assert {each.result() for each in rest} == {Verdict.BUSY}
            assert await world.users.check(RIGHT, HERE) is Verdict.BUSY

        play(test)

    def test_same_credentials_at_the_same_time_are_checked_once(self) -> None:
        async def test(world: World) -> None:
            questions = [world.ask(RIGHT, f"10.0.0.{n % 2}") for n in range(50)]
            await world.until_answered(questions[0])
            assert {each.result() for each in questions} == {Verdict.ADMITTED}
            assert len(world.steps.done) == 1

        play(test)

    def test_checks_for_departed_clients_end(self) -> None:
        async def test(world: World) -> None:
            gone = [world.ask(wrong(n // 2)) for n in range(200)]
            await settled()
            for each in gone:
                each.cancel()
            await settled()
            while world.steps.waiting:
                await world.steps.step()
            assert len(world.steps.done) <= users.MAX_OWED_ROUNDS + 1
            assert not world.users._recurring.next("alice", {}), "no password is kept"

        play(test)

    def test_unexpected_exception_reaches_the_waiting_clients(self) -> None:
        class Broken(Executor):
            def submit(self, *_arguments: Any, **_named: Any) -> Future[Any]:  # noqa: ANN401 - Executor's
                raise MemoryError

        async def run() -> None:
            checked = Users({"alice": HASH}, Broken())
            for _ in range(2):
                with pytest.raises(MemoryError):
                    await checked.check(RIGHT, HERE)

        asyncio.run(run())

    def test_recurring_guesses_are_bounded_and_the_most_frequent_stay(self) -> None:
        recurring, mine = Recurring(), guess("right")
        for _ in range(3):
            recurring.note(mine, digest(mine))
        for n in range(3000):
            for _ in range(2):
                recurring.note(guess(str(n)), digest(guess(str(n))))
        assert len(recurring._waiting["alice"]) == turns.MAX_RECURRING_PER_USER
        assert recurring.next("alice", {}) is mine

    def test_last_turns_are_bounded(self) -> None:
        order = Turns()
        for n in range(turns.MAX_REMEMBERED_TURNS + 100):
            guess = Guess(f"user {n}", b"", HERE)
            order.add(guess)
            assert order.round() == [guess]
            order.remove(guess)
        assert len(order._last_turns) == turns.MAX_REMEMBERED_TURNS
        assert not order._waiting


class TestTurns:
    def flood(self, networks: int, each: int = 1) -> Turns:
        order = Turns()
        for n in range(networks * each):
            order.add(Guess("alice", b"no %d" % n, f"10.1.0.{n % networks}"))
        return order

    def test_newcomer_goes_before_networks_that_had_turns(self) -> None:
        order = self.flood(networks=32, each=2)
        for _ in range(40):
            order.remove(order.round()[0])
        mine = Guess("alice", b"right", HERE)
        order.add(mine)
        assert order.round() == [mine]

    def test_networks_take_turns(self) -> None:
        order = self.flood(networks=4, each=5)
        found = []
        for _ in range(20):
            (guess,) = order.round()
            order.remove(guess)
            found.append(guess.network)
        assert all(len(set(found[n : n + 4])) == 4 for n in range(0, 20, 4))

    def test_newest_of_a_network_goes_first(self) -> None:
        order = self.flood(networks=1, each=6)
        assert order.round()[0].password == b"no 5"

    def test_oldest_untried_guess_is_chosen(self) -> None:
        order = self.flood(networks=2, each=2)
        found = []
        for _ in range(4):
            oldest = order.oldest("alice", {"10.1.0.1": None})
            assert oldest is not None
            found.append(oldest.password)
            order.mark_checked(oldest)
        assert found == [b"no 1", b"no 3", b"no 0", b"no 2"], "known networks first"
        assert order.oldest("alice", {}) is None
        order.forget_checked()
        assert order.oldest("alice", {}) is not None


class TestRecurring:
    def test_most_frequent_guess_goes_first(self) -> None:
        recurring = Recurring()
        for password, times in (("often", 3), ("twice", 2), ("also twice", 2), ("once", 1)):
            for _ in range(times):
                recurring.note(guess(password), digest(guess(password)))
        found = []
        for _ in range(3):
            best = recurring.next("alice", {})
            assert best is not None
            found.append(best.password)
            recurring.mark_checked(best, digest(best))
        assert recurring.next("alice", {}) is None
        assert found == [b"often", b"also twice", b"twice"]
        recurring.note(guess("often"), digest(guess("often")))
        assert recurring.next("alice", {}) is None, "it is known to be wrong"

    def test_known_networks_go_first(self) -> None:
        recurring, known = Recurring(), guess("x", THERE)
        for one in (guess("y"), guess("y"), guess("y"), known, known):
            recurring.note(one, digest(one))
        assert recurring.next("alice", {THERE: None}) is known

    def test_guess_is_recognized_after_ten_thousand_others(self) -> None:
        recurring, mine = Recurring(), guess("right")
        recurring.note(mine, b"\0" * 3 + b"\1" * 5)  # a slot that none of these others takes
        for n in range(10_000):
            recurring.note(guess(str(n)), digest(guess(str(n))))
        recurring.note(mine, b"\0" * 3 + b"\1" * 5)
        assert recurring.next("alice", {}) is mine

    def test_counts_of_recurring_guesses_are_bounded(self) -> None:
        recurring, mine = Recurring(), guess("right")
        for _ in range(40):
            recurring.note(mine, digest(mine))
        assert recurring._waiting == {"alice": {mine: 15}}


class TestNetworks:
    @pytest.mark.parametrize(
        ("client", "network"),
        [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:0:1:a:b:c:d", "2001:db8:0:1::/64"),
            ("", ""),
        ],
    )
    def test_client_belongs_to_the_network_of_its_address(self, client: str, network: str) -> None:
        assert network_of(client) == network


class TestRightPasswordAmongGuesses:
    """With one user a round is two checks."""

    @pytest.mark.parametrize(
        ("name", "networks", "most"),
        [("user", 1, 3), ("alice", 1, 6), ("alice", 32, 4)],
    )
    def test_right_password_is_accepted_after_a_bounded_number_of_checks(
        self, name: str, networks: int, most: int
    ) -> None:
        async def test(world: World) -> None:
            number = 0

            def guess(_done: object = None) -> None:
                nonlocal number
                number += 1
                user = name if name == "alice" else f"{name} {number}"
                network = f"10.1.0.{number % networks}"
                world.ask(wrong(number, user), network).add_done_callback(guess)

            for _ in range(32):
                guess()
            for _ in range(30):
                await world.steps.step()
            question = world.ask(RIGHT, "10.1.0.0" if networks == 1 else HERE)
            assert await world.until_answered(question) <= most
            assert question.result() is Verdict.ADMITTED
            world.users._closed = True  # guessers end

        play(test)

    def test_repeated_password_of_a_departed_client_gets_the_next_spare_check(self) -> None:
        async def test(world: World) -> None:
            for n in range(32):
                world.ask(wrong(n))
            await settled()  # the round begins, with one of these
            await self.come_and_go(world, RIGHT, times=2)
            assert await world.steps.step() != RIGHT.password
            assert await world.steps.step() == RIGHT.password
            assert world.users.remembers(RIGHT, HERE)

        play(test)

    def test_longest_waiting_password_gets_the_spare_check(self) -> None:
        async def test(world: World) -> None:
            world.ask(wrong())
            await settled()
            question = world.ask(RIGHT)
            for n in range(32):
                world.ask(wrong(n + 1))
            assert await world.until_answered(question) == 2

        play(test)

    def test_repeated_passwords_are_checked_when_nobody_waits(self) -> None:
        async def test(world: World) -> None:
            await self.come_and_go(world, wrong(), times=1)
            await self.come_and_go(world, RIGHT, times=2)
            while world.steps.waiting:
                await world.steps.step()
            assert world.users.remembers(RIGHT, HERE)

        play(test)

    async def come_and_go(self, world: World, credentials: Credentials, times: int) -> None:
        for _ in range(times):
            question = world.ask(credentials)
            await settled()
            question.cancel()
            await settled()


@dataclass(frozen=True)
class Attack:
    """What guessers do."""

    name: Callable[[int], str]
    source: Callable[[int], str]
    patience: float = 60


HERS = "127.0.0.1"
ATTACKS = {
    "other names from her address": Attack(lambda n: f"user {n}", lambda _: HERS),
    "her name from another address": Attack(lambda _: "alice", lambda _: "127.0.0.2"),
    "her name from 32 other addresses": Attack(lambda _: "alice", lambda n: f"127.0.1.{n + 1}"),
    "her name from her address": Attack(lambda _: "alice", lambda _: HERS),
    "the same without waiting": Attack(lambda _: "alice", lambda _: HERS, 0.05),
}


@contextmanager
def attacked(found: Site, attack: Attack) -> Iterator[Counter[int]]:
    """An exporter that answers guesses; gives how many had which status."""
    with guessing(found.port, attack.name, attack.source, attack.patience) as statuses:
        eventually(lambda: sum(statuses.values()) > 3)
        yield statuses


class TestRealProgram:
    """The real program, where a check takes some 50 ms and 32 guessers try passwords."""

    INTERVAL = 15.0
    """Seconds from scrape to scrape, and that a scrape may take: as in prometheus.yml."""
    SCRAPER = header("alice", PASSWORD)
    HASHES: Mapping[str, str] = {
        "alice": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    }

    @pytest.fixture
    def found(self, tmp_path: Path) -> Iterator[Site]:
        with site(Pki(tmp_path), {"basic_auth_users": dict(self.HASHES)}) as found:
            yield found

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_scraper_is_accepted_while_no_password_is_remembered(
        self, found: Site, attack: str
    ) -> None:
        """The exporter was restarted during the attack."""
        with attacked(found, ATTACKS[attack]) as statuses:
            scrape = scrapes_until_let_in(found.port, self.SCRAPER, self.INTERVAL, most=2)
        assert scrape in {1, 2}
        assert set(statuses) <= {FAILED, http.client.UNAUTHORIZED}

    def test_scraper_stays_accepted_when_the_users_change(self, found: Site) -> None:
        def failed() -> bool:
            return ask(found.port, self.SCRAPER, HERS, self.INTERVAL) != http.client.OK

        assert not failed()
        with attacked(found, ATTACKS["her name from her address"]):
            configure(found.pki, {"basic_auth_users": {**self.HASHES, "bob": HASH}})
            while not found.lines("web configuration reloaded"):
                assert not failed()
            assert not any(failed() for _ in range(20))
