"""Certificates of authorities that the tests make up."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import trustme

PASSWORD = "correct horse"
HASH = bcrypt.hashpw(PASSWORD.encode(), b"$2b$05$abcdefghijklmnopqrstuu").decode()
"""Hash of the password for web configuration files.

The cost is low because tests check the password often. The salt is fixed because names of tests
contain the hash, and all processes of a run need the same names."""


@dataclass(frozen=True)
class Pki:
    """An authority, in a directory with what it issued."""

    directory: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        """Write the authority's own certificate."""
        self.ca.cert_pem.write_to_path(str(self.directory / "ca.crt"))

    @property
    def bundle(self) -> Path:
        return self.directory / "ca.crt"

    def issue(self, name: str, *identities: str, days: int = 1) -> tuple[Path, Path]:
        """Issue a certificate that ends in so many days, or did; return it and its key."""
        now = dt.datetime.now(dt.UTC)
        issued = self.ca.issue_cert(
            *(identities or (name,)),
            not_before=now - dt.timedelta(days=30),
            not_after=now + dt.timedelta(days=days),
        )
        cert, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        # Renamed, as whoever rotates certificates well does it.
        for path, blobs in ((cert, issued.cert_chain_pems), (key, [issued.private_key_pem])):
            new = path.with_suffix(".new")
            new.write_bytes(b"".join(blob.bytes() for blob in blobs))
            new.rename(path)
        return cert, key


def serve(pki: Pki, **more: object) -> Mapping[str, object]:
    """Return `tls_server_config` for a certificate of the authority, with paths as in a file."""
    pki.issue("server", "localhost", "127.0.0.1")
    return {"cert_file": "server.crt", "key_file": "server.key", **more}


def mutual(pki: Pki, **more: object) -> Mapping[str, object]:
    """Return the same with clients that need a certificate of the same authority."""
    verify = {"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": "ca.crt"}
    return serve(pki, **{**verify, **more})
