"""Runs the sources and combines their facts into one observation."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import attrgetter
from typing import TypeVar

from exporter.cluster.model import Cluster, Snapshot
from exporter.cluster.observation import Observation, Origin
from exporter.cluster.outcome import Failure, Outcome, SourceStatus, out_of_memory
from exporter.cluster.role_changes import RoleChanges
from exporter.polling.registry import REGISTRY, Registration
from exporter.sources.tools import SourceContext

Used = TypeVar("Used")

_COUNTED_PARTS = attrgetter("bundles", "authoritative")
"""Parts of a snapshot; role changes are counted only if they change."""


class Observer:
    """Makes observations, for the poller and `show`."""

    def __init__(
        self,
        context: SourceContext,
        registry: Iterable[Registration] = REGISTRY,
        origin: Origin = Origin.CLUSTER,
    ) -> None:
        """Args: what the sources need, the sources, the origin of the observations."""
        self._clock = context.clock
        self._timeout = context.timeout
        self._selection = context.selection
        self._origin = origin
        self._sources = [
            registration.make(context)
            for registration in registry
            if registration.with_saved_output or origin is not Origin.FILE
        ]
        self._role_changes = RoleChanges()
        self._last_counted: Snapshot | None = None

    @property
    def sources(self) -> tuple[SourceStatus, ...]:
        """The status of each source."""
        return tuple(source.status for source in self._sources)

    def observe(self, use: Callable[[Observation], Used]) -> Used | Failure:
        """Run every source that is due, and use the observation.

        Args:
            use: what to do with the observation, such as rendering it. The reads are counted and
                logged after that, so that a lack of memory there counts as their failure.

        Returns:
            What `use` returns, or why a required source failed.

        Raises:
            Stopped: the exporter was asked to stop.

        """
        found = self._observe_and(use)
        for source in self._sources:
            source.settle(found if isinstance(found, Failure) and source.required else None)
        return found

    def _observe_and(self, use: Callable[[Observation], Used]) -> Used | Failure:
        try:
            observation = self._observe()
            return observation if isinstance(observation, Failure) else use(observation)
        except MemoryError:
            pass  # leaving this block frees what was read and rendered
        return out_of_memory("use the output of the commands")

    def _observe(self) -> Observation | Failure:
        deadline = self._clock.monotonic() + self._timeout
        taken = None if self._origin is Origin.FILE else self._clock.time()
        observation = Observation(
            Snapshot(Cluster()),
            attribute_names=self._selection.attribute_names,
            origin=self._origin,
            taken=taken,
        )
        for source in self._sources:
            found = source.observe(observation, deadline)
            if isinstance(found, Failure):
                if found.outcome is Outcome.NOT_CONNECTED:
                    self._forget()
                return found
            observation = found
        return replace(observation, role_changes=self._count(observation.snapshot))

    def _count(self, snapshot: Snapshot) -> RoleChanges:
        if self._last_counted is None or _COUNTED_PARTS(snapshot) != _COUNTED_PARTS(
            self._last_counted
        ):
            self._role_changes = self._role_changes.after(snapshot)
        self._last_counted = snapshot
        return self._role_changes

    def _forget(self) -> None:
        """Forget all facts, because this node has left the cluster.

        It may return with another name or another version of Pacemaker.
        """
        for source in self._sources:
            source.forget()
