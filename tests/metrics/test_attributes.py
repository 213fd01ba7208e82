"""Node attributes with text, from the flag to the page."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.cli import flags
from exporter.cluster.model import Cluster, NodeAttribute, Snapshot
from exporter.cluster.observation import Observation
from exporter.judgement.judge import judge
from exporter.metrics.attributes import NODE_ATTRIBUTES
from exporter.metrics.text import EOF, Format, join, render
from exporter.polling.poller import Poller
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness.fakes import FrozenClock, ScriptedCommands, document
from tests.support.harness.see import series

TEXT = "pacemaker_node_attribute_text"
LEFT_OUT = "pacemaker_node_attribute_text_left_out"
LENGTH, NUMBER = 128, 20
"""The documented limits of a value and of the attributes of a node."""
HANA = "hana_.*_(sync_state|clone_state|roles|site)"


def attribute(node: str, name: str, value: str, number: float | None = None) -> NodeAttribute:
    return NodeAttribute(node, name, value, number)


def page(
    attributes: Sequence[NodeAttribute], names: str | None = ".*", form: Format = Format.TEXT
) -> str:
    seen = Observation(
        Snapshot(Cluster(), attributes=tuple(attributes)),
        text_attribute_names=None if names is None else re.compile(names),
    )
    return (join(render(NODE_ATTRIBUTES, judge(seen)), form) + EOF[form]).decode()


def labels(
    attributes: Sequence[NodeAttribute], names: str | None = ".*", form: Format = Format.TEXT
) -> list[tuple[str, ...]]:
    """The labels of the series with text, as Prometheus' parsers read them, in order."""
    parser = parse_openmetrics if form is Format.OPENMETRICS else parse_text
    samples = [s for f in parser(page(attributes, names, form)) for s in f.samples]
    assert {sample.value for sample in samples if sample.name == TEXT} <= {1}
    return [
        (sample.labels["node"], sample.labels["attribute"], sample.labels["value"])
        for sample in samples
        if sample.name == TEXT
    ]


class TestNames:
    SAP = (
        attribute("h1", "hana_ha1_roles", "4:P:master1:master:worker:master"),
        attribute("h1", "hana_ha1_sync_state", "PRIM"),
        attribute("h1", "hana_ha1_vhost", "h1"),
        attribute("h1", "lpa_ha1_lpt", "1700000000", 1700000000),
        attribute("h2", "hana_ha1_sync_state", "SFAIL"),
        attribute("h2", "my_hana_ha1_site", "B"),
    )

    def test_the_whole_name_must_match(self) -> None:
        assert labels(self.SAP, HANA) == [
            ("h1", "hana_ha1_roles", "4:P:master1:master:worker:master"),
            ("h1", "hana_ha1_sync_state", "PRIM"),
            ("h2", "hana_ha1_sync_state", "SFAIL"),
        ]
        assert labels(self.SAP, "hana_ha1") == []

    @pytest.mark.parametrize("names", [None, ""])
    def test_without_names_there_is_no_series(self, names: str | None) -> None:
        assert page(self.SAP, names) == ""

    def test_number_on_both_lists_is_exported_twice(self) -> None:
        assert series(page([attribute("a", "pingd", "INFINITY", 1_000_000)])) == {
            'pacemaker_node_attribute{node="a",attribute="pingd"}': 1_000_000,
            f'{TEXT}{{node="a",attribute="pingd",value="INFINITY"}}': 1,
        }

    def test_last_of_duplicates_is_exported(self) -> None:
        found = [attribute("a", "x", "1", 1), attribute("a", "x", "two")]
        assert labels(found) == [("a", "x", "two")]


class TestValues:
    @pytest.mark.parametrize("form", Format)
    @given(
        value=st.text(st.characters(exclude_categories=["C", "Z"]), max_size=LENGTH)
        | st.text('\\" {}=,#\n', max_size=8).filter(lambda text: "\n" not in text)
    )
    def test_printable_value_is_read_back_unchanged(self, form: Format, value: str) -> None:
        assert labels([attribute("a", "x", value)], form=form) == [("a", "x", value)]

    @pytest.mark.parametrize("form", Format)
    @given(value=st.text(st.characters(exclude_categories=["Cs"])))
    def test_no_value_adds_a_line_or_a_series(self, form: Format, value: str) -> None:
        found = [attribute("a", "x", value), attribute("b", "y", "z")]
        assert len(page(found, form=form).splitlines()) == len(
            page([attribute("a", "x", ""), found[1]], form=form).splitlines()
        )
        (first, second) = labels(found, form=form)
        assert first[:2] == ("a", "x")
        assert second == ("b", "y", "z")

    def test_crafted_value_stays_within_its_label(self) -> None:
        value = 'x"} 1\npacemaker_up{a="\\'
        text = page([attribute("a", "x", value)])
        assert text.splitlines()[-1] == (
            rf'{TEXT}{{node="a",attribute="x",value="x\"}} 1\\npacemaker_up{{a=\"\\"}} 1'
        )

    def test_longer_value_is_cut_and_says_so(self) -> None:
        limit = "é" * LENGTH
        assert labels([attribute("a", "x", limit)]) == [("a", "x", limit)]
        cut = f"{limit} ... (10 more characters)"
        assert labels([attribute("a", "x", limit + "0123456789")]) == [("a", "x", cut)]


class TestNumber:
    def test_first_by_name_are_exported_and_the_others_counted(self) -> None:
        names = [f"n{number:02}" for number in range(NUMBER + 3)]
        of_a = [attribute("a", name, "x") for name in names]
        of_b = [attribute("b", name, "x") for name in names[:NUMBER]]
        expected = [(node, n, "x") for node in "ab" for n in names[:NUMBER]]
        for found in ([*of_a, *of_b], [*of_a[::-1], *of_b[::-1]]):
            assert labels(found) == expected
            left_out = {k: v for k, v in series(page(found)).items() if k.startswith(LEFT_OUT)}
            assert left_out == {f'{LEFT_OUT}{{node="a"}}': 3}

    def test_attributes_that_do_not_match_are_not_counted(self) -> None:
        found = [attribute("a", f"n{number}", "x") for number in range(2 * NUMBER)]
        assert LEFT_OUT not in page(found, "n1?[0-9]")
        assert LEFT_OUT in page(found, "n[12]?[0-9]")


@pytest.mark.parametrize(
    ("arguments", "numeric"),
    [
        ([f"--collector.node-attributes-text={HANA}"], True),
        ([f"--collector.node-attributes-text={HANA}", "--no-collector.node-attributes"], False),
    ],
)
def test_flag_reaches_the_page_of_a_poll(
    arguments: list[str], numeric: bool, commands: ScriptedCommands
) -> None:
    listed = (
        b'<node_attributes><node name="c0"><attribute name="pingd" value="100"/>'
        b'<attribute name="hana_ha1_sync_state" value="S&quot;&#10;&lt;OK"/>'
        b"</node></node_attributes>"
    )
    commands.crm_mon = lambda: document().replace(b"</crm_mon>", listed + b"</crm_mon>")
    selection = flags.parse(arguments).selection
    poller = Poller(SourceContext(Tools(commands), FrozenClock(), 30, selection), 10)
    assert poller.poll() is None
    found = series(poller.state.page.shared.decode())
    assert [name for name in found if name.startswith(TEXT)] == [
        rf'{TEXT}{{node="c0",attribute="hana_ha1_sync_state",value="S\"\\n<OK"}}'
    ]
    assert ('pacemaker_node_attribute{node="c0",attribute="pingd"}' in found) == numeric
