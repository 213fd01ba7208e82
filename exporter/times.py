"""Points in time as Pacemaker writes them."""

from datetime import UTC, datetime, tzinfo

_FORMATS = (
    "%a %b %d %H:%M:%S %Y",  # ctime: crm_mon up to 2.1, and the CIB's cib-last-written
    "%Y-%m-%d %H:%M:%S%z",  # 2020-09-13 12:26:40Z
    "%Y-%m-%d %H:%M:%S %z",  # 2026-11-22 12:34:36 -05:00
)


class Times:
    """Reads the times of one document, and counts those that it cannot read."""

    def __init__(self) -> None:
        self.unreadable = 0

    def read(self, text: str | None, zone: tzinfo | None = UTC) -> float | None:
        """Return seconds since the epoch; None where there is no time, or none that can be read."""
        if not (text or "").strip():
            return None
        found = parse_time(text or "", zone)
        self.unreadable += found is None
        return found


def parse_time(text: str, zone: tzinfo | None = UTC) -> float | None:
    """Return seconds since the epoch, or None when the text is no time that Pacemaker writes.

    A text without an offset is read in `zone`; None is the host's own zone.
    """
    for form in _FORMATS:
        try:
            moment = datetime.strptime(text.strip(), form)  # noqa: DTZ007 - the zone follows
        except ValueError:
            continue
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        try:
            return moment.timestamp()
        except (OverflowError, OSError, ValueError):
            return None
    return None
