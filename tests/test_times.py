"""Times as Pacemaker writes them."""

from datetime import timedelta, timezone

import pytest

from exporter.times import parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun Nov 22 17:28:21 2026", 1_795_368_501),
        ("Sun Nov  1 00:00:00 2026", 1_793_491_200),
        ("2020-09-13 12:26:40Z", 1_600_000_000),
        ("2026-11-22 12:34:36 -05:00", 1_795_368_876),
        ("2026-11-22 17:34:36 +00:00", 1_795_368_876),
        (" 2020-09-13 12:26:40Z ", 1_600_000_000),
    ],
)
def test_the_three_forms(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


def test_a_text_without_offset_is_read_in_the_given_zone() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert parse_time("Sun Sep 13 21:26:40 2020", tokyo) == 1_600_000_000
    assert parse_time("2020-09-13 12:26:40Z", tokyo) == 1_600_000_000
    assert parse_time("Sun Sep 13 12:26:40 2020", None) == 1_600_000_000  # the host's: conftest.py


@pytest.mark.parametrize(
    "text",
    ["", "never", "0", "Sun Nov 32 17:28:21 2026", "2026-11-22", "Sun Nov 22 17:28:21 99999"],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_time(text) is None
