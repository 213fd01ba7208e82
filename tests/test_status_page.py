"""The status page: what it says of each state, and what no name can make of it."""

import asyncio
import base64
import gzip
import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from lxml import html

from exporter import crm_mon
from exporter.document import Sight
from exporter.errors import Outcome
from exporter.explain import changes_cluster, failed_poll
from exporter.model import FailedAction, NodeType, ResourceHistory, Role
from exporter.state import Identity, Observation, State, View
from exporter.web import status_page
from exporter.web.status_page import (
    LISTED,
    OPEN_BUNDLES,
    Moment,
    Page,
    StatusPage,
    Surroundings,
)
from tests.support import see
from tests.support.states import STATES
from tests.support.status import (
    HOSTILE,
    IDENTITY,
    MONOTONIC,
    NOW,
    cluster,
    rendered,
    rows,
    seen,
    texts,
    tree,
    unseen,
    without_quorum,
)

FAILURES = [outcome for outcome in Outcome if outcome is not Outcome.SUCCESS]
WELL = cluster()


def headline(page: html.HtmlElement) -> str:
    (found,) = texts(page, "//h2[@id='verdict']")
    return found


def verdict(page: html.HtmlElement) -> str:
    (found,) = texts(page, "//section[@aria-labelledby='verdict']")
    return found


def facts(page: html.HtmlElement) -> Mapping[str, str]:
    return dict(zip(texts(page, "//dt"), texts(page, "//dt/.."), strict=True))


def sound(page: html.HtmlElement) -> None:
    """What holds for every page, whatever is on it."""
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert set(page.xpath("//@aria-labelledby")) <= set(ids)
    assert {link[1:] for link in page.xpath("//a/@href") if link.startswith("#")} <= set(ids)
    assert page.get("lang") == "en"
    assert len(page.xpath("//h1")) == len(page.xpath("//main")) == 1
    assert page.xpath("//script | //img | //link | //iframe | //form | //object | //base") == []
    assert page.xpath("//@style | //@src | //@*[starts-with(name(), 'on')]") == []
    for table in page.xpath("//table"):
        assert texts(table, "./caption") != [""]
        assert len(table.xpath("./thead//th[@scope='col']")) == len(texts(table, "./thead//th"))
        for row in table.xpath("./tbody/tr"):
            assert len(row.xpath("./th[@scope='row']")) == 1
            labels = row.xpath("./*/@data-label")
            assert labels == texts(table, "./thead//th"), "narrow screens say each column's name"
    for command in texts(page, "//code"):
        assert not re.match(r"(sudo )?(podman|docker|systemctl)\b", command)
    for item in page.xpath("//ul[@class='commands']/li"):
        marked = "changes the cluster" in item.text_content()
        assert marked == changes_cluster(item.findtext("code"))


# ---- Real states ----


@pytest.mark.real
@pytest.mark.parametrize("name", STATES)
def test_every_state_is_told_in_full(name: str, observed: Mapping[str, Observation]) -> None:
    observation = observed[name]
    snapshot = observation.snapshot
    page = tree(seen(observation))
    sound(page)
    problems = Sight(snapshot, observation.configuration).problems
    told = verdict(page)
    for problem in problems:
        assert problem.title in told
        assert set(problem.texts) <= set(texts(page, "//section[@aria-labelledby='verdict']//li"))
        assert set(problem.commands) <= set(texts(page, "//code"))
    if problems:
        assert headline(page).startswith(("Something is wrong with ", "Worth a look: "))
    elif snapshot.authoritative:
        assert headline(page) == "Nothing is wrong"
    for number, bundle in enumerate(snapshot.bundles):
        (table,) = page.xpath(f"//details[@id='bundle-{number}']//table")
        listed = rows(table)
        assert [row["Replica"] for row in listed] == [replica.index for replica in bundle.replicas]
        for row, replica in zip(listed, bundle.replicas, strict=True):
            assert row["Role"].startswith(replica.role.value)
            assert row.get("Host", "") == ", ".join(host.name for host in replica.hosts)
            assert row["Ready"].startswith("yes" if replica.ready else "no: ")
    assert texts(page, "//section[@aria-labelledby='nodes']//tbody//th") == [
        node.name for node in snapshot.nodes if node.type is not NodeType.GUEST
    ]
    resources = " ".join(texts(page, "//section[@aria-labelledby='resources']//tbody//th"))
    assert all(instance.resource.id in resources for instance in snapshot.instances)


def test_a_real_failure() -> None:
    capture = see.captured("live-2.1.5/07-node-unclean-pending-fencing.xml")
    page = tree(seen(Observation(crm_mon.parse(capture))))
    sound(page)
    assert headline(page).startswith("Something is wrong with ")
    assert "is unclean: what it runs is not known until it is fenced" in verdict(page)
    assert "pcs stonith history show" in verdict(page)
    assert "failed" in page.xpath("//section[@aria-labelledby='verdict']/@class")[0].split()


# ---- The verdict ----


def test_all_is_well() -> None:
    page = tree(seen(WELL))
    sound(page)
    assert headline(page) == "Nothing is wrong"
    assert "All 3 replicas in 1 bundle are ready." in verdict(page)
    assert texts(page, "//title") == ["Nothing is wrong - Cluster cluster"]
    assert texts(page, "//h1") == ["Cluster cluster"]
    assert facts(page) == {
        "Last poll": "Last pollsucceeded 3 s agotook 0.4 s",
        "Data": "Data4 s oldwithdrawn when older than 90 s",
        "View": "Viewtrustedfrom node-0, the DC",
        "Cluster": "ClusterDC node-0, quoratePacemaker 2.1.5 on corosync",
    }


def test_one_is_named_and_many_are_counted() -> None:
    assert headline(tree(seen(cluster(3, wrong=[1])))) == "Something is wrong with bundle-1"
    assert headline(tree(seen(cluster(3, wrong=[1, 2])))) == "Something is wrong with 2 bundles"


def test_what_is_done_on_purpose_is_no_failure() -> None:
    snapshot = WELL.snapshot
    maintained = replace(snapshot.cluster, maintenance_mode=True)
    page = tree(seen(replace(WELL, snapshot=replace(snapshot, cluster=maintained))))
    assert headline(page) == "Worth a look: the cluster itself"
    assert texts(page, "//code") == ["pcs property set maintenance-mode=false"]


def restarting(observation: Observation, *, failed: bool) -> Observation:
    """The same while the last replica of its bundle is started."""
    (bundle,) = observation.snapshot.bundles
    *others, last = bundle.replicas
    container = replace(last.container, role=Role.STARTING, active=False, failed=failed)
    changed = replace(bundle, replicas=(*others, replace(last, container=container)))
    return replace(observation, snapshot=replace(observation.snapshot, bundles=(changed,)))


def test_what_is_on_its_way_is_no_failure_unless_it_failed() -> None:
    page = tree(seen(restarting(WELL, failed=False)))
    assert headline(page) == "Worth a look: bundle-0"
    assert "2 of 3 replicas in 1 bundle are ready." in verdict(page)
    page = tree(seen(restarting(WELL, failed=True)))
    assert headline(page) == "Something is wrong with bundle-0"


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "serious"),
    [
        ("redis-promoted-none", True),
        ("redis-promoted-two", True),
        ("pending-start", False),
        ("bundle-disabled", False),
        ("cluster-maintenance", False),
        ("node-offline", True),
        ("blocked", True),
        ("virtual-ip-failed", True),
    ],
)
def test_what_is_serious(name: str, serious: bool, observed: Mapping[str, Observation]) -> None:
    page = tree(seen(observed[name]))
    assert headline(page).startswith("Something is wrong with " if serious else "Worth a look: ")
    (section,) = page.xpath("//section[@aria-labelledby='verdict']")
    assert ("failed" in section.get("class").split()) == serious


def test_a_view_that_is_not_to_be_trusted_says_so_first() -> None:
    page = tree(seen(without_quorum(WELL)))
    assert headline(page) == "Something is wrong with the cluster itself"
    assert "This view is not to be trusted" in verdict(page)
    assert "no quorum" in verdict(page)
    assert "not trusted" in facts(page)["View"]


def test_what_crm_mon_does_not_say_is_not_taken_for_good() -> None:
    snapshot = WELL.snapshot
    unknown = replace(snapshot.cluster, quorate=None)
    page = tree(seen(replace(WELL, snapshot=replace(snapshot, cluster=unknown))))
    assert headline(page) == "Nothing is known to be wrong"
    assert "This view is not to be trusted" in verdict(page)


# ---- No data, and old data ----


def nothing_of_the_cluster(page: html.HtmlElement) -> None:
    sound(page)
    assert page.xpath("//table") == []
    assert "controller" not in page.text_content()
    assert "bundle-0" not in page.text_content()


def test_before_the_first_poll() -> None:
    page = tree(State())
    nothing_of_the_cluster(page)
    assert headline(page) == "No data yet"
    assert "The first poll has not ended." in verdict(page)
    assert "none has ended yet" in facts(page)["Last poll"]


@pytest.mark.parametrize("outcome", FAILURES)
def test_why_nothing_is_seen_and_what_to_do(outcome: Outcome) -> None:
    page = tree(unseen(outcome))
    nothing_of_the_cluster(page)
    finding = failed_poll(outcome)
    assert finding.text in verdict(page)
    assert tuple(texts(page, "//code")) == finding.commands
    assert "Since the exporter was started, no poll has succeeded." in verdict(page)
    assert f"failed 3 s ago{outcome}" in facts(page)["Last poll"]


def test_a_node_that_left() -> None:
    page = tree(unseen(Outcome.NOT_CONNECTED, last_seen=NOW - 600))
    nothing_of_the_cluster(page)
    assert headline(page) == "Pacemaker is not running on this node"
    assert "last seen 10 min ago (2025-12-31 23:50:00 UTC)." in verdict(page)
    assert "withdrawn" not in verdict(page)


@pytest.mark.parametrize("outcome", FAILURES)
def test_old_data_is_told_from_the_present(outcome: Outcome) -> None:
    page = tree(seen(WELL, outcome, age=45))
    sound(page)
    assert texts(page, "//main/section/h2")[0] == "The last poll failed: this is not the present"
    (warning,) = texts(page, "//section[@aria-labelledby='stale']")
    assert failed_poll(outcome).text in warning
    assert "was seen 2025-12-31 23:59:15 UTC, 45 s ago, and is withdrawn at 90 s." in warning
    assert "Data45 s old" in facts(page)["Data"]
    assert "not trusted" in facts(page)["View"]
    assert "bundle-0" in page.text_content()
    assert headline(page) == "Nothing was wrong"
    assert "All 3 replicas in 1 bundle were ready." in verdict(page)
    assert page.xpath("//title")[0].text.startswith("Nothing was wrong - ")
    assert not page.xpath("//section[contains(@class, 'started')]"), "nothing looks well"


def test_what_was_wrong_is_told_of_the_past() -> None:
    page = tree(seen(cluster(3, wrong=[1]), Outcome.TIMEOUT, age=45))
    assert headline(page) == "Something was wrong with bundle-1"
    assert "8 of 9 replicas in 3 bundles were ready." in verdict(page)
    page = tree(seen(cluster(0), Outcome.TIMEOUT, age=45))
    assert "There were no bundles." in verdict(page)


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.SUCCESS])
def test_data_that_is_too_old_is_withdrawn(outcome: Outcome) -> None:
    page = tree(seen(WELL, outcome, age=91))
    nothing_of_the_cluster(page)
    assert headline(page) == "The cluster cannot be seen from here"
    assert "last seen 91 s ago" in verdict(page)
    assert "older than 90 s (--poll.max-age) is withdrawn" in verdict(page)


def test_a_clock_that_was_set_back_shows_no_negative_age() -> None:
    state = replace(seen(WELL), last_poll_time=NOW + 100)
    assert "succeeded 0 s ago" in facts(tree(state))["Last poll"]


# ---- Large clusters ----


def test_among_many_bundles_those_with_problems_are_first_and_open() -> None:
    page = tree(seen(cluster(100, wrong=[40, 90])))
    sound(page)
    bundles = page.xpath("//details[contains(@class, 'bundle')]")
    assert len(bundles) == 100 > OPEN_BUNDLES
    assert [bundle.get("id") for bundle in bundles[:3]] == ["bundle-40", "bundle-90", "bundle-0"]
    assert [bundle.get("id") for bundle in bundles if bundle.get("open")] == [
        "bundle-40",
        "bundle-90",
    ]
    assert page.xpath("//section[@aria-labelledby='verdict']//a/@href") == [
        "#bundle-40",
        "#bundle-90",
    ]


def test_more_problems_than_fit_are_folded() -> None:
    page = tree(seen(cluster(50, wrong=range(50))))
    shown = page.xpath("//section[@aria-labelledby='verdict']/ul/li/h3")
    folded = page.xpath("//section[@aria-labelledby='verdict']/details//h3")
    assert (len(shown), len(folded)) == (LISTED, 50 - LISTED)
    assert texts(page, "//section/details/summary")[0] == f"{50 - LISTED} more"


def test_more_failures_than_fit_are_counted() -> None:
    actions = tuple(FailedAction(f"r{n}", "node-0", "start", "Error", "1") for n in range(55))
    snapshot = replace(WELL.snapshot, failed_actions=actions)
    page = tree(seen(replace(WELL, snapshot=snapshot)))
    (section,) = page.xpath("//section[@aria-labelledby='failed-actions']")
    assert len(section.xpath(".//tbody/tr")) == LISTED
    assert f"{55 - LISTED} more: pacemaker-bundle-exporter show" in section.text_content()


def test_a_problem_of_what_is_not_shown_leads_nowhere() -> None:
    entry = ResourceHistory("gone", "node-0", fail_count=3, migration_threshold=3)
    snapshot = replace(WELL.snapshot, history=(entry,))
    page = tree(seen(replace(WELL, snapshot=snapshot)))
    sound(page)
    assert headline(page) == "Worth a look: resource gone"


# ---- Names ----


def test_markup_in_names_is_text() -> None:
    observation = cluster(2, wrong=[1], suffix=HOSTILE)
    page = tree(seen(observation))
    sound(page)
    text = page.text_content()
    snapshot = observation.snapshot
    for name in (
        *(node.name for node in snapshot.nodes),
        *(bundle.id for bundle in snapshot.bundles),
        *(bundle.image for bundle in snapshot.bundles),
        *(instance.resource.id for instance in snapshot.instances),
        *(action.reason for action in snapshot.failed_actions),
        f"Cluster cluster{HOSTILE}",
    ):
        assert name in text


def test_what_a_reader_would_not_see_is_written_out() -> None:
    body = rendered(seen(cluster(suffix="\u202e\x07\x85"))).plain.decode()
    assert not re.search("[\u202e\x07\x85]", body)
    assert "\\u202e\\x07\\x85" in body


# ---- Around the cluster ----


def test_the_policy_allows_this_style_and_nothing_else() -> None:
    (style,) = tree(seen(WELL)).xpath("//style/text()")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = dict(status_page.HEADERS)["content-security-policy"]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize(("interval", "refresh"), [(10, "10"), (0.5, "5"), (60, "60")])
def test_it_refreshes_with_the_polls_until_it_is_told_not_to(interval: float, refresh: str) -> None:
    identity = Identity("1", "", "3", poll_interval=interval, max_age=90)
    page = html.document_fromstring(rendered(seen(WELL), identity=identity).plain)
    assert page.xpath("//meta[@http-equiv='refresh']/@content") == [refresh]
    assert page.xpath("//header//a/@href") == ["?refresh=off"]
    assert page.xpath("//time/@datetime") == ["2026-01-01T00:00:00Z"]
    paused = html.document_fromstring(rendered(seen(WELL), refreshing=False).plain)
    assert paused.xpath("//meta[@http-equiv='refresh']") == []
    assert paused.xpath("//header//a/@href") == ["?"]


def test_links() -> None:
    page = tree(seen(WELL), Surroundings("/a/b", "https://example.com/books?a=1&b=2"))
    assert dict(zip(texts(page, "//nav//a"), page.xpath("//nav//a/@href"), strict=True)) == {
        "Metrics": "./a/b",
        "Health": "./-/healthy",
        "Readiness": "./-/ready",
        "Runbooks": "https://example.com/books?a=1&b=2",
    }
    assert "Runbooks" not in texts(tree(seen(WELL)), "//a")
    assert "1.2.3" in texts(page, "//footer")[0]


def test_the_demonstration_is_told() -> None:
    told = "DEMONSTRATION: this is not a real cluster."
    assert texts(tree(seen(WELL), Surroundings("/metrics", demo=True)), "//header/*")[0] == told
    assert told not in tree(seen(WELL)).text_content()


# ---- How it is made ----


def at(state: State, later: float = 0) -> Moment:
    view = View.at(state, IDENTITY, MONOTONIC + later)
    return Moment(view, NOW + later, MONOTONIC + later)


def test_those_who_ask_within_a_second_share_a_page() -> None:
    page, state, other = StatusPage(Surroundings("/metrics")), seen(WELL), seen(WELL)

    async def ask() -> None:
        async def get(moment: Moment, *, refreshing: bool = True) -> bytes:
            found = await page.html(lambda: moment, refreshing=refreshing)
            assert gzip.decompress(found.compressed) == found.plain
            return found.plain

        first, second = await asyncio.gather(get(at(state)), get(at(state, 0.5)))
        assert first is second
        assert await get(at(state), refreshing=False) != first
        assert await get(at(state)) is first
        second = await get(at(state, 1))
        assert second is not first, "its ages have changed"
        assert await get(at(other, 1)) is not second, "a poll has ended"
        assert b"Nothing is wrong" in await get(at(other, 86))
        assert b"cannot be seen" in await get(at(other, 86.5)), "it is too old"

    asyncio.run(ask())


def test_those_who_wait_share_the_next_page() -> None:
    """Though every look at the clock is a second later than the one before."""
    page, state, looks = StatusPage(Surroundings("/metrics")), seen(WELL), itertools.count()

    async def ask() -> list[Page]:
        waiting = (page.html(lambda: at(state, next(looks)), refreshing=True) for _ in range(10))
        return await asyncio.gather(*waiting)

    assert len(set(map(id, asyncio.run(ask())))) <= 2
