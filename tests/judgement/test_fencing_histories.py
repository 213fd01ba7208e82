"""Every output agrees on fencing histories as versions of crm_mon write them.

One table has the expected result for the metric, the alert that promtool evaluates, show, its JSON
and the status page.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

import pytest
from rich.console import Console

from exporter.cli import show
from exporter.cluster.model import Snapshot
from exporter.cluster.observation import Observation
from exporter.judgement.judge import judge
from exporter.pacemaker import crm_mon
from exporter.report.document import document
from tests.support.harness import see
from tests.support.model.situations import Situations
from tests.support.model.status import seen, texts, tree
from tests.support.oracle.promtool import promtool
from tests.support.oracle.rules import Case, Target

HEALTHY = see.captured("live-2.1.5/01-healthy.xml")
START = datetime(2026, 10, 5, 12, 2, 42, 88_147, tzinfo=UTC)


class Event(NamedTuple):
    """A fencing action, its result, and its time as seconds or text."""

    action: str
    status: str
    completed: float | str | None = None


@dataclass(frozen=True)
class History:
    """The fencing history of one target, and the expected report."""

    name: str
    events: tuple[Event, ...]
    failed: bool = False
    pending: bool = False


FAILED, WORKED = Event("reboot", "failed", 0), Event("reboot", "success", 73)
PENDING = Event("reboot", "pending")
HISTORIES = (
    History("failed", (FAILED,), failed=True),
    History("worked", (WORKED,)),
    History("pending", (PENDING,), pending=True),
    History("failed-worked", (FAILED, WORKED)),
    History("worked-failed", (WORKED, FAILED._replace(completed=99)), failed=True),
    History("failed-twice-worked", (FAILED, FAILED._replace(completed=30), WORKED)),
    History(
        "worked-twice-failed",
        (WORKED, WORKED._replace(completed=80), FAILED._replace(completed=99)),
        failed=True,
    ),
    History("worked-failed-worked", (WORKED, FAILED, WORKED._replace(completed=-60))),
    History("failed-pending", (FAILED, PENDING), failed=True, pending=True),
    History("failed-worked-pending", (FAILED, WORKED, PENDING), pending=True),
    History("reboot-failed-off-worked", (FAILED, Event("off", "success", 73))),
    History("off-failed-reboot-worked", (Event("off", "failed", 0), WORKED)),
    # To let a node back in is not to fence it.
    History("on-failed", (Event("on", "failed", 0),)),
    History("failed-on-worked", (FAILED, Event("on", "success", 73)), failed=True),
    History("worked-on-failed", (WORKED, Event("on", "failed", 99))),
    # Doubt leads to an alert.
    History("failed-no-time", (FAILED._replace(completed=None), WORKED), failed=True),
    History("worked-no-time", (FAILED, WORKED._replace(completed=None)), failed=True),
    History("failed-empty-time", (FAILED._replace(completed=""), WORKED), failed=True),
    History("failed-odd-time", (FAILED._replace(completed="yesterday"), WORKED), failed=True),
    History("worked-odd-time", (FAILED, WORKED._replace(completed="<undefined>")), failed=True),
    History(
        "no-times",
        (FAILED._replace(completed=None), WORKED._replace(completed=None)),
        failed=True,
    ),
    History("worked-only-no-time", (WORKED._replace(completed=None),)),
    History(
        "failed-at-the-epoch",
        (FAILED._replace(completed="1970-01-01 00:00:00Z"), WORKED),
        failed=True,
    ),
    History(
        "failed-before-the-epoch",
        (FAILED._replace(completed="Wed Dec 31 23:59:59 1969"), WORKED),
        failed=True,
    ),
    History(
        "worked-before-the-epoch",
        (FAILED, WORKED._replace(completed="1901-12-13 20:45:52.000000Z")),
        failed=True,
    ),
    History("odd-status", (Event("reboot", "stopped", 0),), failed=True),
    History("odd-status-worked", (Event("reboot", "stopped", 0), WORKED)),
    History("no-status", (Event("reboot", "", 0),), failed=True),
)


class Style(NamedTuple):
    """How a version of crm_mon writes an event."""

    version: str
    attribute: str
    zone: timezone
    form: str


_INDIA, _CANADA = (
    timezone(timedelta(hours=5, minutes=30)),
    timezone(-timedelta(hours=3, minutes=30)),
)
STYLES = (
    Style("1.1.24", "state", UTC, "%c"),
    Style("2.1.5", "status", UTC, "%Y-%m-%d %H:%M:%SZ"),
    Style("2.1.5-india", "status", _INDIA, "%Y-%m-%d %H:%M:%S +05:30"),
    Style("2.1.9", "status", UTC, "%Y-%m-%d %H:%M:%S.%fZ"),
    Style("3.0.2-canada", "status", _CANADA, "%Y-%m-%d %H:%M:%S.%f -03:30"),
)


def written(event: Event, style: Style, target: str) -> str:
    completed = event.completed
    if isinstance(completed, float | int):
        moment = (START + timedelta(seconds=completed)).astimezone(style.zone)
        completed = moment.ctime() if style.form == "%c" else f"{moment:{style.form}}"
    attributes = {
        "target": target,
        "action": event.action,
        style.attribute: event.status,
        "origin": "controller-0",
        "client": "pacemaker-controld.90",
        "delegate": None if event.status == "pending" else "controller-1",
        "extended-status": "0" if event.status == "pending" else None,
        "completed": completed,
    }
    text = (
        f" {name}={quoteattr(value)}" for name, value in attributes.items() if value is not None
    )
    return f"<fence_event{''.join(text)}/>"


def targets() -> dict[str, History]:
    """Every history in every style and both orders, each with its own target."""
    return {
        f"{history.name}.{style.version}.{order}": history
        for history in HISTORIES
        for style in STYLES
        for order in ("oldest-first", "newest-first")
    }


def snapshot() -> Snapshot:
    events = []
    for target, history in targets().items():
        style = next(style for style in STYLES if f".{style.version}." in target)
        step = -1 if target.endswith("newest-first") else 1
        events += [written(event, style, target) for event in history.events[::step]]
    body = f'<fence_history status="0">{"".join(events)}</fence_history></pacemaker-result>'
    return crm_mon.parse(HEALTHY.replace(b"</pacemaker-result>", body.encode()))


@pytest.fixture(scope="module")
def observation() -> Observation:
    return Observation(snapshot())


FAILING = {target for target, history in targets().items() if history.failed}
UNDER_WAY = {target for target, history in targets().items() if history.pending}


def told(text: str) -> tuple[int, int]:
    """Return how many nodes could not be fenced and how many are being fenced, by a text."""
    numbers = (
        re.search(rf"(?<!un)fencing of (\d+) nodes {words}: ", text)
        for words in ("failed", "is in progress")
    )
    failing, under_way = (int(found[1]) if found else 0 for found in numbers)
    return failing, under_way


def test_metric_reports_exactly_the_failing_targets(observation: Observation) -> None:
    pattern = re.compile(r'pacemaker_fencing_failed\{target="(.*)"\}')
    page = see.series(see.text(observation))
    found = {match[1]: value for name, value in page.items() if (match := pattern.match(name))}
    unfencing_only = {target for target in targets() if target.startswith("on-failed.")}
    assert found == {t: t in FAILING for t in targets() if t not in unfencing_only}


def test_json_reports_exactly_the_failing_targets(observation: Observation) -> None:
    by_kind = {
        problem["kind"]: {subject["name"] for subject in problem["subjects"]}
        for problem in document(judge(observation))["problems"]
    }
    assert by_kind["fencing_failed"] == FAILING
    assert by_kind["fencing_pending"] == UNDER_WAY


def test_show_counts_the_failing_targets(observation: Observation) -> None:
    page = show.page(judge(observation), 0.0)
    text = show.text_of(page, Console(width=10_000, no_color=True))
    assert told(text) == (len(FAILING), len(UNDER_WAY))


def test_status_page_counts_the_failing_targets(observation: Observation) -> None:
    page = tree(seen(observation))
    listed = texts(page, "//section[@aria-labelledby='verdict']//li")
    assert told("\n".join(listed)) == (len(FAILING), len(UNDER_WAY))
    (headline,) = texts(page, "//h2[@id='verdict']")
    assert headline == f"Something is wrong with {len(FAILING)} nodes"


@pytest.mark.real
@pytest.mark.prometheus
def test_alerts_fire_for_exactly_the_failing_targets(
    observation: Observation, tmp_path: Path
) -> None:
    case = Case(
        alert="PacemakerFencingFailed",
        name="histories",
        targets=(Target("east", "controller-0", "histories"),),
        every=60,
        fires={
            600: (
                *(f'PacemakerFencingFailed{{target="{target}"}}' for target in FAILING),
                *(f'PacemakerFencingPending{{target="{target}"}}' for target in UNDER_WAY),
            )
        },
        annotations=False,
        recorded={},
    )
    group = case.promtool(Situations(tmp_path, {"histories": observation}), None)
    (look,) = group["tests"][0]["promql_expr_test"]
    look["expr"] = (
        'sum by (alertname, target) (ALERTS{alertstate="firing",'
        'alertname=~"PacemakerFencing(Failed|Pending)"})'
    )
    path = tmp_path / "histories.yml"
    path.write_text(json.dumps(group), encoding="utf-8")
    ran = promtool("test", "rules", path)
    assert "SUCCESS" in ran.stdout, ran.stdout + ran.stderr


API_OF_2_0_5, API_OF_2_1_2, API_OF_2_1_5, API_OF_3_0_2 = "2.3", "2.14", "2.25", "2.42"
SECONDS, MICROSECONDS = STYLES[1], STYLES[3]


@pytest.mark.parametrize(
    ("api", "style", "order", "failed"),
    [
        # Fractions that are not printed are sorted by, the newest first.
        (API_OF_2_1_2, SECONDS, "worked failed", False),
        (API_OF_2_1_2, SECONDS, "failed worked", True),
        (API_OF_2_1_5, SECONDS, "worked failed", False),
        (API_OF_2_1_5, SECONDS, "failed worked", True),
        (API_OF_2_1_5, SECONDS, "failed worked failed", True),
        (API_OF_2_1_5, SECONDS, "worked failed worked", False),
        # Not sorted by fractions, not told, or not understood.
        (API_OF_2_0_5, SECONDS, "worked failed", True),
        (API_OF_2_0_5, SECONDS, "failed worked", True),
        ("", SECONDS, "worked failed", True),
        ("2.x", SECONDS, "worked failed", True),
        # With fractions, the same time tells nothing.
        (API_OF_3_0_2, MICROSECONDS, "worked failed", True),
        (API_OF_3_0_2, MICROSECONDS, "failed worked", True),
    ],
)
def test_order_in_the_answer_decides_between_equal_times_where_versions_sort(
    api: str, style: Style, order: str, failed: bool
) -> None:
    known = {"failed": FAILED, "worked": WORKED._replace(completed=0)}
    assert is_failed(api, *(written(known[word], style, "a") for word in order.split())) is failed


def test_fractions_order_two_events_within_a_second() -> None:
    earlier, later = FAILED, WORKED._replace(completed=0.000_001)
    both = [written(event, MICROSECONDS, "a") for event in (earlier, later)]
    assert not is_failed(API_OF_3_0_2, *both)
    assert not is_failed(API_OF_3_0_2, *reversed(both))


def test_captured_success_in_the_second_of_the_failure_clears_it() -> None:
    """The text of crm_mon says there that a later attempt succeeded."""
    snapshot = crm_mon.parse(see.captured("live-2.1.5/12-quorum-lost.xml"))
    assert snapshot.failed_fencing == {"controller-2": None}


def is_failed(api: str, *events: str) -> bool:
    version = f'api-version="{api}"' if api else ""
    body = f"<pacemaker-result {version}><summary/><fence_history>{''.join(events)}</fence_history>"
    page = see.series(see.text(Observation(crm_mon.parse(f"{body}</pacemaker-result>".encode()))))
    return bool(page['pacemaker_fencing_failed{target="a"}'])


@pytest.mark.parametrize("status", ["102", "-107", "1", "unknown"])
def test_history_with_an_error_is_reported_as_missing(status: str) -> None:
    event = written(FAILED, STYLES[-1], "a")
    body = f'<crm_mon><summary/><fence_history status="{status}">{event}</fence_history></crm_mon>'
    snapshot = crm_mon.parse(body.encode())
    found = see.series(see.text(Observation(snapshot)))
    assert {series for series in found if series.startswith("pacemaker_fencing")} == {
        "pacemaker_fencing_history_missing"
    }
    missing = "the fencer did not return its history"
    page = show.page(judge(Observation(snapshot)), 0.0)
    assert missing in show.text_of(page, Console(width=200))
    assert missing in texts(tree(seen(Observation(snapshot))), "//li/h3")


@pytest.mark.parametrize("status", ['status="0"', 'status=""', ""])
def test_history_without_an_error_is_read(status: str) -> None:
    event = written(FAILED, STYLES[-1], "a")
    body = f"<crm_mon><summary/><fence_history {status}>{event}</fence_history></crm_mon>"
    assert crm_mon.parse(body.encode()).fencing is not None
