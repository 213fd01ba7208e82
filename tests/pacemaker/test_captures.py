"""The parser against what eight versions of crm_mon print."""

from collections.abc import Callable

import pytest

from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Outcome
from exporter.judgement.judge import judge
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import render
from exporter.pacemaker import crm_mon
from exporter.pacemaker.xml import UnreadableError
from tests.support.harness import see

CASES = sorted(
    path.stem for path in (see.CAPTURES / "2.1.5").iterdir() if not path.stem.endswith(".legacy")
)
VERSIONS = sorted(
    path.name for path in see.CAPTURES.iterdir() if path.is_dir() and path.name[0].isdigit()
)
LIVE = sorted(path.stem for path in (see.CAPTURES / "live-2.1.5").glob("0*.xml"))


def capture(version: str, case: str) -> bytes:
    modern = f"{version}/{case}.xml"
    exists = (see.CAPTURES / modern).exists()
    return see.captured(modern if exists else f"{version}/{case}.legacy.xml")


def bundle_lines(data: bytes) -> list[str]:
    blocks = render(FAMILIES, judge(Observation(crm_mon.parse(data))))
    return ["".join(block.lines) for block in blocks if block.name.startswith("pacemaker_bundle_")]


def test_captures_of_all_eight_versions_exist() -> None:
    assert VERSIONS == ["1.1.18", "1.1.24", "2.0.1", "2.0.5", "2.1.2", "2.1.5", "2.1.9", "3.0.2"]
    assert all((see.CAPTURES / "2.1.5" / f"{case}.xml").exists() for case in CASES)


@pytest.mark.parametrize("case", CASES)
def test_every_version_gives_the_same_bundles(case: str) -> None:
    expected = bundle_lines(capture("2.1.5", case))
    # Attribute values are not escaped up to 2.0.1.
    unescaped = {"1.1.18", "1.1.24", "2.0.1"} if case == "e16-image-special" else set()
    for version in VERSIONS:
        if version in unescaped:
            with pytest.raises(UnreadableError, match="line 21") as caught:
                bundle_lines(capture(version, case))
            assert caught.value.failure.outcome is Outcome.MALFORMED
        else:
            assert bundle_lines(capture(version, case)) == expected, version


def test_both_xml_forms_of_one_version_give_the_same_snapshot() -> None:
    modern = crm_mon.parse(see.captured("2.1.5/e02-promoted.xml"))
    legacy = crm_mon.parse(see.captured("2.1.5/e02-promoted.legacy.xml"))
    assert legacy.bundles == modern.bundles
    assert legacy.nodes == modern.nodes
    assert (legacy.cluster.api_version, modern.cluster.api_version) == ("", "2.25")


@pytest.mark.parametrize("version", VERSIONS)
def test_page_of_each_version_is_the_expected_one(
    version: str, golden: Callable[[str, str], None]
) -> None:
    snapshot = crm_mon.parse(capture(version, "e19-on-remote-and-guest"))
    golden(f"versions/{version}.prom", see.text(Observation(snapshot, local_node="node1")))


@pytest.mark.parametrize("case", [*LIVE, "12-quorum-lost", "15a-startup-before-dc"])
def test_page_of_a_live_cluster_is_the_expected_one(
    case: str, golden: Callable[[str, str], None]
) -> None:
    snapshot = crm_mon.parse(see.captured(f"live-2.1.5/{case}.xml"))
    golden(f"live/{case}.prom", see.text(Observation(snapshot)))


def test_summaries_of_a_live_cluster_are_the_expected_ones(
    golden: Callable[[str, str], None],
) -> None:
    cases = [*LIVE, "12-quorum-lost"]
    short = [
        f"{case}\n{see.summary(crm_mon.parse(see.captured(f'live-2.1.5/{case}.xml')))}"
        for case in cases
    ]
    golden("live.txt", "\n".join(short))


def test_summaries_after_a_killed_container_are_the_expected_ones(
    golden: Callable[[str, str], None],
) -> None:
    answers = sorted((see.CAPTURES / "live-2.1.5" / "04-galera-container-killed").iterdir())
    short = []
    for path in answers:
        snapshot = crm_mon.parse(path.read_bytes())
        galera = [bundle for bundle in snapshot.bundles if bundle.id == "galera-bundle"]
        short.append(
            f"{path.stem}\n{see.summary(type(snapshot)(snapshot.cluster, (), (*galera,)))}"
        )
    golden("container-killed.txt", "\n".join(short))


@pytest.mark.parametrize(
    ("case", "outcome", "words"),
    [
        ("13b-pacemaker-not-running-corosync-up", Outcome.NOT_CONNECTED, "is Pacemaker running"),
        ("14a-based-frozen", Outcome.INCOMPLETE, "Could not connect to the CIB"),
        ("16b-user-not-in-haclient", Outcome.PERMISSION_DENIED, "haclient"),
    ],
)
def test_answers_of_a_live_cluster_without_status_are_errors(
    case: str, outcome: Outcome, words: str
) -> None:
    with pytest.raises(UnreadableError, match=words) as caught:
        crm_mon.parse(see.captured(f"live-2.1.5/{case}.xml"))
    assert caught.value.failure.outcome is outcome


def test_starting_cluster_is_not_authoritative() -> None:
    before_dc = crm_mon.parse(see.captured("live-2.1.5/15a-startup-before-dc.xml"))
    assert before_dc.cluster.dc_elected is False
    assert before_dc.cluster.quorate is None
    assert not before_dc.authoritative
    assert [(node.online, node.unclean) for node in before_dc.nodes] == [(False, True)] * 3
    earliest = crm_mon.parse(see.captured("live-2.1.5/15b-startup-no-node-yet.xml"))
    assert (earliest.nodes, earliest.bundles) == ((), ())
    assert earliest.cluster.last_change == ""
    assert earliest.unreadable_times == 0
