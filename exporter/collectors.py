"""The parts of what crm_mon knows that can be left out."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Collector(StrEnum):
    """A part: its families are rendered, and asked of crm_mon, only if it is on."""

    RESOURCES = "resources"
    """Resources outside bundles."""
    FAILURES = "failures"
    """Fail-counts, migration thresholds and failed actions."""
    FENCING = "fencing"
    BANS = "bans"
    TICKETS = "tickets"
    NODE_ATTRIBUTES = "node-attributes"


@dataclass(frozen=True, slots=True)
class Selection:
    """What is shown beside bundles, the cluster and its nodes."""

    collectors: frozenset[Collector] = frozenset(Collector)
    attribute_names: re.Pattern[str] = re.compile("pingd")
    """Node attributes are shown whose whole name matches."""
