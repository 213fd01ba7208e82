"""The status of the cluster: runs crm_mon at every poll."""

import hashlib
import math
import re
from dataclasses import replace
from operator import attrgetter

from exporter.cluster.model import ResourceHistory, Snapshot
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker.crm_mon import Answer, CrmMon, read
from exporter.pacemaker.xml import ParseCache
from exporter.sources.source import Source
from exporter.sources.tools import SourceContext

SLOW_ANSWER = 0.5
"""Seconds. If a complete answer takes this long, most polls leave out the operation histories: they
are half of the answer and take up to a third of crm_mon's CPU time."""
INTERVAL = 120.0
"""Seconds between complete answers if they are slow."""
INTERVAL_AFTER_CHANGE = 30.0
"""The same after a resource moved or failed, because fail-counts follow such changes."""
HISTORY_MAX_AGE = 300.0
"""Seconds after which histories are discarded without another complete answer."""

_TIMESTAMPS = re.compile(rb'<last_update [^<>]*>| last_updated="[^"<>]*"')
"""Attributes that differ in any two answers: the time of the run and, from 2.1.5 on in a live
cluster, the time of pacemakerd's last update."""

_HISTORY_RELATED = attrgetter(
    "cluster.last_change", "nodes", "bundles", "instances", "failed_actions", "resources_running"
)
"""Parts of a snapshot; if they change, histories may have changed, too."""


class StatusSource(Source[Answer, Snapshot]):
    """Runs crm_mon and parses only what changed since the previous answer."""

    name = "status"
    command = "crm_mon"
    required = True
    limit = math.inf

    def __init__(self, context: SourceContext) -> None:
        """Args: see Source."""
        super().__init__(context)
        tools = context.tools
        collectors = context.selection.collectors
        self._crm_mon = CrmMon(tools.commands, tools.crm_mon, self._clock, collectors)
        self.forget()

    def forget(self) -> None:
        """Start over: Pacemaker may return in another version."""
        self._crm_mon.forget()
        self._cache = ParseCache()
        self._known: Snapshot | None = None
        """The last good snapshot; None before the first."""
        self._digests: dict[bool, bytes] = {}
        """Digests of the answers behind that snapshot, by whether they are partial."""
        self._slow = False
        self._took = 0.0
        """Seconds that the last crm_mon took."""
        self._requested_complete = self._complete_failed = False
        """Whether the last request was for a complete answer, and whether the last such failed."""
        self._changed = False
        """Whether a history-related part changed since the last complete answer."""
        self._complete_requested = self._complete_received = -math.inf
        """When a complete answer was last requested, and when one was last received."""

    def due(self, observation: Observation, now: float) -> bool:
        """Return True: every poll needs the status."""
        del observation, now
        return True

    def ask(self, timeout: float) -> Answer | Failure:
        """Run crm_mon; request histories when they are due."""
        now = self._clock.monotonic()
        interval = INTERVAL_AFTER_CHANGE if self._changed else INTERVAL
        histories = not self._slow or now - self._complete_requested >= interval
        if histories:
            self._complete_requested = now
        self._requested_complete = histories
        answer = self._crm_mon.ask(timeout, histories=histories)
        self._took = self._clock.monotonic() - now
        return answer

    def read(self, answer: Answer | Failure) -> Snapshot | Failure:
        """Parse the answer; return the previous snapshot if nothing changed."""
        found = answer if isinstance(answer, Failure) else self._read_answer(answer)
        if isinstance(found, Failure):
            # Histories may change while nobody sees it. But a complete answer that fails again and
            # again must not cost the view of the cluster each time.
            self._changed = not self._complete_failed
            self._complete_failed |= self._requested_complete
            # If a complete answer takes too long, a partial one may not.
            self._slow |= found.outcome is Outcome.TIMEOUT
        return found

    def _read_answer(self, answer: Answer) -> Snapshot | Failure:
        completed, partial = answer.completed, answer.partial
        now, before = self._clock.monotonic(), self._known
        if (
            partial
            and before is not None
            and before.history
            and now - self._complete_received > HISTORY_MAX_AGE
        ):
            before = replace(before, history=(), unreadable_in_history=0)
            self._digests.clear()
        digest = _digest(completed.stdout)
        if before is not None and completed.status == 0 and self._digests.get(partial) == digest:
            snapshot, changed = before, False
        else:
            found = read(completed, self._cache)
            if isinstance(found, Failure):
                return found
            changed = before is not None and _HISTORY_RELATED(found) != _HISTORY_RELATED(before)
            snapshot = _with_histories(found, before) if partial and before else found
        self._changed = changed or (partial and self._changed)
        if not partial:
            self._complete_received = now
            self._slow = self._took >= SLOW_ANSWER
            self._complete_failed = False
        if snapshot is not before:
            self._digests.clear()
        self._known, self._digests[partial] = snapshot, digest
        return snapshot

    def add(self, fact: Snapshot | None, observation: Observation) -> Observation:
        """Add the snapshot."""
        return replace(observation, snapshot=fact) if fact else observation


def _digest(answer: bytes) -> bytes:
    """Return a digest of an answer that ignores its timestamps, without copying the answer."""
    digest, view, at = hashlib.sha256(), memoryview(answer), 0
    for timestamp in _TIMESTAMPS.finditer(answer, 0, max(answer.find(b"</summary>"), 0)):
        digest.update(view[at : timestamp.start()])
        at = timestamp.end()
    digest.update(view[at:])
    return digest.digest()


def _with_histories(snapshot: Snapshot, before: Snapshot) -> Snapshot:
    """Add the earlier histories of resources and nodes that still exist."""
    return replace(
        snapshot,
        history=_remaining(before, snapshot),
        unreadable_in_history=before.unreadable_in_history,
    )


def _remaining(before: Snapshot, snapshot: Snapshot) -> tuple[ResourceHistory, ...]:
    """Return the earlier histories, without those of resources and nodes that are gone."""
    online = {node.name for node in snapshot.nodes if node.online}
    gone = _resources(before) - _resources(snapshot)
    return tuple(
        entry
        for entry in before.history
        if entry.node in online
        and entry.resource not in gone
        and before.replicas.of(entry.resource, entry.node)
        == snapshot.replicas.of(entry.resource, entry.node)
    )


def _resources(snapshot: Snapshot) -> set[str]:
    """Return the ids of all resources, in and outside bundles."""
    outside = {instance.resource.id for instance in snapshot.instances}
    return outside | {
        resource.id
        for bundle in snapshot.bundles
        for replica in bundle.replicas
        for _, resource in replica.components
    }
