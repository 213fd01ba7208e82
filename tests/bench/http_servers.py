"""HTTP servers for Python, and ours, against nginx serving the same bytes from a file.

    tools/setup.sh bench
    .venv/bin/python -m pip install aiohttp tornado cheroot
    .venv/bin/python -m tests.bench.http_servers

Prints a Markdown table: microseconds at the median and the 99th percentile, as wrk sees them over
kept connections on loopback, and the resident memory of the server. What is not installed is left
out.
"""

import asyncio
import contextlib
import gzip
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.cluster.observation import Observation
from exporter.pacemaker import crm_mon
from tests.bench.load import CONTENT_TYPE, latency, nginx, publish
from tests.bench.measure import status_of_process
from tests.support.harness import see
from tests.support.harness.programs import eventually, free_port, get, running

SIZES = {"20 kB": 20_000, "1 MB": 1_000_000}
SECONDS = 3


def page(size: int) -> bytes:
    """A page of ours: of as many clusters, one after the other, as fit."""
    answer = (see.CAPTURES / "live-2.1.5" / "01-healthy.xml").read_bytes()
    made = see.text(Observation(crm_mon.parse(answer))).encode()
    return (made * (size // len(made) + 1))[:size]


class Pages:
    """The same bytes for every server, compressed beforehand."""

    def __init__(self, root: Path) -> None:
        """Read them."""
        self._plain = {f"/{p.name}": p.read_bytes() for p in root.glob("page*") if not p.suffix}
        self._gzip = {path: gzip.compress(data, 1) for path, data in self._plain.items()}

    def answer(self, path: str, accept_encoding: str) -> tuple[bytes, list[tuple[str, str]]]:
        """Body and headers."""
        headers = [("Content-Type", CONTENT_TYPE), ("Vary", "Accept-Encoding")]
        if "gzip" in accept_encoding:
            return self._gzip[path], [*headers, ("Content-Encoding", "gzip")]
        return self._plain[path], headers


def serve_uvicorn(pages: Pages, port: int) -> None:
    """With httptools: what the exporter uses."""
    import uvicorn

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        wanted = dict(scope["headers"]).get(b"accept-encoding", b"").decode()
        body, headers = pages.answer(scope["path"], wanted)
        sized = [*headers, ("Content-Length", str(len(body)))]
        encoded = [(name.encode(), value.encode()) for name, value in sized]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    uvicorn.run(app, port=port, http="httptools", loop="asyncio", access_log=False,
                log_level="error", lifespan="off", ws="none")  # fmt: skip


def serve_aiohttp(pages: Pages, port: int) -> None:
    """Its low-level server, without routing."""
    from aiohttp import web

    async def handler(request: web.BaseRequest) -> web.Response:
        body, headers = pages.answer(request.path, request.headers.get("Accept-Encoding", ""))
        return web.Response(body=body, headers=dict(headers))

    async def main() -> None:
        runner = web.ServerRunner(web.Server(handler, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()

    asyncio.run(main())


def serve_tornado(pages: Pages, port: int) -> None:
    """Its HTTP server, without routing."""
    from tornado import httpserver, httputil  # type: ignore[import-not-found]

    def handler(request: httputil.HTTPServerRequest) -> None:
        body, headers = pages.answer(request.path, request.headers.get("Accept-Encoding", ""))
        sized = httputil.HTTPHeaders(dict(headers) | {"Content-Length": str(len(body))})
        start = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
        request.connection.write_headers(start, sized, body)
        request.connection.finish()

    async def main() -> None:
        httpserver.HTTPServer(handler).listen(port, "127.0.0.1")
        await asyncio.Event().wait()

    asyncio.run(main())


def serve_cheroot(pages: Pages, port: int) -> None:
    """A thread pool."""
    from cheroot import wsgi  # type: ignore[import-not-found]

    def app(environ, start_response):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        wanted = environ.get("HTTP_ACCEPT_ENCODING", "")
        body, headers = pages.answer(environ["PATH_INFO"], wanted)
        start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
        return [body]

    wsgi.Server(("127.0.0.1", port), app).start()


SERVERS: dict[str, Callable[[Pages, int], None]] = {
    "uvicorn": serve_uvicorn,
    "aiohttp": serve_aiohttp,
    "tornado": serve_tornado,
    "cheroot": serve_cheroot,
}


@contextlib.contextmanager
def started(name: str, root: Path) -> Iterator[tuple[str, int]]:
    """A server; gives its base URL and its pid."""
    if name == "nginx":
        with nginx(root) as found:
            yield found
        return
    port = free_port()
    argv = [sys.executable, "-m", "tests.bench.http_servers", name, str(root), str(port)]
    with running(argv, root / f"{name}.log") as process:
        base = f"http://127.0.0.1:{port}"
        eventually(lambda: get(f"{base}/page0"))
        yield base, process.pid


def main() -> None:
    """Print the table."""
    installed = [name for name in SERVERS if importlib.util.find_spec(name)]
    rows = [(index, size, encoding, connections)
            for index, size in enumerate(SIZES)
            for encoding in ("identity", "gzip")
            for connections in (1, 10)]  # fmt: skip
    columns: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for index, size in enumerate(SIZES.values()):
            publish(root, f"page{index}", page(size))
        for name in ("nginx", *installed):
            with started(name, root) as (base, pid):
                cells = [
                    str(latency(f"{base}/page{index}", encoding, count, SECONDS))
                    for index, _, encoding, count in rows
                ]
                columns[name] = [*cells, f"{status_of_process(pid, 'VmRSS') / 1024:.0f} MB"]
    print("| p50 / p99 in µs |", *(f" {name} |" for name in columns), sep="")
    print("|---|", *("---|" for _ in columns), sep="")
    heads = [f"{size}, {encoding}, {count} connection{'s' * (count > 1)}"
             for _, size, encoding, count in rows]  # fmt: skip
    for number, head in enumerate([*heads, "resident memory"]):
        print(f"| {head} |", *(f" {cells[number]} |" for cells in columns.values()), sep="")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        SERVERS[sys.argv[1]](Pages(Path(sys.argv[2])), int(sys.argv[3]))
    else:
        main()
