"""What a saved output of crm_mon may be, and what people save instead."""

import pytest

from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker.runner import Completed
from exporter.pacemaker.saved import SavedCommands

COMMAND = "`TZ=UTC crm_mon --output-as=xml --inactive`"


@pytest.mark.parametrize(
    ("output", "mistake"),
    [
        (b'<cib crm_feature_set="3.16.2">', "a CIB, which does not tell what runs"),
        (b'\n<?xml version="1.0"?>\n<cib>', "a CIB, which does not tell what runs"),
        (b"Cluster Summary:\n  * Stack: corosync", "not XML"),
        (b"", "not XML"),
    ],
)
def test_other_output_is_told_with_the_command_that_makes_the_right_one(
    output: bytes, mistake: str
) -> None:
    found = SavedCommands(output).run(["crm_mon"], 1)
    assert isinstance(found, Failure)
    assert found.outcome is Outcome.MALFORMED
    assert found.message.startswith(f"the saved output is {mistake}: save what {COMMAND} prints")


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order mark"])
def test_output_of_crm_mon_is_returned(before: bytes) -> None:
    found = SavedCommands(before + b"<pacemaker-result/>").run(["crm_mon"], 1)
    assert isinstance(found, Completed)
    assert found.stdout == b"<pacemaker-result/>"
