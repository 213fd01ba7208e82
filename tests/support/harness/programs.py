"""Real programs, started and stopped by the tests that need them."""

import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tests.support.harness import see

T = TypeVar("T")


def get(url: str, *, timeout: float = 10, **headers: str) -> bytes:
    """Ask a server on this machine."""
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=timeout) as response:
        body: bytes = response.read()
    return body


def eventually(check: Callable[[], T], seconds: float = 30, pause: float = 0.05) -> T:
    """Try, with pauses, until it neither fails nor is false, and return what it is."""
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
        time.sleep(pause)


def free_port() -> int:
    """A port that nobody listens on.

    Below those that the kernel gives to clients and to other tests: one of its choice may be given
    again before the program that is to have it listens.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
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
    with exporter_process(directory, *arguments, **environment) as (base, _):
        eventually(lambda: get(f"{base}/-/ready"))
        yield base


@contextlib.contextmanager
def exporter_process(
    directory: Path, *arguments: str, **environment: str
) -> Iterator[tuple[str, int]]:
    """The same before it has polled; also gives its pid."""
    log = directory / "exporter.log"
    # Corosync of this machine, if it has one, belongs to no cluster of a test.
    alone = [] if "corosync" in " ".join(arguments) else ["--no-collector.corosync"]
    alone = [] if any(word.startswith("--demo") for word in arguments) else alone
    flags = ["--web.listen-address=127.0.0.1:0", *alone, *arguments]
    argv = [sys.executable, "-m", "exporter", *flags]
    with running(argv, log, env={**os.environ, **environment}) as process:

        def address() -> str:
            found = re.search(r"msg=listening address=(\S+)", log.read_text(encoding="utf-8"))
            return found.group(1) if found else ""

        yield f"http://{eventually(address)}", process.pid


class Prometheus:
    """A real Prometheus."""

    def __init__(self, base: str, pid: int = 0) -> None:
        """Know its URL and process."""
        self.base = base
        self.pid = pid

    def query(self, expression: str) -> list[Mapping[str, Any]]:
        """The instant vector of an expression."""
        return list(self._api("query", query=expression)["result"])

    def values(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The values of an expression by some labels."""
        return {
            tuple(found["metric"].get(label, "") for label in labels): float(found["value"][1])
            for found in self.query(expression)
        }

    def over(
        self, expression: str, start: float, end: float, step: float
    ) -> dict[tuple[tuple[str, str], ...], dict[int, float]]:
        """The values of an expression over a time, by its labels and the time."""
        times = {"start": str(start), "end": str(end), "step": str(step)}
        return {
            tuple((name, text) for name, text in found["metric"].items() if name != "__name__"): {
                int(at): float(value) for at, value in found["values"]
            }
            for found in self._api("query_range", query=expression, **times)["result"]
        }

    def rules(self) -> list[Mapping[str, Any]]:
        """The groups of rules."""
        return list(self._api("rules")["groups"])

    def targets(self) -> list[Mapping[str, Any]]:
        """The active targets."""
        return list(self._api("targets")["activeTargets"])

    def _api(self, path: str, **parameters: str) -> Mapping[str, Any]:
        answer = json.loads(get(f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        assert answer["status"] == "success"
        data: Mapping[str, Any] = answer["data"]
        return data


@contextlib.contextmanager
def prometheus(
    directory: Path, targets: list[str], scrape: str = "", rules: Iterable[Path] = ()
) -> Iterator[Prometheus]:
    """A real Prometheus that scrapes targets, and evaluates rules, every second."""
    configuration = (
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
        f"rule_files: {json.dumps([str(path.resolve()) for path in rules])}\n"
        "scrape_configs:\n"
        f"  - job_name: pacemaker\n{scrape}"
        f"    static_configs: [{{targets: {json.dumps(targets)}}}]\n"
    )
    with prometheus_with(directory, configuration) as server:
        yield server


@contextlib.contextmanager
def prometheus_with(
    directory: Path, configuration: str | Mapping[str, Any], *flags: str
) -> Iterator[Prometheus]:
    """A real Prometheus with a configuration, as text or as what YAML would hold."""
    port = free_port()
    file = directory / "prometheus.yml"
    # JSON is YAML.
    text = configuration if isinstance(configuration, str) else json.dumps(configuration)
    file.write_text(text, encoding="utf-8")
    argv = [
        see.need("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *flags,
    ]
    with running(argv, directory / "prometheus.log") as process:
        base = f"http://127.0.0.1:{port}"
        eventually(lambda: process.poll() is not None or get(f"{base}/-/ready"), 90)
        assert process.poll() is None, (directory / "prometheus.log").read_text(encoding="utf-8")
        yield Prometheus(base, process.pid)
