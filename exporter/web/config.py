"""The web configuration file, in the format that Prometheus' own exporters read.

Its reference is docs/web-configuration.md of github.com/prometheus/exporter-toolkit. Here every
mistake in it is told at once, with its line; and what Go can do and Python's ssl cannot is told.
"""

import difflib
import enum
import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from exporter.errors import WebConfigError

SIZE_LIMIT = 1 << 20
"""Bytes of a configuration, which is a page of text, or of a file that it names."""
SLOW_COST = 14
"""A bcrypt cost above this takes seconds for each new connection's first request."""

# The last letter of the salt has two bits only.
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""Headers that may be added, with their values where only some make sense."""
VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")


class ClientAuth(enum.StrEnum):
    """What is asked of clients: Go's names."""

    NONE = "NoClientCert"
    REQUEST = "RequestClientCert"
    REQUIRE_ANY = "RequireAnyClientCert"
    VERIFY_IF_GIVEN = "VerifyClientCertIfGiven"
    VERIFY = "RequireAndVerifyClientCert"


_CLIENT_AUTH = {
    "": ClientAuth.NONE,
    "RequireClientCert": ClientAuth.REQUIRE_ANY,  # its old name
    **{kind.value: kind for kind in ClientAuth},
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a certificate or a key is."""

    key: str
    """What the configuration calls it, such as tls_server_config.cert_file."""
    path: Path | None
    """A file, or nothing when the text is in the configuration itself."""
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """What `tls_server_config` says."""

    cert: Source
    key: Source
    client_ca: Source | None
    client_auth: ClientAuth
    client_allowed_sans: frozenset[str]
    """Names of which a client's certificate must have one; empty for any client."""
    min_version: str
    max_version: str
    cipher_suites: tuple[str, ...]
    prefer_server_cipher_suites: bool
    curve_preferences: tuple[str, ...]

    @property
    def verifies_clients(self) -> bool:
        """Whether nobody comes in without a certificate that a CA vouches for."""
        return self.client_auth in {ClientAuth.REQUIRE_ANY, ClientAuth.VERIFY}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket: so many requests at once, and one more every so many seconds."""

    interval: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What the whole file says."""

    tls: TlsConfig | None
    users: Mapping[str, str] = field(repr=False)
    """bcrypt hashes of passwords by user; none: everybody may come in."""
    headers: tuple[tuple[str, str], ...]
    """Headers of every answer that does not have its own."""
    rate_limit: RateLimit | None
    notes: tuple[str, ...]
    """What the file asks for and does not get."""

    def files(self) -> frozenset[Path]:
        """Return the files that it names."""
        tls = self.tls
        sources = () if tls is None else (tls.cert, tls.key, tls.client_ca)
        return frozenset(source.path for source in sources if source and source.path)


def read_file(path: Path) -> bytes:
    """Return what a file holds; of one that is too large, one byte more than is allowed.

    Raises:
        OSError: it cannot be read, or may have no end.

    """

    def at_once(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)  # a pipe, too, that nobody writes to

    with open(path, "rb", opener=at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        return file.read(SIZE_LIMIT + 1)


def parse(content: bytes, path: Path) -> WebConfig:
    """Read a web configuration.

    Args:
        content: what is in the file.
        path: the file, which relative paths start from.

    Raises:
        WebConfigError: it cannot be used; the line names every mistake, and no secret.

    """
    mistakes: list[str] = []
    top = _Mapping(mistakes, "", _compose(content, path))
    notes: list[str] = []
    tls = _tls(top.mapping("tls_server_config"), path.parent)
    http = top.mapping("http_server_config")
    if http.boolean("http2", default=False):
        notes.append("http_server_config.http2: HTTP/2 is not offered, HTTP/1.1 is")
    headers = _headers(http.mapping("headers"))
    http.end()
    rate_limit = _rate_limit(top.mapping("rate_limit"))
    users = _users(top.mapping("basic_auth_users"), notes)
    top.end()
    if mistakes:
        raise WebConfigError(f"{path}: " + "; ".join(mistakes))
    return WebConfig(tls, users, headers, rate_limit, tuple(notes))


def _compose(content: bytes, path: Path) -> yaml.Node | None:
    if len(content) > SIZE_LIMIT:
        raise WebConfigError(f"{path}: larger than {SIZE_LIMIT} bytes: is this the right file?")
    try:
        node: yaml.Node | None = yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise WebConfigError(f"{path}: no UTF-8 at byte {error.start}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = " ".join((error.problem or error.context or "").split())
        # What follows may be a password that begins with * or !.
        problem = re.sub("(alias|tag handle) .*", r"\1: quote what begins with * or !", problem)
        raise WebConfigError(f"{path}: line {line}: no YAML: {problem}") from error
    except yaml.reader.ReaderError as error:
        raise WebConfigError(f"{path}: no YAML: {error.reason}") from error
    except RecursionError as error:
        raise WebConfigError(f"{path}: no YAML that anybody wrote: nested too deeply") from error
    return node


class _Mapping:
    """A mapping of the file, whose keys are asked for one by one; those that never are, are wrong.

    A value that is not what it should be is a mistake, and read as if it were not there.
    """

    def __init__(self, mistakes: list[str], name: str, node: yaml.Node | None) -> None:
        self._mistakes = mistakes
        self._name = name
        self._line = node.start_mark.line + 1 if node else 1
        self._nodes: dict[str, yaml.Node] = {}
        self._asked: set[str] = set()
        if node is None or _is_null(node):
            return
        if not isinstance(node, yaml.MappingNode):
            self.mistake(None, "is no mapping: write `key: value` lines")
            return
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._tell(key, name, "has a key that is no word")
            elif key.value in self._nodes:
                self._tell(key, self._full(key.value), "is there twice: keep one")
            else:
                self._nodes[key.value] = value

    def __bool__(self) -> bool:
        return bool(self._nodes)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._nodes)

    def mistake(self, key: str | None, what: str) -> None:
        """Note what is wrong with a key, or with the mapping itself."""
        node = self._nodes.get(key) if key is not None else None
        self._tell(node, self._name if key is None else self._full(key), what)

    def end(self) -> None:
        """Note the keys that nobody asked for."""
        for key in self._nodes.keys() - self._asked:
            close = difflib.get_close_matches(key, self._asked, 1)
            advice = f"did you mean {close[0]}?" if close else "remove it"
            known = ", ".join(sorted(self._asked))
            self.mistake(key, f"is unknown: {advice} (there are: {known})")

    def mapping(self, key: str) -> "_Mapping":
        return _Mapping(self._mistakes, self._full(key), self._take(key))

    def text(self, key: str) -> str:
        node = self._take(key)
        if node is None or _is_null(node):
            return ""
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self.mistake(key, "is no text")
        return ""

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of texts, or None when it is not there."""
        node = self._take(key)
        if node is None or _is_null(node):
            return None
        if isinstance(node, yaml.SequenceNode) and all(
            isinstance(item, yaml.ScalarNode) for item in node.value
        ):
            return tuple(str(item.value) for item in node.value)
        self.mistake(key, "is no list of texts: write each after a dash")
        return None

    def one_of(self, key: str, choices: tuple[str, ...], default: str) -> str:
        text = self.text(key) or default
        if text in choices:
            return text
        self.mistake(key, f"is none of {', '.join(choices)}")
        return default

    def boolean(self, key: str, *, default: bool) -> bool:
        node = self._take(key)
        if node is None or _is_null(node):
            return default
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:bool":
            return node.value.lower() in {"yes", "true", "on"}
        self.mistake(key, "is neither true nor false")
        return default

    def _take(self, key: str) -> yaml.Node | None:
        self._asked.add(key)
        return self._nodes.get(key)

    def _full(self, key: str) -> str:
        word, colon, _ = key.partition(":")
        if colon:
            key = f"{word}:..."  # a password, where the space after the colon was left out
        return f"{self._name}.{key}" if self._name else key

    def _tell(self, node: yaml.Node | None, name: str, what: str) -> None:
        line = node.start_mark.line + 1 if node else self._line
        shown = name if name.isprintable() else ascii(name)
        self._mistakes.append(f"line {line}: {shown or 'the file'} {what}")


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _tls(given: _Mapping, directory: Path) -> TlsConfig | None:
    cert = _source(given, "cert", directory)
    key = _source(given, "key", directory)
    client_ca = _source(given, "client_ca", directory)
    name = given.text("client_auth_type")
    client_auth = _CLIENT_AUTH.get(name, ClientAuth.NONE)
    if name not in _CLIENT_AUTH:
        given.mistake("client_auth_type", f"is none of {', '.join(ClientAuth)}")
    sans = given.texts("client_allowed_sans")
    minimum = given.one_of("min_version", VERSIONS, "TLS12")
    maximum = given.one_of("max_version", VERSIONS, "TLS13")
    ciphers = given.texts("cipher_suites") or ()
    prefer = given.boolean("prefer_server_cipher_suites", default=True)
    curves = given.texts("curve_preferences") or ()
    given.end()
    if not given:
        return None
    if cert is None:
        given.mistake(None, "has no certificate: write cert_file, or remove the section")
    if key is None:
        given.mistake(None, "has no key: write key_file, or remove the section")
    _check_clients(given, client_auth, client_ca, sans)
    if minimum > maximum:
        given.mistake("min_version", "is above max_version")
    if cert is None or key is None:
        return None
    return TlsConfig(
        cert,
        key,
        client_ca,
        client_auth,
        frozenset(sans or ()),
        minimum,
        maximum,
        ciphers,
        prefer,
        curves,
    )


def _source(given: _Mapping, key: str, directory: Path) -> Source | None:
    text, name = given.text(key), given.text(f"{key}_file")
    if text and name:
        given.mistake(f"{key}_file", f"and {key} are both there: keep one")
    if name:
        return Source(f"tls_server_config.{key}_file", directory / name)
    if text:
        return Source(f"tls_server_config.{key}", None, text)
    return None


def _check_clients(
    given: _Mapping,
    client_auth: ClientAuth,
    client_ca: Source | None,
    sans: tuple[str, ...] | None,
) -> None:
    requires = client_auth in {ClientAuth.REQUIRE_ANY, ClientAuth.VERIFY}
    if client_ca is not None and client_auth is ClientAuth.NONE:
        given.mistake(None, "has a client CA that nothing uses: add client_auth_type")
    if client_ca is None and client_auth in {ClientAuth.VERIFY_IF_GIVEN, ClientAuth.VERIFY}:
        given.mistake("client_auth_type", "needs client_ca_file")
    if client_ca is None and client_auth is ClientAuth.REQUIRE_ANY:
        given.mistake(
            "client_auth_type",
            "would let anybody in with any certificate, which Python's ssl cannot do:"
            " add client_ca_file, and write RequireAndVerifyClientCert",
        )
    if sans is not None and not requires:
        given.mistake("client_allowed_sans", f"needs client_auth_type: {ClientAuth.VERIFY}")
    if sans == ():
        given.mistake("client_allowed_sans", "names nobody: name one, or remove it")


def _headers(given: _Mapping) -> tuple[tuple[str, str], ...]:
    found = []
    for name in given.keys:
        value = given.text(name)
        allowed = _HEADERS.get(name)
        if allowed is None:
            given.mistake(name, f"cannot be set, only {', '.join(_HEADERS)} can")
        elif not value.isascii() or (value and not value.isprintable()):
            given.mistake(name, "has characters that no header has")
        elif value and allowed and value not in allowed:
            given.mistake(name, f"is neither empty nor {' nor '.join(allowed)}")
        elif value:
            found.append((name.lower(), value))
    return tuple(found)


def _rate_limit(given: _Mapping) -> RateLimit | None:
    interval, burst = given.text("interval") or "0", given.text("burst") or "0"
    given.end()
    seconds = _seconds(interval)
    if seconds is None:
        given.mistake("interval", "is no duration such as 1s or 500ms")
    if not re.fullmatch(r"\d{1,9}", burst):
        given.mistake("burst", "is no whole number")
        return None
    if not seconds:
        return None
    if int(burst) < 1:
        given.mistake(None, "would refuse every request: write a burst of 1 or more")
    return RateLimit(seconds, int(burst))


def _seconds(text: str) -> float | None:
    """Read a duration as Go writes it, or return None."""
    parts = _DURATION_PART.findall(text)
    if text == "0":
        return 0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _users(given: _Mapping, notes: list[str]) -> Mapping[str, str]:
    users = {}
    for name in given.keys:
        users[name] = given.text(name)
        match = _BCRYPT.fullmatch(users[name])
        if ":" in name:
            given.mistake(
                name, "has a colon in the name, which no client can send: write a space after it"
            )
        elif match is None:
            given.mistake(name, "is no bcrypt hash: make one with `htpasswd -nBC 10 USER`")
        elif int(match[1]) > SLOW_COST:
            notes.append(
                f"basic_auth_users.{name}: to check a hash of cost {match[1]} takes seconds,"
                " longer than a scrape may: 10 to 12 is usual"
            )
    return users
