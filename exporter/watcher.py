"""crm_mon from poll to poll: asked for no more, and read no more often, than is needed."""

import hashlib
import math
import re
from collections.abc import Collection
from dataclasses import fields, replace
from operator import attrgetter

from exporter.clock import Clock
from exporter.collectors import Collector
from exporter.command import Commands, Completed
from exporter.crm_mon import CrmMon, is_brief, read
from exporter.model import ResourceHistory, Snapshot
from exporter.xml import Memory

HISTORY_INTERVAL = 120.0
"""Seconds after which the next poll is for an answer with what nodes remember of resources,
fail-counts included, which is half of an answer and up to a third of crm_mon's CPU time. Failed
actions are in every answer."""
MOVING_INTERVAL = 30.0
"""The same while something moves at poll after poll; once nothing does, one at once."""
FAILURE_SETTLES = 5.0
"""Seconds for which it is asked for at every poll after an action failed, or was cleaned up: the
fail-count is an attribute of its own, and may come later."""
FORGETTING = 30.0
"""Seconds for which it is asked for at every poll while something is remembered that was removed:
that takes a moment, but in maintenance, on standby or without stop-orphan-resources it lasts."""
TRIES = 5
"""After so many in a row that failed, they are tried at their interval only, so that sight is not
lost at every other poll; if the next fails too, what was known of histories is shown no more."""

_MOMENTS = re.compile(rb'<last_update [^<>]*>| last_updated="[^"<>]*"')
"""When crm_mon was run, and from 2.1.5 on, of a live cluster, when pacemakerd was last known to be
well: what differs in any two answers."""


_PLACEMENT = attrgetter("cluster.last_change", "nodes", "bundles", "instances")
"""Of a snapshot, what changes where there is something to remember."""


class Watcher:
    """Turns answers of crm_mon into snapshots; what says the same is the same snapshot."""

    def __init__(
        self, commands: Commands, path: str, collectors: Collection[Collector], clock: Clock
    ) -> None:
        """Args: what runs commands, crm_mon's path, which parts are wanted."""
        self._crm_mon = CrmMon(commands, path, collectors)
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Begin anew: it may be another Pacemaker that comes back."""
        self._crm_mon.forget()
        self._memory = Memory()
        self._snapshot: Snapshot | None = None
        self._digests: dict[bool, bytes] = {}
        """Of the answers, brief or not, that gave the snapshot."""
        self._histories = _Histories()

    def ask(self, timeout: float) -> Completed:
        """Run crm_mon, for at most `timeout` seconds.

        Raises:
            PollError: it could not be run to its end.

        """
        brief = not self._histories.asked(self._clock.monotonic())
        return self._crm_mon.ask(timeout, brief=brief)

    def read(self, completed: Completed) -> Snapshot:
        """Turn what crm_mon left into a snapshot: the one before, if nothing changed.

        Raises:
            PollError: there is no cluster status in it; says why.

        """
        brief = is_brief(completed.argv)
        digest = _digest(completed.stdout)
        before = self._snapshot
        if brief and self._histories.lost and before is not None and before.history:
            before = replace(before, history=(), unreadable_in_history=0)
            self._digests.clear()
        moved = failed = False
        if before is not None and completed.status == 0 and self._digests.get(brief) == digest:
            snapshot = before
        else:
            snapshot = read(completed, self._memory)
            if before is not None:
                moved = _PLACEMENT(snapshot) != _PLACEMENT(before)
                failed = snapshot.failed_actions != before.failed_actions
                if brief:
                    history = _left(before, snapshot) if moved else before.history
                    snapshot = replace(
                        snapshot,
                        history=history,
                        unreadable_in_history=before.unreadable_in_history,
                    )
                snapshot = _sharing(snapshot, before)
        strays = not brief and bool({e.resource for e in snapshot.history} - _resources(snapshot))
        self._histories.answered(
            self._clock.monotonic(), brief=brief, moved=moved, failed=failed, strays=strays
        )
        if snapshot is not before:
            self._digests.clear()
        self._snapshot, self._digests[brief] = snapshot, digest
        return snapshot


class _Histories:
    """When the next answer is due that has what nodes remember of resources."""

    def __init__(self) -> None:
        self._due = -math.inf
        self._came = self._settled = -math.inf
        """When the last came, and until when one is due at every poll."""
        self._strays_since = math.inf
        """Since when each that came has something that was removed."""
        self._polls = 0
        """How many began since the last answer that could be read."""
        self._tried = 0
        """How often since the last that came."""
        self._moving = self._unseen = False
        """Whether something had moved at the last poll, and at any since the last came."""

    @property
    def lost(self) -> bool:
        """So many failed that what was known is not to be shown any more."""
        return self._tried > TRIES

    def asked(self, now: float) -> bool:
        """Whether one is asked for at the poll that begins now."""
        self._polls += 1
        if self._polls > 2:  # noqa: PLR2004 - one without failed too: it is not for histories
            self._tried = 0
        # After polls that failed sight comes first, which takes less, and the history next.
        if self._polls > 1 or now < self._due:
            return False
        self._tried += 1
        if self._tried >= TRIES:
            self._due = now + HISTORY_INTERVAL
        return True

    def answered(self, now: float, *, brief: bool, moved: bool, failed: bool, strays: bool) -> None:
        """Plan on.

        Args:
            now: of a monotonic clock.
            brief: the answer came without.
            moved: something is placed or configured otherwise than in the answer before.
            failed: an action failed since, or was cleaned up.
            strays: it has something that was removed. Mostly that is forgotten after a moment,
                with no other sign.

        """
        again = brief and self._polls > 1
        self._polls = 0
        if not brief:
            self._came, self._due, self._tried = now, now + HISTORY_INTERVAL, 0
            self._strays_since = min(now, self._strays_since) if strays else math.inf
        if failed:
            self._settled = now + FAILURE_SETTLES
        self._unseen = brief and (moved or self._unseen)
        keeps_moving = moved and self._moving
        self._moving = moved
        if self._tried >= TRIES:
            return
        if again or now < self._settled or (strays and now < self._strays_since + FORGETTING):
            self._due = -math.inf
        elif self._unseen:
            self._due = self._came + MOVING_INTERVAL if keeps_moving else -math.inf


def _digest(answer: bytes) -> bytes:
    """Return what two answers have in common that differ in the moment only; copies nothing."""
    digest, view, at = hashlib.sha256(), memoryview(answer), 0
    for moment in _MOMENTS.finditer(answer, 0, max(answer.find(b"</summary>"), 0)):
        digest.update(view[at : moment.start()])
        at = moment.end()
    digest.update(view[at:])
    return digest.digest()


def _sharing(snapshot: Snapshot, before: Snapshot) -> Snapshot:
    """Return the same snapshot, made of the parts of the one before as far as they are equal."""
    names = [field.name for field in fields(Snapshot)]
    same = {
        name: getattr(before, name)
        for name in names
        if getattr(snapshot, name) == getattr(before, name)
    }
    return before if len(same) == len(names) else replace(snapshot, **same)


def _left(before: Snapshot, snapshot: Snapshot) -> tuple[ResourceHistory, ...]:
    """Return what was remembered before of resources and nodes that there still are."""
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
    """Return the ids of all resources."""
    outside = {instance.resource.id for instance in snapshot.instances}
    return outside | {
        resource.id
        for bundle in snapshot.bundles
        for replica in bundle.replicas
        for _, resource in replica.components
    }
