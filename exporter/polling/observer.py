"""Runs the sources and combines their facts into one observation."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import attrgetter
from typing import TypeVar

from exporter.cluster.corosync import Corosync
from exporter.cluster.model import Cluster, Snapshot
from exporter.cluster.observation import Observation, Origin
from exporter.cluster.outcome import Failure, Outcome, SourceStatus, out_of_memory
from exporter.cluster.role_changes import RoleChanges
from exporter.cluster.selection import Collector
from exporter.polling.registry import REGISTRY, Registration
from exporter.sources.corosync import CorosyncSource
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
        self._corosync = (
            CorosyncSource(context)
            if Collector.COROSYNC in context.selection.collectors and origin is not Origin.FILE
            else None
        )
        self._failed = False
        """Whether Pacemaker gave no answer the last time."""
        self._role_changes = RoleChanges()
        self._last_counted: Snapshot | None = None

    @property
    def sources(self) -> tuple[SourceStatus, ...]:
        """The status of each source."""
        last = (self._corosync.status,) if self._corosync else ()
        return (*(source.status for source in self._sources), *last)

    def observe(
        self,
        use: Callable[[Observation], Used],
        early: Callable[[Corosync], None] = lambda _: None,
    ) -> Used | Failure:
        """Run every source that is due, and use the observation.

        Args:
            use: what to do with the observation, such as rendering it. The reads are counted and
                logged after that, so that a lack of memory there counts as their failure.
            early: what to do with the answer of corosync, before crm_mon is asked, which may take a
                minute.

        Returns:
            What `use` returns, or why a required source failed.

        Raises:
            Stopped: the exporter was asked to stop.

        """
        found = self._observe_and(use, early)
        for source in self._sources:
            source.settle(found if isinstance(found, Failure) and source.required else None)
        return found

    def _observe_and(
        self, use: Callable[[Observation], Used], early: Callable[[Corosync], None]
    ) -> Used | Failure:
        try:
            corosync = self._ask_corosync()
            early(corosync)
            observation = self._observe(corosync)
            return observation if isinstance(observation, Failure) else use(observation)
        except MemoryError:
            pass  # leaving this block frees what was read and rendered
        return out_of_memory("use the output of the commands")

    def _ask_corosync(self) -> Corosync:
        if self._corosync is None:
            return Corosync()
        answered = self._corosync.observe(self._empty(), math.inf)
        self._corosync.settle()
        return Corosync() if isinstance(answered, Failure) else answered.corosync

    def _observe(self, corosync: Corosync) -> Observation | Failure:
        deadline = self._clock.monotonic() + self._timeout
        observation = replace(self._empty(), corosync=corosync)
        for source in self._sources:
            found = source.observe(observation, deadline)
            if isinstance(found, Failure):
                self._failed = True
                if found.outcome is Outcome.NOT_CONNECTED:
                    self._forget()
                return found
            observation = found
        if self._failed and self._corosync:
            self._corosync.pacemaker_returned()
        self._failed = False
        return replace(observation, role_changes=self._count(observation.snapshot))

    def _empty(self) -> Observation:
        return Observation(
            Snapshot(Cluster()),
            attribute_names=self._selection.attribute_names,
            text_attribute_names=self._selection.text_attribute_names,
            origin=self._origin,
            taken=None if self._origin is Origin.FILE else self._clock.time(),
        )

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
