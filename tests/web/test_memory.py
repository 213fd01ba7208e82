"""Memory that 255 real clients that do not read cost, and its release."""

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from exporter.metrics.families import FAMILIES
from tests.support.harness.certificates import Pki
from tests.support.harness.programs import eventually, exporter_process, get
from tests.support.model.cib import cluster
from tests.support.model.states import NOW

pytestmark = pytest.mark.real

CLIENTS = 255
MOST, MOST_WITH_TLS = 110, 170
"""Megabytes that they may cost at a time: 64 are allowed, the rest is what is not counted. A client
of TLS costs half a megabyte, whatever it reads."""
LEFT = 16
"""Megabytes that may stay when they have gone."""
NAMED = "&".join(f"name[]={family.name}" for family in FAMILIES)
REQUEST = "GET {} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {}\r\n\r\n"


class Exporter:
    """A running one, over a cluster of 100 bundles of 5 replicas."""

    def __init__(self, base: str, pid: int, context: ssl.SSLContext | None) -> None:
        self._port = int(base.rpartition(":")[2])
        self._status = Path(f"/proc/{pid}/status")
        self._peak = Path(f"/proc/{pid}/clear_refs")
        self._context = context
        self.limit = MOST if context is None else MOST_WITH_TLS

    def connect(self, *, secured: bool = True) -> socket.socket:
        """A client, by itself of TLS where the exporter is."""
        plain = socket.socket()
        # Or the client's kernel takes megabytes, as if they had been read.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(30)
        plain.connect(("127.0.0.1", self._port))
        if self._context is None or not secured:
            return plain
        return self._context.wrap_socket(plain, server_hostname="localhost")

    def megabytes(self, name: str = "VmRSS") -> float:
        found = re.search(rf"{name}:\s+(\d+)", self._status.read_text(encoding="utf-8"))
        assert found
        return int(found[1]) / 1024

    def forget_the_peak(self) -> None:
        self._peak.write_text("5")

    def answers(self) -> bool:
        """Whether a page comes, whole."""
        with self.connect() as client:
            client.sendall(REQUEST.format("/metrics", "identity").replace("1.1", "1.0").encode())
            got = b""
            while part := client.recv(1 << 20):
                got += part
        head, _, body = got.partition(b"\r\n\r\n")
        return int(re.findall(rb"content-length: (\d+)", head)[0]) == len(body)


@pytest.fixture(scope="module")
def cib(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("cib") / "cib.xml"
    path.write_text(cluster(100, 5, 16).xml(NOW), encoding="utf-8")
    return str(path)


QUIET = ("--poll.interval=1h", "--poll.max-age=2h")


@pytest.fixture(scope="module")
def plain(cib: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    directory = tmp_path_factory.mktemp("plain")
    with exporter_process(directory, *QUIET, CIB_file=cib) as (base, pid):
        eventually(lambda: get(f"{base}/-/ready"))
        yield Exporter(base, pid, None)
    assert "level=error" not in (directory / "exporter.log").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def secured(cib: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    pki = Pki(tmp_path_factory.mktemp("secured"))
    config = pki.directory / "web.yml"
    cert, key = pki.issue("server", "localhost")
    config.write_text(f"tls_server_config: {{cert_file: {cert}, key_file: {key}}}\n")
    flags = (*QUIET, f"--web.config.file={config}")
    with exporter_process(pki.directory, *flags, CIB_file=cib) as (base, pid):
        context = ssl.create_default_context(cafile=str(pki.bundle))
        found = Exporter(base, pid, context)
        eventually(found.answers)
        yield found
    assert "level=error" not in (pki.directory / "exporter.log").read_text(encoding="utf-8")


def ask(*requests: tuple[str, str]) -> Callable[[Exporter, int], socket.socket]:
    """A client that asks for pages, and does not read."""

    def connect(exporter: Exporter, n: int) -> socket.socket:
        client = exporter.connect()
        client.sendall(
            "".join(REQUEST.format(*one) for one in requests).replace("N", str(n)).encode()
        )
        return client

    return connect


WAYS = {
    "a page of its own": ask((f"/metrics?{NAMED}&name[]=N", "identity")),
    "a thousand pages at once": ask(*[("/metrics", "identity")] * 1000),
    "the whole page": ask(("/metrics", "identity")),
    "the whole page, compressed": ask(("/metrics", "gzip")),
    "a compressed page of its own": ask((f"/metrics?{NAMED}&name[]=N", "gzip")),
    "the status page": ask(("/", "identity")),
}


def ways(*quick: str) -> pytest.MarkDecorator:
    """Every way; most of them are not in the quick tests."""
    slow = [pytest.param(way, marks=pytest.mark.endurance) for way in WAYS if way not in quick]
    return pytest.mark.parametrize("way", [*quick, *slow])


def check(exporter: Exporter, connect: Callable[[Exporter, int], socket.socket]) -> None:
    """Have clients come, not read, and go."""
    for _ in range(3):
        assert exporter.answers()
    before = exporter.megabytes()
    exporter.forget_the_peak()
    with ExitStack() as opened:
        for n in range(CLIENTS):
            with suppress(ConnectionError):  # cut off already
                opened.enter_context(connect(exporter, n))
        assert exporter.answers(), "who reads is answered all the same"
        most = exporter.megabytes("VmHWM") - before
        assert most < exporter.limit
    eventually(lambda: exporter.megabytes() - before < LEFT)
    assert exporter.answers()


@ways("a page of its own", "a thousand pages at once")
def test_clients_that_do_not_read_cost_bounded_memory(plain: Exporter, way: str) -> None:
    check(plain, WAYS[way])


@ways("a page of its own")
def test_tls_clients_that_do_not_read_cost_bounded_memory(secured: Exporter, way: str) -> None:
    check(secured, WAYS[way])


def test_stalled_handshakes_cost_bounded_memory(secured: Exporter) -> None:
    check(secured, lambda exporter, _: exporter.connect(secured=False))
