"""Foreign texts are shown printable, in one line and bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cluster.outcome import Failure, Outcome
from exporter.cluster.text import (
    REASON_LIMIT,
    TEXT_LIMIT,
    printable,
    shortened,
    shortened_in_the_middle,
)
from exporter.pacemaker.runner import Completed, last_line
from tests.support.harness.results import failed

MARK = 40
"""Characters of the note of how much is missing, at most."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("galera-bundle", "galera-bundle"),
        ("é ☃", "é ☃"),
        ("\x1b[31m\a\r\t", "\\x1b[31m\\x07\\r\\t"),
        ("\ud800\u200b\xa0", "\\ud800\\u200b\\xa0"),
    ],
)
def test_unprintable_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(max_size=30), st.integers(0, 20))
def test_shortened_is_the_printable_text_or_its_beginning(text: str, most: int) -> None:
    found = shortened(text, most)
    assert found.isprintable()
    assert len(found) <= most + MARK
    kept, note, _ = found.partition(" ... (")
    if len(printable(text)) <= most:
        assert found == printable(text)
    else:
        assert note
        assert printable(text).startswith(kept)


def test_shortened_says_how_much_is_missing() -> None:
    assert shortened("x" * 393_000) == "x" * TEXT_LIMIT + " ... (392000 more characters)"
    assert shortened("\0" * 65_536, 10) == "\\x00\\x00 ... (65534 more characters)"
    assert shortened("a\nb") == "a\\nb"
    assert shortened(shortened("\0" * 10)) == shortened("\0" * 10)


def test_shortened_traceback_keeps_its_beginning_and_end() -> None:
    text = "Traceback\n" + "  line\n" * 10_000 + "ValueError: \0"
    found = shortened_in_the_middle(text, 200)
    assert found.startswith("Traceback\n  line\n")
    assert found.endswith("\nValueError: \\x00")
    assert "more characters)\n" in found
    assert len(found) < 250
    assert shortened_in_the_middle("a\nb", 200) == "a\nb"


def test_last_lines_of_commands_and_errors_of_polls_are_bounded() -> None:
    reason = last_line("\0" * 65_536)
    assert len(reason) <= REASON_LIMIT + MARK
    assert reason.isprintable()
    failure = Failure(Outcome.EXIT_STATUS, f"crm_mon failed: {reason}; is it a crm_mon?")
    assert failure.message.endswith("more characters); is it a crm_mon?")
    assert len(Failure(Outcome.MALFORMED, "x" * 10**6).message) <= TEXT_LIMIT + MARK


@pytest.mark.parametrize("option", ["version", "xml"])
def test_texts_in_the_errors_of_crm_mon_are_bounded(option: str) -> None:
    from exporter.pacemaker import crm_mon

    if option == "xml":
        errors = f"<errors><error>{'x' * 100_000}</error></errors>"
        answer = (
            '<pacemaker-result><status code="1" message="Error">'
            f"{errors}</status></pacemaker-result>"
        )
        failure = failed(crm_mon.read(Completed((), 0, answer.encode(), "")))
        assert len(failure.message) < REASON_LIMIT + 100
    else:
        usage = f"unknown option {'x' * 100_000}"
        assert len(crm_mon._usage_message(usage)) <= REASON_LIMIT + MARK
