"""Our writer of the text formats, against prometheus_client's parsers."""

import gzip
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.cluster.observation import Observation
from exporter.judgement.judge import judge
from exporter.metrics.declaration import Declarations, Family, Kind, Sample
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import EMPTY, EOF, Block, Format, Page, join, render
from exporter.pacemaker import crm_mon
from tests.support.harness import see

LABELS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53) | st.booleans()


def parsed(text: str, form: Format) -> dict[tuple[str, tuple[str, ...]], float]:
    parser = parse_openmetrics if form is Format.OPENMETRICS else parse_text
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in parser(text)
        for sample in family.samples
    }


def whole(samples: Iterable[Sample]) -> Iterable[Sample]:
    return samples


def family(kind: Kind, *labels: str) -> Family[Iterable[Sample]]:
    name = "pacemaker_x_total" if kind is Kind.COUNTER else "pacemaker_x"
    return Family(name, kind, "Some text.", labels, lambda samples: (samples,), whole)


@pytest.mark.parametrize("form", Format)
@given(samples=st.dictionaries(st.tuples(LABELS, LABELS), VALUES, min_size=1, max_size=5))
def test_parser_reads_any_label_and_value_back(
    form: Format, samples: dict[tuple[str, str], float]
) -> None:
    page = join(render([family(Kind.GAUGE, "a", "b")], samples.items()), form) + EOF[form]
    expected = {("pacemaker_x", labels): float(value) for labels, value in samples.items()}
    assert parsed(page.decode(), form) == expected


def test_text_is_as_prometheus_writes_it() -> None:
    samples: Sequence[Sample] = [(("a\\b", 'say "x"\n'), True), (("", "é"), 0.5), (("c", ""), 3.0)]
    text = join(render([family(Kind.GAUGE, "a", "b")], samples), Format.TEXT).decode()
    assert text == (
        "# HELP pacemaker_x Some text.\n"
        "# TYPE pacemaker_x gauge\n"
        'pacemaker_x{a="a\\\\b",b="say \\"x\\"\\n"} 1\n'
        'pacemaker_x{a="",b="é"} 0.5\n'
        'pacemaker_x{a="c",b=""} 3\n'
    )


def test_counter_has_different_heads_in_the_two_formats() -> None:
    blocks = render([family(Kind.COUNTER)], [((), 7)])
    assert join(blocks, Format.TEXT).decode() == (
        "# HELP pacemaker_x_total Some text.\n"
        "# TYPE pacemaker_x_total counter\n"
        "pacemaker_x_total 7\n"
    )
    assert join(blocks, Format.OPENMETRICS).decode() == (
        "# HELP pacemaker_x Some text.\n# TYPE pacemaker_x counter\npacemaker_x_total 7\n"
    )


def test_family_without_samples_is_left_out() -> None:
    assert render([family(Kind.GAUGE)], []) == ()


def test_family_is_rendered_again_only_when_its_part_changed() -> None:
    of: Declarations[Mapping[str, Sequence[Sample]]] = Declarations()
    for name in ("a", "b"):
        of.for_part(itemgetter(name)).gauge(f"pacemaker_{name}", "Some text.")(whole)
    source: dict[str, Sequence[Sample]] = {"a": [((), 1)], "b": [((), 1)]}
    before = render(of, source)
    after = render(of, source | {"b": [((), 2)]}, before)
    assert after[0] is before[0]
    assert after[1].lines == ("pacemaker_b 2\n",)
    assert render(of, source | {"a": [], "b": [((), 2)]}, after) == after[1:]


def test_only_changed_parts_of_a_family_are_rendered_again() -> None:
    of: Declarations[tuple[str, ...]] = Declarations()
    asked: list[str] = []

    @of.for_each(lambda names: names).gauge("pacemaker_x", "Some text.", ("name",))
    def one(name: str) -> Iterator[Sample]:
        asked.append(name)
        yield (name,), len(name)

    blocks: tuple[Block, ...] = ()
    for names, expected in (
        (("a", "b", "c"), "abc"),
        (("a", "d", "c"), "d"),
        (("a", "d", "c", "e"), "e"),
        (("d", "c", "e"), "dce"),
        (("d", "c"), ""),
        ((), ""),
    ):
        asked.clear()
        blocks = render(of, names, blocks)
        assert "".join(asked) == expected
        assert blocks == render(of, names)


def test_infinity_and_nan_are_written() -> None:
    blocks = render([family(Kind.GAUGE, "a")], [(("i",), math.inf), (("n",), math.nan)])
    found = parsed(join(blocks, Format.TEXT).decode(), Format.TEXT)
    assert found["pacemaker_x", ("i",)] == math.inf
    assert math.isnan(found["pacemaker_x", ("n",)])


@pytest.mark.parametrize("case", ["01-healthy", "12-quorum-lost"])
@pytest.mark.parametrize("form", Format)
def test_page_is_the_same_compressed_and_not(case: str, form: Format) -> None:
    seen = Observation(crm_mon.parse(see.captured(f"live-2.1.5/{case}.xml")))
    blocks = render(FAMILIES, judge(seen))
    page = Page.of(blocks)
    rest = page.counters(form) + b"more 1\n" + EOF[form]
    whole = page.followed_by(rest)
    assert gzip.decompress(page.gzip_followed_by(rest)) == whole
    assert parsed(whole.decode(), form) == parsed(
        (join(blocks, form) + b"more 1\n" + EOF[form]).decode(), form
    )


def test_gzip_page_is_one_member() -> None:
    # Some clients read no further than the first.
    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    page = Page.of(render([family(Kind.GAUGE)], [((), 1)]))
    assert member.decompress(page.gzip_followed_by(b"the end")).endswith(b"the end")
    assert member.eof
    assert member.unused_data == b""


def test_empty_page_can_be_followed_by_more() -> None:
    assert EMPTY.followed_by(b"x") == b"x"
    assert gzip.decompress(EMPTY.gzip_followed_by(b"x")) == b"x"
