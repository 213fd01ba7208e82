"""HTTP inside another network namespace, where nothing of this machine's network is."""

import ctypes
import os
import socket
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def socket_in(pid: int) -> socket.socket:
    """Make a TCP socket in the network namespace of a process; it stays there wherever it is used.

    A namespace is a thread's own: that of the thread made for this is gone with the thread.
    """

    def make() -> socket.socket:
        with open(f"/proc/{pid}/ns/net", "rb") as namespace:  # noqa: PTH123 - a descriptor
            if _libc.setns(namespace.fileno(), CLONE_NEWNET):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(make).result()


class _Connection(HTTPConnection):
    def __init__(self, pid: int, host: str, port: int, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._pid = pid

    def connect(self) -> None:
        self.sock = socket_in(self._pid)
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.host, self.port))


@dataclass(frozen=True, slots=True)
class Network:
    """The network that a process sees."""

    pid: int

    def get(self, url: str, timeout: float = 10) -> bytes:
        """Ask a server on it.

        Raises:
            OSError: no answer, or none that says 200.

        """
        parts = urllib.parse.urlsplit(url)
        assert parts.hostname
        assert parts.port
        connection = _Connection(self.pid, parts.hostname, parts.port, timeout)
        try:
            connection.request("GET", parts._replace(scheme="", netloc="").geturl())
            response = connection.getresponse()
            body = response.read()
        except HTTPException as error:
            # The server ended while it answered: the same as one that is gone.
            raise OSError(f"{url}: {error!r}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise OSError(f"{url} answers {response.status}: {body[:200]!r}")
        return body
