"""Builds the TLS settings of a web configuration with Python's ssl."""

import contextlib
import ipaddress
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.cluster.outcome import WebConfigError
from exporter.web.access.config import SIZE_LIMIT, ClientAuth, Source, TlsConfig, read_file
from exporter.web.handshake import Context

_VERSIONS = {
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
_TLS13_CIPHERS = frozenset(
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
)
_CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    # Go calls these insecure since 1.22; files for older exporters may name them.
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}
"""OpenSSL's names of the TLS 1.2 cipher suites, by Go's names."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS settings of a connection."""

    context: ssl.SSLContext
    allowed_sans: frozenset[str]

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Return whether to admit a client with this certificate, which the CA has verified."""
        return not self.allowed_sans or not self.allowed_sans.isdisjoint(_sans(certificate or {}))


def _sans(certificate: Mapping[str, Any]) -> Iterator[str]:
    for kind, value in certificate.get("subjectAltName", ()):
        if kind in {"DNS", "email", "URI"}:
            yield value
        elif kind == "IP Address":
            # OpenSSL writes 0:0:0:0:0:0:0:1; Go, and people, write ::1.
            with contextlib.suppress(ValueError):
                yield str(ipaddress.ip_address(value.strip()))


def read(source: Source, where: Path) -> bytes:
    """Return the content of a source.

    Args:
        source: the certificate or key.
        where: the configuration file, for messages.

    Raises:
        WebConfigError: the file cannot be read or is too large.

    """
    if source.path is None:
        return source.text.encode()
    try:
        content = read_file(source.path)
    except OSError as error:
        raise WebConfigError(
            f"{where}: {source.key}: cannot read {source.path}: {error.strerror}"
        ) from error
    if len(content) > SIZE_LIMIT:
        raise WebConfigError(
            f"{where}: {source.key}: {source.path} is larger than {SIZE_LIMIT} bytes"
        )
    return content


def build(
    config: TlsConfig, pems: Mapping[Source, bytes], where: Path
) -> tuple[Tls, tuple[str, ...]]:
    """Return the TLS settings, and notes on requested features that are not offered.

    Args:
        config: the section `tls_server_config`.
        pems: the content of each source.
        where: the configuration file, for messages.

    Raises:
        WebConfigError: a certificate, key or name cannot be used.

    """
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if config.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    notes: list[str] = []
    try:
        for step in (_load_pair, _load_client_ca, _set_versions, _set_ciphers, _set_curves):
            notes += step(context, config, pems)
    except _UnusableError as error:
        raise WebConfigError(f"{where}: {error}") from error
    return Tls(context, config.client_allowed_sans), tuple(notes)


class _UnusableError(Exception):
    """A part of the TLS configuration cannot be used."""


_Pems = Mapping[Source, bytes]


def _load_pair(context: ssl.SSLContext, config: TlsConfig, pems: _Pems) -> Iterator[str]:
    cert, key = pems[config.cert], pems[config.key]
    if b"-----BEGIN CERTIFICATE-----" not in cert:
        raise _UnusableError(f"{_label(config.cert)} has no certificate in PEM form")
    if not re.search(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----", key):
        raise _UnusableError(f"{_label(config.key)} has no private key in PEM form")
    if b"ENCRYPTED" in key:
        raise _UnusableError(
            f"{_label(config.key)} is encrypted: a service cannot ask for a passphrase"
        )
    try:
        with _memory_file(cert) as cert_file, _memory_file(key) as key_file:
            context.load_cert_chain(cert_file, key_file)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _UnusableError(
                f"{_label(config.key)} is not the key of the certificate"
            ) from error
        raise _UnusableError(
            f"{_label(config.cert)} and {_label(config.key)} cannot be used: {_reason(error)}"
        ) from error
    except OSError as error:
        raise _UnusableError(f"{_label(config.cert)}: {error.strerror}") from error
    yield from ()


def _load_client_ca(context: ssl.SSLContext, config: TlsConfig, pems: _Pems) -> Iterator[str]:
    if config.client_auth is ClientAuth.REQUEST:
        yield (
            "tls_server_config.client_auth_type: RequestClientCert requests a certificate"
            " and ignores it; the exporter does not request it"
        )
    if config.client_auth is ClientAuth.REQUIRE_ANY:
        yield (
            "tls_server_config.client_auth_type: RequireAnyClientCert does not verify certificates;"
            " the exporter verifies them with the client CA, like RequireAndVerifyClientCert"
        )
    if config.client_ca is None or config.client_auth in {ClientAuth.NONE, ClientAuth.REQUEST}:
        return
    try:
        context.load_verify_locations(cadata=pems[config.client_ca].decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise _UnusableError(
            f"{_label(config.client_ca)} has no certificates in PEM form ({_reason(error)})"
        ) from error
    # As in Go, trust every certificate in the file, even an intermediate CA.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if config.verifies_clients:
        context.verify_mode = ssl.CERT_REQUIRED
    else:
        context.verify_mode = ssl.CERT_OPTIONAL


def _set_versions(context: ssl.SSLContext, config: TlsConfig, _pems: _Pems) -> Iterator[str]:
    if config.max_version not in _VERSIONS:
        raise _UnusableError(
            f"tls_server_config.max_version: {config.max_version} is insecure and not offered:"
            " write TLS12 or TLS13"
        )
    if config.min_version not in _VERSIONS:
        yield f"tls_server_config.min_version: {config.min_version} is not offered; TLS12 is used"
    context.minimum_version = _VERSIONS.get(config.min_version, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _VERSIONS[config.max_version]


def _set_ciphers(context: ssl.SSLContext, config: TlsConfig, _pems: _Pems) -> Iterator[str]:
    """Choose the TLS 1.2 suites; those of TLS 1.3 are always offered, as in Go."""
    names = [name for name in config.cipher_suites if name not in _TLS13_CIPHERS]
    unknown = [name for name in names if name not in _CIPHERS]
    if unknown:
        raise _UnusableError(
            f"tls_server_config.cipher_suites: {', '.join(map(ascii, unknown))}:"
            f" unknown or insecure; there are: {', '.join(_CIPHERS)}"
        )
    if not config.cipher_suites:
        return
    if not names:
        if config.max_version != "TLS13":
            raise _UnusableError("tls_server_config.cipher_suites has only suites of TLS 1.3")
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    try:
        context.set_ciphers(":".join(_CIPHERS[name] for name in names))
    except ssl.SSLError as error:
        raise _UnusableError(
            "tls_server_config.cipher_suites: this machine's OpenSSL allows none of them"
        ) from error
    available = {cipher["name"] for cipher in context.get_ciphers()}
    missing = [name for name in names if _CIPHERS[name] not in available]
    if missing:
        yield (
            "tls_server_config.cipher_suites: this machine's OpenSSL does not allow "
            + ", ".join(missing)
        )


def _set_curves(context: ssl.SSLContext, config: TlsConfig, _pems: _Pems) -> Iterator[str]:
    unknown = [name for name in config.curve_preferences if name not in _CURVES]
    if unknown:
        raise _UnusableError(
            f"tls_server_config.curve_preferences: {', '.join(map(ascii, unknown))}: unknown;"
            f" there are: {', '.join(_CURVES)}"
        )
    if len(config.curve_preferences) == 1:
        context.set_ecdh_curve(_CURVES[config.curve_preferences[0]])
    elif config.curve_preferences:
        yield (
            "tls_server_config.curve_preferences: Python's ssl can be given only one curve;"
            " with several, OpenSSL offers its default curves, X25519 first"
        )


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[str]:
    """Yield the path of a file in memory, because ssl loads certificates only from files."""
    try:
        descriptor = os.memfd_create("pem")
    except (AttributeError, OSError):  # before glibc 2.27 or Linux 3.17
        descriptor = _pipe(content)
    else:
        os.write(descriptor, content)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _pipe(content: bytes) -> int:
    """Return a descriptor from which the content can be read once.

    Raises:
        _UnusableError: the content is larger than a pipe.

    """
    descriptor, writer = os.pipe()
    os.set_blocking(writer, False)
    written = os.write(writer, content)
    os.close(writer)
    if written == len(content):
        return descriptor
    os.close(descriptor)
    raise _UnusableError(
        f"a certificate or key of {len(content)} bytes is too large for this system;"
        f" before Linux 3.17 and glibc 2.27 the limit is {written} bytes"
    )


def _label(source: Source) -> str:
    return f"{source.key}: {source.path}" if source.path else f"{source.key}:"


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return (reason or "malformed").lower().replace("_", " ")
