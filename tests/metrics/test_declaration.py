"""Declarations refuse names, labels and help that Prometheus or our rules forbid."""

from collections.abc import Iterable

import pytest

from exporter.metrics.declaration import Declarations, Family, Kind, Sample
from exporter.metrics.families import EVERY_FAMILY


def family(name: str = "pacemaker_x", kind: Kind = Kind.GAUGE, help_text: str = "Text.",
           labels: tuple[str, ...] = ("a",)) -> Family[Iterable[Sample]]:  # fmt: skip
    return Family(
        name, kind, help_text, labels, lambda samples: (samples,), lambda samples: samples
    )


@pytest.mark.parametrize("name", ["x", "pacemaker_X", "pacemaker_x-y", "pacemaker_", "pacemaker_é"])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a valid name"):
        family(name)


def test_only_counters_may_and_must_end_in_total() -> None:
    with pytest.raises(ValueError, match="_total"):
        family("pacemaker_x_total")
    with pytest.raises(ValueError, match="_total"):
        family("pacemaker_x", Kind.COUNTER)


@pytest.mark.parametrize("label", ["cluster", "instance", "job", "A", "a-b", ""])
def test_invalid_labels_are_refused(label: str) -> None:
    with pytest.raises(ValueError, match="cannot be a label"):
        family(labels=(label,))


def test_repeated_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        family(labels=("a", "a"))


@pytest.mark.parametrize("text", ['say "x"', "a\nb", "a\\b"])
def test_help_that_needs_escaping_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="escaping"):
        family(help_text=text)


def test_samples_must_have_the_declared_labels_once() -> None:
    assert family().collect([(("x",), 1), (("y",), 2)]) == {("x",): 1, ("y",): 2}
    with pytest.raises(ValueError, match="expected the labels"):
        family().collect([(("x", "y"), 1)])
    with pytest.raises(ValueError, match="repeated"):
        family().collect([(("x",), 1), (("x",), 1)])


def test_names_are_declared_once() -> None:
    declarations: Declarations[Iterable[Sample]] = Declarations()
    declare = declarations.for_part(lambda samples: samples).gauge("pacemaker_x", "Text.")
    declare(lambda samples: samples)
    with pytest.raises(ValueError, match="declared twice"):
        declare(lambda samples: samples)


def test_cluster_and_exporter_metrics_share_no_name() -> None:
    names = [family.name for family in EVERY_FAMILY]
    assert len(set(names)) == len(names)
