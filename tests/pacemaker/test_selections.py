"""Answers of a part of the cluster are refused, and whole ones are not."""

import contextlib
from pathlib import Path

import pytest

from exporter.cluster.outcome import Outcome
from exporter.pacemaker import crm_mon
from exporter.pacemaker.runner import Completed
from exporter.pacemaker.xml import UnreadableError
from tests.support.harness import see
from tests.support.harness.results import failed, good
from tests.support.model.states import STATES

WHOLE = "crm_mon --output-as=xml --inactive"
NODES = '<nodes><node name="n" online="true"/></nodes>'
RESOURCES = "<resources/>"


def asked(request: str, content: str) -> bytes:
    summary = "<summary/>"
    return (f'<pacemaker-result request="{request}">{summary}{content}</pacemaker-result>').encode()


def refusal(data: bytes) -> str:
    """The selection for which an answer is refused; empty for one that is read."""
    try:
        crm_mon.parse(data)
    except crm_mon.PartialAnswerError as error:
        return str(error).partition("(")[2].partition(")")[0]
    return ""


def test_refusal_names_the_command_to_run() -> None:
    data = asked("crm_mon --output-as=xml --group-by-node", NODES)
    failure = failed(crm_mon.read(Completed(("crm_mon",), 0, data, "")))
    assert failure.outcome is Outcome.MALFORMED
    assert failure.message.endswith(f"run {WHOLE} without more options")


@pytest.mark.parametrize(
    ("options", "selection"),
    [
        ("", ""),
        ("--group-by-node", "--group-by-node"),
        ("-n", "--group-by-node"),
        ("-1rnf", "--group-by-node"),
        ("-1rf", ""),
        ("--node=n", "--node"),
        ("--node n", "--node"),
        ("--resource=r", "--resource"),
        ("--include=all", ""),
        ("--exclude=fencing,bans", ""),
        ("--include=none,summary,options,nodes,resources,failcounts", ""),
    ],
)
def test_answer_of_a_selection_is_refused(options: str, selection: str) -> None:
    assert refusal(asked(f"{WHOLE} {options}", NODES + RESOURCES)) == selection


@pytest.mark.parametrize(
    ("options", "content", "selection"),
    [
        ("--exclude=nodes", RESOURCES, "--exclude=nodes"),
        ("--exclude=fencing,nodes", RESOURCES, "--exclude=nodes"),
        ("--exclude fencing,nodes", RESOURCES, "--exclude=nodes"),
        ("-U nodes", RESOURCES, "--exclude=nodes"),
        ("-Unodes", RESOURCES, "--exclude=nodes"),
        ("--exclude=resources", NODES, "--exclude=resources"),
        ("--include=none,summary,resources", RESOURCES, "--exclude=nodes"),
        ("--exclude=all --include=summary,nodes", NODES, "--exclude=resources"),
        ("--exclude=all --include=summary,default", "", ""),
        ("--exclude=nodes --include=nodes", RESOURCES, ""),
        # Before a DC is elected there are no resources yet, whatever is asked.
        ("", NODES, ""),
        ("--include=none,summary,nodes,resources", NODES, ""),
        # What is there was not left out.
        ("--exclude=nodes", NODES + RESOURCES, ""),
    ],
)
def test_answer_without_a_needed_section_is_refused_if_it_was_not_asked_for(
    options: str, content: str, selection: str
) -> None:
    assert refusal(asked(f"{WHOLE} {options}", content)) == selection


RUNNING = (
    '<resource id="r" resource_agent="ocf:x:y" role="Started" active="true"><node name="n"/>'
    "</resource>"
)


@pytest.mark.parametrize(
    ("content", "selection"),
    [
        (f'<nodes><node name="n" online="true">{RUNNING}</node></nodes>', "--group-by-node"),
        (
            '<nodes><node name="n" online="true"><bundle id="b"/></node></nodes>',
            "--group-by-node",
        ),
        (f"<resources>{RUNNING}</resources>", "--exclude=nodes"),
        (f"{NODES}<resources>{RUNNING}</resources>", ""),
        ("<nodes/>", ""),
        ("", ""),
    ],
)
def test_answer_that_does_not_tell_what_was_asked_is_refused_for_what_it_lacks(
    content: str, selection: str
) -> None:
    assert refusal(f"<crm_mon><summary/>{content}</crm_mon>".encode()) == selection


@pytest.mark.parametrize(
    "path",
    sorted(see.CAPTURES.rglob("*.xml")),
    ids=lambda path: str(path.relative_to(see.CAPTURES)),
)
def test_captured_answer_is_not_taken_for_a_selection(path: Path) -> None:
    with contextlib.suppress(UnreadableError):
        assert refusal(path.read_bytes()) == ""


@pytest.mark.real
@pytest.mark.parametrize(
    ("options", "selection"),
    [
        ((), ""),
        (("--group-by-node",), "--group-by-node"),
        (("-rn",), "--group-by-node"),
        (("--node=controller-0",), "--node"),
        (("--resource=galera-bundle",), "--resource"),
        (("--exclude=nodes",), "--exclude=nodes"),
        (("--exclude=fencing",), ""),
    ],
)
def test_real_crm_mon_tells_the_selection(
    options: tuple[str, ...], selection: str, tmp_path: Path
) -> None:
    commands = see.real_commands(STATES["healthy"].write(tmp_path / "cib.xml"))
    answer = good(commands.run((see.need("crm_mon"), *WHOLE.split()[1:], *options), 60))
    assert answer.status == 0
    assert refusal(answer.stdout) == selection
