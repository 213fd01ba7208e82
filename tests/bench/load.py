"""HTTP under load: wrk, and the servers that the exporter is compared with."""

import contextlib
import gzip
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.harness.programs import eventually, free_port, get, running
from tests.support.harness.see import need

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SCRIPT = """
local pause = {pause}
if pause > 0 then function delay() return math.random(pause, 3 * pause) end end
done = function(summary, latency, requests)
  io.write(string.format("us %d %d errors %d\\n", latency:percentile(50), latency:percentile(99),
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
    + summary.errors.timeout))
end
"""
_NGINX = """
daemon off; worker_processes 1; pid {root}/nginx.pid; error_log {root}/nginx.log;
events {{}}
http {{
  access_log off; sendfile on; keepalive_requests 100000000; gzip_static on;
  types {{}} default_type "{type}";
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Latency:
    """Microseconds from a request to the end of its answer."""

    p50: int
    p99: int

    def __str__(self) -> str:
        return f"{self.p50} / {self.p99}"


def latency(url: str, encoding: str, connections: int, seconds: int, *, pause: int = 0) -> Latency:
    """Ask over kept connections; with a pause, each rests one to three times so many ms."""
    script = Path(f"/tmp/wrk-{time.monotonic_ns()}.lua")
    script.write_text(_SCRIPT.format(pause=pause), encoding="utf-8")
    argv = [
        need("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=60s",
        "-s", str(script), "-H", f"Accept-Encoding: {encoding}", url,
    ]  # fmt: skip
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    finally:
        script.unlink()
    found = re.search(r"us (\d+) (\d+) errors 0\n", done.stdout)
    assert found, done.stdout
    return Latency(int(found[1]), int(found[2]))


def seconds_of_scrapes(url: str, count: int) -> list[float]:
    """How long each of some plain requests takes, for servers that take long."""
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        get(url, timeout=120)
        taken.append(time.perf_counter() - start)
    return taken


def publish(root: Path, name: str, page: bytes) -> None:
    """Put a page where nginx serves it, compressed beforehand too."""
    (root / name).write_bytes(page)
    (root / f"{name}.gz").write_bytes(gzip.compress(page, 1))


@contextlib.contextmanager
def nginx(root: Path) -> Iterator[tuple[str, int]]:
    """A real nginx over a directory; gives its base URL and its pid."""
    port = free_port()
    root.chmod(0o755)
    configuration = root / "nginx.conf"
    configuration.write_text(
        _NGINX.format(root=root, port=port, type=CONTENT_TYPE), encoding="utf-8"
    )
    argv = [need("nginx"), "-c", str(configuration), "-e", str(root / "nginx.log")]
    with running(argv, root / "nginx.out") as process:
        base = f"http://127.0.0.1:{port}"
        eventually(lambda: get(f"{base}/nginx.conf"))
        yield base, process.pid
