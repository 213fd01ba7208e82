"""Takes the sockets that systemd passes to a service: see sd_listen_fds(3)."""

import os
import socket
from collections.abc import MutableMapping

from exporter.web.server import CannotListenError, prepare

FIRST_DESCRIPTOR = 3
"""The first socket's file descriptor; the others follow it."""
_FAMILIES = {socket.AF_INET, socket.AF_INET6, socket.AF_UNIX}
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def passed(environment: MutableMapping[str, str]) -> dict[int, str]:
    """Return the descriptors that systemd passed to this process, with their names.

    This removes systemd's variables from the environment, so that commands do not take the sockets
    for theirs.
    """
    pid, count, names = (environment.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    found = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    named = dict(zip(found, names.split(":") if names else (), strict=False))
    return {descriptor: named.get(descriptor, "unknown") for descriptor in found}


def sockets(descriptors: dict[int, str]) -> list[socket.socket]:
    """Return the sockets to listen on.

    Raises:
        CannotListenError: systemd passed none, or one of them cannot be listened on.

    """
    if not descriptors:
        raise CannotListenError(
            "--web.systemd-socket: systemd passed no sockets; start the exporter by a .socket unit"
        )
    return [_take(descriptor, name) for descriptor, name in descriptors.items()]


def _take(descriptor: int, name: str) -> socket.socket:
    where = f"--web.systemd-socket: descriptor {descriptor} ({name})"
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - positional in the library
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise CannotListenError(f"{where} is not a socket: {reason}") from error
    stream = found.type == socket.SOCK_STREAM and found.family in _FAMILIES
    if not stream or not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        found.close()
        raise CannotListenError(
            f"{where} is not a listening stream socket: use ListenStream= and Accept=no"
        )
    prepare(found)
    return found
