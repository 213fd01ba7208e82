"""The reader of corosync-cmapctl."""

from pathlib import Path

import pytest

from exporter.cluster.corosync import (
    ConfiguredNode,
    CorosyncCounters,
    CorosyncSettings,
    Link,
    LinkCounters,
    Pause,
    Ring,
    TotemCounters,
)
from exporter.cluster.outcome import Failure, Outcome
from exporter.corosync import OUTPUT_LIMIT, cmapctl
from exporter.pacemaker.runner import Completed
from tests.support.harness.corosync import FOLDER, capture
from tests.support.harness.results import failed, good

NODE_DOWN = "corosync3.1.7-nodedown-controller-0-labhag-cmapctl-mstats"
SETTINGS = "corosync3.1.7-healthy-labhag-cmapctl"
SETTINGS_2 = "corosync2.4.6-partition-majority-controller-0-root-cmapctl-selected"


def read(name: str, local_id: int | None = 1) -> cmapctl.Statistics:
    """The statistics in a capture."""
    return good(cmapctl.statistics(good(cmapctl.keys(capture(name))), local_id))


def completed(stdout: str = "", stderr: str = "", status: int = 1) -> Completed:
    """An answer of the tool."""
    return Completed(("corosync-cmapctl",), status, stdout.encode(), stderr)


def test_links_and_counters_of_a_node_that_is_off() -> None:
    found = read(NODE_DOWN)
    assert found.links == (
        Link(2, 0, connected=True),
        Link(2, 1, connected=True),
        Link(3, 0, connected=False),
        Link(3, 1, connected=False),
    )
    assert found.counters.links[2] == LinkCounters(
        3, 0,
        mtu=1446,
        # Its average latency, 3.4 ms, is from before it was lost.
        latency=None,
        downs=3,
        transmitted=842862,
        received=1765106,
        transmit_errors=0,
        transmit_retries=0,
    )  # fmt: skip
    assert found.counters.totem == TotemCounters(
        token_losses=2,
        memberships=5,
        consensus_timeouts=2,
        retransmitted=0,
        dropped=0,
        firewall_or_nic_failure=0,
        gather_failures=0,
    )
    assert (found.rings, found.counters.pause) == ((), None)


def test_latency_is_in_seconds_where_there_are_samples() -> None:
    prefix = "stats.knet.node2.link0."
    keys = dict(good(cmapctl.keys(capture(NODE_DOWN))))
    keys |= {f"{prefix}latency_ave": "1250", f"{prefix}latency_samples": "1"}
    assert good(cmapctl.statistics(keys, 1)).counters.links[0].latency == 0.00125
    keys[f"{prefix}latency_samples"] = "0"
    assert good(cmapctl.statistics(keys, 1)).counters.links[0].latency is None


@pytest.mark.parametrize("end", ["in-controller-0", "in-controller-2"])
def test_one_way_loss_is_seen_at_both_ends(end: str) -> None:
    name = f"corosync3.1.7-onelinkdown-oneway-{end}-labhag-cmapctl-mstats-knet"
    keys = {
        # This capture has only keys of knet.
        "stats.srp.operational_entered": "1",
        **good(cmapctl.keys(capture(name))),
    }
    mine = 1 if end.endswith("0") else 3
    lost = [link for link in good(cmapctl.statistics(keys, mine)).links if not link.connected]
    peers = {3} if mine == 1 else {1, 2}
    assert {link.number for link in lost} == {1}
    assert {link.peer_id for link in lost} == peers


def test_link_to_itself_is_no_link() -> None:
    keys = good(cmapctl.keys(capture(NODE_DOWN)))
    assert keys["stats.knet.node1.link0.connected"] == "1"
    assert {link.peer_id for link in read(NODE_DOWN).links} == {2, 3}
    assert {link.peer_id for link in read(NODE_DOWN, 2).links} == {1, 3}


@pytest.mark.parametrize("name", ["udpu", "udpu-partition"])
def test_other_transports_have_no_links(name: str) -> None:
    """Corosync does not know then: corosync-cfgtool says connected of a node that is cut off."""
    found = read(f"corosync3.1.7-{name}-controller-0-root-cmapctl-mstats")
    assert found.links == ()
    assert found.counters.totem.memberships is not None


def test_no_quorum_provider() -> None:
    assert read("corosync3.1.7-noquorum-controller-0-root-cmapctl-mstats").links == (
        Link(2, 0, connected=True),
        Link(3, 0, connected=True),
    )


def test_corosync_2() -> None:
    keys = good(cmapctl.keys(capture(SETTINGS_2)))
    found = good(cmapctl.statistics(keys, 1))
    assert found.links == ()
    assert found.rings == (Ring(0, faulty=False), Ring(1, faulty=False))
    assert found.counters.totem.token_losses == 1
    faulty = {**keys, "runtime.totem.pg.mrp.rrp.1.faulty": "1"}
    assert good(cmapctl.statistics(faulty, 1)).rings[1] == Ring(1, faulty=True)
    settings = good(cmapctl.settings(keys))
    assert (settings.transport, settings.joined) == ("udpu", frozenset({1, 2}))
    assert settings.nodes[2] == ConfiguredNode(
        3, "controller-2", ((0, "172.31.99.12"), (1, "172.31.98.12"))
    )


def test_corosync_2_is_known_by_its_usage_error() -> None:
    name = "corosync2.4.6-partition-majority-controller-0-root-cmapctl-mstats"
    assert cmapctl.lacks_statistics(capture(name))
    assert not cmapctl.lacks_statistics(capture(NODE_DOWN))
    assert not cmapctl.lacks_statistics(Failure(Outcome.TIMEOUT, "invalid option -- 'm'"))


def test_settings() -> None:
    assert good(cmapctl.settings(good(cmapctl.keys(capture(SETTINGS))))) == CorosyncSettings(
        cluster_name="tripleo_cluster",
        transport="knet",
        local_id=1,
        nodes=tuple(
            ConfiguredNode(number + 1, f"controller-{number}", ((0, f"172.31.99.1{number}"),))
            for number in range(3)
        ),
        has_quorum_provider=True,
        joined=frozenset({1, 2, 3}),
    )


def test_settings_without_a_quorum_provider() -> None:
    """Then the place in the nodelist tells which node this is."""
    keys = {
        "nodelist.local_node_pos": "1",
        "nodelist.node.0.nodeid": "7",
        "nodelist.node.1.nodeid": "9",
        "runtime.members.9.status": "joined",
        "runtime.members.7.status": "left",
    }
    found = good(cmapctl.settings(keys))
    assert (found.local_id, found.joined, found.has_quorum_provider) == (9, frozenset({9}), False)


def test_quorum_device_is_configured() -> None:
    keys = {"quorum.provider": "corosync_votequorum", "quorum.device.model": "net"}
    assert good(cmapctl.settings(keys)).has_qdevice


def test_last_pause() -> None:
    """As seen after corosync had been stopped for 147 s. The newest comes first."""
    keys = {
        **good(cmapctl.keys(capture(NODE_DOWN))),
        "stats.schedmiss.0.delay": "147375.453125",
        "stats.schedmiss.0.timestamp": "1795726532000",
        "stats.schedmiss.1.delay": "2500.0",
        "stats.schedmiss.1.timestamp": "1795720000000",
    }
    assert good(cmapctl.statistics(keys, 1)).counters.pause == Pause(147.375453125, 1795726532)


@pytest.mark.parametrize("delay", ["", "x", "nan", "inf", "-1", "1e300"])
def test_pause_that_cannot_be_is_left_out(delay: str) -> None:
    keys = {
        **good(cmapctl.keys(capture(NODE_DOWN))),
        "stats.schedmiss.0.delay": delay,
        "stats.schedmiss.0.timestamp": "1795726532000",
    }
    assert good(cmapctl.statistics(keys, 1)).counters.pause is None


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "18446744073709551615", "9" * 5000, "٣"])
def test_number_that_cannot_be_is_left_out(text: str) -> None:
    keys = {"stats.srp.operational_entered": "1", "stats.srp.mcast_retx": text}
    assert good(cmapctl.statistics(keys, 1)).counters == CorosyncCounters(
        totem=TotemCounters(memberships=1)
    )


def test_lines_that_are_not_keys_are_skipped() -> None:
    answer = completed("Some warning\nstats.srp.operational_entered (u64) = 3\n\nx (u8)\n")
    assert good(cmapctl.keys(answer)) == {"stats.srp.operational_entered": "3"}


@pytest.mark.parametrize(
    ("name", "outcome", "words"),
    [
        ("healthy-labha-cmapctl-mstats", Outcome.PERMISSION_DENIED, "Group=haclient"),
        ("healthy-labnoha-cmapctl-mstats", Outcome.PERMISSION_DENIED, "Group=haclient"),
        ("corosyncstopped-controller-1-root-cmapctl-mstats", Outcome.NOT_CONNECTED, "is not"),
        ("corosyncstopped-controller-1-labhag-cmapctl-mstats", Outcome.NOT_CONNECTED, "is not"),
        ("corosyncfrozen-controller-2-labhag-cmapctl-mstats-knet", Outcome.TIMEOUT, "5 s"),
    ],
)  # fmt: skip
def test_failures_that_were_captured(name: str, outcome: Outcome, words: str) -> None:
    found = failed(cmapctl.keys(capture(f"corosync3.1.7-{name}")))
    assert found.outcome is outcome
    assert words in found.message


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (completed(stderr="Failed to initialize the cmap API. Error CS_ERR_TRY_AGAIN"),
         Outcome.NOT_CONNECTED, "busy"),
        (completed(), Outcome.INCOMPLETE, "none of the keys (exit status 1)"),
        (completed(stderr="a\nFailed: CS_ERR_NO_MEMORY\n"),
         Outcome.EXIT_STATUS, "Failed: CS_ERR_NO_MEMORY"),
        (completed("x" * (OUTPUT_LIMIT + 1)), Outcome.TOO_LARGE, "more than"),
    ],
)  # fmt: skip
def test_other_failures(answer: Completed, outcome: Outcome, words: str) -> None:
    found = failed(cmapctl.keys(answer))
    assert found.outcome is outcome
    assert words in found.message


def test_exit_status_decides_nothing() -> None:
    """It is 1 if one of several requested keys is missing."""
    answer = completed("stats.srp.operational_entered (u64) = 3\n", status=1)
    assert good(cmapctl.keys(answer))


def test_answer_that_ends_before_totem_is_incomplete() -> None:
    keys = {"stats.knet.node2.link0.connected": "1"}
    assert failed(cmapctl.statistics(keys, 1)).outcome is Outcome.INCOMPLETE


def test_settings_of_nothing_are_incomplete() -> None:
    keys = {"totem.cluster_name": "x"}
    assert failed(cmapctl.settings(keys)).outcome is Outcome.INCOMPLETE


def test_requests_cannot_print_the_key_of_the_cluster() -> None:
    """totem.key is in the map. A prefix of the whole map or of totem. would print it."""
    for request in (cmapctl.STATISTICS, cmapctl.SETTINGS, cmapctl.SETTINGS_2):
        prefixes = request[2:] if request[0] == "-m" else request
        assert prefixes
        assert not [prefix for prefix in prefixes if "totem.key".startswith(prefix)]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*cmapctl*.txt")), ids=lambda path: path.stem)
def test_every_capture_is_read_or_has_a_reason(path: Path) -> None:
    found = cmapctl.keys(capture(path.stem))
    if isinstance(found, Failure):
        assert found.message
        return
    for read_part in (lambda: cmapctl.statistics(found, 1), lambda: cmapctl.settings(found)):
        part = read_part()
        assert not isinstance(part, Failure) or part.outcome is Outcome.INCOMPLETE


def test_node_that_is_listed_twice_counts_once() -> None:
    keys = {
        "nodelist.node.0.nodeid": "1",
        "nodelist.node.1.nodeid": "1",
        "nodelist.node.1.name": "other",
    }
    assert good(cmapctl.settings(keys)).nodes == (ConfiguredNode(1),)


def test_numbers_with_zeros_in_front_are_no_keys_of_corosync() -> None:
    keys = {
        "stats.srp.operational_entered": "1",
        "stats.knet.node2.link0.connected": "1",
        "stats.knet.node02.link0.connected": "1",
    }
    assert good(cmapctl.statistics(keys, 1)).links == (Link(2, 0, connected=True),)
