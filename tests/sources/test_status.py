"""Requests to crm_mon from poll to poll, and reuse of its answers."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.model import Cluster as Summary
from exporter.cluster.model import Snapshot
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker import crm_mon
from exporter.pacemaker.runner import Commands, Completed
from exporter.sources.status import (
    HISTORY_MAX_AGE,
    INTERVAL,
    INTERVAL_AFTER_CHANGE,
    SLOW_ANSWER,
    StatusSource,
)
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness import see
from tests.support.harness.fakes import FrozenClock
from tests.support.harness.results import failed, good
from tests.support.model.cib import Cluster, controllers, galera
from tests.support.model.cib import Failure as Failed
from tests.support.model.states import HOSTS, NOW, STATES

RESOURCE = '<resource id="{}" resource_agent="a" role="Started" active="true"/>'
REMEMBERED = '<resource_history id="{}" fail-count="{}" last-failure="{}"/>'
LAST = "2026-11-22 11:00:00Z"
ACTION = '<failure op_key="r_monitor_10000" node="a"/>'
EVERY = 10
"""Seconds from poll to poll."""


class Fake:
    """A slow crm_mon that prints histories only on request."""

    def __init__(self, clock: FrozenDateTimeFactory) -> None:
        self._clock = clock
        self.takes = 0.0
        """Seconds for a complete answer; a partial one takes half."""
        self.fails: Outcome | None = None
        self.complete_fails = False
        self.moment = 0
        self.nodes = "a"
        self.failures = ""
        self.count = 0
        self.last = LAST
        self.resources: Sequence[str] = ("r", "s")
        self.text: bytes | None = None
        self.complete: list[bool] = []

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        histories = "failcounts" in argv[-1]
        self.complete.append(histories)
        self._clock.tick(self.takes if histories else self.takes / 2)
        if self.fails or (self.complete_fails and histories):
            return Failure(self.fails or Outcome.TIMEOUT, "it failed")
        return Completed(tuple(argv), 0, self.text or self._document(histories=histories), "")

    def _document(self, *, histories: bool) -> bytes:
        self.moment += 1
        nodes = "".join(f'<node name="{name}" online="true"/>' for name in self.nodes)
        resources = "".join(map(RESOURCE.format, self.resources))
        told = "".join(REMEMBERED.format(name, self.count, self.last) for name in self.resources)
        history = f'<node_history><node name="a">{told}</node></node_history>'
        return (
            f'<pacemaker-result><summary><last_update time="{self.moment}"/></summary>'
            f"<nodes>{nodes}</nodes><resources>{resources}</resources>"
            f"{history if histories else ''}<failures>{self.failures}</failures></pacemaker-result>"
        ).encode()


@pytest.fixture
def fake(clock: FrozenDateTimeFactory) -> Fake:
    return Fake(clock)


def source_of(commands: Commands) -> StatusSource:
    return StatusSource(SourceContext(Tools(commands, crm_mon="crm_mon"), FrozenClock(), 600))


@pytest.fixture
def source(fake: Fake) -> StatusSource:
    return source_of(fake)


def ask(source: StatusSource) -> Snapshot | Failure:
    found = source.observe(Observation(Snapshot(Summary())), math.inf)
    return found if isinstance(found, Failure) else found.snapshot


def look(source: StatusSource) -> Snapshot:
    return good(ask(source))


def counts(snapshot: Snapshot) -> set[int]:
    return {entry.fail_count for entry in snapshot.history}


def seen_after(source: StatusSource, clock: FrozenDateTimeFactory, count: int) -> float:
    """Poll until all fail-counts are these; return the seconds that took."""
    began = FrozenClock().monotonic()
    for _ in range(100):
        if counts(look(source)) == {count}:
            return FrozenClock().monotonic() - began
        clock.tick(EVERY)
    pytest.fail("never")


# ---- Unchanged answers ----


def test_answer_that_differs_only_in_its_time_gives_the_same_snapshot(
    source: StatusSource, fake: Fake
) -> None:
    first = look(source)
    assert look(source) is first
    fake.nodes = "ab"
    assert look(source) is not first


def test_captured_answer_that_differs_only_in_its_time_is_not_read_again(
    source: StatusSource, fake: Fake
) -> None:
    answer = see.captured("live-2.1.5/01-healthy.xml")
    fake.text = answer
    first = look(source)
    for moment in (b' last_updated="', b'<last_update time="'):
        # It would be refused.
        answer = answer.replace(moment, moment + b"&")
    fake.text = answer
    assert look(source) is first
    fake.text = answer.replace(b'state="running"', b'state="shutting_down"')
    failed(ask(source))


@pytest.mark.parametrize("beginning", [b"<last_update ", b' last_updated="'])
def test_answer_with_an_unterminated_time_is_refused(
    beginning: bytes, source: StatusSource, fake: Fake
) -> None:
    look(source)
    # To look for the end of each from the start would take hours, in which nothing is served.
    fake.text = b"<crm_mon>" + beginning * 500_000
    failed(ask(source))


def test_unchanged_bundle_is_the_same_object(source: StatusSource, fake: Fake) -> None:
    answer = see.captured("live-2.1.5/01-healthy.xml")
    fake.text = answer
    first = look(source)
    fake.text = answer.replace(b"redis:pcmklatest", b"redis:new")
    pairs = zip(first.bundles, look(source).bundles, strict=True)
    assert [before is now for before, now in pairs] == [True, True, False, True]


def test_answer_from_before_the_last_change_is_read_again(source: StatusSource, fake: Fake) -> None:
    for fake.nodes in ("a", "ab", "a"):
        assert [node.name for node in look(source).nodes] == list(fake.nodes)


def test_failure_is_reported_although_the_last_answer_is_known(
    source: StatusSource, fake: Fake
) -> None:
    look(source)
    fake.fails = Outcome.EXIT_STATUS
    assert failed(ask(source)).outcome is Outcome.EXIT_STATUS


# ---- Histories: fail-counts and the like ----


def test_fast_crm_mon_is_asked_for_everything_at_every_poll(
    source: StatusSource, fake: Fake, clock: FrozenDateTimeFactory
) -> None:
    fake.takes = SLOW_ANSWER - 0.1
    look(source)
    clock.tick(EVERY)
    fake.count = 2
    assert counts(look(source)) == {2}


def test_slow_crm_mon_shows_a_new_fail_count_within_two_minutes(
    source: StatusSource, fake: Fake, clock: FrozenDateTimeFactory
) -> None:
    fake.takes = SLOW_ANSWER
    look(source)
    fake.count = 2
    assert INTERVAL - EVERY <= seen_after(source, clock, 2) <= INTERVAL + EVERY


@pytest.mark.parametrize(("name", "value"), [("nodes", "ab"), ("failures", ACTION)])
def test_slow_crm_mon_shows_a_new_fail_count_within_half_a_minute_of_a_change(
    name: str, value: str, source: StatusSource, fake: Fake, clock: FrozenDateTimeFactory
) -> None:
    fake.takes = SLOW_ANSWER
    look(source)
    setattr(fake, name, value)
    fake.count = 2
    assert seen_after(source, clock, 2) <= INTERVAL_AFTER_CHANGE + EVERY


def test_recovered_crm_mon_is_asked_for_everything_again(
    source: StatusSource, fake: Fake, clock: FrozenDateTimeFactory
) -> None:
    fake.takes = SLOW_ANSWER
    look(source)
    fake.takes = 0.1
    fake.count = 2
    seen_after(source, clock, 2)
    fake.count = 3
    assert counts(look(source)) == {3}


def test_partial_answer_keeps_the_histories_of_remaining_resources(
    source: StatusSource, fake: Fake
) -> None:
    fake.takes, fake.count = SLOW_ANSWER, 2
    assert {entry.resource for entry in look(source).history} == {"r", "s"}
    fake.resources = ("r",)
    assert {entry.resource for entry in look(source).history} == {"r"}
    assert not fake.complete[-1], "the answer had no histories"


def test_unreadable_times_are_counted_while_their_histories_are_shown(
    source: StatusSource, fake: Fake
) -> None:
    fake.takes, fake.last = SLOW_ANSWER, "yesterday"
    fake.failures = '<failure op_key="r_monitor_0" last-rc-change="yesterday"/>'
    assert [look(source).unreadable_times for _ in range(2)] == [3, 3]
    fake.failures = ""
    assert look(source).unreadable_times == 2


def test_failed_complete_answer_is_not_requested_again_soon(
    source: StatusSource, fake: Fake, clock: FrozenDateTimeFactory
) -> None:
    fake.takes, fake.count = SLOW_ANSWER, 2
    look(source)
    fake.complete_fails = True
    blind = 0
    for _ in range(round(HISTORY_MAX_AGE / EVERY) - 2):
        clock.tick(EVERY)
        seen = ask(source)
        blind += isinstance(seen, Failure)
        assert isinstance(seen, Failure) or counts(seen) == {2}
    assert blind <= 1 + HISTORY_MAX_AGE / INTERVAL
    for _ in range(4):
        clock.tick(EVERY)
        seen = ask(source)
    assert not isinstance(seen, Failure)
    assert counts(seen) == set(), "too old to be shown"
    fake.complete_fails = False
    assert seen_after(source, clock, 2) <= INTERVAL + EVERY


def test_quick_crm_mon_shows_fail_counts_at_once_after_a_slow_failure(
    source: StatusSource, fake: Fake
) -> None:
    fake.takes, fake.fails, fake.count = 2 * SLOW_ANSWER, Outcome.EXIT_STATUS, 2
    failed(ask(source))
    fake.takes, fake.fails = 0.1, None
    assert counts(look(source)) == {2}


def test_slow_crm_mon_shows_fail_counts_within_half_a_minute_after_a_failure(
    source: StatusSource, fake: Fake, clock: FrozenDateTimeFactory
) -> None:
    fake.takes = SLOW_ANSWER
    look(source)
    clock.tick(EVERY)
    fake.fails = Outcome.EXIT_STATUS
    failed(ask(source))
    fake.fails, fake.count = None, 2
    assert seen_after(source, clock, 2) <= INTERVAL_AFTER_CHANGE + EVERY


def test_complete_answer_that_takes_too_long_is_followed_by_a_partial_one(
    source: StatusSource, fake: Fake
) -> None:
    fake.takes, fake.complete_fails = SLOW_ANSWER, True
    failed(ask(source))
    assert counts(look(source)) == set()


def test_forget_requests_everything_again(source: StatusSource, fake: Fake) -> None:
    fake.takes = SLOW_ANSWER
    first = look(source)
    source.forget()
    again = look(source)
    assert again == first
    assert again is not first
    assert fake.complete[-1], "the answer had histories"


# ---- The real one ----


class Partial:
    """The real commands, made to seem slow so that histories are requested once."""

    def __init__(self, commands: Commands, clock: FrozenDateTimeFactory) -> None:
        self._commands = commands
        self._clock = clock

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        completed = self._commands.run(argv, timeout)
        self._clock.tick(1)
        return completed


@pytest.fixture
def real(tmp_path: Path, clock: FrozenDateTimeFactory) -> tuple[Path, StatusSource]:
    file = tmp_path / "cib.xml"
    return file, source_of(Partial(see.real_commands(file), clock))


@pytest.mark.real
@pytest.mark.parametrize("name", STATES)
def test_partial_answer_is_completed_with_known_histories(
    name: str, real: tuple[Path, StatusSource]
) -> None:
    file, source = real
    STATES[name].write(file)
    assert look(source) == look(source)


@pytest.mark.real
def test_failed_action_shows_at_once_and_its_fail_count_follows(
    real: tuple[Path, StatusSource], clock: FrozenDateTimeFactory
) -> None:
    hosts = ("controller-0", "controller-1", "controller-2")
    sound = Cluster(controllers(), (galera(hosts),))
    failing = replace(
        sound, resources=(galera(hosts).but(0, failures=(Failed("monitor", -7000),)),)
    )
    file, source = real
    for cluster in (sound, failing, sound):
        file.write_text(cluster.xml(NOW), encoding="utf-8")
        whole = good(crm_mon.read(see.ask(see.real_commands(file))))
        assert look(source).failed_actions == whole.failed_actions
        clock.tick(INTERVAL_AFTER_CHANGE)
        assert set(look(source).history) == set(whole.history)
        assert any(entry.fail_count for entry in whole.history) is (cluster is failing)


GALERA = galera(HOSTS)


@pytest.mark.real
@pytest.mark.parametrize(
    "left",
    [
        STATES["healthy-galera"].cluster,
        STATES["no-resources"].cluster,
        STATES["node-offline"].cluster,
        Cluster(controllers(), (replace(GALERA, replicas=GALERA.replicas[:2]),)),
        Cluster(controllers(2), (replace(GALERA, replicas=GALERA.replicas[:2]),)),
    ],
    ids=["three bundles", "all resources", "a node's part", "a replica", "a node"],
)
def test_removed_resources_disappear_from_partial_answers(
    left: Cluster, real: tuple[Path, StatusSource]
) -> None:
    file, source = real
    STATES["healthy"].write(file)
    before = {(entry.resource, entry.node) for entry in look(source).history}
    file.write_text(left.xml(NOW), encoding="utf-8")
    whole = good(crm_mon.read(see.ask(see.real_commands(file))))
    expected = {(entry.resource, entry.node) for entry in whole.history}
    assert before - expected, "something is gone"
    assert {(entry.resource, entry.node) for entry in look(source).history} <= expected
