"""Clients of the exporter, well-behaved and misbehaving."""

import contextlib
import gzip
import http.client
import random
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, field

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.support.oracle.agreement import exported
from tests.support.oracle.invariants import impossible

_HEAD = "GET /metrics HTTP/1.1\r\nHost: x\r\n"
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_NAMES = ("pacemaker_up", "pacemaker_bundle_replicas", "process_resident_memory_bytes")


@dataclass(slots=True)
class Seen:
    """What the well-behaved clients got."""

    seconds: list[float] = field(default_factory=list)
    """From connecting to the last byte, of each answer."""
    wrong: list[str] = field(default_factory=list)
    samples: deque[str] = field(default_factory=lambda: deque(maxlen=10))
    """Whole pages of metrics for promtool, of the last that came."""
    count: dict[str, int] = field(default_factory=dict)
    """Answers by kind."""


class Scraper:
    """Requests every page, over kept and new connections, and checks every answer."""

    def __init__(self, port: int, seed: int, seen: Seen) -> None:
        """Args: server, source of random order, and where to record results."""
        self._address = ("127.0.0.1", port)
        self._random = random.Random(seed)
        self._seen = seen
        self._kept: http.client.HTTPConnection | None = None

    def once(self) -> None:
        """Request one page and check the answer."""
        kind = self._random.choice(("text", "gzip", "openmetrics", "named", "status page"))
        began = time.monotonic()
        try:
            body = self._get(*self._request(kind))
        except (OSError, http.client.HTTPException) as error:
            self._seen.wrong.append(f"{kind}: {error!r} after {time.monotonic() - began:.3f} s")
            return
        self._seen.seconds.append(time.monotonic() - began)
        self._seen.count[kind] = self._seen.count.get(kind, 0) + 1
        try:
            self._check(kind, body)
        except ValueError as error:
            self._seen.wrong.append(f"{kind}: {error!r}: {body[:200]!r}")

    def close(self) -> None:
        """Close the kept connection."""
        if self._kept:
            self._kept.close()

    def _request(self, kind: str) -> tuple[str, dict[str, str]]:
        if kind == "gzip":
            return "/metrics", {"Accept-Encoding": "gzip"}
        if kind == "openmetrics":
            return "/metrics", {"Accept": _OPENMETRICS}
        if kind == "named":
            return f"/metrics?name[]={'&name[]='.join(_NAMES)}", {}
        return ("/metrics" if kind == "text" else "/"), {}

    def _get(self, path: str, headers: dict[str, str]) -> bytes:
        connection = self._kept or http.client.HTTPConnection(*self._address, timeout=60)
        self._kept = None
        keep = self._random.random() < 0.5
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read()
        except BaseException:
            keep = False
            raise
        finally:
            if keep:
                self._kept = connection
            else:
                connection.close()
        if response.status != http.client.OK:
            raise http.client.HTTPException(f"status {response.status}")
        return gzip.decompress(body) if response.getheader("content-encoding") else body

    def _check(self, kind: str, body: bytes) -> None:
        text = body.decode()
        if kind == "status page":
            if not text.rstrip().endswith("</html>"):
                raise ValueError("half a page")
        elif kind == "openmetrics":
            list(parse_openmetrics(text))  # type: ignore[no-untyped-call]  # theirs
        elif kind == "named":
            names = {family.name for family in parse_text(text)}
            if not {"pacemaker_up", "process_resident_memory_bytes"} <= names <= {*_NAMES}:
                raise ValueError(f"asked for {_NAMES}, got {names}")
        else:
            self._seen.wrong += impossible(exported(text, "pacemaker_"))
            self._seen.samples.append(text)


class Nuisance:
    """Opens connections and misuses them; keeps a bounded number of them open."""

    HELD = 120

    def __init__(self, port: int, seed: int) -> None:
        """Args: server and source of random order."""
        self._address = ("127.0.0.1", port)
        self._random = random.Random(seed)
        self._held: deque[socket.socket] = deque()
        self.count = 0

    def once(self) -> None:
        """Open one more connection; close the oldest if there are too many."""
        self.count += 1
        client = socket.socket()
        client.settimeout(1)
        does = self._random.choice(
            (self._silent, self._half, self._never_reads, self._garbage, self._long, self._reset)
        )
        with contextlib.suppress(OSError):  # the exporter may well have cut it off
            does(client)
        self._held.append(client)
        if len(self._held) > self.HELD:
            self._held.popleft().close()

    def close(self) -> None:
        """Close all connections."""
        for client in self._held:
            client.close()

    def _silent(self, client: socket.socket) -> None:
        client.connect(self._address)

    def _half(self, client: socket.socket) -> None:
        client.connect(self._address)
        client.sendall(_HEAD[: self._random.randrange(1, len(_HEAD))].encode())

    def _never_reads(self, client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(self._address)
        client.sendall(f"{_HEAD}\r\n".encode() * self._random.choice((1, 1, 50)))

    def _garbage(self, client: socket.socket) -> None:
        client.connect(self._address)
        client.sendall(self._random.randbytes(1000))

    def _long(self, client: socket.socket) -> None:
        client.connect(self._address)
        client.sendall(_HEAD.encode() + b"X: " + b"x" * 200_000)

    def _reset(self, client: socket.socket) -> None:
        client.connect(self._address)
        client.sendall(f"{_HEAD}\r\n".encode())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
