"""Parses times as Pacemaker writes them."""

import re
from datetime import UTC, datetime, tzinfo

_CTIME = "%a %b %d %H:%M:%S %Y"
"""Used by crm_mon up to 2.0.2, for histories by every version, and by cib-last-written."""
_ISO = re.compile(
    # 2020-09-13 12:26:40Z, or 2026-11-22 12:34:36 -05:00. From 2.1.6 on, fencing times have
    # microseconds.
    r"(?P<moment>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,9})?) ?(?P<zone>Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


class Times:
    """Parses the times of one document and counts the unreadable ones."""

    def __init__(self) -> None:
        self.unreadable = 0

    def read(self, text: str | None, zone: tzinfo | None = UTC) -> float | None:
        """Return seconds since the epoch; None for an empty or unreadable text."""
        if not (text or "").strip():
            return None
        found = parse_time(text or "", zone)
        self.unreadable += found is None
        return found


def parse_time(text: str, zone: tzinfo | None = UTC) -> float | None:
    """Return seconds since the epoch, to a microsecond; None if the text is unreadable.

    Args:
        text: a time in one of Pacemaker's formats.
        zone: the time zone of a text without an offset; None is the zone of this host.

    """
    text = text.strip()
    iso = _ISO.fullmatch(text)
    try:
        if iso is not None:
            moment = datetime.fromisoformat(iso["moment"] + (iso["zone"] or ""))
        else:
            moment = datetime.strptime(text, _CTIME)  # noqa: DTZ007 - the zone follows
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        return moment.timestamp()
    except (OverflowError, OSError, ValueError):
        return None
