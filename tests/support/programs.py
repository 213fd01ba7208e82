"""Real programs, started and stopped by the tests that need them."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tests.support import see

T = TypeVar("T")


def get(url: str, **headers: str) -> bytes:
    """Ask a server on this machine."""
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        body: bytes = response.read()
    return body


def eventually(check: Callable[[], T], seconds: float = 30) -> T:
    """Try until it neither fails nor is false, and return what it is."""
    until = time.monotonic() + seconds
    while True:
        try:
            found = check()
            if found or time.monotonic() > until:
                assert found
                return found
        except (AssertionError, OSError, KeyError, IndexError):
            if time.monotonic() > until:
                raise
        time.sleep(0.05)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def running(argv: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ANN401 - Popen's options
    """A program with its output in a file; it is ended by its pid."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextlib.contextmanager
def exporter(directory: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """The exporter on a port of its own; gives its base URL once it listens."""
    log = directory / "exporter.log"
    argv = [sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:0", *arguments]
    with running(argv, log, env={**os.environ, **environment}):

        def address() -> str:
            found = re.search(r"msg=listening address=(\S+)", log.read_text(encoding="utf-8"))
            return found.group(1) if found else ""

        base = f"http://{eventually(address)}"
        eventually(lambda: get(f"{base}/-/ready"))
        yield base


class Prometheus:
    """A real Prometheus."""

    def __init__(self, base: str) -> None:
        """Know its URL."""
        self.base = base

    def query(self, expression: str) -> list[Mapping[str, Any]]:
        """The instant vector of an expression."""
        return list(self._api("query", query=expression)["result"])

    def values(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The values of an expression by some labels."""
        return {
            tuple(found["metric"].get(label, "") for label in labels): float(found["value"][1])
            for found in self.query(expression)
        }

    def targets(self) -> list[Mapping[str, Any]]:
        """The active targets."""
        return list(self._api("targets")["activeTargets"])

    def _api(self, path: str, **parameters: str) -> Mapping[str, Any]:
        answer = json.loads(get(f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        assert answer["status"] == "success"
        data: Mapping[str, Any] = answer["data"]
        return data


@contextlib.contextmanager
def prometheus(directory: Path, targets: list[str], scrape: str = "") -> Iterator[Prometheus]:
    """A real Prometheus that scrapes targets every second."""
    port = free_port()
    configuration = directory / "prometheus.yml"
    configuration.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs:\n"
        f"  - job_name: pacemaker\n{scrape}"
        f"    static_configs: [{{targets: {json.dumps(targets)}}}]\n",
        encoding="utf-8",
    )
    argv = [
        see.need("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(argv, directory / "prometheus.log"):
        base = f"http://127.0.0.1:{port}"
        eventually(lambda: get(f"{base}/-/ready"))
        yield Prometheus(base)
