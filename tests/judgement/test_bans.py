"""Bans: compared with those that the real crm_mon lists, and form by form."""

import os
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from exporter.cluster.location import Locations
from exporter.cluster.model import (
    Ban,
    Cluster,
    Instance,
    Node,
    NodeAttribute,
    NodeType,
    Resource,
    Role,
    Snapshot,
)
from exporter.cluster.observation import Observation
from exporter.judgement.bans import find_bans
from exporter.judgement.judge import Judge
from exporter.pacemaker import cib, crm_mon
from tests.support.harness import see
from tests.support.model.locations import configuration, locations
from tests.support.model.states import STATES


def listed(file: Path) -> set[Ban]:
    """Return the bans that crm_mon lists."""
    command = (
        see.need("crm_mon"),
        "--output-as=xml",
        "--include=none,summary,nodes,resources,bans",
    )
    environment = {**os.environ, "CIB_file": str(file), "LC_ALL": "C", "TZ": "UTC"}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return set(crm_mon.parse(done.stdout).bans)


def found(file: Path) -> set[Ban]:
    """Return the bans that the exporter finds."""
    return {ban for ban in find_bans(see.observe(file)) or () if ban.score < 0}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for CIBs."""
    return tmp_path_factory.mktemp("bans")


@pytest.mark.real
@settings(max_examples=40, deadline=None, derandomize=True, print_blob=True)
@given(drawn=locations())
def test_bans_are_those_that_crm_mon_lists(drawn: Locations, directory: Path) -> None:
    file = directory / "cib.xml"
    file.write_bytes(ET.tostring(configuration(drawn)))

    def compared(bans: set[Ban]) -> set[Ban]:
        # 2.1.5 gives a guest node of a bundle no attributes until it has run, and lists it with
        # -INFINITY for any score of a rule with `or`.
        return {ban for ban in bans if ban.node != "web-bundle-0"}

    assert compared(found(file)) == compared(listed(file))


@pytest.mark.real
def test_bans_of_named_states_are_those_that_crm_mon_lists(tmp_path: Path) -> None:
    wrong = []
    for name, state in STATES.items():
        file = tmp_path / f"{name}.xml"
        state.write(file)
        if found(file) != listed(file):
            wrong.append(name)
    assert wrong == []


# ------------------------------------------------------------------------------- form by form

RESOURCES = """<resources>
<primitive id="ip" class="ocf" provider="heartbeat" type="IPaddr2"/>
<clone id="cl-clone"><group id="in-clone"><primitive id="cl" class="ocf" type="x"/></group></clone>
<group id="grp"><primitive id="g1" class="ocf" type="x"/></group>
<bundle id="db-bundle"><podman replicas="1" promoted-max="1"/>
<primitive id="db" class="ocf" type="x"/></bundle>
<bundle id="web-bundle"><podman replicas="1"/><primitive id="web" class="ocf" type="x"/></bundle>
</resources>"""
MEMBERS = (
    Node("n1", "1", NodeType.MEMBER, online=True, dc=True),
    Node("N2", "2", NodeType.MEMBER, online=True),
)
LOST = replace(MEMBERS[1], online=False, unclean=True)
DAY = 86_400.0


def observation(
    constraints: str, snapshot: Snapshot | None = None, now: float = 0, more: str = ""
) -> Observation:
    """What a poll at a time sees; by default of two nodes without attributes."""
    xml = (
        f"<cib><configuration>{RESOURCES}{more}"
        f"<constraints>{constraints}</constraints></configuration></cib>"
    )
    read = cib.parse(xml.encode())
    holding = frozenset(date for date in read.locations.dates if date.holds(now))
    return Observation(snapshot or Snapshot(Cluster(), MEMBERS), read, dates_in_force=holding)


def ruled(inside: str, attributes: str = 'score="-INFINITY"', target: str = 'rsc="ip"') -> str:
    """A constraint with a rule."""
    return f'<rsc_location id="l" {target}><rule id="r" {attributes}>{inside}</rule></rsc_location>'


def expression(attribute: str, operation: str, value: str = "") -> str:
    return f'<expression id="e" attribute="{attribute}" operation="{operation}" value="{value}"/>'


def banned(
    constraints: str, snapshot: Snapshot | None = None, now: float = 0, more: str = ""
) -> list[tuple[str, str]]:
    """Constraint and node of each ban."""
    found = find_bans(observation(constraints, snapshot, now, more))
    assert found is not None
    return [(ban.constraint, ban.node) for ban in found]


@pytest.mark.parametrize(
    ("resource", "listed_as"),
    [
        ("ip", "ip"),
        ("cl", "cl-clone"),
        ("in-clone", "cl-clone"),
        ("g1", "g1"),
        ("db", "db-bundle-master"),
        ("web", "web-bundle-clone"),
        ("web-bundle", "web-bundle"),
        ("vm-connection", "vm-connection"),
        ("unknown", None),
    ],
)
def test_resource_has_the_name_that_crm_mon_lists(resource: str, listed_as: str | None) -> None:
    implicit = Instance(
        Resource("vm-connection", "ocf:pacemaker:remote", Role.STARTED, active=True)
    )
    snapshot = Snapshot(Cluster(), MEMBERS, instances=(implicit,))
    xml = f'<rsc_location id="l" rsc="{resource}" node="n2" score="-5" role="Master"/>'
    assert find_bans(observation(xml, snapshot)) == (
        (Ban("l", listed_as, "N2", -5, promoted_only=True),) if listed_as else ()
    )


def test_rule_is_listed_by_its_own_id_and_role() -> None:
    xml = ruled(expression("#uname", "eq", "n1"), 'score="-1" role="Promoted"')
    assert find_bans(observation(xml)) == (Ban("r", "ip", "n1", -1, promoted_only=True),)


@pytest.mark.parametrize(
    "constraint",
    [
        '<rsc_location id="l" rsc="ip" node="n1" score="0"/>',
        '<rsc_location id="l" rsc="ip" node="n1" score="5"/>',
        '<rsc_location id="l" rsc="ip" node="n3" score="-5"/>',
        '<rsc_location id="l" rsc="ip" node="n1" score="-5"><lifetime/></rsc_location>',
        ruled(expression("#uname", "defined"), 'score="0"'),
        ruled(expression("#uname", "defined"), 'score="-5" role="Leader"'),
        ruled(expression("#health-cpu", "ne", "green")),
        ruled('<date_expression id="d" operation="date_spec"/>'),
    ],
)
def test_constraint_that_bans_nothing(constraint: str) -> None:
    assert banned(constraint) == []


def test_rule_on_conditions_is_evaluated_as_they_are_now() -> None:
    xml = ruled(expression("pingd", "lt", "100"))
    attributes = (
        NodeAttribute("n1", "pingd", "99", 99),
        NodeAttribute("N2", "pingd", "100", 100),
    )
    snapshot = Snapshot(Cluster(), MEMBERS, attributes=attributes)
    assert banned(xml, snapshot) == [("r", "n1")]
    assert banned(ruled(expression("#is_dc", "eq", "true"))) == [("r", "n1")]


def test_attribute_that_a_node_lacks_is_not_defined_unless_the_node_is_lost() -> None:
    xml = ruled(expression("pingd", "not_defined"))
    attributes = (NodeAttribute("n1", "pingd", "100", 100),)
    online = Snapshot(Cluster(), MEMBERS, attributes=attributes)
    assert banned(xml, online) == [("r", "N2")]
    lost = replace(online, nodes=(MEMBERS[0], LOST))
    assert banned(xml, lost) == [], "the CIB still has what crm_mon does not list"
    assert banned(ruled(expression("#uname", "eq", "n2")), lost) == [("r", "N2")]
    ping = '<resources><primitive id="p" class="ocf" provider="pacemaker" type="ping"/></resources>'
    assert banned(xml, replace(lost, attributes=()), more=ping) == [("r", "n1")]


def test_ban_with_a_lifetime_ends() -> None:
    date = '<date_expression id="d" operation="lt" end="1970-01-02"/>'
    xml = ruled(expression("#uname", "eq", "n1") + date)
    assert banned(xml, now=DAY - 1) == [("r", "n1")]
    assert banned(xml, now=DAY + 1) == []
    lost = Snapshot(Cluster(), (LOST,))
    assert banned(ruled(date), lost, now=DAY - 1) == [("r", "N2")]


def test_pattern_bans_what_is_not_in_something_else() -> None:
    xml = '<rsc_location id="l" rsc-pattern="^(i|g)" node="n1" score="-5"/>'
    found = find_bans(observation(xml)) or ()
    assert [ban.resource for ban in found] == ["ip", "grp"]
    negated = ruled(expression("#uname", "eq", "n1"), target='rsc-pattern="!bundle|clone"')
    found = find_bans(observation(negated)) or ()
    assert [ban.resource for ban in found] == ["ip", "grp"]


def test_pattern_stands_for_a_part_of_an_attribute() -> None:
    xml = ruled(expression("%1-role", "ne", "true"), target='rsc-pattern="^(db)-"')
    attributes = (NodeAttribute("n1", "db-role", "true", None),)
    snapshot = Snapshot(Cluster(), MEMBERS, attributes=attributes)
    assert banned(xml, snapshot) == [("r", "N2")]


def test_preferences_that_moves_left_behind_come_last() -> None:
    xml = (
        '<rsc_location id="cli-prefer-ip" rsc="ip" node="n1" score="INFINITY"/>'
        '<rsc_location id="l" rsc="ip" node="n2" score="-5"/>'
    )
    assert banned(xml) == [("l", "N2"), ("cli-prefer-ip", "n1")]


def test_without_the_cib_only_the_bans_of_the_answer_are_known() -> None:
    ban = Ban("l", "ip", "n1", -5)
    assert find_bans(Observation(Snapshot(Cluster(), bans=(ban,)))) == (ban,)
    assert find_bans(Observation(Snapshot(Cluster()))) is None
    read = observation("", Snapshot(Cluster(), bans=(ban,)))
    assert find_bans(read) == (), "the CIB is newer than a saved answer, or the same"


# ------------------------------------------------------------------------- from poll to poll


def test_bans_are_found_again_when_what_they_depend_on_changes() -> None:
    date = '<date_expression id="d" operation="gt" start="1970-01-02"/>'
    by_date, by_value = ruled(date), ruled(expression("pingd", "eq", "0"))
    by_dc = ruled(expression("#is_dc", "eq", "true"))
    without_dc = Snapshot(Cluster(), (replace(MEMBERS[0], dc=False),))
    no_ping = Snapshot(Cluster(), MEMBERS, attributes=(NodeAttribute("n1", "pingd", "0", 0),))
    named = '<rsc_location id="l" rsc-pattern="." node="n1" score="-5"/>'
    more = Snapshot(
        Cluster(),
        MEMBERS,
        instances=(Instance(Resource("vm", "ocf:x:y", Role.STARTED, active=True)),),
    )
    judge = Judge()
    for before, after in (
        (observation(by_date), observation(by_date, now=2 * DAY)),
        (observation(by_value), observation(by_value, no_ping)),
        (observation(by_dc), observation(by_dc, without_dc)),
        (observation(named), observation(named, more)),
        (observation(by_value, no_ping), observation("", no_ping)),
    ):
        known, found = judge.judge(before).bans, judge.judge(after).bans
        assert known == find_bans(before)
        assert found == find_bans(after)
        assert found != known
