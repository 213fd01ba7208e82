"""Sockets from systemd, passed by the real systemd-socket-activate."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.web import activation
from exporter.web.server import CannotListenError
from tests.support.harness import see
from tests.support.harness.programs import eventually, free_port, running

FLAG = "--web.systemd-socket"
EXPORTER = (sys.executable, "-m", "exporter")


@contextlib.contextmanager
def activated(directory: Path, listen: list[str], *flags: str) -> Iterator[Path]:
    """The exporter, started by the first connection to one of these; gives its log."""
    argv = [see.need("systemd-socket-activate"), *(f"--listen={where}" for where in listen)]
    log = directory / "log"
    with running([*argv, *EXPORTER, *flags], log):
        eventually(lambda: log.read_text().count("Listening on") == len(listen))
        yield log


def healthy(connection: http.client.HTTPConnection) -> bool:
    with contextlib.closing(connection):
        connection.request("GET", "/-/healthy")
        return connection.getresponse().read() == b"Healthy\n"


class Unix(http.client.HTTPConnection):
    """A client of a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


def test_exporter_serves_on_passed_ipv4_ipv6_and_unix_sockets(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "socket"
    where = [f"127.0.0.1:{port}", f"[::1]:{port}", str(path)]
    with activated(tmp_path, where, "--demo", FLAG) as log:
        assert healthy(http.client.HTTPConnection("127.0.0.1", port, timeout=30))
        assert healthy(http.client.HTTPConnection("::1", port, timeout=30))
        assert healthy(Unix(path))
        text = log.read_text(encoding="utf-8")
        assert all(f"msg=listening address={address}\n" in text for address in where)


def test_commands_inherit_no_socket_and_no_variable(tmp_path: Path) -> None:
    port, crm_mon = free_port(), tmp_path / "crm_mon"
    crm_mon.write_text(
        f"#!/bin/sh\nls -l /proc/self/fd >{tmp_path}/fds\nenv >{tmp_path}/new\n"
        f"mv {tmp_path}/new {tmp_path}/env\n"
    )
    crm_mon.chmod(0o755)
    flags = (FLAG, f"--crm_mon.path={crm_mon}")
    with activated(tmp_path, [f"127.0.0.1:{port}", str(tmp_path / "socket")], *flags):
        assert healthy(http.client.HTTPConnection("127.0.0.1", port, timeout=30))
        eventually((tmp_path / "env").exists)
    assert "LISTEN_" not in (tmp_path / "env").read_text(encoding="utf-8")
    assert "socket:" not in (tmp_path / "fds").read_text(encoding="utf-8")


def refused(*flags: str, **options: object) -> str:
    """The only line of an exporter that does not start."""
    ended = subprocess.run(
        [*EXPORTER, "--demo", *flags],
        capture_output=True, check=False, text=True, timeout=30, **options,  # type: ignore[call-overload]
    )  # fmt: skip
    assert ended.returncode in {1, 2}
    (line,) = [line for line in ended.stderr.splitlines() if "DEMONSTRATION" not in line]
    return str(line)


def test_missing_sockets_are_reported_with_advice() -> None:
    line = refused(FLAG)
    assert "systemd passed no sockets; start the exporter by a .socket unit" in line


def test_sockets_of_another_process_are_refused() -> None:
    environment = {**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "1"}
    assert "systemd passed no sockets" in refused(FLAG, env=environment)


def test_listen_addresses_beside_passed_sockets_are_refused() -> None:
    line = refused(FLAG, "--web.listen-address=:1")
    assert "--web.systemd-socket and --web.listen-address exclude each other" in line


def test_error_names_the_forgotten_flag(tmp_path: Path) -> None:
    port = free_port()
    flags = ("--demo", f"--web.listen-address=127.0.0.1:{port}")
    with activated(tmp_path, [f"127.0.0.1:{port}"], *flags) as log:
        socket.create_connection(("127.0.0.1", port), 10).close()
        eventually(
            lambda: "in use; systemd passed sockets: --web.systemd-socket" in log.read_text()
        )


def connected() -> socket.socket:
    ends = socket.socketpair()
    ends[1].close()
    return ends[0]


@pytest.mark.parametrize(
    "make",
    [
        connected,
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        lambda: socket.socket(socket.AF_INET),
        lambda: open("/dev/null", "rb"),  # noqa: PTH123, SIM115 - the caller closes it
    ],
    ids=["connected", "datagrams", "not listening", "no socket"],
)
def test_only_listening_stream_sockets_are_accepted(make: "object") -> None:
    with make() as found:  # type: ignore[operator]
        taken = os.dup(found.fileno())
        with pytest.raises(CannotListenError, match=r"descriptor \d+ \(web\) is not a"):
            activation.sockets({taken: "web"})


def test_descriptors_have_the_passed_names() -> None:
    own = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "A": "b"}
    environment = {**own, "LISTEN_FDNAMES": "web:other"}
    assert activation.passed(environment) == {3: "web", 4: "other"}
    assert environment == {"A": "b"}
    assert activation.passed(own) == {3: "unknown", 4: "unknown"}
    assert activation.passed({}) == {}
