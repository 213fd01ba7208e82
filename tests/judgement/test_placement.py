"""Where resources may run: compared with Pacemaker's scheduler and with a model of it."""

import os
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from lxml import etree

from exporter.cluster.location import LocationConstraint, Locations
from exporter.cluster.model import INFINITY, Node, NodeType
from exporter.judgement.placement import Placement
from exporter.pacemaker.location import read_locations
from tests.support.model.locations import NODES, TAGS, configuration, locations
from tests.support.oracle import scheduler
from tests.support.oracle.placement import Model

IN_CI = bool(os.environ.get("CI"))
ALL = frozenset(node.name for node in NODES)
BUNDLES = ("web-bundle", "db-bundle")


def quick(examples: int) -> settings:
    """Derandomize in CI, so that every failure can be reproduced."""
    return settings(max_examples=examples, deadline=None, derandomize=IN_CI, print_blob=True)


# ------------------------------------------------------------------------- the real scheduler


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for CIBs."""
    return tmp_path_factory.mktemp("placement")


def allowed(drawn: Locations, directory: Path) -> dict[str, frozenset[str]]:
    """The nodes that the scheduler allows each resource."""
    file = directory / "cib.xml"
    file.write_bytes(ET.tostring(configuration(drawn)))
    found = scheduler.allowed(file)
    return defaultdict(frozenset, {resource: on & ALL for resource, on in found.items()})


# Always the same examples. Of 2,500 random ones two differ, both in an asymmetric cluster with a
# constraint for exclusive discovery: one whose rule only guest nodes of bundles satisfy, and one of
# a group whose rules have a score-attribute.
@pytest.mark.real
@settings(quick(150), derandomize=True)
@given(drawn=locations())
def test_eligible_nodes_are_those_that_the_scheduler_allows(
    drawn: Locations, directory: Path
) -> None:
    placement = Placement(NODES, drawn, aliases=TAGS)
    real = allowed(drawn, directory)
    for bundle in BUNDLES:
        answer = placement.eligible_nodes(bundle)
        found = real[f"{bundle}-podman-0"]
        if not found and answer:  # rules were left out
            plain = replace(drawn, constraints=tuple(c for c in drawn.constraints if c.node))
            found = allowed(plain, directory)[f"{bundle}-podman-0"]
            if not found:
                opened = replace(plain, symmetric=True)
                found = allowed(opened, directory)[f"{bundle}-podman-0"]
        assert answer == found, bundle
    others = {
        "ip": placement.eligible_nodes("ip"),
        "cl:0": placement.eligible_nodes("cl-clone", inner=["cl"]),
        # The connection of a remote node.
        "r1": placement.eligible_nodes("r1", types=frozenset({NodeType.MEMBER})),
        # The scheduler gives the group's scores to its first member, and colocates the others.
        "grp": placement.eligible_nodes("grp", members=["g1", "g2"]),
    }
    real["grp"] = real["g1"] & real["g2"]
    for resource, answer in others.items():
        assert not real[resource] or answer == real[resource], resource


# -------------------------------------------------------------------------------- the model


@quick(200)
@given(drawn=locations(doubtful=True))
def test_eligible_nodes_are_those_of_the_model(drawn: Locations) -> None:
    placement = Placement(NODES, drawn, aliases=TAGS)
    model = Model(drawn, NODES, TAGS)
    for resource in (*BUNDLES, "ip"):
        assert placement.eligible_nodes(resource) == model.eligible(resource)


@quick(100)
@given(drawn=locations(doubtful=True))
def test_a_constraint_that_cannot_be_evaluated_never_takes_a_node_away(drawn: Locations) -> None:
    some = replace(drawn, constraints=tuple(c for c in drawn.constraints if c.evaluable))
    for resource in BUNDLES:
        with_doubt = Placement(NODES, drawn, aliases=TAGS).eligible_nodes(resource)
        assert with_doubt >= Placement(NODES, some, aliases=TAGS).eligible_nodes(resource)


# --------------------------------------------------------------------------- form by form

MEMBERS = frozenset({"n1", "N2", "n3"})
REMOTES = frozenset({"r1", "r2"})
ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "n1": {"zone": "a", "size": "9", "web-role": "true"},
    "n2": {"zone": "B", "size": "10", "web-role": "true", "site-name": "x"},
    "n3": {"zone": "", "size": "9.5", "weight": "-INFINITY"},
    "r1": {"size": "many", "weight": "7"},
}


def where(
    xml: str,
    resource: str = "web-bundle",
    *,
    symmetric: bool = True,
    transient: frozenset[str] = frozenset(),
    nodes: tuple[Node, ...] = NODES,
    members: tuple[str, ...] = (),
    inner: tuple[str, ...] = (),
) -> frozenset[str]:
    """The eligible nodes with constraints in XML."""
    configured = etree.fromstring(
        f"<configuration><constraints>{xml}</constraints></configuration>"
    )
    found = read_locations(configured, symmetric=symmetric, cluster_name="test")
    placement = Placement(
        nodes, replace(found, node_attributes=ATTRIBUTES), transient=transient, aliases=TAGS
    )
    return placement.eligible_nodes(resource, inner=inner, members=members)


def on(node: str, score: str, *, more: str = "", target: str = 'rsc="web-bundle"') -> str:
    """A constraint with node and score."""
    return f'<rsc_location id="l" {target} node="{node}" score="{score}" {more}/>'


def ruled(
    body: str, score: str = 'score="-INFINITY"', *, more: str = "", target: str = 'rsc="web-bundle"'
) -> str:
    """A constraint with one rule."""
    return f'<rsc_location id="l" {target} {more}><rule id="r" {score}>{body}</rule></rsc_location>'


def expression(attribute: str, operation: str, value: str = "", more: str = "") -> str:
    """An expression of a rule."""
    return (
        f'<expression id="e" attribute="{attribute}" operation="{operation}" value="{value}" '
        f"{more}/>"
    )


EXCLUSIVE = 'resource-discovery="exclusive"'
WEB = 'rsc-pattern="^(w.+)-"'
NOT_WEB = ALL - {"n1", "N2"}
DATE = '<date_expression id="d" operation="gt" start="2020-01-01"/>'
TWO_RULES = f"""
    <rsc_location id="l" rsc="web-bundle">
      <rule id="r" score="-INFINITY">{expression("zone", "eq", "a")}</rule>
      <rule id="s" score="-INFINITY">{expression("#uname", "eq", "r1")}</rule>
    </rsc_location>"""


def test_nodes_are_eligible_without_constraints() -> None:
    assert where("") == ALL
    assert where("", symmetric=False) == frozenset()


@pytest.mark.parametrize(
    ("xml", "barred"),
    [
        (on("n1", "-INFINITY"), {"n1"}),
        (on("N1", "-INFINITY"), {"n1"}),
        (on("n1", "-2000000"), {"n1"}),
        (on("n1", "-999999"), set()),
        (on("other", "-INFINITY"), set()),
        (on("n1", "-INFINITY", target='rsc="other"'), set()),
        (on("n1", "-INFINITY") + on("n1", "INFINITY"), {"n1"}),
        # Scores are added from the last constraint to the first.
        (on("n1", "600000") + on("n1", "-600000") + on("n1", "-600000"), {"n1"}),
        (on("n1", "-600000") + on("n1", "-600000") + on("n1", "600000"), set()),
        (on("n1", "-600000") + on("n1", "-600000") + on("n1", "INFINITY"), set()),
        (on("n1", "-INFINITY", more='role="Promoted"'), set()),
        (on("n1", "-INFINITY", more='role="master"'), set()),
        (on("n1", "-INFINITY", more='role="Stopped"'), set()),
        (on("n1", "-INFINITY", more='role="Started"'), {"n1"}),
        (on("n1", "-INFINITY", more='role="Slave"'), {"n1"}),
        (on("n1", "-INFINITY", more='resource-discovery="never"'), {"n1"}),
        (on("n1", "-INFINITY", target='rsc="front"'), {"n1"}),
        (on("n1", "-INFINITY", target='rsc-pattern="^w.*e$"'), {"n1"}),
        (on("n1", "-INFINITY", target='rsc-pattern="!^db"'), {"n1"}),
        (on("n1", "-INFINITY", target='rsc-pattern="!^web"'), set()),
        (on("n1", "-INFINITY", target='rsc-pattern="*"'), set()),
        (on("n1", "much"), set()),
        (ruled(expression("#uname", "eq", "n2")), {"N2"}),
        (ruled(expression("#uname", "ne", "n2")), ALL - {"N2"}),
        (ruled(expression("#id", "eq", "3")), {"n3"}),
        (ruled(expression("#kind", "eq", "remote")), REMOTES),
        (ruled(expression("#kind", "eq", "cluster")), MEMBERS),
        (ruled(expression("#kind", "eq", "container")), set()),
        (ruled(expression("#cluster-name", "ne", "TEST")), set()),
        (ruled(expression("#site-name", "eq", "x")), {"N2"}),
        (ruled(expression("#site-name", "ne", "test")), {"N2"}),
        (ruled(expression("#role", "not_defined")), set()),
        (ruled(expression("zone", "eq", "b")), {"N2"}),
        (ruled(expression("zone", "ne", "b")), ALL - {"N2"}),
        (ruled(expression("zone", "eq")), REMOTES),
        (ruled(expression("zone", "defined")), MEMBERS),
        (ruled(expression("zone", "not_defined")), REMOTES),
        (ruled(expression("ZONE", "defined")), set()),
        # As integers 9.5 and 9 are equal, and what is no number is compared as text.
        (ruled(expression("size", "gt", "9")), {"N2", "n3", "r1"}),
        (ruled(expression("size", "gt", "9", 'type="integer"')), {"N2", "r1"}),
        (ruled(expression("size", "gt", "9", 'type="string"')), {"n3", "r1"}),
        (ruled(expression("size", "lte", "9.5")), {"n1", "n3"}),
        (ruled(expression("size", "lt", "100", 'type="number"')), {"n1", "N2", "n3"}),
        (ruled(expression("size", "gte", "9.4", 'type="version"')), {"N2", "n3"}),
        (ruled(expression("size", "unknown", "9")), set()),
        (ruled(expression("size", "lt", "9", 'type="odd"')), set()),
        (ruled(expression("size", "gt", "9" * 20)), {"r1"}),
        (ruled(expression("web-role", "gte", "9.3.1", 'type="version"')), set()),
        (ruled(expression("size", "gte", "9.3.1", 'type="version"')), {"N2", "n3"}),
        (ruled(expression("zone", "defined"), 'score="-5"'), set()),
        (ruled(expression("zone", "defined"), ""), set()),
        (ruled(expression("zone", "defined"), 'score="-INFINITY" role="Promoted"'), set()),
        (ruled(expression("zone", "defined"), 'score="-INFINITY" role="Started"'), set()),
        (ruled(expression("zone", "eq", "a"), 'score="-INFINITY" role="Unpromoted"'), {"n1"}),
        # The role of the constraint itself means nothing with rules.
        (ruled(expression("zone", "eq", "a"), more='role="Promoted"'), {"n1"}),
        (
            ruled(
                expression("zone", "eq", "a") + expression("size", "eq", "9"),
                'score="-INFINITY" boolean-op="and"',
            ),
            {"n1"},
        ),
        (
            ruled(
                expression("zone", "eq", "a") + expression("size", "eq", "10"),
                'score="-INFINITY" boolean-op="or"',
            ),
            {"n1", "N2"},
        ),
        (
            ruled(
                expression("#kind", "eq", "cluster")
                + '<rule id="n" boolean-op="or">'
                + expression("zone", "eq", "a")
                + expression("size", "eq", "9.5")
                + "</rule>"
            ),
            {"n1", "n3"},
        ),
        (ruled(expression("#kind", "defined"), 'score-attribute="weight"'), ALL - {"r1"}),
        (ruled(expression("#kind", "ne", "remote"), 'score-attribute="weight"'), MEMBERS),
        (TWO_RULES, {"n1", "r1"}),
        (ruled(expression("%1-role", "ne", "true"), target=WEB), NOT_WEB),
        (ruled(expression("%0%9", "defined"), target='rsc-pattern="zo|web"'), set()),
        (ruled(f'<rule id="n">{expression("%1-role", "ne", "true")}</rule>', target=WEB), NOT_WEB),
        (ruled(DATE + expression("%1-role", "defined"), target=WEB), set()),
        (ruled(expression("#kind", "eq", "cluster"), 'score-attribute="%2"', target=WEB), MEMBERS),
    ],
)
def test_scores_of_minus_infinity_exclude(xml: str, barred: set[str]) -> None:
    left = ALL - barred
    assert where(xml) == (left or ALL)


@pytest.mark.parametrize(
    ("xml", "chosen"),
    [
        (on("n1", "0"), {"n1"}),
        (on("n1", "-5"), {"n1"}),
        (on("n1", "5", more='role="Promoted"') + on("r1", "0"), {"r1"}),
        (on("n1", "5", more='resource-discovery="never"'), {"n1"}),
        (on("n1", "5") + on("n1", "-INFINITY"), set()),
        (ruled(expression("#kind", "eq", "remote"), 'score="0"'), REMOTES),
        (ruled(expression("#kind", "eq", "remote"), ""), REMOTES),
        (ruled(expression("#kind", "defined"), 'score-attribute="weight"'), {"r1"}),
        (on("n1", "0") + ruled(expression("zone", "eq", "b"), 'score="0"'), {"n1", "N2"}),
    ],
)
def test_only_matched_nodes_are_eligible_in_an_asymmetric_cluster(
    xml: str, chosen: set[str]
) -> None:
    assert where(xml, symmetric=False) == chosen


@pytest.mark.parametrize(
    ("xml", "chosen"),
    [
        (on("n1", "0", more=EXCLUSIVE), {"n1"}),
        (on("n1", "0", more=EXCLUSIVE) + on("n3", "-5", more=EXCLUSIVE), {"n1", "n3"}),
        (on("n1", "0", more=EXCLUSIVE) + on("N2", "INFINITY"), {"n1"}),
        (on("n1", "-INFINITY", more=EXCLUSIVE), set()),
        (on("other", "0", more=EXCLUSIVE), ALL),
        (on("n1", "0", more=EXCLUSIVE + ' role="Promoted"'), ALL),
        (ruled(expression("web-role", "eq", "TRUE"), 'score="0"', more=EXCLUSIVE), {"n1", "N2"}),
        (ruled(expression("web-role", "eq", "no"), 'score="0"', more=EXCLUSIVE), ALL),
        (
            ruled(expression("web-role", "eq", "true"), 'score="0"', more=EXCLUSIVE)
            + on("n1", "-INFINITY"),
            {"N2"},
        ),
    ],
)
def test_exclusive_discovery_excludes_nodes_without_a_match(xml: str, chosen: set[str]) -> None:
    assert where(xml) == chosen


def test_exclusive_constraints_of_an_asymmetric_cluster_add_up() -> None:
    xml = on("n1", "0", more=EXCLUSIVE) + on("N2", "0")
    assert where(xml, symmetric=False) == {"n1"}


def test_resource_sets_have_scores_and_roles_of_their_own() -> None:
    xml = """
        <rsc_location id="l" node="n1" score="-INFINITY">
          <resource_set id="s1">
            <resource_ref id="web-bundle"/><resource_ref id="back"/>
          </resource_set>
          <resource_set id="s2" role="Promoted"><resource_ref id="cl-clone"/></resource_set>
          <resource_set id="s3" score="5"><resource_ref id="ip"/></resource_set>
        </rsc_location>"""
    assert where(xml) == ALL - {"n1"}
    assert where(xml, "db-bundle") == ALL - {"n1"}
    assert where(xml, "cl-clone") == ALL
    assert where(xml, "ip") == ALL


def test_patterns_match_only_the_outermost_resource() -> None:
    xml = on("n1", "-INFINITY", target='rsc-pattern="^cl$"')
    assert where(xml, "cl-clone", inner=("cl",)) == ALL
    assert where(xml, "cl") == ALL - {"n1"}
    xml = on("n1", "-INFINITY", target='rsc-pattern="!clone"')
    assert where(xml, "cl-clone", inner=("cl",)) == ALL


def test_constraints_of_what_is_cloned_are_the_clones() -> None:
    xml = on("n1", "0", target='rsc="cl"', more=EXCLUSIVE)
    assert where(xml, "cl-clone", inner=("cl",)) == {"n1"}


def test_a_group_runs_where_all_of_its_members_may() -> None:
    xml = (
        on("n1", "-INFINITY", target='rsc="g1"')
        + on("N2", "-INFINITY", target='rsc="g2"')
        + on("n3", "-INFINITY", target='rsc="grp"')
    )
    assert where(xml, "grp", members=("g1", "g2")) == REMOTES
    assert where(xml, "grp", members=("g1",)) == {"N2", *REMOTES}


def test_an_asymmetric_cluster_needs_a_match_for_each_member_of_a_group() -> None:
    xml = on("n1", "0", target='rsc="g1"')
    assert where(xml, "grp", members=("g1", "g2"), symmetric=False) == frozenset()
    xml = on("n1", "0", target='rsc="grp"')
    assert where(xml, "grp", members=("g1", "g2"), symmetric=False) == {"n1"}


def test_exclusive_discovery_of_a_member_does_not_bind_the_group() -> None:
    xml = on("n1", "0", target='rsc="g2"', more=EXCLUSIVE)
    assert where(xml, "grp", members=("g1", "g2")) == ALL


def test_types_of_nodes_restrict_the_answer_and_not_the_matches() -> None:
    found = LocationConstraint("l", ("a",), node="r1", score=0, exclusive=True)
    placement = Placement(NODES, Locations((found,)))
    assert placement.eligible_nodes("a", types=frozenset({NodeType.REMOTE})) == {"r1"}
    assert placement.eligible_nodes("a", types=frozenset({NodeType.MEMBER})) == frozenset()
    assert placement.eligible_nodes("b", types=frozenset({NodeType.MEMBER})) == MEMBERS


def test_guest_nodes_are_containers() -> None:
    nodes = (*NODES, Node("vm1", type=NodeType.GUEST))
    assert where(ruled(expression("#kind", "ne", "container")), nodes=nodes) == {"vm1"}


def test_answers_are_shared() -> None:
    found = LocationConstraint("l", ("c", "d"), node="n1", score=-INFINITY)
    placement = Placement(NODES, Locations((found,)))
    assert placement.eligible_nodes("a") is placement.eligible_nodes("b")
    assert placement.eligible_nodes("c") is placement.eligible_nodes("d")


def test_rules_look_up_attributes_in_any_case_of_the_nodes_name() -> None:
    assert where(ruled(expression("zone", "eq", "B"))) == ALL - {"N2"}


def test_a_site_without_a_cluster_name_has_only_its_own_name() -> None:
    rule = ruled(expression("#site-name", "defined"))
    found = read_locations(
        etree.fromstring(f"<configuration><constraints>{rule}</constraints></configuration>")
    )
    placement = Placement(NODES, replace(found, node_attributes=ATTRIBUTES))
    assert placement.eligible_nodes("web-bundle") == ALL - {"N2"}


# ------------------------------------------------------------------------------------- doubt

DOUBTS = [
    ruled(DATE),
    ruled(f'<rule id="n">{DATE}</rule>{expression("#uname", "defined")}'),
    ruled('<rsc_expression id="x" class="ocf"/>'),
    ruled('<op_expression id="x" name="monitor"/>'),
    ruled('<rule id-ref="elsewhere"/>'),
    ruled(expression("zone", "ne", "p", 'value-source="param"')),
    ruled(expression("zone", "ne", "p", 'value-source="meta"')),
    f"""
    <rsc_location id="l" rsc="web-bundle" node="n1" score="-INFINITY">
      <lifetime><rule id="t">{DATE}</rule></lifetime>
    </rsc_location>""",
]


@pytest.mark.parametrize("xml", DOUBTS)
def test_constraints_that_cannot_be_evaluated_are_ignored(xml: str) -> None:
    assert where(xml) == ALL
    assert where(xml + on("N2", "-INFINITY")) == ALL - {"N2"}
    assert where(xml + on("N2", "0"), symmetric=False) == {"N2"}


@pytest.mark.parametrize("xml", DOUBTS)
def test_a_resource_with_only_ignored_constraints_may_run_anywhere(xml: str) -> None:
    assert where(xml, symmetric=False) == ALL
    assert where(xml + on("n1", "-INFINITY"), symmetric=False) == ALL - {"n1"}
    pattern = xml.replace('rsc="web-bundle"', 'rsc-pattern="web"')
    assert where(pattern, symmetric=False) == ALL
    assert where(pattern, "db-bundle", symmetric=False) == frozenset()


def test_ignored_exclusive_constraints_do_not_exclude() -> None:
    assert where(ruled(DATE, 'score="0"', more=EXCLUSIVE)) == ALL


PING = "pingd"


@pytest.mark.parametrize(
    ("xml", "symmetric", "eligible"),
    [
        (ruled(expression(PING, "lt", "1")), True, ALL),
        (ruled(expression(PING, "not_defined")), True, ALL),
        (ruled(expression(PING, "gt", "0"), 'score="5"', more=EXCLUSIVE), True, ALL),
        (ruled(expression(PING, "gt", "0"), 'score="5"'), False, ALL),
        (ruled(expression(PING, "gt", "0"), 'score="-5"'), False, ALL),
        (ruled(expression(PING, "defined"), f'score-attribute="{PING}"'), True, ALL),
        (ruled(expression("#kind", "defined"), f'score-attribute="{PING}"'), False, ALL),
        (
            ruled(expression("zone", "defined"), f'score-attribute="{PING}"', more=EXCLUSIVE),
            True,
            MEMBERS,
        ),
        # What is certain beside it decides.
        (
            ruled(
                expression(PING, "lt", "1") + expression("zone", "eq", "a"),
                'score="-INFINITY" boolean-op="or"',
            ),
            True,
            ALL - {"n1"},
        ),
        (ruled(expression(PING, "lt", "1") + expression("zone", "eq", "a")), True, ALL),
        (
            ruled(
                expression(PING, "gt", "0") + expression("zone", "eq", "a"),
                'score="5"',
                more=EXCLUSIVE,
            ),
            True,
            {"n1"},
        ),
        (ruled(expression(PING, "defined"), 'score-attribute="weight"'), True, ALL),
        (ruled(expression(PING, "defined"), 'score-attribute="weight"'), False, {"r1"}),
        *(
            (ruled(expression(name, "eq", "true")), True, ALL)
            for name in ("#is_dc", "#health-cpu", "#feature-set", "shutdown", "fail-count-ip")
        ),
    ],
)
def test_transient_attributes_keep_nodes_eligible(
    xml: str, symmetric: bool, eligible: set[str]
) -> None:
    assert where(xml, transient=frozenset({PING}), symmetric=symmetric) == eligible


def test_attributes_that_no_node_has_are_not_transient() -> None:
    xml = ruled(expression(PING, "not_defined")) + on("n1", "0", target='rsc="ip"')
    assert where(ruled(expression("role", "ne", "x") + expression("zone", "defined"))) == REMOTES
    assert where(xml) == ALL  # all rules together leave none


def test_rules_that_leave_no_node_are_ignored_together() -> None:
    everywhere = ruled(expression("#kind", "defined"))
    assert where(everywhere) == ALL
    assert where(everywhere + on("n1", "-INFINITY")) == ALL - {"n1"}
    assert where(everywhere + ruled(expression("zone", "eq", "a"))) == ALL
    xml = everywhere.replace("web-bundle", "g2")
    assert where(xml, "grp", members=("g1", "g2")) == ALL


def test_rules_that_leave_no_node_of_an_asymmetric_cluster_open_it() -> None:
    nowhere = ruled(expression("web-role", "eq", "no"), 'score="0"')
    assert where(nowhere, symmetric=False) == ALL
    assert where(nowhere + on("n1", "-INFINITY"), symmetric=False) == ALL - {"n1"}
    assert where(nowhere + on("n1", "0"), symmetric=False) == {"n1"}


def test_bans_without_rules_may_leave_no_node() -> None:
    bans = "".join(on(node.name, "-INFINITY") for node in NODES)
    assert where(bans) == frozenset()
    assert where(bans + ruled(expression("#kind", "defined"))) == frozenset()


def test_versions_that_the_scheduler_never_ends_to_compare_are_equal() -> None:
    numbers = count(1)
    nodes = tuple(Node(f"v{next(numbers)}") for _ in range(3))
    values = {"v1": {"v": "9abc"}, "v2": {"v": ""}, "v3": {"v": "9.1"}}
    rule = ruled(expression("v", "eq", "9", 'type="version"'), target='rsc="a"')
    found = read_locations(
        etree.fromstring(f"<configuration><constraints>{rule}</constraints></configuration>")
    )
    placement = Placement(nodes, replace(found, node_attributes=values))
    assert placement.eligible_nodes("a") == {"v2", "v3"}
