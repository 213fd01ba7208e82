"""Random clusters survive writing as XML, reading, rendering and parsing."""

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.cluster.model import Bundle, Cluster, NodeAttribute, Replica, Resource, Role, Snapshot
from exporter.cluster.observation import Observation
from exporter.cluster.role_changes import RoleChanges
from exporter.judgement.judge import judge
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import Block, Format, join, render
from exporter.pacemaker import crm_mon
from exporter.pacemaker.xml import ParseCache, UnreadableError
from tests.fuzz import checks
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import seeds
from tests.support.harness import see
from tests.support.model.strategies import snapshots, successions
from tests.support.model.writer import Flavour, spoken, write

IN_CI = bool(os.environ.get("CI"))


def quick(examples: int) -> settings:
    """Derandomize in CI, so that every failure can be reproduced."""
    return settings(max_examples=examples, deadline=None, derandomize=IN_CI, print_blob=True)


@pytest.mark.parametrize("flavour", Flavour)
@quick(60)
@given(snapshot=snapshots())
def test_written_snapshot_is_read_back(flavour: Flavour, snapshot: Snapshot) -> None:
    assert crm_mon.parse(write(snapshot, flavour)) == spoken(snapshot, flavour)


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize(
    "capture",
    [
        "1.1.18/e02-promoted.legacy",
        "2.1.5/e11-unique-1-down",
        "3.0.2/e19-on-remote-and-guest",
        "live-2.1.5/03c-rabbitmq-stop-failed-blocked",
        "live-2.1.5/12-quorum-lost",
        "live-2.1.5/15a-startup-before-dc",
    ],
)
def test_captured_snapshot_is_written_and_read_back(capture: str, flavour: Flavour) -> None:
    snapshot = crm_mon.parse(see.captured(f"{capture}.xml"))
    assert crm_mon.parse(write(snapshot, flavour)) == spoken(snapshot, flavour)


@quick(100)
@given(snapshot=snapshots())
def test_parsed_page_has_the_rendered_samples(snapshot: Snapshot) -> None:
    checks.check_page(Observation(snapshot))


@quick(100)
@given(polls=successions())
def test_counters_grow_by_at_most_the_number_of_replicas(polls: list[Snapshot]) -> None:
    history = RoleChanges()
    for snapshot in polls:
        before, history = history, history.after(snapshot)
        for bundle in snapshot.bundles:
            was, now = before.of(bundle.id), history.of(bundle.id)
            assert 0 <= now.role_changes - was.role_changes <= len(bundle.replicas)
            assert 0 <= now.promotions - was.promotions <= now.role_changes - was.role_changes
            assert snapshot.authoritative or now == was
        if snapshot.authoritative:
            assert history.bundles.keys() == {bundle.id for bundle in snapshot.bundles}


@quick(400)
@given(
    original=st.sampled_from(list(seeds())),
    seed=st.integers(0, 2**64),
    times=st.integers(1, 4),
)
def test_mutated_answers_give_a_page_or_an_error(original: bytes, seed: int, times: int) -> None:
    source = random.Random(seed)
    data = original
    for _ in range(times):
        data = mutate(data, source)
    checks.check(data)


@quick(200)
@given(
    original=st.sampled_from(list(seeds())),
    changes=st.lists(st.none() | st.integers(0, 2**64), min_size=2, max_size=6),
)
def test_reused_parts_equal_newly_made_ones(original: bytes, changes: list[int | None]) -> None:
    cache = ParseCache()
    blocks: tuple[Block, ...] = ()
    for change in changes:
        data = original if change is None else mutate(original, random.Random(change))
        try:
            expected = crm_mon.parse(data)
        except UnreadableError:
            with pytest.raises(UnreadableError):
                crm_mon.parse(data, cache=cache)
            continue
        snapshot = crm_mon.parse(data, cache=cache)
        assert snapshot == expected
        blocks = render(FAMILIES, judge(Observation(snapshot)), blocks)
        fresh = render(FAMILIES, judge(Observation(expected)))
        assert join(blocks, Format.TEXT) == join(fresh, Format.TEXT)


def test_primitive_named_like_an_address_is_still_the_service() -> None:
    def resource(name: str, agent: str) -> Resource:
        return Resource(name, agent, Role.STARTED, active=True)

    primitive = resource("web-ip-cafe", "ocf:heartbeat:apache")
    replica = Replica(
        "0",
        resource("web-podman-0", "ocf:heartbeat:podman"),
        connection=resource("web-0", "ocf:pacemaker:remote"),
        primitive=primitive,
    )
    bundle = Bundle("web", "podman", "", unique=False, managed=True, failed=False,
                    maintenance=False, replicas=(replica,))  # fmt: skip
    snapshot = Snapshot(Cluster(api_version="2.25", dc_elected=False), bundles=(bundle,))
    assert crm_mon.parse(write(snapshot, Flavour.MODERN)).bundles == (bundle,)


@pytest.mark.parametrize("text", ["1_0", "\u0663", "1_0.5"])
def test_digits_that_only_python_accepts_are_text(text: str) -> None:
    written = NodeAttribute("n", "version", text, None)
    snapshot = Snapshot(Cluster(api_version="2.25", dc_elected=False), attributes=(written,))
    assert crm_mon.parse(write(snapshot, Flavour.MODERN)).attributes == (written,)
