"""Reads the web configuration file, whose format other Prometheus exporters share.

Reference: docs/web-configuration.md of github.com/prometheus/exporter-toolkit. All mistakes are
reported at once, with their lines. Features that Go has and Python's ssl lacks are reported as
notes.
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

from exporter.cluster.outcome import WebConfigError

MOST_MISTAKES = 20
"""Mistakes that one message lists."""
SIZE_LIMIT = 1 << 20
"""Maximum bytes of the configuration, or of a file that it names."""
SLOW_COST = 14
"""Above this bcrypt cost, each new password takes seconds to check."""

# The last character of the salt encodes only two bits.
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
"""Headers that the file may set. If only some values make sense, they are listed."""
VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")


class ClientAuth(enum.StrEnum):
    """How clients authenticate with certificates, by the names that Go uses."""

    NONE = "NoClientCert"
    REQUEST = "RequestClientCert"
    REQUIRE_ANY = "RequireAnyClientCert"
    VERIFY_IF_GIVEN = "VerifyClientCertIfGiven"
    VERIFY = "RequireAndVerifyClientCert"

    @property
    def requires_certificate(self) -> bool:
        """Whether every client needs a certificate that the client CA signed."""
        return self in {ClientAuth.REQUIRE_ANY, ClientAuth.VERIFY}


_CLIENT_AUTH = {
    "": ClientAuth.NONE,
    "RequireClientCert": ClientAuth.REQUIRE_ANY,  # Go's old name
    **{kind.value: kind for kind in ClientAuth},
}


@dataclass(frozen=True, slots=True)
class Source:
    """The location of a certificate or a key."""

    key: str
    """The name of the setting, such as tls_server_config.cert_file."""
    path: Path | None
    """A file, or None if the text is in the configuration itself."""
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The section `tls_server_config`."""

    cert: Source
    key: Source
    client_ca: Source | None
    client_auth: ClientAuth
    client_allowed_sans: frozenset[str]
    """A client's certificate must have one of these names; empty: any client is admitted."""
    min_version: str
    max_version: str
    cipher_suites: tuple[str, ...]
    prefer_server_cipher_suites: bool
    curve_preferences: tuple[str, ...]

    @property
    def verifies_clients(self) -> bool:
        """Whether every client needs a certificate that the client CA signed."""
        return self.client_auth.requires_certificate


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket: `burst` requests at once, and one more every `interval` seconds."""

    interval: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The whole file."""

    tls: TlsConfig | None
    users: Mapping[str, str] = field(repr=False)
    """bcrypt hashes of passwords by user; empty: no password is needed."""
    headers: tuple[tuple[str, str], ...]
    """Headers for every answer that does not set its own."""
    rate_limit: RateLimit | None
    notes: tuple[str, ...]
    """Requested features that the exporter does not offer, and other warnings."""

    def files(self) -> frozenset[Path]:
        """Return the files that the configuration names."""
        tls = self.tls
        sources = () if tls is None else (tls.cert, tls.key, tls.client_ca)
        return frozenset(source.path for source in sources if source and source.path)


def read_file(path: Path) -> bytes:
    """Return the content of a file; if it is too large, its first SIZE_LIMIT + 1 bytes.

    Raises:
        OSError: the file cannot be read, or is not a regular file.

    """

    def open_nonblocking(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)  # else a pipe would block

    with open(path, "rb", opener=open_nonblocking) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(SIZE_LIMIT + 1)


def parse(content: bytes, path: Path) -> WebConfig:
    """Parse a web configuration.

    Args:
        content: the content of the file.
        path: the file; relative paths start from its directory.

    Raises:
        WebConfigError: the configuration is invalid; the message has every mistake, and no secret.

    """
    mistakes: list[str] = []
    top = _Mapping(mistakes, "", _compose(content, path))
    notes: list[str] = []
    tls = _tls(top.mapping("tls_server_config"), path.parent)
    http = top.mapping("http_server_config")
    if http.boolean("http2", default=False):
        notes.append("http_server_config.http2: HTTP/2 is not supported; HTTP/1.1 is used")
    headers = _headers(http.mapping("headers"))
    http.end()
    rate_limit = _rate_limit(top.mapping("rate_limit"))
    users = _users(top.mapping("basic_auth_users"), notes)
    top.end()
    if mistakes:
        first, more = mistakes[:MOST_MISTAKES], len(mistakes) - MOST_MISTAKES
        rest = [f"and {more} more mistakes"] if more > 0 else []
        raise WebConfigError(f"{path}: " + "; ".join([*first, *rest]))
    return WebConfig(tls, users, headers, rate_limit, tuple(notes))


def _compose(content: bytes, path: Path) -> yaml.Node | None:
    if len(content) > SIZE_LIMIT:
        raise WebConfigError(f"{path}: is larger than {SIZE_LIMIT} bytes: is this the right file?")
    try:
        node: yaml.Node | None = yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise WebConfigError(f"{path}: invalid UTF-8 at byte {error.start}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = " ".join((error.problem or error.context or "").split())
        # The rest of the message may be a password that begins with * or !.
        problem = re.sub(
            "(alias|tag handle) .*", r"\1: quote text that begins with * or !", problem
        )
        raise WebConfigError(f"{path}: line {line}: invalid YAML: {problem}") from error
    except yaml.reader.ReaderError as error:
        raise WebConfigError(f"{path}: invalid YAML: {error.reason}") from error
    except RecursionError as error:
        raise WebConfigError(f"{path}: is nested too deeply") from error
    return node


class _Mapping:
    """A mapping in the file. The reader asks for each known key; `end` reports all others.

    An invalid value is noted as a mistake and treated as missing.
    """

    def __init__(self, mistakes: list[str], name: str, node: yaml.Node | None) -> None:
        self._mistakes = mistakes
        self._name = name
        self._line = node.start_mark.line + 1 if node else 1
        self._nodes: dict[str, yaml.Node] = {}
        self._read_keys: set[str] = set()
        if node is None or _is_null(node):
            return
        if not isinstance(node, yaml.MappingNode):
            self.mistake(None, "must be a mapping: write `key: value` lines")
            return
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, name, "has a key that is not text")
            elif key.value in self._nodes:
                self._note(key, self._full_name(key.value), "appears twice: keep one")
            else:
                self._nodes[key.value] = value

    def __bool__(self) -> bool:
        return bool(self._nodes)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._nodes)

    def mistake(self, key: str | None, what: str) -> None:
        """Note a mistake in a key, or in the mapping itself."""
        node = self._nodes.get(key) if key is not None else None
        self._note(node, self._name if key is None else self._full_name(key), what)

    def end(self) -> None:
        """Note every key that the reader did not ask for."""
        for key in self._nodes.keys() - self._read_keys:
            close = difflib.get_close_matches(key, self._read_keys, 1)
            advice = f"did you mean {close[0]}?" if close else "remove it"
            known = ", ".join(sorted(self._read_keys))
            self.mistake(key, f"is unknown: {advice} (known keys: {known})")

    def mapping(self, key: str) -> "_Mapping":
        return _Mapping(self._mistakes, self._full_name(key), self._take(key))

    def text(self, key: str) -> str:
        node = self._take(key)
        if node is None or _is_null(node):
            return ""
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self.mistake(key, "must be text")
        return ""

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of texts, or None if it is missing."""
        node = self._take(key)
        if node is None or _is_null(node):
            return None
        if isinstance(node, yaml.SequenceNode) and all(
            isinstance(item, yaml.ScalarNode) for item in node.value
        ):
            return tuple(str(item.value) for item in node.value)
        self.mistake(key, "must be a list of texts: write each after a dash")
        return None

    def one_of(self, key: str, choices: tuple[str, ...], default: str) -> str:
        text = self.text(key) or default
        if text in choices:
            return text
        self.mistake(key, f"must be one of {', '.join(choices)}")
        return default

    def boolean(self, key: str, *, default: bool) -> bool:
        node = self._take(key)
        if node is None or _is_null(node):
            return default
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:bool":
            return node.value.lower() in {"yes", "true", "on"}
        self.mistake(key, "must be true or false")
        return default

    def _take(self, key: str) -> yaml.Node | None:
        self._read_keys.add(key)
        return self._nodes.get(key)

    def _full_name(self, key: str) -> str:
        word, colon, _ = key.partition(":")
        if colon:
            key = f"{word}:..."  # a password, if the space after the colon is missing
        return f"{self._name}.{key}" if self._name else key

    def _note(self, node: yaml.Node | None, name: str, what: str) -> None:
        line = node.start_mark.line + 1 if node else self._line
        shown = name if name.isprintable() else ascii(name)
        self._mistakes.append(f"line {line}: {shown or 'the file'} {what}")


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _tls(section: _Mapping, directory: Path) -> TlsConfig | None:
    cert = _source(section, "cert", directory)
    key = _source(section, "key", directory)
    client_ca = _source(section, "client_ca", directory)
    name = section.text("client_auth_type")
    client_auth = _CLIENT_AUTH.get(name, ClientAuth.NONE)
    if name not in _CLIENT_AUTH:
        section.mistake("client_auth_type", f"must be one of {', '.join(ClientAuth)}")
    sans = section.texts("client_allowed_sans")
    minimum = section.one_of("min_version", VERSIONS, "TLS12")
    maximum = section.one_of("max_version", VERSIONS, "TLS13")
    ciphers = section.texts("cipher_suites") or ()
    prefer = section.boolean("prefer_server_cipher_suites", default=True)
    curves = section.texts("curve_preferences") or ()
    section.end()
    if not section:
        return None
    if cert is None:
        section.mistake(None, "has no certificate: write cert_file, or remove the section")
    if key is None:
        section.mistake(None, "has no key: write key_file, or remove the section")
    _check_clients(section, client_auth, client_ca, sans)
    if minimum > maximum:
        section.mistake("min_version", "is above max_version")
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


def _source(section: _Mapping, key: str, directory: Path) -> Source | None:
    text, name = section.text(key), section.text(f"{key}_file")
    if text and name:
        section.mistake(f"{key}_file", f"and {key} are both set: keep one")
    if name:
        return Source(f"tls_server_config.{key}_file", directory / name)
    if text:
        return Source(f"tls_server_config.{key}", None, text)
    return None


def _check_clients(
    section: _Mapping,
    client_auth: ClientAuth,
    client_ca: Source | None,
    sans: tuple[str, ...] | None,
) -> None:
    if client_ca is not None and client_auth is ClientAuth.NONE:
        section.mistake(None, "has an unused client CA: add client_auth_type")
    if client_ca is None and client_auth in {ClientAuth.VERIFY_IF_GIVEN, ClientAuth.VERIFY}:
        section.mistake("client_auth_type", "needs client_ca_file")
    if client_ca is None and client_auth is ClientAuth.REQUIRE_ANY:
        section.mistake(
            "client_auth_type",
            "accepts any certificate, which Python's ssl does not support:"
            " add client_ca_file, and write RequireAndVerifyClientCert",
        )
    if sans is not None and not client_auth.requires_certificate:
        section.mistake("client_allowed_sans", f"needs client_auth_type: {ClientAuth.VERIFY}")
    if sans == ():
        section.mistake("client_allowed_sans", "is empty: add a name, or remove it")


def _headers(section: _Mapping) -> tuple[tuple[str, str], ...]:
    found = []
    for name in section.keys:
        value = section.text(name)
        allowed = _HEADERS.get(name)
        if allowed is None:
            section.mistake(name, f"cannot be set; only these can: {', '.join(_HEADERS)}")
        elif not value.isascii() or (value and not value.isprintable()):
            section.mistake(name, "has characters that are not allowed in a header")
        elif value and allowed and value not in allowed:
            section.mistake(name, f"must be empty or {' or '.join(allowed)}")
        elif value:
            found.append((name.lower(), value))
    return tuple(found)


def _rate_limit(section: _Mapping) -> RateLimit | None:
    interval, burst = section.text("interval") or "0", section.text("burst") or "0"
    section.end()
    seconds = _seconds(interval)
    if seconds is None:
        section.mistake("interval", "must be a duration such as 1s or 500ms")
    if not re.fullmatch(r"\d{1,9}", burst):
        section.mistake("burst", "must be a whole number")
        return None
    if not seconds:
        return None
    if int(burst) < 1:
        section.mistake(None, "refuses every request: write a burst of 1 or more")
    return RateLimit(seconds, int(burst))


def _seconds(text: str) -> float | None:
    """Parse a duration in Go's format, in seconds; return None if it is invalid."""
    parts = _DURATION_PART.findall(text)
    if text == "0":
        return 0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _users(section: _Mapping, notes: list[str]) -> Mapping[str, str]:
    users = {}
    for name in section.keys:
        users[name] = section.text(name)
        match = _BCRYPT.fullmatch(users[name])
        if ":" in name:
            section.mistake(
                name, "has a colon in the name, which clients cannot send: write a space after it"
            )
        elif match is None:
            section.mistake(name, "is not a bcrypt hash: make one with `htpasswd -nBC 10 USER`")
        elif int(match[1]) > SLOW_COST:
            notes.append(
                f"basic_auth_users.{name}: checking a hash of cost {match[1]} takes seconds,"
                " which may exceed the scrape timeout: the usual cost is 10 to 12"
            )
    return users
