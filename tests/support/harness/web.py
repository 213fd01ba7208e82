"""The exporter with a web configuration, and clients of it."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.harness import see
from tests.support.harness.certificates import PASSWORD, Pki
from tests.support.harness.programs import eventually, prometheus, running

METRICS = "/metrics"
RIGHT = f"alice:{PASSWORD}"
REFUSED = 0
"""curl's status of an answer that never came."""
_PORT = r"msg=listening address=\S+:(\d+)"


@dataclass(frozen=True)
class Site:
    """An exporter with a web configuration, and the certificates of its world."""

    pki: Pki
    pid: int
    port: int
    log: Path

    @property
    def base(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def ports(self) -> list[int]:
        """Every port that it listens on."""
        return [int(port) for port in re.findall(_PORT, self.log.read_text(encoding="utf-8"))]

    def configure(self, content: object) -> None:
        """Write the configuration as others do, by renaming."""
        configure(self.pki, content)

    def curl(self, *arguments: str, path: str = METRICS) -> "Answer":
        """Ask with curl, which trusts the authority; more arguments say who asks."""
        argv = [
            see.need("curl"), "--silent", "--show-error", "--include", "--max-time", "20",
            "--cacert", str(self.pki.bundle), *arguments, f"{self.base}{path}",
        ]  # fmt: skip
        done = subprocess.run(argv, capture_output=True, check=False, timeout=30)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        match = re.match(rb"HTTP/1\.1 (\d+)", head)
        return Answer(
            int(match[1]) if match else REFUSED,
            head.decode().lower(),
            body.decode(),
            done.stderr.decode(),
        )

    def certificate(self, name: str, *identities: str, days: int = 1) -> list[str]:
        """Return arguments of curl for a client with a certificate."""
        cert, key = self.pki.issue(name, *identities, days=days)
        return ["--cert", str(cert), "--key", str(key)]

    def lines(self, words: str = "") -> list[str]:
        text = self.log.read_text(encoding="utf-8")
        return [line for line in text.splitlines() if words in line]


@dataclass(frozen=True)
class Answer:
    """What curl got."""

    status: int
    head: str
    body: str
    error: str


def configure(pki: Pki, content: object) -> Path:
    path = pki.directory / "web.yml"
    new = path.with_suffix(".yml.new")
    new.write_text(yaml.safe_dump(content), "utf-8")
    new.rename(path)
    return path


@contextlib.contextmanager
def site(pki: Pki, content: object, *arguments: str) -> Iterator[Site]:
    """The exporter with a web configuration, on a port of its own."""
    path, log = configure(pki, content), pki.directory / "exporter.log"
    argv = [
        sys.executable, "-m", "exporter", "--demo", "--web.listen-address=127.0.0.1:0",
        f"--web.config.file={path}", *arguments,
    ]  # fmt: skip
    with running(argv, log) as process:

        def port() -> int:
            found = re.search(_PORT, log.read_text(encoding="utf-8"))
            return int(found[1]) if found else 0

        yield Site(pki, process.pid, eventually(port), log)


@contextlib.contextmanager
def scrapes(
    found: Site, directory: Path, who: list[str], password: str = PASSWORD
) -> Iterator[Callable[[str], Mapping[tuple[str, ...], float]]]:
    """Prometheus, scraping every second as such a client; gives what queries say."""
    (directory / "password").write_text(password)
    _, cert, _, key = who
    scrape = (
        "    scheme: https\n"
        f"    basic_auth: {{username: alice, password_file: {directory / 'password'}}}\n"
        f"    tls_config: {{ca_file: {found.pki.bundle}, cert_file: {cert}, key_file: {key}}}\n"
    )
    with prometheus(directory, [f"127.0.0.1:{found.port}"], scrape) as server:
        yield lambda query: server.values(query, "bundle")
