"""Declarations refuse what Prometheus, or the contract, would not take."""

from collections.abc import Iterable

import pytest

from exporter.families import CLUSTER, EXPORTER
from exporter.metrics import Declarations, Family, Kind, Sample


def family(name: str = "pacemaker_x", kind: Kind = Kind.GAUGE, help_text: str = "Text.",
           labels: tuple[str, ...] = ("a",)) -> Family[Iterable[Sample]]:  # fmt: skip
    return Family(
        name, kind, help_text, labels, lambda samples: (samples,), lambda samples: samples
    )


@pytest.mark.parametrize("name", ["x", "pacemaker_X", "pacemaker_x-y", "pacemaker_", "pacemaker_é"])
def test_names(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        family(name)


def test_totals() -> None:
    with pytest.raises(ValueError, match="_total"):
        family("pacemaker_x_total")
    with pytest.raises(ValueError, match="_total"):
        family("pacemaker_x", Kind.COUNTER)


@pytest.mark.parametrize("label", ["cluster", "instance", "job", "A", "a-b", ""])
def test_labels(label: str) -> None:
    with pytest.raises(ValueError, match="cannot be a label"):
        family(labels=(label,))


def test_repeated_labels() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        family(labels=("a", "a"))


@pytest.mark.parametrize("text", ['say "x"', "a\nb", "a\\b"])
def test_help(text: str) -> None:
    with pytest.raises(ValueError, match="escaping"):
        family(help_text=text)


def test_samples() -> None:
    assert family().collect([(("x",), 1), (("y",), 2)]) == {("x",): 1, ("y",): 2}
    with pytest.raises(ValueError, match="expected the labels"):
        family().collect([(("x", "y"), 1)])
    with pytest.raises(ValueError, match="repeated"):
        family().collect([(("x",), 1), (("x",), 1)])


def test_a_name_is_declared_once() -> None:
    declarations: Declarations[Iterable[Sample]] = Declarations()
    declare = declarations.about(lambda samples: samples).gauge("pacemaker_x", "Text.")
    declare(lambda samples: samples)
    with pytest.raises(ValueError, match="declared twice"):
        declare(lambda samples: samples)


def test_no_name_is_in_both_groups() -> None:
    names = [family.name for family in (*CLUSTER, *EXPORTER)]
    assert len(set(names)) == len(names)
