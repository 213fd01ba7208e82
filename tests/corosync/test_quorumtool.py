"""The reader of corosync-quorumtool."""

import pytest

from exporter.cluster.corosync import Member, QdeviceStatus, Quorum, QuorumOption
from exporter.cluster.outcome import Failure, Outcome
from exporter.corosync import OUTPUT_LIMIT, quorumtool
from exporter.pacemaker.runner import Completed
from tests.support.harness.corosync import FOLDER, capture, stdout
from tests.support.harness.results import failed, good

HEALTHY = stdout("corosync3.1.7-noname-controller-0-root-quorumtool-i-p-s")
QNETD_GONE = "corosync3.1.7-qdevice-qnetd-gone-controller-0-root-quorumtool-i-p-s"
EVERY = sorted(path.stem for path in FOLDER.glob("*-quorumtool-i-p-s.txt"))


def three(**changes: int) -> tuple[Member, ...]:
    """Three members with a vote each."""
    return tuple(Member(number, changes.get(f"n{number}", 1)) for number in (1, 2, 3))


def test_three_members() -> None:
    assert quorumtool.parse(HEALTHY) == Quorum(
        quorate=True, local_id=1, expected=3, expected_highest=3, present=3, needed=2,
        members=three(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "quorate", "present", "needed", "members"),
    [
        ("nodedown-controller-0-labhag", True, 2, 2, 2),
        ("partition-majority-controller-0-labhag", True, 2, 2, 2),
        ("quorumlost-controller-0-labhag", False, 1, 2, 1),
        ("twonode-both-controller-0-root", True, 2, 1, 2),
        # All votes that are needed are there, and yet there is no quorum.
        ("twonode-waitforall-alone-controller-0-root", False, 1, 1, 1),
        ("udpu-controller-0-root", True, 3, 2, 3),
        ("udpu-partition-controller-0-root", True, 2, 2, 2),
        ("corosyncfrozen-peer-controller-0-labhag", True, 2, 2, 2),
    ],
)
def test_states(name: str, quorate: bool, present: int, needed: int, members: int) -> None:
    found = good(quorumtool.read(capture(f"corosync3.1.7-{name}-quorumtool-i-p-s")))
    assert (found.quorate, found.present, found.needed, len(found.members)) == (
        quorate,
        present,
        needed,
        members,
    )


def test_corosync_2() -> None:
    name = "corosync2.4.6-partition-majority-controller-0-root-quorumtool-i-p-s"
    found = good(quorumtool.read(capture(name)))
    assert (found.quorate, found.present, found.members) == (
        True,
        2,
        (Member(1, 1), Member(2, 1)),
    )


def test_options() -> None:
    found = good(
        quorumtool.read(
            capture("corosync3.1.7-flags-wfa-atb-lms-controller-0-root-quorumtool-i-p-s")
        )
    )
    assert found.options == set(QuorumOption) - {QuorumOption.TWO_NODE}
    two = good(
        quorumtool.read(capture("corosync3.1.7-twonode-both-controller-0-root-quorumtool-i-p-s"))
    )
    assert two.options == {QuorumOption.TWO_NODE, QuorumOption.WAIT_FOR_ALL}


def test_quorum_device_that_casts_no_vote() -> None:
    found = good(quorumtool.read(capture(QNETD_GONE)))
    alive = QdeviceStatus(registered=True, alive=True)
    assert found.members == (Member(1, 1, alive), Member(2, 1, alive))
    assert (found.qdevice_votes, found.present, found.expected) == (0, 2, 3)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("NR", QdeviceStatus()),
        ("A,V,NMW", QdeviceStatus(registered=True, alive=True, voting=True)),
        ("A,V,MW", QdeviceStatus(registered=True, alive=True, voting=True, master_wins=True)),
        ("NA,NV,NMW", QdeviceStatus(registered=True)),
    ],
)
def test_words_about_the_quorum_device(words: str, status: QdeviceStatus) -> None:
    found = good(quorumtool.parse(HEALTHY.replace("NR 172.31.99.11", f"{words} 172.31.99.11")))
    assert found.members[1] == Member(2, 1, status)


def test_quorum_device_that_votes() -> None:
    text = stdout(QNETD_GONE).replace("0          0            Qdevice (votes 1)",
                                      "0          1            Qdevice")  # fmt: skip
    assert good(quorumtool.parse(text)).qdevice_votes == 1


def test_large_node_ids() -> None:
    """Ids that corosync 2 makes from addresses."""
    text = HEALTHY.replace("Node ID:          1", "Node ID:          1084783375")
    text = text.replace("\n         1    ", "\n1084783375    ")
    found = good(quorumtool.parse(text))
    assert (found.local_id, found.members[0]) == (1084783375, Member(1084783375, 1))


def test_extra_words_after_a_name() -> None:
    """As in newer versions, and with an address for each of two links."""
    text = HEALTHY.replace("172.31.99.11", "172.31.99.11, 172.31.98.11 [some text]")
    assert good(quorumtool.parse(text)).members == three()


@pytest.mark.parametrize("votes", ["32566", "2147483647", "-1"])
def test_votes_of_a_node_that_corosync_could_not_get(votes: str) -> None:
    """The tool prints uninitialised memory after such a line."""
    text = HEALTHY.replace(
        "         2          1         NR",
        f"Unable to get node 2 info\n         2 {votes}         NR",
    )
    assert good(quorumtool.parse(text)).members == (Member(1, 1), Member(2, None), Member(3, 1))


@pytest.mark.parametrize("votes", ["65536", "2147483647", "-1"])
def test_votes_that_cannot_be(votes: str) -> None:
    text = HEALTHY.replace("2          1         NR", f"2          {votes}         NR")
    assert good(quorumtool.parse(text)).members[1] == Member(2, None)


@pytest.mark.parametrize(
    "name",
    [
        "Quorate",
        "Node ID",
        "Expected votes",
        "Highest expected",
        "Total votes",
        "Quorum",
        "Nodes",
    ],
)
def test_output_without_a_field_is_malformed(name: str) -> None:
    text = "".join(
        line for line in HEALTHY.splitlines(keepends=True) if not line.startswith(f"{name}:")
    )
    assert failed(quorumtool.parse(text)).outcome is Outcome.MALFORMED


@pytest.mark.parametrize("kept", range(0, len(HEALTHY), 7))
def test_output_that_is_cut_off_is_malformed_or_whole(kept: int) -> None:
    found = quorumtool.parse(HEALTHY[:kept])
    assert isinstance(found, Failure) or len(found.members) == 3


def test_too_much_output() -> None:
    answer = Completed(("corosync-quorumtool",), 0, b"x" * (OUTPUT_LIMIT + 1), "")
    assert failed(quorumtool.read(answer)).outcome is Outcome.TOO_LARGE


@pytest.mark.parametrize(
    ("stderr", "outcome"),
    [
        ("Cannot initialize CMAP service", Outcome.NOT_CONNECTED),
        (
            "Unable to start votequorum status tracking: CS_ERR_BAD_HANDLE",
            Outcome.EXIT_STATUS,
        ),
        ("", Outcome.MALFORMED),
    ],
)
def test_failures(stderr: str, outcome: Outcome) -> None:
    answer = Completed(("corosync-quorumtool",), 1, b"", stderr)
    found = failed(quorumtool.read(answer))
    assert found.outcome is outcome
    assert outcome is not Outcome.EXIT_STATUS or "CS_ERR_BAD_HANDLE" in found.message


@pytest.mark.parametrize("status", [0, 1, 2, 255])
@pytest.mark.parametrize("name", ["nodedown", "quorumlost"])
def test_exit_status_decides_nothing(name: str, status: int) -> None:
    text = stdout(f"corosync3.1.7-{name}-controller-0-labhag-quorumtool-i-p-s")
    answer = Completed(("corosync-quorumtool",), status, text.encode(), "")
    assert good(quorumtool.read(answer)).quorate is (name == "nodedown")


@pytest.mark.parametrize("name", EVERY)
def test_every_capture_is_read_or_has_a_reason(name: str) -> None:
    found = quorumtool.read(capture(name))
    assert isinstance(found, Quorum) or found.message


def test_member_that_is_listed_twice_counts_once() -> None:
    line = "         2          1         NR 172.31.99.11\n"
    assert good(quorumtool.parse(HEALTHY.replace(line, line * 2))).members == three()
