"""The exporter behind TLS and users, asked by real clients: Prometheus, curl and openssl."""

import base64
import contextlib
import http.client
import itertools
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from exporter.web.access import tls
from tests.support.harness import see
from tests.support.harness.certificates import HASH, PASSWORD, Pki, mutual, serve
from tests.support.harness.programs import eventually
from tests.support.harness.web import METRICS, REFUSED, RIGHT, Site, scrapes, site


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def guarded(pki: Pki) -> Iterator[Site]:
    """Mutual TLS and a user; tests do not change it."""
    content = {
        "tls_server_config": mutual(
            pki, client_allowed_sans=["prometheus.example.org", "10.9.8.7"]
        ),
        "http_server_config": {
            "headers": {"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=600"}
        },
        "basic_auth_users": {"alice": HASH},
    }
    with site(pki, content) as found:
        yield found


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[Site]:
    """TLS and a user; each test has its own, and changes it."""
    own = Pki(tmp_path)
    with site(own, {"tls_server_config": serve(own), "basic_auth_users": {"alice": HASH}}) as found:
        yield found


@pytest.fixture(scope="module")
def scraper(guarded: Site) -> list[str]:
    """Arguments of curl for a client that is accepted."""
    return [*guarded.certificate("prometheus", "prometheus.example.org"), "--user", RIGHT]


class TestAccess:
    def test_client_with_certificate_and_password_gets_the_page(
        self, guarded: Site, scraper: list[str]
    ) -> None:
        answer = guarded.curl(*scraper)
        assert answer.status == 200
        assert "pacemaker_up 1\n" in answer.body
        assert "\r\nserver:" not in answer.head
        assert "\r\nx-frame-options: deny" in answer.head
        assert "\r\nstrict-transport-security: max-age=600" in answer.head
        assert answer.head.count("x-content-type-options") == 1

    def test_client_is_accepted_by_the_address_in_its_certificate(self, guarded: Site) -> None:
        answer = guarded.curl(*guarded.certificate("address", "10.9.8.7"), "--user", RIGHT)
        assert answer.status == 200

    @pytest.mark.parametrize(
        ("path", "user"),
        [
            ("/", ""), ("/-/healthy", ""), ("/-/ready", "alice:wrong"), ("/nothing", "bob:wrong"),
            (METRICS, f"ALICE:{PASSWORD}"),
        ],
    )  # fmt: skip
    def test_wrong_user_gets_status_401(
        self, guarded: Site, scraper: list[str], path: str, user: str
    ) -> None:
        answer = guarded.curl(*scraper[:-2], *(["--user", user] if user else []), path=path)
        assert answer.status == 401
        assert '\r\nwww-authenticate: basic realm="exporter"' in answer.head
        assert "\r\nx-frame-options: deny" in answer.head
        assert answer.body == "Unauthorized\n"

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("HEAD", METRICS, 200), ("OPTIONS", METRICS, 200), ("POST", METRICS, 405),
            ("NONSENSE", METRICS, 501), ("GET", "/nothing", 404), ("OPTIONS", "/nothing", 404),
        ],
    )  # fmt: skip
    def test_methods_are_answered_as_without_tls(
        self, guarded: Site, scraper: list[str], method: str, path: str, status: int
    ) -> None:
        how = ["--head"] if method == "HEAD" else ["--request", method]
        answer = guarded.curl(*scraper, *how, path=path)
        assert answer.status == status
        assert "uvicorn" not in answer.head + answer.body
        assert "python" not in answer.head

    def refused(self, guarded: Site, *arguments: str, reason: str, told: str = "") -> None:
        answer = guarded.curl(*arguments, "--user", RIGHT)
        assert answer.status == REFUSED
        assert told in answer.error
        eventually(lambda: guarded.lines(reason), 10)

    def test_client_without_a_certificate_is_refused(self, guarded: Site) -> None:
        self.refused(
            guarded, reason="peer did not return a certificate", told="alert certificate required"
        )

    def test_certificate_of_another_authority_is_refused(
        self, guarded: Site, tmp_path: Path
    ) -> None:
        cert, key = Pki(tmp_path).issue("evil", "prometheus.example.org")
        self.refused(
            guarded,
            "--cert",
            str(cert),
            "--key",
            str(key),
            reason="client certificate: unable",
            told="alert unknown ca",
        )

    def test_expired_certificate_is_refused(self, guarded: Site) -> None:
        expired = guarded.certificate("expired", "prometheus.example.org", days=-1)
        self.refused(
            guarded,
            *expired,
            reason="client certificate: certificate has expired",
            told="alert certificate expired",
        )

    def test_certificate_with_another_name_is_refused(self, guarded: Site) -> None:
        other = guarded.certificate("other", "grafana.example.org", "10.9.8.8")
        self.refused(guarded, *other, reason="the client certificate has none of the names")

    def test_client_that_trusts_another_authority_refuses_the_server(
        self, guarded: Site, scraper: list[str], tmp_path: Path
    ) -> None:
        other = Pki(tmp_path)
        answer = guarded.curl(*scraper, "--cacert", str(other.bundle))
        assert answer.status == REFUSED

    def test_request_without_tls_is_refused_with_an_explanation(self, guarded: Site) -> None:
        with socket.create_connection(("127.0.0.1", guarded.port), 10) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                answer = client.recv(1000)
        assert answer.endswith(b"\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
        assert b"pacemaker" not in answer
        eventually(lambda: guarded.lines('reason="http request"'), 10)

    @pytest.mark.parametrize(("version", "served"), [("1_1", False), ("1_2", True), ("1_3", True)])
    def test_only_tls_1_2_and_1_3_are_accepted(
        self, guarded: Site, version: str, served: bool
    ) -> None:
        cert, key = guarded.pki.issue("versions", "prometheus.example.org")
        argv = [
            see.need("openssl"), "s_client", f"-tls{version}", "-cipher", "DEFAULT@SECLEVEL=0",
            "-connect", f"127.0.0.1:{guarded.port}", "-CAfile", str(guarded.pki.bundle),
            "-cert", str(cert), "-key", str(key), "-verify_return_error", "-ign_eof",
        ]  # fmt: skip
        request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        done = subprocess.run(argv, input=request, capture_output=True, check=False, timeout=30)
        assert (b"HTTP/1.1 401" in done.stdout) is served, done
        assert (b"alert protocol version" in done.stderr) is not served
        if not served:
            eventually(lambda: guarded.lines('reason="unsupported protocol"'), 10)

    def test_server_does_not_negotiate_http_2(self, guarded: Site, scraper: list[str]) -> None:
        assert guarded.curl(*scraper, "--http2").head.startswith("http/1.1 200")

    def test_log_has_no_secret(self, guarded: Site, scraper: list[str]) -> None:
        guarded.curl(*scraper[:-2], "--user", "alice:hunter2")
        guarded.curl(*scraper[:-2], "--user", "hunter3:x")
        eventually(lambda: guarded.lines("wrong user or password"), 10)
        text = guarded.log.read_text(encoding="utf-8")
        for secret in ("hunter2", "hunter3", PASSWORD, "$2b$", "Basic"):
            assert secret not in text


@pytest.mark.prometheus
class TestScrapingByPrometheus:
    def test_prometheus_scrapes_with_certificate_and_password(
        self, guarded: Site, tmp_path: Path
    ) -> None:
        who = guarded.certificate("prometheus-1", "prometheus.example.org")
        with scrapes(guarded, tmp_path, who, "wrong") as values:
            eventually(lambda: values("up == 0"))
            assert not values("pacemaker_up")
            (tmp_path / "password").write_text(PASSWORD)
            eventually(lambda: values("up == 1"))
            assert eventually(lambda: values("pacemaker_bundle_replicas"))[("galera-bundle",)] == 3


def fingerprint(found: Site) -> str:
    """The certificate that is served."""
    return ssl.get_server_certificate(("127.0.0.1", found.port), timeout=10)


def exchange(client: ssl.SSLSocket) -> bytes:
    """Ask without a user, and return the whole answer."""
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.endswith(b"Unauthorized\n"):
        part = client.recv(10000)
        assert part
        answer += part
    return answer


class TestReload:
    def test_certificate_rotation_under_load_loses_no_request(self, changing: Site) -> None:
        """Some clients reconnect, and one keeps its connection."""
        stop, failures, counts = threading.Event(), [], itertools.count()
        context = ssl.create_default_context(cafile=str(changing.pki.bundle))
        headers = {"Authorization": "Basic " + base64.b64encode(RIGHT.encode()).decode()}

        def ask(keep: bool) -> None:
            connection = http.client.HTTPSConnection(
                "127.0.0.1", changing.port, timeout=10, context=context
            )
            while not stop.is_set():
                try:
                    connection.request("GET", "/-/healthy", headers=headers)
                    response = connection.getresponse()
                    response.read()
                    assert response.status == 200
                    next(counts)
                    if not keep:
                        connection.close()
                except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
                    failures.append(repr(error))
                    connection.close()
            connection.close()

        clients = [threading.Thread(target=ask, args=(n == 0,)) for n in range(3)]
        for client in clients:
            client.start()
        try:
            seen = set()
            for _ in range(2):
                seen.add(fingerprint(changing))
                cert, _ = changing.pki.issue("server", "localhost", "127.0.0.1")
                new = cert.read_text().partition("-----END")[0]
                eventually(partial(self.serves, changing, new), 10)
        finally:
            stop.set()
            for client in clients:
                client.join(20)
        assert failures == []
        assert len(seen) == 2
        assert next(counts) > 20

    def serves(self, found: Site, certificate: str) -> bool:
        return fingerprint(found).startswith(certificate)

    def test_broken_file_keeps_the_previous_configuration_in_force(self, changing: Site) -> None:
        assert changing.curl("--user", RIGHT).status == 200
        changing.configure({"tls_server_config": {"cert_fil": "x"}})
        eventually(lambda: changing.lines("stays in force"), 10)
        assert changing.curl("--user", RIGHT).status == 200
        changing.configure(
            {"tls_server_config": serve(changing.pki), "basic_auth_users": {"bob": HASH}}
        )
        eventually(lambda: changing.curl("--user", f"bob:{PASSWORD}").status == 200, 10)
        assert changing.curl("--user", RIGHT).status == 401
        assert len(changing.lines("stays in force")) == 1

    def test_removed_certificate_stays_in_force(self, changing: Site) -> None:
        path, before = changing.pki.directory / "server.crt", fingerprint(changing)
        elsewhere = path.rename(path.with_suffix(".away"))
        eventually(lambda: changing.lines("No such file or directory; the previous"), 10)
        assert fingerprint(changing) == before
        assert changing.curl("--user", RIGHT).status == 200
        elsewhere.rename(path)
        eventually(lambda: changing.lines("web configuration unchanged"), 10)

    def test_connection_from_before_a_reload_ends_after_its_next_answer(
        self, changing: Site
    ) -> None:
        context = ssl.create_default_context(cafile=str(changing.pki.bundle))
        with (
            socket.create_connection(("127.0.0.1", changing.port), 10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            assert b"connection: close" not in exchange(client)
            before = fingerprint(changing)
            changing.pki.issue("server", "localhost", "127.0.0.1")
            eventually(lambda: fingerprint(changing) != before, 10)
            assert b"connection: close" in exchange(client)

    def test_sighup_reloads_the_configuration(self, changing: Site) -> None:
        changing.configure(
            {"tls_server_config": serve(changing.pki), "basic_auth_users": {"bob": HASH}}
        )
        os.kill(changing.pid, signal.SIGHUP)
        eventually(lambda: changing.lines("web configuration reloaded"), 10)
        assert changing.curl("--user", f"bob:{PASSWORD}").status == 200

    def test_rate_limit_refuses_further_requests(self, changing: Site) -> None:
        changing.configure(
            {
                "tls_server_config": serve(changing.pki),
                "basic_auth_users": {"alice": HASH},
                "rate_limit": {"interval": "1h", "burst": 3},
            }
        )
        eventually(lambda: changing.lines("web configuration reloaded"), 10)
        found = [changing.curl("--user", RIGHT).status for _ in range(5)]
        assert found == [200, 200, 200, 429, 429]
        assert len(changing.lines("more requests than rate_limit allows")) == 1


def test_invalid_configuration_prevents_the_start(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("tls_server_config: {cert_file: none.crt, key_file: none.key}\n")
    argv = [sys.executable, "-m", "exporter", "--demo", f"--web.config.file={path}"]
    done = subprocess.run(argv, capture_output=True, check=False, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 2  # that it is a demonstration, and this
    assert f"{path}: tls_server_config.cert_file: cannot read {tmp_path}/none.crt" in done.stderr


def test_log_has_one_event_per_line(guarded: Site) -> None:
    for line in guarded.lines():
        assert line.startswith("ts="), line


def test_old_systems_load_certificates_through_pipes(pki: Pki) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert, key = (tls._pipe(path.read_bytes()) for path in pki.issue("old", "localhost"))
    context.load_cert_chain(f"/proc/self/fd/{cert}", f"/proc/self/fd/{key}")
    os.close(cert)
    os.close(key)


def test_certificate_too_large_for_a_pipe_is_rejected() -> None:
    with pytest.raises(tls._UnusableError, match=r"of 100000 bytes .* the limit is 65536 bytes"):
        tls._pipe(b"x" * 100_000)
