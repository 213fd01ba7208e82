"""Loads the web configuration, and reloads it when it or one of its files changes."""

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from exporter.cluster.outcome import WebConfigError
from exporter.runtime.memory import release_free_memory
from exporter.runtime.threads import own_thread
from exporter.web.access import config, tls
from exporter.web.access.config import WebConfig
from exporter.web.access.tls import Tls

CHECK_INTERVAL = 1.0
"""Seconds between checks of the files."""

log = logging.getLogger(__name__)

_Stamps = dict[Path, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Access:
    """A web configuration with its certificates loaded."""

    config: WebConfig
    tls: Tls | None
    notes: tuple[str, ...]
    """Requested features that the exporter does not offer, and other warnings."""
    digest: bytes
    """SHA-256 of everything that was read."""


def read(path: Path) -> Access:
    """Read a web configuration and the files it names.

    Raises:
        WebConfigError: something is invalid or cannot be read.

    """
    return _load(*_parse(path), path)


def _parse(path: Path) -> tuple[bytes, WebConfig]:
    try:
        content = config.read_file(path)
    except OSError as error:
        raise WebConfigError(f"{path}: cannot read it: {error.strerror}") from error
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
    """Return a summary of the configuration, for the log and for `check-web-config`."""
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
    """Holds the configuration in force and reloads it when its files change.

    A change is loaded once two checks find the files the same, because certificate and key are
    rarely written at the same moment.
    """

    def __init__(self, path: Path) -> None:
        """Read the configuration.

        Args:
            path: the web configuration file.

        Raises:
            WebConfigError: the configuration is invalid or cannot be read.

        """
        self._path = path
        self._last_seen = self._last_read = _stamps({path})
        content, parsed = _parse(path)
        self._watch_also(parsed.files())
        self.access = _load(content, parsed, path)
        self._last_error = ""
        self._reload_requested = False
        self._thread = own_thread("web files")
        _log_access("web configuration read", path, self.access)

    def request_reload(self) -> None:
        """Reload at the next check, even if no file changed."""
        self._reload_requested = True

    async def watch(self, stopped: asyncio.Event) -> None:
        """Check the files until the exporter stops; in a thread, because a file system may hang."""
        while True:
            try:
                await asyncio.wait_for(stopped.wait(), CHECK_INTERVAL)
            except TimeoutError:
                await asyncio.get_running_loop().run_in_executor(self._thread, self.check)
            else:
                return

    def check(self) -> None:
        """Reload if the files changed, or if a reload was requested."""
        requested, self._reload_requested = self._reload_requested, False
        stamps = _stamps(self._last_read.keys())
        settled, changed = stamps == self._last_seen, requested or stamps != self._last_read
        self._last_seen = stamps
        if requested or (settled and (changed or self._last_error)):
            self._last_read = stamps
            self._reload("" if changed else self._last_error, requested=requested)
            release_free_memory()

    def _reload(self, last_error: str, *, requested: bool) -> None:
        """Reload; log an error unless it is the same as the last one."""
        try:
            content, parsed = _parse(self._path)
            self._watch_also(self.access.config.files() | parsed.files())
            access = _load(content, parsed, self._path)
            _refuse_weaker(self.access, access, self._path)
        except WebConfigError as error:
            if str(error) != last_error:
                log.error("%s; the previous configuration stays in force", error)  # noqa: TRY400 - one line
            self._last_error = str(error)
            return
        if access.digest != self.access.digest:
            self.access = access
            _log_access("web configuration reloaded", self._path, access)
        elif requested or self._last_error:
            log.info("web configuration unchanged", extra={"file": str(self._path)})
        self._last_error = ""

    def _watch_also(self, files: frozenset[Path]) -> None:
        """Watch the configuration and these files; new ones from their present state on."""
        self._last_read = {
            path: self._last_read.get(path) or _stamp(path) for path in {self._path, *files}
        }
        self._last_seen = self._last_read


def _refuse_weaker(old: Access, new: Access, path: Path) -> None:
    """Reject a configuration that admits more clients than before: it may be half written.

    Raises:
        WebConfigError: the new configuration drops a requirement.

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
            f"{path}: no longer requires {' and '.join(lost)}: if you want that, restart"
        )


def _log_access(what: str, path: Path, access: Access) -> None:
    log.info("%s", what, extra={"file": str(path), **describe(access)})
    for note in access.notes:
        log.warning("%s: %s", path, note)


def _stamps(files: Iterable[Path]) -> _Stamps:
    """Return the properties of each file that change when it is written."""
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
