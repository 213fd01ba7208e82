"""What is asked of crm_mon from poll to poll, and what is read of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter import crm_mon
from exporter.clock import SystemClock
from exporter.collectors import Collector
from exporter.command import Completed, SystemCommands
from exporter.crm_mon import CrmMon
from exporter.errors import PollError
from exporter.model import Snapshot
from exporter.watcher import (
    FAILURE_SETTLES,
    FORGETTING,
    HISTORY_INTERVAL,
    MOVING_INTERVAL,
    TRIES,
    Watcher,
)
from tests.support import see
from tests.support.cib import Cluster, Failure, controllers, galera
from tests.support.states import HOSTS, NOW, STATES

ALL = frozenset(Collector)
THOROUGH = crm_mon.requests(ALL)[0]
FAILED = '<resource_history id="r" fail-count="2" migration-threshold="3" last-failure="{}"/>'
FAILED = FAILED.format("2026-11-22 11:00:00Z")
SOUND = '<resource_history id="r" migration-threshold="3"/>'
OTHER = '<resource_history id="s" migration-threshold="5"/>'


RESOURCE = '<resource id="{}" resource_agent="a" role="Started" active="true"/>'


def document(
    history: str = "",
    *,
    at: str = "1",
    changed: str = "",
    nodes: str = "a",
    resources: Sequence[str] = ("r", "s", "new"),
    failed: str = "",
) -> bytes:
    listed = "".join(f'<node name="{name}" online="true"/>' for name in nodes)
    resource = "".join(map(RESOURCE.format, resources))
    return (
        f'<pacemaker-result><summary><last_update time="{at}"/><last_change time="{changed}"/>'
        f"</summary><nodes>{listed}</nodes><resources>{resource}</resources>"
        f'<node_history><node name="a">{history}</node></node_history>'
        f"<failures>{failed}</failures></pacemaker-result>"
    ).encode()


class Answers:
    """Answers of a crm_mon, and whether each was asked for briefly."""

    def __init__(self) -> None:
        self.answer = document(SOUND + OTHER)
        self.status = 0
        self.brief: list[bool] = []

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        sections = argv[-1].split(",")
        assert ("operations" in sections) is ("failcounts" in sections)
        self.brief.append("failcounts" not in sections)
        return Completed(tuple(argv), self.status, self.answer, "")


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def watcher(answers: Answers, clock: FrozenDateTimeFactory) -> Watcher:
    return Watcher(answers, "crm_mon", ALL, SystemClock())


def look(watcher: Watcher) -> Snapshot:
    return watcher.read(watcher.ask(1))


def failures(snapshot: Snapshot) -> dict[str, tuple[int, int | None, bool]]:
    return {
        entry.resource: (
            entry.fail_count,
            entry.migration_threshold,
            entry.last_failure is not None,
        )
        for entry in snapshot.history
    }


def test_an_answer_that_differs_in_its_own_time_only_is_the_same(
    watcher: Watcher, answers: Answers
) -> None:
    first = look(watcher)
    answers.answer = document(SOUND + OTHER, at="2")
    assert look(watcher) is first
    answers.answer = document(SOUND + OTHER, at="2", nodes="ab")
    assert look(watcher) is not first


def test_an_answer_that_differs_in_the_moment_only_is_not_read_again(
    watcher: Watcher, answers: Answers
) -> None:
    answers.answer = see.captured("live-2.1.5/01-healthy.xml")
    for _ in range(2):  # a whole one and a brief one
        first = look(watcher)
    for moment in (b' last_updated="', b'<last_update time="'):
        # It would be refused.
        answers.answer = answers.answer.replace(moment, moment + b"&")
    assert look(watcher) is first
    answers.answer = answers.answer.replace(b'state="running"', b'state="shutting_down"')
    with pytest.raises(PollError):
        look(watcher)


def test_an_answer_that_never_says_its_moment_to_the_end_is_refused(
    watcher: Watcher, answers: Answers
) -> None:
    for beginning in (b"<last_update ", b' last_updated="'):
        # To look for the end of each from the start would take hours, in which nothing is served.
        answers.answer = b"<crm_mon>" + beginning * 500_000
        with pytest.raises(PollError):
            look(watcher)


def test_of_an_answer_that_differs_the_parts_that_do_not_stay_the_same(
    watcher: Watcher, answers: Answers
) -> None:
    first = look(watcher)
    answers.answer = document(failed='<failure op_key="r_monitor_10000" node="a"/>')
    second = look(watcher)
    assert second.failed_actions != first.failed_actions
    assert second.nodes is first.nodes
    assert second.instances is first.instances


def test_a_bundle_that_did_not_change_is_the_same(watcher: Watcher, answers: Answers) -> None:
    answers.answer = see.captured("live-2.1.5/01-healthy.xml")
    first = look(watcher)
    answers.answer = answers.answer.replace(b"redis:pcmklatest", b"redis:new")
    pairs = zip(first.bundles, look(watcher).bundles, strict=True)
    assert [before is now for before, now in pairs] == [True, True, False, True]


def test_an_answer_as_before_the_last_change_is_read_again(
    watcher: Watcher, answers: Answers
) -> None:
    look(watcher)
    for nodes in ("ab", "a"):  # brief, and then a whole one, as the first was
        answers.answer = document(SOUND + OTHER, nodes=nodes)
        assert [node.name for node in look(watcher).nodes] == list(nodes)


def test_it_is_not_read_again_in_either_kind(
    watcher: Watcher, answers: Answers, clock: FrozenDateTimeFactory
) -> None:
    first = look(watcher)
    answers.answer = document()
    assert look(watcher) is first, "nothing failed"
    clock.tick(HISTORY_INTERVAL)
    answers.answer = document(SOUND + OTHER)
    assert look(watcher) is first
    answers.answer = document()
    assert look(watcher) is first
    assert answers.brief == [False, True, False, True]


def test_times_in_it_that_cannot_be_read_are_counted_until_the_next(
    watcher: Watcher, answers: Answers, clock: FrozenDateTimeFactory
) -> None:
    bad = '<failure op_key="r_monitor_0" last-rc-change="yesterday"/>'
    answers.answer = document(FAILED.replace("2026-11-22", "sometime"), failed=bad)
    first = look(watcher)
    assert first.unreadable_times == 2
    answers.answer = document(failed=bad)
    assert look(watcher) is first
    answers.answer = document()
    assert look(watcher).unreadable_times == 1
    answers.answer = document(SOUND)
    assert look(watcher).unreadable_times == 0
    assert answers.brief == [False, True, True, False]


def test_the_history_is_asked_for_first_and_every_two_minutes(
    watcher: Watcher, answers: Answers, clock: FrozenDateTimeFactory
) -> None:
    for seconds in (0, 10, HISTORY_INTERVAL - 10.1, 0.2, 10):
        clock.tick(seconds)
        look(watcher)
    assert answers.brief == [False, True, True, False, True]


@pytest.mark.parametrize("change", [{"changed": "later"}, {"nodes": "ab"}])
def test_and_at_the_poll_after_something_changed(
    change: dict[str, str], watcher: Watcher, answers: Answers
) -> None:
    look(watcher)
    answers.answer = document(**change)
    assert set(failures(look(watcher))) == {"r", "s"}
    answers.answer = document(OTHER, **change)
    assert set(failures(look(watcher))) == {"s"}
    look(watcher)
    assert answers.brief == [False, True, False, True]


def test_while_something_moves_at_every_poll_it_waits_until_that_rests_or_half_a_minute(
    watcher: Watcher, answers: Answers, clock: FrozenDateTimeFactory
) -> None:
    look(watcher)
    for number in range(7):
        clock.tick(MOVING_INTERVAL / 3)
        answers.answer = document(SOUND + OTHER, nodes="a" if number % 2 else "ab")
        look(watcher)
    assert answers.brief == [False, True, False, True, True, False, True, True]
    for _ in range(3):
        look(watcher)
    assert answers.brief[8:] == [True, False, True]


def test_what_is_remembered_of_a_removed_resource_is_asked_for_until_it_is_forgotten(
    watcher: Watcher, answers: Answers
) -> None:
    answers.answer = document(SOUND + OTHER, resources="r")
    for _ in range(2):
        assert set(failures(look(watcher))) == {"r", "s"}
    answers.answer = document(SOUND, resources="r")
    for _ in range(2):
        assert set(failures(look(watcher))) == {"r"}
    assert answers.brief == [False, False, False, True]


def test_but_not_for_as_long_as_it_is_remembered_where_that_lasts(
    watcher: Watcher, answers: Answers, clock: FrozenDateTimeFactory
) -> None:
    def looks_after(*pauses: float) -> list[bool]:
        answers.brief.clear()
        for seconds in pauses:
            clock.tick(seconds)
            look(watcher)
        return answers.brief

    answers.answer = document(SOUND + OTHER, resources="r")
    half = FORGETTING / 2
    assert looks_after(0, half, half, half) == [False, False, False, True]
    assert looks_after(HISTORY_INTERVAL, 0) == [False, True]
    answers.answer = document(SOUND, resources="r")
    assert looks_after(HISTORY_INTERVAL, 0) == [False, True]
    answers.answer = document(SOUND + OTHER, resources="r")
    assert looks_after(HISTORY_INTERVAL, 0) == [False, False], "another was removed"


def test_what_failed_is_in_every_answer_and_its_count_in_those_that_follow(
    watcher: Watcher, answers: Answers, clock: FrozenDateTimeFactory
) -> None:
    look(watcher)
    action = '<failure op_key="r_monitor_10000" node="a"/>'
    for action_then, counted_then in ((action, FAILED), ("", SOUND)):
        before = failures(look(watcher))["r"]
        answers.answer = document(failed=action_then)
        seen = look(watcher)
        assert len(seen.failed_actions) == bool(action_then)
        assert failures(seen)["r"] == before
        for counted in (answers.answer, document(counted_then, failed=action_then)):
            clock.tick(FAILURE_SETTLES / 2)
            answers.answer = counted
            seen = look(watcher)
        assert failures(seen)["r"] == ((2, 3, True) if action_then else (0, 3, False))
        clock.tick(0.1)
    # Whole, brief, the failure, two whole ones; then the same again.
    assert answers.brief == [False, *[True, True, False, False] * 2]


def test_a_failure_is_told_though_its_output_is_known(watcher: Watcher, answers: Answers) -> None:
    look(watcher)
    answers.status = 1
    with pytest.raises(PollError):
        look(watcher)


def test_the_history_is_asked_for_until_it_could_be_read(
    watcher: Watcher, answers: Answers
) -> None:
    for _ in range(2):
        answers.answer = document(SOUND)[:-10]
        with pytest.raises(PollError):
            look(watcher)
        answers.answer = document()
        look(watcher)
    answers.answer = document(SOUND)
    assert set(failures(look(watcher))) == {"r"}
    look(watcher)
    # Between those that fail there is sight.
    assert answers.brief == [False, True, False, True, False, True]


def test_where_only_histories_fail_they_are_tried_at_their_interval_and_not_shown_for_good(
    watcher: Watcher, answers: Answers, clock: FrozenDateTimeFactory
) -> None:
    answers.answer = document(FAILED)
    look(watcher)
    shown = []
    for _ in range(30):
        clock.tick(20)
        answer = watcher.ask(1)
        if crm_mon.is_brief(answer.argv):
            answers.answer = document()
            shown.append(bool(watcher.read(answer).history))
        else:
            with pytest.raises(PollError):
                watcher.read(replace(answer, status=1))
    failed = [number for number, brief in enumerate(answers.brief[1:]) if not brief]
    assert failed == [5, 7, 9, 11, 13, 19, 25]
    assert shown == [True] * 14 + [False] * 9
    clock.tick(HISTORY_INTERVAL)
    answers.answer = document(FAILED)
    assert failures(look(watcher))["r"] == (2, 3, True)
    answers.answer = document(nodes="ab")
    for _ in range(2):
        look(watcher)
    assert answers.brief[-3:] == [False, True, False], "as ever"


def test_where_others_fail_as_well_histories_are_tried_as_ever(
    watcher: Watcher, answers: Answers, clock: FrozenDateTimeFactory
) -> None:
    look(watcher)
    clock.tick(HISTORY_INTERVAL)
    for _ in range(2 * TRIES):
        answers.status = 1
        for _ in range(2):
            with pytest.raises(PollError):
                look(watcher)
        answers.status = 0
        look(watcher)
    look(watcher)
    assert answers.brief == [False, *[False, True, True] * 2 * TRIES, False]


def test_after_polls_that_failed_sight_comes_first_and_then_the_history(
    watcher: Watcher, answers: Answers
) -> None:
    look(watcher)
    answers.status = 1
    for _ in range(2):
        with pytest.raises(PollError):
            look(watcher)
    answers.status = 0
    for _ in range(3):
        look(watcher)
    assert answers.brief == [False, True, True, True, False, True]


def test_who_comes_back_is_asked_for_everything(watcher: Watcher, answers: Answers) -> None:
    first = look(watcher)
    watcher.forget()
    again = look(watcher)
    assert again == first
    assert again is not first
    assert answers.brief == [False, False]


@pytest.mark.real
@pytest.mark.parametrize("name", STATES)
def test_a_brief_answer_of_the_real_one_is_completed_to_the_whole(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "cib.xml"
    file.write_text(STATES[name].xml(NOW), encoding="utf-8")
    watcher = Watcher(see.real_commands(file), see.need("crm_mon"), ALL, SystemClock())
    assert look(watcher) is look(watcher)


@pytest.mark.real
def test_a_failure_that_the_real_one_tells_briefly_is_counted_next(tmp_path: Path) -> None:
    hosts = ("controller-0", "controller-1", "controller-2")
    sound = Cluster(controllers(), (galera(hosts),))
    failing = replace(
        sound, resources=(galera(hosts).but(0, failures=(Failure("monitor", -7000),)),)
    )
    file = tmp_path / "cib.xml"
    commands: SystemCommands = see.real_commands(file)
    watcher = Watcher(commands, see.need("crm_mon"), ALL, SystemClock())
    for cluster in (sound, failing, sound):
        file.write_text(cluster.xml(NOW), encoding="utf-8")
        whole = crm_mon.read(CrmMon(commands, see.need("crm_mon")).ask(60))
        assert look(watcher).failed_actions == whole.failed_actions
        assert set(look(watcher).history) == set(whole.history)
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
def test_what_is_gone_is_gone_from_a_brief_answer_too(left: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "cib.xml"
    commands: SystemCommands = see.real_commands(file)
    watcher = Watcher(commands, see.need("crm_mon"), ALL, SystemClock())
    file.write_text(STATES["healthy"].xml(NOW), encoding="utf-8")
    before = {(entry.resource, entry.node) for entry in look(watcher).history}
    file.write_text(left.xml(NOW), encoding="utf-8")
    whole = crm_mon.read(CrmMon(commands, see.need("crm_mon")).ask(60))
    expected = {(entry.resource, entry.node) for entry in whole.history}
    assert before - expected, "something is gone"
    answer = watcher.ask(60)
    assert crm_mon.is_brief(answer.argv)
    shown = watcher.read(answer).history
    assert {(entry.resource, entry.node) for entry in shown} <= expected
