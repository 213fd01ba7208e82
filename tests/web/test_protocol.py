"""Odd requests over real sockets, to the exporter and to a node_exporter beside it."""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.harness import see
from tests.support.harness.certificates import Pki, serve
from tests.support.harness.programs import eventually, exporter, free_port, running
from tests.support.harness.programs import get as page
from tests.support.harness.web import site
from tests.support.oracle.http_table import ALL, OTHER, Odd, get
from tests.support.paths import ROOT
from tools import http_table

PATIENCE = 30
PROBE = get("Connection: close\r\n", line="HEAD /metrics HTTP/1.1")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with exporter(tmp_path_factory.mktemp("exporter"), "--demo") as base:
        yield int(base.rpartition(":")[2])


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    argv = [
        see.need("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}",
        "--collector.disable-defaults", "--web.disable-exporter-metrics", "--collector.time",
    ]  # fmt: skip
    with running(argv, tmp_path_factory.mktemp("node_exporter") / "log"):
        eventually(lambda: page(f"http://127.0.0.1:{port}/metrics"))
        yield port


def said(port: int, raw: bytes) -> bytes:
    """What a server says to this until it ends the connection, after we have sent all."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        with suppress(ConnectionError):  # it need not take everything
            client.sendall(raw)
            client.shutdown(socket.SHUT_WR)
        got = b""
        with suppress(ConnectionResetError):
            while part := client.recv(1 << 20):
                got += part
        return got


def answer(port: int, odd: Odd) -> str:
    """The answer as the table has it: whether it stays open says a request behind it."""
    expected = odd.node_exporter.count(",") + 1
    got = said(port, odd.raw + PROBE)
    statuses: list[int] = []
    while got:
        # Bodies follow only where the request is not HEAD.
        bodiless = odd.raw.startswith(b"HEAD") or len(statuses) >= expected
        one, got = _first(got, bodiless=bodiless)
        statuses.append(one)
    text = ", ".join(map(str, statuses[:expected]))
    return f"{text} open" if statuses[expected:] == [200] else text


def _first(got: bytes, *, bodiless: bool) -> tuple[int, bytes]:
    """Split the first answer off: its status, and what is behind it."""
    status = _STATUS.match(got)
    assert status, got[:80]
    head, end, rest = got.partition(b"\r\n\r\n")
    assert end, head
    if bodiless:
        return int(status[1]), rest
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if length:
        assert len(rest) >= int(length[1]), "an answer was cut off"
        return int(status[1]), rest[int(length[1]) :]
    return int(status[1]), _behind_chunks(rest) if b"chunked" in head else b""


def _behind_chunks(rest: bytes) -> bytes:
    while True:
        size, _, rest = rest.partition(b"\r\n")
        rest = rest[int(size, 16) + 2 :]
        if int(size, 16) == 0:
            return rest


def test_both_servers_answer_as_in_the_table(ours: int, theirs: int) -> None:
    """Requests without another answer in the table get the same from both."""
    found = {odd.name: (answer(theirs, odd), answer(ours, odd)) for odd in ALL}
    assert found == {odd.name: (odd.node_exporter, odd.ours) for odd in ALL}


def test_every_difference_in_the_table_is_real_and_has_a_reason() -> None:
    assert len({odd.name for odd in ALL}) == len(ALL)
    for odd in ALL:
        assert (odd.ours != odd.node_exporter) == bool(odd.reason) == (odd in OTHER), odd.name


def test_table_of_security_md_is_current() -> None:
    current = http_table.PAGE.read_text(encoding="utf-8")
    assert current == http_table.page(current), "run: make reference"


@pytest.mark.parametrize("server", ["ours", "theirs"])
def test_server_answers_2001_pipelined_requests(
    server: str, request: pytest.FixtureRequest
) -> None:
    port = request.getfixturevalue(server)
    head = get(line="HEAD /metrics HTTP/1.1")
    assert said(port, head * 2001).count(b"HTTP/1.1 200 OK\r\n") == 2001


def test_request_of_a_client_that_closes_its_sending_half_is_answered(ours: int) -> None:
    """nc -N is such a client."""
    assert said(ours, get()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert said(ours, get() * 3).count(b"HTTP/1.1 200 OK\r\n") == 3


@pytest.mark.parametrize("size", [1, 3, 50])
def test_requests_sent_in_pieces_are_answered(ours: int, size: int) -> None:
    """The pieces may also split the empty line between two requests."""
    raw = get("A: b\r\n", line="GET /-/healthy HTTP/1.1") * 2
    with socket.create_connection(("127.0.0.1", ours), PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begin in range(0, len(raw), size):
            client.sendall(raw[begin : begin + size])
        client.shutdown(socket.SHUT_WR)
        got = b""
        while part := client.recv(10_000):
            got += part
    assert got.count(b"HTTP/1.1 200 OK\r\n") == got.count(b"Healthy\n") == 2


def test_refusal_of_a_large_body_reaches_the_client(ours: int) -> None:
    """A body of 10 MB cannot be sent completely, but its answer can be read."""
    raw = get("Content-Length: 10000000\r\n", "POST /metrics HTTP/1.1", body="a" * 10_000_000)
    for _ in range(5):
        assert said(ours, raw).startswith(b"HTTP/1.1 405 ")


def test_refusal_explains_its_reason(ours: int) -> None:
    got = said(ours, get(host=""))
    assert got.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert got.endswith(b"\r\n\r\n400 Bad Request: missing required Host header")
    for header in (b"connection: close", b"x-content-type-options: nosniff", b"date: "):
        assert b"\r\n" + header in got


def test_plain_http_on_the_tls_port_is_explained(tmp_path: Path) -> None:
    """The answer is that of Go's server."""
    pki = Pki(tmp_path)
    with site(pki, {"tls_server_config": serve(pki)}) as found:
        for method in ("GET", "HEAD", "POST", "PUT"):
            assert said(found.port, get(line=f"{method} /metrics HTTP/1.1")) == (
                b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
            )
        assert found.curl("--fail").status == 200


def test_reliability_md_counts_the_table() -> None:
    text = (ROOT / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")
    assert f"Of {len(ALL)} odd requests {len(ALL) - len(OTHER)} get the answer" in text
