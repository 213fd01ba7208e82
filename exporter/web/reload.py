"""The web configuration in force: read at the start, and again when it or a certificate changes."""

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from exporter.errors import WebConfigError
from exporter.threads import own_thread
from exporter.web import config, tls
from exporter.web.config import WebConfig
from exporter.web.tls import Tls

LOOK_EVERY = 1.0
"""Seconds between looks at the files."""

log = logging.getLogger(__name__)

_Marks = dict[Path, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Access:
    """A web configuration with the certificates that it names, loaded."""

    config: WebConfig
    tls: Tls | None
    notes: tuple[str, ...]
    """What is asked for and not given."""
    digest: bytes
    """Of all that was read."""


def read(path: Path) -> Access:
    """Read a web configuration and load what it names.

    Raises:
        WebConfigError: something cannot be used.

    """
    return _load(*_parse(path), path)


def _parse(path: Path) -> tuple[bytes, WebConfig]:
    try:
        content = config.read_file(path)
    except OSError as error:
        raise WebConfigError(f"{path}: cannot be read: {error.strerror}") from error
    return content, config.parse(content, path)


def _load(content: bytes, parsed: WebConfig, path: Path) -> Access:
    digest = hashlib.sha256(content)
    if parsed.tls is None:
        return Access(parsed, None, parsed.notes, digest.digest())
    pems = {}
    for source in (parsed.tls.cert, parsed.tls.key, parsed.tls.client_ca):
        if source is not None:
            pems[source] = tls.read(source, path)
            digest.update(hashlib.sha256(pems[source]).digest())
    served, notes = tls.build(parsed.tls, pems, path)
    return Access(parsed, served, (*parsed.notes, *notes), digest.digest())


def describe(access: Access) -> dict[str, str | int]:
    """Say what it amounts to, for the log and for people."""
    tls_config = access.config.tls
    rate = access.config.rate_limit
    return {
        "tls": "on" if tls_config else "off",
        "client_certificates": tls_config.client_auth.value if tls_config else "none",
        "users": len(access.config.users),
        "rate_limit": f"{rate.burst} and one every {rate.interval:g}s" if rate else "none",
        "headers": len(access.config.headers),
    }


class WebFiles:
    """Holds the configuration in force, and looks whether its files change.

    A change counts once the files are the same at two looks, as certificate and key are rarely
    written at the same moment.
    """

    def __init__(self, path: Path) -> None:
        """Read the configuration.

        Raises:
            WebConfigError: it cannot be used.

        """
        self._path = path
        self._seen = self._read = _marks({path})
        content, parsed = _parse(path)
        self._watch_also(parsed.files())
        self.access = _load(content, parsed, path)
        self._complaint = ""
        self._asked = False
        self._thread = own_thread("web files")
        _tell("web configuration read", path, self.access)

    def ask(self) -> None:
        """Have the files read at the next look, changed or not."""
        self._asked = True

    async def watch(self, stopped: asyncio.Event) -> None:
        """Look at the files until the end; in a thread, as a file system may hang."""
        while True:
            try:
                await asyncio.wait_for(stopped.wait(), LOOK_EVERY)
            except TimeoutError:
                await asyncio.get_running_loop().run_in_executor(self._thread, self.look)
            else:
                return

    def look(self) -> None:
        """Read the files anew if they changed, or if that was asked for."""
        asked, self._asked = self._asked, False
        marks = _marks(self._read.keys())
        settled, changed = marks == self._seen, asked or marks != self._read
        self._seen = marks
        if asked or (settled and (changed or self._complaint)):
            self._read = marks
            self._renew("" if changed else self._complaint, asked=asked)

    def _renew(self, complained: str, *, asked: bool) -> None:
        """Read the files anew, and complain about them but once."""
        try:
            content, parsed = _parse(self._path)
            self._watch_also(self.access.config.files() | parsed.files())
            access = _load(content, parsed, self._path)
            _refuse_to_open(self.access, access, self._path)
        except WebConfigError as error:
            if str(error) != complained:
                log.error("%s; what was read before stays in force", error)  # noqa: TRY400 - one line
            self._complaint = str(error)
            return
        if access.digest != self.access.digest:
            self.access = access
            _tell("web configuration read again", self._path, access)
        elif asked or self._complaint:
            log.info("web configuration as before", extra={"file": str(self._path)})
        self._complaint = ""

    def _watch_also(self, files: frozenset[Path]) -> None:
        """Watch the configuration and these, from what they are now on."""
        self._read = {path: self._read.get(path) or _mark(path) for path in {self._path, *files}}
        self._seen = self._read


def _refuse_to_open(old: Access, new: Access, path: Path) -> None:
    """Refuse what may be half a file: a running exporter does not become open to more people.

    Raises:
        WebConfigError: it would.

    """
    before, after = old.config, new.config
    lost = []
    if before.tls and not after.tls:
        lost.append("TLS")
    if before.tls and after.tls:
        if before.tls.verifies_clients > after.tls.verifies_clients:
            lost.append("client certificates")
        elif before.tls.client_allowed_sans and not after.tls.client_allowed_sans:
            lost.append("client_allowed_sans")
    if before.users and not after.users:
        lost.append("users")
    if lost:
        raise WebConfigError(
            f"{path}: no longer asks for {' and '.join(lost)}: if that is meant, restart"
        )


def _tell(what: str, path: Path, access: Access) -> None:
    log.info("%s", what, extra={"file": str(path), **describe(access)})
    for note in access.notes:
        log.warning("%s: %s", path, note)


def _marks(files: Iterable[Path]) -> _Marks:
    """What changes when a file does."""
    return {path: _mark(path) for path in files}


def _mark(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
