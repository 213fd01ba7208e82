"""The status page for every state, and with hostile names."""

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

from exporter.cluster.model import (
    FailedAction,
    Instance,
    Node,
    NodeType,
    Resource,
    ResourceHistory,
    Role,
)
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Outcome
from exporter.judgement.commands import changes_cluster
from exporter.judgement.judge import judge
from exporter.judgement.polls import failed_poll
from exporter.judgement.problem import Severity, cases
from exporter.metrics.exporter import Identity
from exporter.pacemaker import crm_mon
from exporter.polling.state import State
from exporter.web import status_page
from exporter.web.status_page import LISTED, OPEN_BUNDLES, Inputs, PageOptions, Rendered, StatusPage
from tests.support.harness import see
from tests.support.model.states import STATES
from tests.support.model.status import (
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
    """Check what holds for every page."""
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
def test_page_lists_every_problem_of_a_state(
    name: str, observed: Mapping[str, Observation]
) -> None:
    observation = observed[name]
    snapshot = observation.snapshot
    page = tree(seen(observation))
    sound(page)
    judgement = judge(observation)
    told = verdict(page)
    for case in cases(judgement.problems):
        assert case.sentence in texts(page, "//section[@aria-labelledby='verdict']//h3")
        assert f"{case.severity} {case.sentence}" in told
        assert set(case.texts) <= set(texts(page, "//section[@aria-labelledby='verdict']//li"))
        assert set(case.commands) <= set(texts(page, "//code"))
    severities = {problem.severity for problem in judgement.problems}
    if Severity.CRITICAL in severities:
        assert headline(page).startswith("Something is wrong with ")
    elif severities:
        assert headline(page).startswith("Worth a look: ")
    else:
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
        judged.node.name for judged in judgement.nodes if not judged.in_bundle
    ]
    resources = " ".join(texts(page, "//section[@aria-labelledby='resources']//tbody//th"))
    assert all(instance.resource.id in resources for instance in snapshot.instances)


def test_captured_failure_is_explained() -> None:
    capture = see.captured("live-2.1.5/07-node-unclean-pending-fencing.xml")
    page = tree(seen(Observation(crm_mon.parse(capture))))
    sound(page)
    assert headline(page).startswith("Something is wrong with ")
    assert "node controller-2 is unclean" in verdict(page)
    assert "what ran there is unknown until it is fenced" in verdict(page)
    assert "pcs stonith history show" in verdict(page)
    assert "failed" in page.xpath("//section[@aria-labelledby='verdict']/@class")[0].split()


# ---- The verdict ----


def test_healthy_cluster_is_summarized() -> None:
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


def test_headline_names_a_few_bundles_and_counts_many() -> None:
    for wrong, subjects in (
        ([1], "bundle-1"),
        ([1, 2], "bundle-1 and bundle-2"),
        ([0, 1, 2], "3 bundles"),
    ):
        assert (
            headline(tree(seen(cluster(3, wrong=wrong)))) == f"Something is wrong with {subjects}"
        )


def test_headline_names_the_worst_first() -> None:
    observation = cluster(2, wrong=[1])
    snapshot = observation.snapshot
    remote = Node("r", type=NodeType.REMOTE, unclean=True)
    nodes = (*snapshot.nodes, *(replace(remote, name=f"r{n}") for n in range(100)))
    options = replace(snapshot.cluster, mixed_version=True)
    changed = replace(observation, snapshot=replace(snapshot, nodes=nodes, cluster=options))
    page = tree(seen(changed))
    assert headline(page) == "Something is wrong with bundle-1 and 100 remote nodes"
    assert texts(page, "//section[@aria-labelledby='verdict']/ul/li/h3") == [
        "bundle-1 is degraded",
        "100 remote nodes are unclean: r0, r1, r2 and 97 more",
        "the nodes run different versions of Pacemaker",
    ]


def test_maintenance_is_not_a_failure() -> None:
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


def test_restarting_replica_is_a_failure_only_if_it_failed() -> None:
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
        ("node-standby", False),
        ("pending-start", False),
        ("bundle-disabled", False),
        ("cluster-maintenance", False),
        ("node-offline", True),
        ("blocked", True),
        ("virtual-ip-failed", True),
    ],
)
def test_headline_depends_on_the_severity(
    name: str, serious: bool, observed: Mapping[str, Observation]
) -> None:
    page = tree(seen(observed[name]))
    assert headline(page).startswith("Something is wrong with " if serious else "Worth a look: ")
    (section,) = page.xpath("//section[@aria-labelledby='verdict']")
    assert ("failed" in section.get("class").split()) == serious


def test_view_without_quorum_is_marked_as_untrusted() -> None:
    page = tree(seen(without_quorum(WELL)))
    assert headline(page) == "Something is wrong with the cluster itself"
    assert "Do not trust this view" in verdict(page)
    assert "no quorum" in verdict(page)
    assert "not trusted" in facts(page)["View"]


def test_unknown_quorum_is_not_taken_as_quorum() -> None:
    snapshot = WELL.snapshot
    unknown = replace(snapshot.cluster, quorate=None)
    page = tree(seen(replace(WELL, snapshot=replace(snapshot, cluster=unknown))))
    assert headline(page) == "Something is wrong with the cluster itself"
    assert "Do not trust this view" in verdict(page)


# ---- No data, and old data ----


def nothing_of_the_cluster(page: html.HtmlElement) -> None:
    sound(page)
    assert page.xpath("//table") == []
    assert "controller" not in page.text_content()
    assert "bundle-0" not in page.text_content()


def test_page_before_the_first_poll_has_no_data() -> None:
    page = tree(State())
    nothing_of_the_cluster(page)
    assert headline(page) == "No data yet"
    assert "The first poll has not ended yet." in verdict(page)
    assert "none has ended yet" in facts(page)["Last poll"]


@pytest.mark.parametrize("outcome", FAILURES)
def test_page_without_data_explains_the_failure_and_what_to_do(outcome: Outcome) -> None:
    page = tree(unseen(outcome))
    nothing_of_the_cluster(page)
    finding = failed_poll(outcome)
    assert finding.text in verdict(page)
    assert tuple(texts(page, "//code")) == finding.commands
    assert "No poll has succeeded since the exporter started." in verdict(page)
    assert f"failed 3 s ago{outcome}" in facts(page)["Last poll"]


def test_page_of_a_node_that_left_says_when_the_cluster_was_last_seen() -> None:
    page = tree(unseen(Outcome.NOT_CONNECTED, last_seen=NOW - 600))
    nothing_of_the_cluster(page)
    assert headline(page) == "Pacemaker is not running on this node"
    assert "last seen 10 min ago (2025-12-31 23:50:00 UTC)." in verdict(page)
    assert "withdrawn" not in verdict(page)


@pytest.mark.parametrize("outcome", FAILURES)
def test_old_data_is_marked_as_old(outcome: Outcome) -> None:
    page = tree(seen(WELL, outcome, age=45))
    sound(page)
    assert texts(page, "//main/section/h2")[0] == "The last poll failed: this page shows old data"
    (warning,) = texts(page, "//section[@aria-labelledby='stale']")
    assert failed_poll(outcome).text in warning
    assert (
        "is from 2025-12-31 23:59:15 UTC, 45 s ago. It is withdrawn when older than 90 s."
        in warning
    )
    assert "Data45 s old" in facts(page)["Data"]
    assert "not trusted" in facts(page)["View"]
    assert "bundle-0" in page.text_content()
    assert headline(page) == "Nothing was wrong"
    assert "All 3 replicas in 1 bundle were ready." in verdict(page)
    assert page.xpath("//title")[0].text.startswith("Nothing was wrong - ")
    assert not page.xpath("//section[contains(@class, 'started')]"), "nothing looks well"


def test_old_problems_are_described_in_the_past_tense() -> None:
    page = tree(seen(cluster(3, wrong=[1]), Outcome.TIMEOUT, age=45))
    assert headline(page) == "Something was wrong with bundle-1"
    assert "8 of 9 replicas in 3 bundles were ready." in verdict(page)
    page = tree(seen(cluster(0), Outcome.TIMEOUT, age=45))
    assert "There were no bundles." in verdict(page)


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.SUCCESS])
def test_too_old_data_is_withdrawn(outcome: Outcome) -> None:
    page = tree(seen(WELL, outcome, age=91))
    nothing_of_the_cluster(page)
    assert headline(page) == "The cluster cannot be seen from here"
    assert "last seen 91 s ago" in verdict(page)
    assert "older than 90 s (--poll.max-age) is withdrawn" in verdict(page)


def test_clock_that_was_set_back_gives_no_negative_age() -> None:
    state = replace(seen(WELL), last_poll_time=NOW + 100)
    assert "succeeded 0 s ago" in facts(tree(state))["Last poll"]


# ---- Large clusters ----


def test_bundles_with_problems_are_first_and_open() -> None:
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


def test_problems_that_do_not_fit_are_folded() -> None:
    page = tree(seen(cluster(50, wrong=range(50))))
    shown = page.xpath("//section[@aria-labelledby='verdict']/ul/li/h3")
    folded = page.xpath("//section[@aria-labelledby='verdict']/details//h3")
    assert (len(shown), len(folded)) == (LISTED, 50 - LISTED)
    assert texts(page, "//section/details/summary")[0] == f"{50 - LISTED} more"


def test_failures_that_do_not_fit_are_counted() -> None:
    actions = tuple(FailedAction(f"r{n}", "node-0", "start", "Error", "1") for n in range(55))
    snapshot = replace(WELL.snapshot, failed_actions=actions)
    page = tree(seen(replace(WELL, snapshot=snapshot)))
    (section,) = page.xpath("//section[@aria-labelledby='failed-actions']")
    assert len(section.xpath(".//tbody/tr")) == LISTED
    assert f"{55 - LISTED} more: pacemaker-bundle-exporter show" in section.text_content()


@pytest.mark.parametrize(("count", "folded"), [(10, []), (11, ["11 entries"])])
def test_more_than_ten_failures_are_folded(count: int, folded: list[str]) -> None:
    actions = tuple(FailedAction(f"r{n}", "node-0", "start", "Error", "1") for n in range(count))
    snapshot = replace(WELL.snapshot, failed_actions=actions)
    page = tree(seen(replace(WELL, snapshot=snapshot)))
    (section,) = page.xpath("//section[@aria-labelledby='failed-actions']")
    assert texts(section, "./details[not(@open)]/summary") == folded
    assert len(section.xpath("./details//tbody/tr" if folded else "./table//tbody/tr")) == count


def test_many_fencing_devices_are_counted_by_state_and_folded() -> None:
    (node, *_) = WELL.snapshot.nodes
    devices = tuple(
        Instance(
            Resource(
                f"fence-{n}",
                "stonith:fence_ipmilan",
                Role.STARTED if n > 1 else Role.STOPPED,
                active=n > 1,
                nodes=(node,) if n > 1 else (),
            )
        )
        for n in range(300)
    )
    page = tree(seen(replace(WELL, snapshot=replace(WELL.snapshot, instances=devices))))
    sound(page)
    (section,) = page.xpath("//section[@aria-labelledby='resources']")
    assert texts(section, "./details[not(@open)]/summary") == [
        "300 fencing devices: 298 started, 2 stopped: fence-0 and fence-1"
    ]
    assert len(section.xpath(".//tbody/tr")) == 300
    (link,) = page.xpath("//section[@aria-labelledby='verdict']//h3/a/@href")
    assert link == "#resources"


def test_of_many_nodes_those_that_are_not_well_are_shown_and_all_are_folded() -> None:
    nodes = tuple(
        Node(f"compute-{n}", type=NodeType.REMOTE, online=n not in {7, 9}) for n in range(100)
    )
    page = tree(seen(replace(WELL, snapshot=replace(WELL.snapshot, nodes=nodes))))
    sound(page)
    (section,) = page.xpath("//section[@aria-labelledby='nodes']")
    assert texts(section, "./table//th[@scope='row']") == ["compute-7", "compute-9"]
    assert texts(section, "./details/summary") == ["All 100 nodes: 98 of 100 are well"]
    assert len(section.xpath("./details[not(@open)]//tbody/tr")) == 100


def test_last_change_of_the_configuration_is_told_with_its_author() -> None:
    changed = replace(
        WELL.snapshot.cluster,
        last_change="Thu Jan  1 00:00:00 1970",
        last_change_user="root",
        last_change_client="cibadmin",
        last_change_origin="node-1",
    )
    page = tree(seen(replace(WELL, snapshot=replace(WELL.snapshot, cluster=changed))))
    assert facts(page)["Configuration"] == (
        "Configurationchanged Thu Jan 1 00:00:00 1970by root via cibadmin on node-1"
    )


def test_problem_of_a_hidden_resource_has_no_link() -> None:
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


def test_invisible_characters_are_escaped() -> None:
    body = rendered(seen(cluster(suffix="\u202e\x07\x85"))).plain.decode()
    assert not re.search("[\u202e\x07\x85]", body)
    assert "\\u202e\\x07\\x85" in body


# ---- Around the cluster ----


def test_policy_allows_only_the_style_of_the_page() -> None:
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
def test_page_refreshes_with_the_polls_unless_turned_off(interval: float, refresh: str) -> None:
    identity = Identity("1", "", "3", poll_interval=interval, max_age=90)
    page = html.document_fromstring(rendered(seen(WELL), identity=identity).plain)
    assert page.xpath("//meta[@http-equiv='refresh']/@content") == [refresh]
    assert page.xpath("//header//a/@href") == ["?refresh=off"]
    assert page.xpath("//time/@datetime") == ["2026-01-01T00:00:00Z"]
    paused = html.document_fromstring(rendered(seen(WELL), refreshing=False).plain)
    assert paused.xpath("//meta[@http-equiv='refresh']") == []
    assert paused.xpath("//header//a/@href") == ["?"]


def test_links_are_relative_except_to_runbooks() -> None:
    page = tree(seen(WELL), PageOptions("/a/b", "https://example.com/books?a=1&b=2"))
    assert dict(zip(texts(page, "//nav//a"), page.xpath("//nav//a/@href"), strict=True)) == {
        "Metrics": "./a/b",
        "JSON": "./status.json",
        "Health": "./-/healthy",
        "Readiness": "./-/ready",
        "Runbooks": "https://example.com/books?a=1&b=2",
    }
    assert "Runbooks" not in texts(tree(seen(WELL)), "//a")
    assert "1.2.3" in texts(page, "//footer")[0]


def test_other_members_are_linked_on_request() -> None:
    hostile = replace(WELL.snapshot.nodes[0], name="a/b@c", type=NodeType.MEMBER)
    remote = replace(hostile, name="remote", type=NodeType.REMOTE)
    nodes = (*WELL.snapshot.nodes, hostile, remote)
    seen_here = replace(
        WELL, snapshot=replace(WELL.snapshot, nodes=nodes), local_node=nodes[0].name
    )
    page = tree(seen(seen_here), PageOptions("/metrics", node_url="https://NODE:19664/"))
    links = dict(zip(texts(page, "//nav//a"), page.xpath("//nav//a/@href"), strict=True))
    others = [node.name for node in WELL.snapshot.nodes[1:] if node.type is NodeType.MEMBER]
    assert others
    for name in others:
        assert links[name] == f"https://{name}:19664/"
    assert links["a/b@c"] == "https://a%2Fb%40c:19664/"
    assert not links.keys() & {nodes[0].name, "remote"}


def test_demonstration_is_named_on_the_page() -> None:
    told = "DEMONSTRATION: this is not a real cluster."
    assert texts(tree(seen(WELL), PageOptions("/metrics", demo=True)), "//header/*")[0] == told
    assert told not in tree(seen(WELL)).text_content()


# ---- How it is made ----


def at(state: State, later: float = 0) -> Inputs:
    return Inputs(state, IDENTITY, NOW + later, MONOTONIC + later)


def test_requests_within_a_second_share_a_page() -> None:
    page, state, other = (
        StatusPage(PageOptions("/metrics"), ()),
        seen(WELL),
        replace(seen(WELL), polls=2),
    )

    async def ask() -> None:
        async def get(moment: Inputs, *, refreshing: bool = True) -> bytes:
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


def test_waiting_requests_share_the_next_page() -> None:
    """Every reading of the clock is a second later than the one before."""
    page, state, looks = StatusPage(PageOptions("/metrics"), ()), seen(WELL), itertools.count()

    async def ask() -> list[Rendered]:
        waiting = (page.html(lambda: at(state, next(looks)), refreshing=True) for _ in range(10))
        return await asyncio.gather(*waiting)

    assert len(set(map(id, asyncio.run(ask())))) <= 2
