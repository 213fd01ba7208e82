"""Hundreds of clients on loopback that stall, flood or send nonsense."""

import base64
import functools
import http.client
import os
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import bcrypt
import pytest
import yaml

from exporter.runtime.clock import SystemClock
from exporter.web.access import reload
from exporter.web.app import Message, Receive, Response, Send, reply
from exporter.web.connection import Connection
from exporter.web.server import Server
from tests.support.harness.certificates import HASH, PASSWORD, Pki, mutual, serve
from tests.support.harness.programs import eventually
from tests.support.harness.serving import serving
from tests.support.harness.web import RIGHT, Site, scrapes, site

PROMETHEUS = "prometheus.example.org"
OF_EACH = 30
"""Clients that stall in one way; together fewer than there is room for."""
PATIENCE = 5.0
"""Seconds for an answer on a busy machine; those who stall do so for twice as long."""


@functools.cache
def client_hello() -> bytes:
    """The first bytes that a client of TLS sends."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname="localhost"
    )
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


class Stalling:
    """Opens connections that stop at a chosen stage."""

    def __init__(self, opened: ExitStack, context: ssl.SSLContext) -> None:
        """Args: what closes them, how they speak TLS."""
        self._opened = opened
        self._context = context

    def connect(self, port: int, sent: bytes = b"") -> socket.socket:
        """Send something, without TLS."""
        client = self._opened.enter_context(socket.create_connection(("127.0.0.1", port), 10))
        client.sendall(sent)
        return client

    def secured(self, port: int, sent: bytes = b"") -> ssl.SSLSocket:
        """Send something, after the handshake."""
        plain = socket.create_connection(("127.0.0.1", port), 10)
        client = self._opened.enter_context(
            self._context.wrap_socket(plain, server_hostname="localhost")
        )
        client.sendall(sent)
        return client


AUTHORIZED = b"Host: x\r\nAuthorization: Basic " + base64.b64encode(RIGHT.encode()) + b"\r\n\r\n"
WAYS: dict[str, Callable[[Stalling, int], object]] = {
    "before the handshake": lambda clients, port: clients.connect(port),
    "in the handshake": lambda clients, port: clients.connect(port, client_hello()[:100]),
    "after the first flight": lambda clients, port: clients.connect(port, client_hello()),
    "before the request": lambda clients, port: clients.secured(port),
    "in the headers": lambda clients, port: clients.secured(port, b"GET / HTTP/1.1\r\nHost: x\r\n"),
    "while reading": lambda clients, port: clients.secured(
        port, (b"GET /metrics HTTP/1.1\r\n" + AUTHORIZED) * 100
    ),
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Mutual TLS and users, one with a slow hash, on two addresses."""
    pki = Pki(tmp_path_factory.mktemp("pki"))
    slow = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(12)).decode()
    content = {
        "tls_server_config": mutual(pki, client_allowed_sans=[PROMETHEUS]),
        "basic_auth_users": {"alice": HASH, "slow": slow},
    }
    with site(pki, content, "--web.listen-address=127.0.0.1:0") as found:
        yield found


@pytest.fixture
def stalling(guarded: Site) -> Iterator[Stalling]:
    context = ssl.create_default_context(cafile=str(guarded.pki.bundle))
    context.load_cert_chain(*guarded.pki.issue("staller", PROMETHEUS))
    with ExitStack() as opened:
        yield Stalling(opened, context)


def answered(guarded: Site, who: list[str]) -> bool:
    began = time.monotonic()
    answer = guarded.curl(*who, "--user", RIGHT)
    assert time.monotonic() - began < PATIENCE
    return answer.status == 200


@pytest.mark.prometheus
def test_prometheus_scrapes_while_clients_stall_at_every_stage(
    guarded: Site, stalling: Stalling, tmp_path: Path
) -> None:
    """Clients stall on both ports while another guesses passwords."""
    ports = guarded.ports()
    assert len(ports) == 2
    stop = threading.Event()
    guesser = threading.Thread(target=guess, args=(guarded, stop))
    guesser.start()
    try:
        for n in range(OF_EACH):
            for stall in WAYS.values():
                stall(stalling, ports[n % 2])
        who = guarded.certificate("prometheus", PROMETHEUS)
        with scrapes(guarded, tmp_path, who) as values:
            steady = "min_over_time(up[5s]) == 1 and count_over_time(up[5s]) >= 4"
            eventually(lambda: values(steady))
            slowest = eventually(lambda: values("max_over_time(scrape_duration_seconds[5s])"))
            assert max(slowest.values()) < 1
        assert answered(guarded, who)
    finally:
        stop.set()
        guesser.join(20)


def guess(guarded: Site, stop: threading.Event) -> None:
    """Try passwords, one after the other, each of which costs the exporter a check."""
    context = ssl.create_default_context(cafile=str(guarded.pki.bundle))
    context.load_cert_chain(*guarded.pki.issue("guesser", PROMETHEUS))
    while not stop.is_set():
        with closing(
            http.client.HTTPSConnection("127.0.0.1", guarded.port, timeout=10, context=context)
        ) as connection:
            guessed = base64.b64encode(f"alice:{time.monotonic()}".encode()).decode()
            connection.request("GET", "/", headers={"Authorization": f"Basic {guessed}"})
            assert connection.getresponse().status == 401


@pytest.mark.parametrize("way", ["before the handshake", "after the first flight"])
def test_stalled_clients_beyond_the_limit_do_not_lock_others_out(
    guarded: Site, stalling: Stalling, way: str
) -> None:
    who = guarded.certificate("newcomer", PROMETHEUS)
    for _ in range(400):
        WAYS[way](stalling, guarded.port)
    assert all(answered(guarded, who) for _ in range(3))
    assert descriptors(guarded.pid) < 256 + 50


def test_failed_handshakes_leave_no_connection_and_do_not_fill_the_log(guarded: Site) -> None:
    context = ssl.create_default_context(cafile=str(guarded.pki.bundle))
    assert answered(guarded, guarded.certificate("before", PROMETHEUS))
    before = len(guarded.lines())
    memory = resident(guarded.pid)
    for n in range(300):
        with socket.create_connection(("127.0.0.1", guarded.port), 10) as client:
            if n % 3 == 0:
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            elif n % 3 == 1:
                # A reset, as health checks of load balancers do it.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                with (
                    suppress(OSError),
                    context.wrap_socket(client, server_hostname="localhost") as secured,
                ):
                    secured.recv(1)
    eventually(lambda: descriptors(guarded.pid) < 50)
    assert len(guarded.lines()) - before <= 20
    assert resident(guarded.pid) - memory < 8 * 1024
    assert answered(guarded, guarded.certificate("after", PROMETHEUS))


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def test_exporter_stops_while_passwords_are_checked(tmp_path: Path) -> None:
    """Waiting checks are cancelled, and the log shows no bug."""
    pki = Pki(tmp_path)
    slow = bcrypt.hashpw(b"x", bcrypt.gensalt(12)).decode()
    with (
        site(pki, {"tls_server_config": serve(pki), "basic_auth_users": {"a": slow}}) as found,
        ExitStack() as opened,
    ):
        clients = Stalling(opened, ssl.create_default_context(cafile=str(pki.bundle)))
        for n in range(4):
            guessed = base64.b64encode(b"a:%d" % n)
            clients.secured(
                found.port,
                b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %b\r\n\r\n" % guessed,
            )
        began = time.monotonic()
        os.kill(found.pid, signal.SIGTERM)
        eventually(lambda: Path(f"/proc/{found.pid}/stat").read_text().split()[2] == "Z")
        assert time.monotonic() - began < PATIENCE
        assert not found.lines("level=error")
        assert not found.lines("level=critical")


def resident(pid: int) -> int:
    """The resident memory of a process, in KiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])


class Impatient(Connection):
    request_timeout = 0.5
    keep_alive = 1.0
    max_connections = 8


@contextmanager
def impatient(pki: Pki, app: Callable[[Message, Receive, Send], object]) -> Iterator[int]:
    """The real server with short times, an own application, and TLS; gives its port."""
    path = pki.directory / "web.yml"
    path.write_text(yaml.safe_dump({"tls_server_config": serve(pki)}))
    access = reload.read(path)
    with serving(Server(app, SystemClock(), Impatient, lambda: access.tls)) as port:  # type: ignore[arg-type]
        yield port


LARGE = Response(HTTPStatus.OK, b"x" * 20_000_000)
"""A page that fits no socket's buffers."""


async def large(scope: Message, receive: Receive, send: Send) -> None:
    await reply(LARGE, send)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def port(own: Pki) -> Iterator[int]:
    with impatient(own, large) as port:
        yield port


@pytest.fixture
def clients(own: Pki) -> Iterator[Stalling]:
    with ExitStack() as opened:
        yield Stalling(opened, ssl.create_default_context(cafile=str(own.bundle)))


def drip(client: socket.socket, text: bytes, times: int, pause: float = 0) -> None:
    for _ in range(times):
        client.sendall(text)
        time.sleep(pause)


class TestTlsClientsThatStall:
    @pytest.mark.parametrize("way", WAYS)
    def test_stalled_client_is_disconnected_in_time(
        self, clients: Stalling, port: int, way: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = WAYS[way](clients, port)
        assert isinstance(client, socket.socket)
        began = time.monotonic()
        if way == "while reading":
            time.sleep(3)  # its time is over, and most of the answer is still here
        with suppress(OSError):  # an end without a farewell
            while client.recv(1 << 20):
                pass
        assert time.monotonic() - began < PATIENCE + 3
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []

    def test_client_that_sends_bytes_slowly_is_disconnected(
        self, clients: Stalling, port: int
    ) -> None:
        """The timeout covers the whole request."""
        client = clients.secured(port)
        began = time.monotonic()
        client.sendall(b"GET / HTTP/1.1\r\nX-Filler: ")
        with pytest.raises(OSError):  # noqa: PT011 - reset, or a broken pipe
            drip(client, b"x", 1000, 0.05)
        assert time.monotonic() - began < PATIENCE

    def test_endless_headers_end_the_connection(self, clients: Stalling, port: int) -> None:
        client = clients.secured(port, b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError):  # noqa: PT011 - reset, or a broken pipe
            drip(client, b"X-Filler: xxxxxxxxxxxxxxxxxxxx\r\n", 100_000)

    def test_clients_that_do_not_read_cost_little_memory(
        self, clients: Stalling, port: int
    ) -> None:
        before = resident(os.getpid())
        for _ in range(Impatient.max_connections):
            clients.secured(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").recv(1)
        assert resident(os.getpid()) - before < len(LARGE.body) // 1024

    def test_requests_in_the_packets_of_the_handshake_are_answered(
        self, clients: Stalling, port: int
    ) -> None:
        for _ in range(20):
            client = clients.secured(port, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
            got = b""
            while got.count(b"HTTP/1.1 200") < 3:
                got += client.recv(10_000)
            client.close()
