"""What is expected of a bundle, found by placing replicas one by one on a list of nodes."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A node, as somebody at a whiteboard would draw it."""

    name: str
    allowed: bool
    """The constraints allow the bundle here."""
    asked_out: bool
    """Somebody took the node out of service."""
    ready: int
    """Replicas that are ready here."""


def most_replicas(places: Iterable[Place], configured: int, per_host: int) -> int:
    """Count the replicas that should be ready, by filling the nodes."""
    left = configured
    for place in places:
        if not place.allowed:
            continue
        room = place.ready if place.asked_out else per_host
        while room and left:
            room -= 1
            left -= 1
    return configured - left


def state_of(expected: int, ready: int, promoted_expected: int, promoted: int, full: bool) -> str:
    """Name the state of a bundle; `full` means that everything configured is ready and promoted."""
    lacking = [
        (wanted, there)
        for wanted, there in ((expected, ready), (promoted_expected, promoted))
        if there < wanted
    ]
    if not lacking:
        return "ok" if full else "reduced"
    return "down" if any(there == 0 for _, there in lacking) else "degraded"
