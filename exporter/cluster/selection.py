"""The optional parts to collect."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Collector(StrEnum):
    """An optional part: if it is off, its metrics are absent.

    Failures, fencing and tickets are then not asked for, either.
    """

    RESOURCES = "resources"
    """Resources outside bundles."""
    FAILURES = "failures"
    """Fail-counts, migration thresholds and failed actions."""
    FENCING = "fencing"
    BANS = "bans"
    TICKETS = "tickets"
    COROSYNC = "corosync"
    """What corosync says: quorum, votes, links."""
    NODE_ATTRIBUTES = "node-attributes"


@dataclass(frozen=True, slots=True)
class Selection:
    """The optional parts to collect. Bundles, cluster and nodes are always collected."""

    collectors: frozenset[Collector] = frozenset(Collector)
    attribute_names: re.Pattern[str] = re.compile("pingd")
    """Node attributes with numeric values are exported if their whole name matches."""
    text_attribute_names: re.Pattern[str] | None = None
    """Node attributes are exported as text if their whole name matches; None for none of them."""
