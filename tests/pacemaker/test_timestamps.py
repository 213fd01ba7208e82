"""Times as Pacemaker writes them."""

from datetime import timedelta, timezone

import pytest

from exporter.pacemaker.timestamps import parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun Nov 22 17:28:21 2026", 1_795_368_501),
        ("Sun Nov  1 00:00:00 2026", 1_793_491_200),
        ("2020-09-13 12:26:40Z", 1_600_000_000),
        ("2026-11-22 12:34:36 -05:00", 1_795_368_876),
        ("2026-11-22 17:34:36 +00:00", 1_795_368_876),
        (" 2020-09-13 12:26:40Z ", 1_600_000_000),
        ("2020-09-13T12:26:40Z", 1_600_000_000),
        ("2026-10-05 12:02:42.088147Z", 1_791_201_762.088147),
        ("2026-10-05 14:02:42.088147 +02:00", 1_791_201_762.088147),
        ("2026-10-05 08:32:42.088147 -03:30", 1_791_201_762.088147),
        ("2026-10-05 17:32:42+0530", 1_791_201_762),
        ("2026-10-05 12:02:42.5Z", 1_791_201_762.5),
        ("2026-10-05 12:02:42.088147999Z", 1_791_201_762.088147),
        ("1969-12-31 23:59:59.250000Z", -0.75),
        ("Wed Dec 31 23:59:59 1969", -1),
    ],
)
def test_every_form_of_time_is_read(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


def test_time_without_offset_is_read_in_the_given_zone() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert parse_time("Sun Sep 13 21:26:40 2020", tokyo) == 1_600_000_000
    assert parse_time("2020-09-13 12:26:40Z", tokyo) == 1_600_000_000
    assert parse_time("2020-09-13 21:26:40.5", tokyo) == 1_600_000_000.5
    assert parse_time("Sun Sep 13 12:26:40 2020", None) == 1_600_000_000  # the host's: conftest.py


@pytest.mark.parametrize(
    "text",
    [
        "",
        "never",
        "0",
        "Sun Nov 32 17:28:21 2026",
        "2026-11-22",
        "Sun Nov 22 17:28:21 99999",
        "20261122T172821Z",
        "2026-W47-7",
        "<undefined time>",
        "Could not determine current time",
        "2026-11-22 17:28:21.Z",
        "2026-11-22 17:28:21.1234567890Z",
        "2026-11-22 25:28:21Z",
        "2026-11-22 17:28:21 +99:00",
        "2026-11-22 17:28:21 CET",
        "0000-00-00 00:00:00Z",
        "10000-01-01 00:00:00Z",
        "\u0662026-11-22 17:28:21Z",
    ],
)
def test_text_that_is_not_a_time_gives_none(text: str) -> None:
    assert parse_time(text) is None
