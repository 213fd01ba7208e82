"""Scrapes the nodes while tests do what they do to them."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from tests.cluster.cluster import Node
from tests.support.agreement import exported
from tests.support.invariants import impossible


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
    _last: dict[str, tuple[float, float]] = field(default_factory=dict)

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
            try:
                wrong = [*impossible(page), *self._backwards(node, page)]
            except (KeyError, ValueError) as error:
                wrong = [f"{error!r} in {page}"]
            self.wrong += [f"{time.strftime('%T', time.gmtime())} {node}: {what}" for what in wrong]

    def _backwards(self, node: Node, page: str) -> Iterator[str]:
        """Between two scrapes of one process the snapshot does not become older."""
        found = exported(page, "")
        start = found["process_start_time_seconds"][()]
        snapshot = found.get("pacemaker_exporter_snapshot_timestamp_seconds", {}).get((), 0.0)
        before = self._last.get(node.name)
        if before and before[0] == start and snapshot < before[1]:
            yield f"the snapshot went back from {before[1]} to {snapshot}"
        self._last[node.name] = (start, snapshot)
