"""What the poller publishes: one immutable reference, swapped at the end of each poll."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.collectors import Selection
from exporter.errors import Outcome
from exporter.exposition import Page
from exporter.history import History
from exporter.model import Configuration, Snapshot


@dataclass(frozen=True, slots=True)
class Observation:
    """All that one poll knows of the cluster: what the cluster families are functions of."""

    snapshot: Snapshot
    configuration: Configuration | None = None
    """None while the CIB could not be read."""
    history: History = field(default_factory=History)
    local_node: str = ""
    """Name of this node in the cluster; empty while unknown."""
    attribute_names: re.Pattern[str] = Selection().attribute_names
    """The names of node attributes that are shown."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The last good snapshot, when it was taken, and what it is rendered to."""

    observation: Observation
    page: Page
    time: float
    """Seconds since the epoch at the start of the crm_mon that gave it."""
    monotonic: float
    """The same moment on the monotonic clock, for its age."""


def _zeros() -> Mapping[Outcome, int]:
    return dict.fromkeys(Outcome, 0)


@dataclass(frozen=True, slots=True)
class State:
    """The outcome of all polls so far."""

    sighting: Sighting | None = None
    """The last good one; None before the first, and once this node has left the cluster."""
    snapshot_time: float | None = None
    """As the sighting's time, kept when that is withdrawn: or an alert on its age would end."""
    last_outcome: Outcome | None = None
    last_poll_time: float | None = None
    """Seconds since the epoch at the end of the last poll."""
    poll_duration: float | None = None
    """Seconds."""
    crm_mon_duration: float | None = None
    """Seconds."""
    polls: Mapping[Outcome, int] = field(default_factory=_zeros)
    cib_reads: Mapping[Outcome, int] = field(default_factory=_zeros)


@dataclass(frozen=True, slots=True)
class Identity:
    """What does not change while the exporter runs."""

    version: str
    revision: str
    python_version: str
    poll_interval: float
    """Seconds."""
    max_age: float
    """Seconds that a snapshot is served for after its crm_mon was started."""


@dataclass(frozen=True, slots=True)
class View:
    """The state as it is to be seen at one moment: what the exporter's own families are of."""

    state: State
    identity: Identity
    fresh: bool
    """There is a snapshot, and it is within its maximum age."""

    @classmethod
    def at(cls, state: State, identity: Identity, monotonic: float) -> "View":
        """Look at the state at a moment of the monotonic clock."""
        sighting = state.sighting
        fresh = sighting is not None and monotonic - sighting.monotonic <= identity.max_age
        return cls(state, identity, fresh)

    @property
    def sighting(self) -> Sighting | None:
        """What may be shown of the cluster: nothing once it is too old."""
        return self.state.sighting if self.fresh else None

    @property
    def up(self) -> bool:
        """The last poll succeeded, and its snapshot is not too old."""
        return self.fresh and self.state.last_outcome is Outcome.SUCCESS

    @property
    def trusted(self) -> bool:
        """Up, with a DC elected, and quorate: what this node says may be believed."""
        sighting = self.state.sighting
        return self.up and sighting is not None and sighting.observation.snapshot.authoritative

    @property
    def dc(self) -> bool:
        """Trusted, and the local node is the DC."""
        sighting = self.state.sighting
        if not self.trusted or sighting is None:
            return False
        local = sighting.observation.local_node
        return local != "" and local == sighting.observation.snapshot.cluster.dc_name
