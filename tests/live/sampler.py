"""Scrapes the nodes while tests do what they do to them."""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from tests.live.cluster import Node
from tests.support.oracle.agreement import Labels, exported
from tests.support.oracle.invariants import Page, impossible


@dataclass
class Sampler:
    """Scrapes nodes all the time, and keeps what is impossible."""

    nodes: tuple[Node, ...]
    interval: float = 0.5
    """Seconds from one scrape of a node to the next."""
    scrapes: int = 0
    slowest: float = 0.0
    """Seconds, of any scrape that was answered."""
    wrong: list[str] = field(default_factory=list)
    _pages: dict[str, str] = field(default_factory=dict)
    _last: dict[str, "_Seen"] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._sample, args=(n,)) for n in self.nodes]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _sample(self, node: Node) -> None:
        while not self._stop.wait(self.interval):
            started = time.monotonic()
            try:
                page = node.page()
            except OSError:
                continue  # it is off, or was while it was asked
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.scrapes += 1
            # Reading is dear, and between two polls there is nothing new.
            content = _OF_A_SCRAPE.sub("", page)
            if content == self._pages.get(node.name):
                continue
            self._pages[node.name] = content
            try:
                found = exported(page, "")
                of_ours = {
                    name.removeprefix("pacemaker_"): samples
                    for name, samples in found.items()
                    if name.startswith("pacemaker_")
                }
                wrong = [*impossible(of_ours), *self._of_two(node, found)]
            except (KeyError, ValueError) as error:
                wrong = [f"{error!r} in {page}"]
            self.wrong += [f"{time.strftime('%T', time.gmtime())} {node}: {what}" for what in wrong]

    def _of_two(self, node: Node, found: Page) -> Iterator[str]:
        """Compare with the scrape before, if one process gave both.

        The snapshot does not become older, and what is said of the cluster changes only with it.
        """
        seen = _Seen(
            found["process_start_time_seconds"][()],
            found.get("pacemaker_exporter_snapshot_timestamp_seconds", {}).get((), 0.0),
            {name: samples for name, samples in found.items() if not _OWN.match(name)},
        )
        before = self._last.get(node.name)
        self._last[node.name] = seen
        if before is None or before.start != seen.start:
            return
        if seen.snapshot < before.snapshot:
            yield f"the snapshot went back from {before.snapshot} to {seen.snapshot}"
        if seen.snapshot == before.snapshot and seen.cluster and seen.cluster != before.cluster:
            yield f"one snapshot, two contents: {before.cluster}, {seen.cluster}"


_OF_A_SCRAPE = re.compile(r"(?m)^(process|python)_.*\n")
"""Samples that are taken when somebody scrapes."""
_OWN = re.compile(r"process_|python_|corosync_|pacemaker_(exporter_|view_|up$)")
"""Families that do not come from the snapshot."""


@dataclass(frozen=True)
class _Seen:
    start: float
    """Of the process."""
    snapshot: float
    cluster: Mapping[str, Mapping[Labels, float]]
    """Nothing once it is withdrawn."""
