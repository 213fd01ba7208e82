"""Checks for any input: it gives a failure, or a page that Prometheus accepts."""

import math
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.cluster.configuration import Configuration
from exporter.cluster.model import Bundle, Cluster, Node, Replica, Resource, Role, Snapshot
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure
from exporter.judgement.judge import judge
from exporter.metrics.declaration import Kind
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import EOF, Format, join, render
from exporter.pacemaker import cib, crm_mon
from exporter.pacemaker.runner import Completed
from exporter.report.secrets import without_secrets

Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]

Read = TypeVar("Read")

_EVERY_NAME = re.compile(".*", re.DOTALL)
_TARGET_LABELS = {"cluster", "instance", "job"}


def check(data: bytes) -> list[Observation]:
    """Check an input as the output of crm_mon, and as that of cibadmin; return what was accepted.

    Raises:
        AssertionError: a check fails.
        Exception: a reader raised an unexpected one.

    """
    accepted = []
    snapshot = _good(crm_mon.read(Completed(("crm_mon",), 0, data, "")))
    if snapshot is not None:
        accepted.append(
            Observation(snapshot, attribute_names=_EVERY_NAME, text_attribute_names=_EVERY_NAME)
        )
    said = Completed(("cibadmin",), 0, data, "")
    configuration = _good(cib.read(said))
    if configuration is not None:
        accepted.append(Observation(_of_these_bundles(configuration), configuration))
        for bundle in configuration.bundles:
            details = _good(cib.read_bundle(said, bundle))
            if details is not None:
                without_secrets(details)
    for seen in accepted:
        check_page(seen)
    return accepted


def _good(found: Read | Failure) -> Read | None:
    if not isinstance(found, Failure):
        return found
    assert found.message, "an error that says nothing"
    assert len(found.message.splitlines()) == 1, f"an error of several lines: {found.message!r}"
    found.message.encode()  # it is logged
    return None


def _of_these_bundles(configuration: Configuration) -> Snapshot:
    """Make a cluster in which the configuration is seen: its families are about bundles shown."""
    node = Node("n", online=True)
    container = Resource("c", "ocf:heartbeat:podman", Role.STARTED, active=True, nodes=(node,))
    replicas = (Replica("0", container),)
    return Snapshot(
        Cluster(dc_elected=True, quorate=True),
        nodes=(node,),
        bundles=tuple(
            Bundle(name, "podman", "", unique=False, managed=True, failed=False,
                   maintenance=False, replicas=replicas)
            for name in configuration.bundles
        ),
    )  # fmt: skip


def page(seen: Observation, form: Format = Format.TEXT) -> str:
    """The cluster families in a format, as a whole page."""
    return (join(render(FAMILIES, judge(seen)), form) + EOF[form]).decode()


def check_page(seen: Observation) -> None:
    """Check that both formats parse back to the rendered samples, and that these are plausible."""
    expected = _declared(seen)
    for form in Format:
        assert _parsed(page(seen, form), form) == expected
    for _, labels in expected:
        assert not _TARGET_LABELS & dict(labels).keys(), labels
    _check_bundles(expected)


def _declared(seen: Observation) -> Series:
    found = {}
    judgement = judge(seen)
    for family in FAMILIES:
        samples = [s for part in family.parts(judgement) for s in family.collect(part).items()]
        for values, value in samples:
            key = family.name, frozenset(zip(family.labels, values, strict=True))
            assert key not in found, key
            # Go's parser refuses what is out of range, where Python's float() gives infinity.
            assert -math.inf < value < math.inf, (key, value)
            assert abs(value) <= 2**1023, f"{key}: too large for a float"
            assert family.kind is not Kind.COUNTER or value >= 0, (key, value)
            found[key] = float(value)
    return found


def _parsed(text: str, form: Format) -> Series:
    found = {}
    parser = parse_openmetrics if form is Format.OPENMETRICS else parse_text
    names = set()
    for family in parser(text):
        assert family.name not in names, f"{family.name} has two heads"
        names.add(family.name)
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"two series: {key}"
            found[key] = float(sample.value)
    return found


def _check_bundles(series: Series) -> None:
    """Check relations between metrics that hold for every cluster."""
    counts: dict[tuple[str, str], float] = defaultdict(float)
    for (name, labels), value in series.items():
        if name.startswith("pacemaker_bundle_"):
            counts[name, dict(labels)["bundle"]] += value
    bundles = {bundle for name, bundle in counts if name == "pacemaker_bundle_replicas"}
    for bundle in bundles:

        def count(name: str, bundle: str = bundle) -> float:
            return counts[f"pacemaker_bundle_{name}", bundle]

        assert count("replicas_in_role") == count("replicas")
        assert count("replica_role") == count("replicas")
        assert count("replica_ready") == count("replicas_ready")
        assert count("replicas_promoted_ready") <= count("replicas_ready")
        assert count("replicas_ready") <= count("replicas_running") <= count("replicas")
        assert count("replicas_per_host_max") <= count("replicas_running")
        assert (count("running_nodes") > 0) == (count("replicas_per_host_max") > 0)


_SAMPLE = re.compile(r"^([^#].*)$", re.MULTILINE)


def complaints_of_promtool(seen: Observation, promtool: str) -> Iterator[str]:
    """Yield the complaints of promtool about a page in either format."""
    with tempfile.TemporaryDirectory() as directory:
        # It takes OpenMetrics only to make blocks of it, and then only with timestamps.
        file = Path(directory, "page")
        stamped = _SAMPLE.sub(r"\1 1", page(seen, Format.OPENMETRICS))
        file.write_text(stamped, encoding="utf-8", newline="")
        blocks = ("tsdb", "create-blocks-from", "openmetrics", str(file), f"{directory}/data")
        for arguments, text in ((("check", "metrics"), page(seen)), (blocks, "")):
            done = subprocess.run(
                (promtool, *arguments),
                input=text.encode(),
                capture_output=True,
                check=False,
                timeout=60,
            )
            if done.returncode:
                yield f"promtool {' '.join(arguments[:2])}: {done.stderr.decode()}"
