"""Location constraints and permanent node attributes are read from the CIB."""

import os
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given, settings
from lxml import etree

from exporter.cluster.location import (
    DateExpression,
    Expression,
    LocationConstraint,
    Locations,
    Rule,
    Unevaluable,
)
from exporter.pacemaker.location import read_locations
from tests.support.model.locations import CLUSTER_NAME, configuration, locations

IN_CI = bool(os.environ.get("CI"))
INFINITY = 1_000_000


def read(xml: str) -> Locations:
    """Read a configuration."""
    return read_locations(etree.fromstring(f"<configuration>{xml}</configuration>"))


def constraints(xml: str, more: str = "") -> tuple[LocationConstraint, ...]:
    """Read constraints."""
    return read(f"<constraints>{xml}</constraints>{more}").constraints


@settings(max_examples=100, deadline=None, derandomize=IN_CI, print_blob=True)
@given(drawn=locations())
def test_what_is_written_is_read_back(drawn: Locations) -> None:
    element = etree.fromstring(ET.tostring(configuration(drawn))).find("configuration")
    assert element is not None
    found = read_locations(element, symmetric=drawn.symmetric, cluster_name=CLUSTER_NAME)
    plain = tuple(replace(constraint, rule_ids=()) for constraint in found.constraints)
    assert replace(found, constraints=plain) == drawn


def test_a_configuration_without_constraints_has_none() -> None:
    assert read("") == Locations()


def test_reads_node_and_score() -> None:
    xml = '<rsc_location id="l" rsc="a" node="n" score="-INFINITY" role="Promoted"/>'
    assert constraints(xml) == (
        LocationConstraint("l", ("a",), node="n", score=-INFINITY, role="Promoted"),
    )


def test_reads_rules_and_what_is_in_them() -> None:
    xml = """
        <rsc_location id="l" rsc-pattern="!^a" resource-discovery="exclusive">
          <rule id="r" score="+INFINITY" boolean-op="OR" role="Started">
            <expression id="e" attribute="x" operation="LT" value="1" type="Number"/>
            <!-- a comment -->
            <date_expression id="d" operation="lt" end="2020-01-01"/>
            <rule id="n"><expression id="f" attribute="y" operation="defined"/></rule>
            <rule id-ref="n"/>
          </rule>
          <rule id="s" score-attribute="z"/>
        </rsc_location>"""
    assert constraints(xml) == (
        LocationConstraint(
            "l",
            pattern="!^a",
            exclusive=True,
            rules=(
                Rule(
                    (
                        Expression("x", "lt", "1", "number"),
                        DateExpression(end=1577836800.0),
                        Rule((Expression("y", "defined"),)),
                        Unevaluable("rule"),
                    ),
                    "or",
                    "Started",
                    INFINITY,
                ),
                Rule((), score_attribute="z"),
            ),
            rule_ids=("r", "s"),
        ),
    )


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('operation="lt" end="1970-01-02"', DateExpression(end=86400)),
        ('operation="GT" start="1970-01-01 01:00:00 +01:00"', DateExpression(start=0)),
        # As crm_resource writes it for a move with a lifetime.
        ('operation="lt" end="1970-01-01 00:00:09Z"', DateExpression(end=9)),
        (
            'operation="in_range" start="1970-01-01T00:00:01Z" end="1970-01-01T00:00:02Z"',
            DateExpression(1, 2),
        ),
        ('operation="in_range" end="1970-01-02"', DateExpression(end=86400)),
        ('operation="in_range" start="1970-01-01" end="soon"', None),
        ('operation="in_range"', None),
        ('operation="lt" start="1970-01-01"', None),
        ('operation="gt" end="1970-01-01"', None),
        ('operation="gt" start="1970-W01"', None),
        ('operation="date_spec" start="1970-01-01"', None),
    ],
)
def test_reads_dates(attributes: str, expected: DateExpression | None) -> None:
    xml = (
        '<rsc_location id="l" rsc="a"><rule id="r" score="1"><rule id="s">'
        f'<date_expression id="d" {attributes}/></rule></rule></rsc_location>'
    )
    found = read(f"<constraints>{xml}</constraints>")
    (inner,) = found.constraints[0].rules[0].operands
    assert isinstance(inner, Rule)
    assert inner.operands == (expected or Unevaluable("date_expression"),)
    assert found.dates == ({expected} if expected else frozenset())


def test_range_with_a_duration_is_not_evaluated() -> None:
    xml = (
        '<rsc_location id="l" rsc="a"><rule id="r" score="1">'
        '<date_expression id="d" operation="in_range" start="1970-01-01">'
        '<duration id="u" hours="1"/></date_expression></rule></rsc_location>'
    )
    assert constraints(xml)[0].rules[0].operands == (Unevaluable("date_expression"),)


def test_node_and_score_take_precedence_over_rules() -> None:
    rule = '<rule id="r" score="1"><expression id="e" attribute="x" operation="defined"/></rule>'
    (found,) = constraints(f'<rsc_location id="l" rsc="a" node="n" score="2">{rule}</rsc_location>')
    assert found == LocationConstraint("l", ("a",), node="n", score=2)
    (found,) = constraints(f'<rsc_location id="l" rsc="a" node="n">{rule}</rsc_location>')
    assert not found.node
    assert [rule.score for rule in found.rules] == [1]


def test_a_constraint_without_score_and_rules_is_left_out() -> None:
    assert constraints('<rsc_location id="l" rsc="a" node="n"/>') == ()


def test_each_resource_set_is_a_constraint() -> None:
    xml = """
        <rsc_location id="l" node="n" score="1">
          <resource_set id="s" score="2" role="Promoted">
            <resource_ref id="a"/><resource_ref id="b"/>
          </resource_set>
          <resource_set id-ref="t"/>
        </rsc_location>
        <rsc_order id="o"><resource_set id="t"><resource_ref id="c"/></resource_set></rsc_order>"""
    assert constraints(xml) == (
        LocationConstraint("l", ("a", "b"), node="n", score=2, role="Promoted"),
        LocationConstraint("l", ("c",), node="n", score=1),
    )


def test_a_rule_may_be_a_reference() -> None:
    xml = """
        <rsc_location id="l" rsc="a"><rule id="r" score="1" role="Master"/></rsc_location>
        <rsc_location id="m" rsc="b"><rule id-ref="r"/></rsc_location>"""
    first, second = constraints(xml)
    assert first.rules == second.rules == (Rule((), role="Master", score=1),)


def test_a_reference_to_nothing_is_an_empty_rule() -> None:
    (found,) = constraints('<rsc_location id="l" rsc="a"><rule id-ref="r"/></rsc_location>')
    assert found.rules == (Rule(()),)


@pytest.mark.parametrize(
    "xml",
    [
        '<rsc_location id="l" rsc="a" node="n" score="much"/>',
        '<rsc_location id="l" rsc="a" node="n" score=""/>',
        '<rsc_location id="l" rsc="a"><rule id="r" score="1.5"/></rsc_location>',
        '<rsc_location id="l" node="n" score="1"><resource_set id="s" score="x"/></rsc_location>',
    ],
)
def test_constraints_with_an_invalid_score_are_left_out(xml: str) -> None:
    assert constraints(xml) == ()


def test_a_lifetime_makes_a_constraint_unevaluable() -> None:
    xml = '<rsc_location id="l" rsc="a" node="n" score="1"><lifetime/></rsc_location>'
    (found,) = constraints(xml)
    assert found.lifetime
    assert not found.evaluable


# ------------------------------------------------------------------------------- attributes


def pairs(*named: tuple[str, str]) -> str:
    """Name-value pairs."""
    return "".join(f'<nvpair id="p" name="{name}" value="{value}"/>' for name, value in named)


def of_node(sets: str, more: str = "") -> Locations:
    """Read the attributes of one node."""
    return read(f'<nodes><node id="1" uname="n">{sets}</node>{more}</nodes>')


def attributes(value: str, score: int = 0) -> str:
    """A set of attributes with a value of x."""
    return (
        f'<instance_attributes id="a" score="{score}">{pairs(("x", value))}</instance_attributes>'
    )


@pytest.mark.parametrize(
    ("sets", "value"),
    [
        (attributes("1"), "1"),
        (f'<instance_attributes id="a">{pairs(("x", "1"), ("x", "2"))}</instance_attributes>', "1"),
        (attributes("1") + attributes("2"), "2"),
        (attributes("1", 5) + attributes("2"), "1"),
        (attributes("1", 5) + attributes("#default"), None),
        (attributes("1") + attributes("#default", 5), "1"),
        (f'<utilization id="a">{pairs(("x", "1"))}</utilization>', None),
    ],
)
def test_reads_permanent_attributes(sets: str, value: str | None) -> None:
    """Each case is as crm_simulate 2.1.5 decides a rule on the attribute."""
    assert of_node(sets).node_attributes["n"].get("x") == value


def test_attributes_may_be_references() -> None:
    more = """
        <node id="2" uname="m">
          <instance_attributes id="a"><nvpair id="q" name="y" value="2"/></instance_attributes>
        </node>"""
    sets = """
        <instance_attributes id-ref="a"/>
        <instance_attributes id="b"><nvpair id-ref="q" name="z"/></instance_attributes>"""
    found = of_node(sets, more).node_attributes
    assert found == {"n": {"y": "2", "z": "2"}, "m": {"y": "2"}}


def test_attributes_that_a_rule_sets_are_transient() -> None:
    rule = '<rule id="r"><date_expression id="d" operation="lt" end="2020-01-01"/></rule>'
    found = of_node(f'<instance_attributes id="a">{rule}{pairs(("x", "1"))}</instance_attributes>')
    assert found.node_attributes == {"n": {}}
    assert found.transient_attributes == {"x"}


def primitive(id_: str, type_: str, parameters: str = "", provider: str = "pacemaker") -> str:
    """A resource."""
    sets = f'<instance_attributes id="{id_}-ia">{parameters}</instance_attributes>'
    return (
        f'<primitive id="{id_}" class="ocf" provider="{provider}" type="{type_}">{sets}</primitive>'
    )


ETH0 = "ethmonitor-eth0"
TEMPLATE = f"""
    <template id="t" class="ocf" provider="pacemaker" type="ping">
      <instance_attributes id="ti">{pairs(("name", "gateway"))}</instance_attributes>
    </template>
    <primitive id="a" template="t"/>"""


@pytest.mark.parametrize(
    ("resources", "names"),
    [
        (primitive("a", "ping"), {"pingd"}),
        (primitive("a", "pingd", provider="heartbeat"), {"pingd"}),
        (primitive("a", "ping", pairs(("name", "gateway"))), {"gateway"}),
        (f'<clone id="c"><group id="g">{primitive("a", "ping")}</group></clone>', {"pingd"}),
        (primitive("a", "ifspeed"), {"ifspeed"}),
        (primitive("a", "attribute"), {"opa-a"}),
        (primitive("a", "attribute", pairs(("name", "x"))), {"x"}),
        (primitive("a", "ethmonitor", pairs(("interface", "eth0")), "heartbeat"), {ETH0}),
        (primitive("a", "HealthCPU"), {"#health-cpu"}),
        (primitive("a", "HealthSMART"), {"#health-smart"}),
        (primitive("a", "HealthIOWait"), {"#health-iowait"}),
        (primitive("a", "Dummy") + primitive("b", "ping", provider="mine"), set()),
        (TEMPLATE, {"gateway"}),
    ],
)
def test_attributes_that_agents_set_are_transient(resources: str, names: set[str]) -> None:
    assert read(f"<resources>{resources}</resources>").transient_attributes == names


def test_system_information_is_transient() -> None:
    disks = pairs(("disks", "/var/lib /srv"))
    found = read(f"<resources>{primitive('a', 'SysInfo', disks)}</resources>")
    assert {"cpu_load", "root_free", "#health_disk", "var_lib_free", "srv_free"} <= (
        found.transient_attributes
    )
