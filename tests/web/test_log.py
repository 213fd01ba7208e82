"""Log lines of asyncio and uvicorn that clients can cause over real sockets."""

import logging
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus

import pytest
import yaml

from exporter.runtime.clock import SystemClock
from exporter.runtime.logs import LibraryFilter
from exporter.web.access import reload
from exporter.web.app import Message, Receive, Response, Send, reply
from exporter.web.connection import Connection
from exporter.web.server import Server
from tests.support.harness.certificates import Pki, serve
from tests.support.harness.programs import eventually
from tests.support.harness.serving import serving

LARGE = Response(HTTPStatus.OK, b"x" * 8_000_000)
"""A page of many parts, which fits no socket's buffers."""
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Pages:
    """An application that counts the answers that it began and ended."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.begun += 1
        try:
            await reply(LARGE, send)
        finally:
            self.ended += 1


@contextmanager
def served(app: Pages, pki: Pki | None, connection: type[Connection] = Connection) -> Iterator[int]:
    """The real server in this process, with TLS if there is an authority; gives its port."""
    tls = None
    if pki is not None:
        path = pki.directory / "web.yml"
        path.write_text(yaml.safe_dump({"tls_server_config": serve(pki)}))
        tls = reload.read(path).tls
    with serving(Server(app, SystemClock(), connection, tls=lambda: tls)) as port:
        yield port


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


Connect = Callable[[], socket.socket]


@pytest.fixture(scope="module", params=["plain", "TLS"])
def server(request: pytest.FixtureRequest, pki: Pki) -> Iterator[tuple[Connect, Pages]]:
    """What connects to a server, and the server's pages."""
    context = ssl.create_default_context(cafile=str(pki.bundle))
    pages, secured = Pages(), request.param == "TLS"
    with served(pages, pki if secured else None) as port:

        def connect() -> socket.socket:
            plain = socket.create_connection(("127.0.0.1", port), 10)
            return context.wrap_socket(plain, server_hostname="localhost") if secured else plain

        yield connect, pages


def reset(client: socket.socket) -> None:
    """Close so that the other side gets a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(client, ssl.SSLSocket):
        socket.socket(fileno=client.detach()).close()
    else:
        client.close()


def close_half(client: socket.socket) -> None:
    """Close the sending half; with TLS, by a close_notify alert."""
    if isinstance(client, ssl.SSLSocket):
        client.setblocking(False)
        with suppress(ssl.SSLError, OSError):
            client.unwrap()
        client.setblocking(True)
    else:
        client.shutdown(socket.SHUT_WR)


def reset_at_once(client: socket.socket) -> None:
    client.sendall(GET)
    reset(client)


def reset_in_the_page(client: socket.socket) -> None:
    client.sendall(GET)
    client.recv(100_000)
    reset(client)


def reset_after_many_requests(client: socket.socket) -> None:
    client.sendall(GET * 50)
    client.recv(100_000)
    reset(client)


def half_close(client: socket.socket) -> None:
    client.sendall(GET)
    client.recv(1000)
    close_half(client)
    time.sleep(0.05)


def garbage_after_a_request(client: socket.socket) -> None:
    client.sendall(GET + b"\0\xff no HTTP \r\n\r\n")
    client.recv(1000)
    time.sleep(0.05)


def garbage_in_the_page(client: socket.socket) -> None:
    client.sendall(GET)
    client.recv(1000)
    client.sendall(b"\0\xff no HTTP \r\n\r\n" * 20)
    with suppress(OSError):
        client.recv(1000)


def odd_targets(client: socket.socket) -> None:
    with suppress(OSError):
        for target in (b"*", b"//", b"x:y", b"http://[", b"/\xc3\xa9", b"/%ff%00"):
            client.sendall(b"OPTIONS %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        client.sendall(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n" + b"\0" * 100)
        client.recv(1000)


def upgrade(client: socket.socket) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    client.sendall(head + b"\x81\x05hello")
    client.recv(1000)


WAYS = (
    reset_at_once,
    reset_in_the_page,
    reset_after_many_requests,
    half_close,
    garbage_after_a_request,
    garbage_in_the_page,
    odd_targets,
    upgrade,
)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Lines that the program would write: of uvicorn it writes errors only."""
    return [
        f"{record.name}: {record.getMessage()}"
        for record in caplog.records
        if record.levelno >= (logging.ERROR if "uvicorn" in record.name else logging.WARNING)
    ]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_clients_that_misbehave_are_not_logged(
    server: tuple[Connect, Pages],
    way: Callable[[socket.socket], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect, pages = server
    for _ in range(10):
        opened = connect()
        way(opened)
        opened.close()
    eventually(lambda: pages.begun == pages.ended)
    assert logged(caplog) == []
    with connect() as last:
        last.sendall(GET)
        assert last.recv(1000).startswith(b"HTTP/1.1 200")


def test_client_that_closes_its_sending_half_gets_the_rest_of_the_page(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        served(Pages(), None) as port,
        socket.create_connection(("127.0.0.1", port), 10) as client,
    ):
        client.sendall(GET)
        got = len(client.recv(1000))
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(1 << 20):
            got += len(part)
        assert got > len(LARGE.body)
    assert logged(caplog) == []


def test_failed_handshakes_of_many_addresses_are_logged_in_few_lines(
    pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    with served(Pages(), pki) as port:
        for n in range(200):
            with socket.create_connection(
                ("127.0.0.1", port), 10, source_address=(f"127.0.2.{n + 1}", 0)
            ) as client:
                client.sendall((b"\x16\x03\x01\0\x05hello", GET, b"\0" * 600)[n % 3])
                with suppress(OSError):
                    client.recv(1000)
    lines = logged(caplog)
    assert len(lines) <= 20
    assert all("TLS handshake failed" in line for line in lines)
    assert getattr(caplog.records[0], "client", "").startswith("127.0.2.")


class Faulty(Connection):
    """A connection with a bug that clients can trigger."""

    def data_received(self, data: bytes) -> None:
        raise NotImplementedError


def test_exception_that_clients_can_cause_is_logged_once_with_an_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seldom = LibraryFilter(SystemClock())
    logging.getLogger("asyncio").addFilter(seldom)
    try:
        with served(Pages(), None, Faulty) as port:
            for _ in range(20):
                with (
                    socket.create_connection(("127.0.0.1", port), 10) as client,
                    suppress(ConnectionResetError),
                ):
                    client.sendall(GET)
                    client.recv(1)
    finally:
        logging.getLogger("asyncio").removeFilter(seldom)
    (line,) = logged(caplog)
    assert "client: '127.0.0.1'" in line
    assert caplog.records[0].exc_info
