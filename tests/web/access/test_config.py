"""The web configuration: parsing, certificates, limits and reload."""

import asyncio
import logging
import os
import resource
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given
from hypothesis import strategies as st

from exporter.cli import flags
from exporter.cluster.outcome import WebConfigError
from exporter.service.program import main
from exporter.web.access import reload
from exporter.web.access.config import ClientAuth, RateLimit, parse
from exporter.web.access.guard import Bucket
from exporter.web.access.reload import WebFiles
from tests.support.harness.certificates import HASH, Pki, mutual, serve
from tests.support.harness.fakes import FrozenClock


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[object], Path]:
    """Write a configuration beside copies of the certificates, as others write it: renamed."""

    def write(content: object) -> Path:
        path = tmp_path / "web.yml"
        new = path.with_suffix(".new")
        new.write_text(content if isinstance(content, str) else yaml.safe_dump(content), "utf-8")
        new.rename(path)
        return path

    return write


WORDS = st.sampled_from(
    ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit", "cert",
     "key_file", "client_ca", "client_auth_type", "client_allowed_sans", "min_version", "headers",
     "http2", "interval", "burst", "TLS12", "1s")
)  # fmt: skip
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner) | st.dictionaries(WORDS | st.text(max_size=3), inner),
    max_leaves=20,
).map(yaml.safe_dump)


class TestParsing:
    def test_every_setting_is_read(self) -> None:
        found = parse(
            b"""
            tls_server_config:
              cert_file: server.crt
              key_file: /etc/pki/server.key
              client_ca_file: ../ca.crt
              client_auth_type: RequireAndVerifyClientCert
              client_allowed_sans: [prometheus.example.org, 10.0.0.1]
              min_version: TLS13
              max_version: TLS13
              cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
              prefer_server_cipher_suites: no
              curve_preferences: [CurveP256]
            http_server_config:
              http2: false
              headers: {X-Frame-Options: deny, Strict-Transport-Security: ''}
            basic_auth_users:
              alice: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG
              007: "$2b$12$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
            rate_limit: {interval: 1m0.5s, burst: 20}
            """,
            Path("/etc/exporter/web.yml"),
        )
        tls = found.tls
        assert tls is not None
        assert tls.cert.path == Path("/etc/exporter/server.crt")
        assert tls.key.path == Path("/etc/pki/server.key")
        assert tls.client_ca is not None
        assert tls.client_ca.path == Path("/etc/exporter/../ca.crt")
        assert tls.client_auth is ClientAuth.VERIFY
        assert tls.client_allowed_sans == {"prometheus.example.org", "10.0.0.1"}
        assert (tls.min_version, tls.max_version) == ("TLS13", "TLS13")
        assert not tls.prefer_server_cipher_suites
        assert tls.curve_preferences == ("CurveP256",)
        assert found.headers == (("x-frame-options", "deny"),)
        assert set(found.users) == {"alice", "007"}
        assert found.rate_limit == RateLimit(60.5, 20)
        assert found.notes == ()
        assert "$2" not in repr(found)

    @pytest.mark.parametrize(
        "text",
        ["", "{}", "# nothing", "tls_server_config: {}\nbasic_auth_users:\nrate_limit: ~\n"],
    )
    def test_empty_configuration_sets_no_restriction(self, text: str) -> None:
        found = parse(text.encode(), Path("web.yml"))
        assert (found.tls, found.users, found.headers, found.rate_limit) == (None, {}, (), None)

    def test_rate_limit_without_interval_is_off(self) -> None:
        assert parse(b"rate_limit: {interval: 0s, burst: 5}", Path()).rate_limit is None

    def test_http2_is_noted_as_not_supported(self) -> None:
        (note,) = parse(b"http_server_config: {http2: true}", Path()).notes
        assert "HTTP/2 is not supported" in note

    def test_hash_with_a_high_cost_is_noted(self) -> None:
        (note,) = parse(
            f"basic_auth_users: {{a: {HASH.replace('$05$', '$15$')}}}".encode(), Path()
        ).notes
        assert "basic_auth_users.a" in note
        assert "cost 15" in note

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("a: [", "line 1: invalid YAML: "),
            ("a: *b", "line 1: invalid YAML: found undefined alias"),
            ("a: 1\n---\nb: 2", "invalid YAML: but found another document"),
            ("a: \0", "invalid YAML: special characters"),
            ("[" * 5000, "nested too deeply"),
            ("- a", "line 1: the file must be a mapping"),
            ("[]: 1", "line 1: the file has a key that is not text"),
            ("#" * 2_000_000, "larger than 1048576 bytes"),
            ("tls_config: {}", "line 1: tls_config is unknown: did you mean tls_server_config?"),
            ("nonsense: {}", "nonsense is unknown: remove it (known keys: basic_auth_users, "),
            ("rate_limit: {}\nrate_limit: {}", "line 2: rate_limit appears twice"),
            ("tls_server_config: {cert_fil: a}", "cert_fil is unknown: did you mean cert_file?"),
            ("tls_server_config: on", "tls_server_config must be a mapping"),
            ("tls_server_config: {key_file: k}", "has no certificate: write cert_file"),
            ("tls_server_config: {cert_file: c}", "has no key: write key_file"),
            ("tls_server_config: {min_version: TLS12}", "has no certificate"),
            ("tls_server_config: {cert_file: [c]}", "cert_file must be text"),
            ("tls_server_config: {cert: c, cert_file: c}", "cert_file and cert are both set"),
            (
                "tls_server_config: {min_version: TLS14}",
                "must be one of TLS10, TLS11, TLS12, TLS13",
            ),
            (
                "tls_server_config: {min_version: TLS13, max_version: TLS12}",
                "min_version is above max_version",
            ),
            ("tls_server_config: {client_auth_type: Verify}", "must be one of NoClientCert, Req"),
            (
                "tls_server_config: {client_auth_type: RequireAndVerifyClientCert}",
                "client_auth_type needs client_ca_file",
            ),
            (
                "tls_server_config: {client_auth_type: RequireAnyClientCert}",
                "add client_ca_file, and write RequireAndVerifyClientCert",
            ),
            ("tls_server_config: {client_ca_file: ca}", "an unused client CA"),
            (
                "tls_server_config: {client_allowed_sans: [a]}",
                "client_allowed_sans needs client_auth_type: RequireAndVerifyClientCert",
            ),
            ("tls_server_config: {client_allowed_sans: []}", "client_allowed_sans is empty"),
            ("tls_server_config: {client_allowed_sans: a}", "must be a list of texts"),
            ("tls_server_config: {prefer_server_cipher_suites: 1}", "must be true or false"),
            ("http_server_config: {http2: maybe}", "http2 must be true or false"),
            (
                "http_server_config: {headers: {Server: x}}",
                "Server cannot be set; only these can: Content-",
            ),
            ("http_server_config: {headers: {X-Frame-Options: x}}", "must be empty or deny or"),
            (
                'http_server_config: {headers: {X-XSS-Protection: "a\\nb: c"}}',
                "not allowed in a header",
            ),
            ("rate_limit: {interval: 1}", "rate_limit.interval must be a duration such as 1s"),
            ("rate_limit: {interval: 1x, burst: 1}", "interval must be a duration"),
            ("rate_limit: {interval: 1s, burst: -1}", "burst must be a whole number"),
            ("rate_limit: {interval: 1s}", "refuses every request"),
            (
                "basic_auth_users: {alice: *secret}",
                "undefined alias: quote text that begins with *",
            ),
            (
                "basic_auth_users: {alice: !secret!x y}",
                "tag handle: quote text that begins with * or !",
            ),
            ("basic_auth_users: {alice:secret}", "basic_auth_users.alice:... has a colon in the"),
            ("basic_auth_users: {alice: secret}", "alice is not a bcrypt hash: make one with"),
            ("basic_auth_users: {alice: }", "alice is not a bcrypt hash"),
            (f"basic_auth_users: {{alice: {HASH[:28]}A{HASH[29:]}}}", "alice is not a bcrypt hash"),
            (f"basic_auth_users: {{'a:b': {HASH}}}", "has a colon in the name"),
        ],
    )
    def test_each_mistake_is_explained_in_one_line_without_secrets(
        self, text: str, words: str
    ) -> None:
        with pytest.raises(WebConfigError) as caught:
            parse(text.encode(), Path("/etc/web.yml"))
        told = str(caught.value)
        assert told.startswith("/etc/web.yml: ")
        assert words in told
        assert "\n" not in told
        assert "secret" not in told

    @given(st.text("abc:{}[]-,&*!|>'\"\n #%@~?\t<=\u00e9\0", max_size=60) | DOCUMENTS)
    def test_invalid_yaml_is_reported_in_one_line(self, text: str) -> None:
        try:
            parse(text.encode(), Path("web.yml"))
        except WebConfigError as error:
            assert str(error).isprintable()  # noqa: PT017 - no error is as good

    def test_invalid_utf8_is_reported(self) -> None:
        with pytest.raises(WebConfigError, match="invalid UTF-8 at byte 3"):
            parse(b"a: \xff", Path("web.yml"))

    def test_all_mistakes_are_reported_together(self) -> None:
        text = b"a: 1\nrate_limit:\n  interval: x\n  burst: y\nbasic_auth_users: {b: c}\n"
        with pytest.raises(WebConfigError) as caught:
            parse(text, Path("web.yml"))
        for words in ("line 1: a ", "line 3: rate_limit.interval", "line 4: ", "line 5: "):
            assert words in str(caught.value)


class TestCertificates:
    def read(self, pki: Pki, tls: object) -> reload.Access:
        path = pki.directory / "web.yml"
        path.write_text(yaml.safe_dump({"tls_server_config": tls}), "utf-8")
        return reload.read(path)

    def context(self, pki: Pki, **more: object) -> tuple[ssl.SSLContext, tuple[str, ...]]:
        access = self.read(pki, mutual(pki, **more))
        assert access.tls is not None
        return access.tls.context, access.notes

    def test_client_auth_types_map_to_modes_of_openssl(self, pki: Pki) -> None:
        for kind, mode in (
            ("RequireAndVerifyClientCert", ssl.CERT_REQUIRED),
            ("VerifyClientCertIfGiven", ssl.CERT_OPTIONAL),
            ("RequireAnyClientCert", ssl.CERT_REQUIRED),
            ("RequireClientCert", ssl.CERT_REQUIRED),
            ("RequestClientCert", ssl.CERT_NONE),
        ):
            context, notes = self.context(pki, client_auth_type=kind)
            assert context.verify_mode is mode, kind
            assert bool(notes) is kind.startswith(("RequireAny", "RequireC", "Request")), kind

    def test_tls_versions_are_limited_to_1_2_and_1_3(self, pki: Pki) -> None:
        context, notes = self.context(pki)
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.maximum_version is ssl.TLSVersion.TLSv1_3
        assert notes == ()
        context, notes = self.context(pki, min_version="TLS10")
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert notes == ("tls_server_config.min_version: TLS10 is not offered; TLS12 is used",)

    def test_cipher_suites_restrict_the_ciphers(self, pki: Pki) -> None:
        names = ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"]
        context, notes = self.context(pki, cipher_suites=names)
        old = {c["name"] for c in context.get_ciphers() if c["protocol"] != "TLSv1.3"}
        assert (old, notes) == ({"ECDHE-RSA-AES256-GCM-SHA384"}, ())
        context, _ = self.context(pki, cipher_suites=["TLS_AES_128_GCM_SHA256"])
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3

    def test_openssl_has_every_cipher_of_go(self, pki: Pki) -> None:
        from exporter.web.access.tls import _CIPHERS

        context, notes = self.context(pki, cipher_suites=list(_CIPHERS))
        assert notes == ()
        assert set(_CIPHERS.values()) <= {cipher["name"] for cipher in context.get_ciphers()}

    def test_list_of_several_curves_is_noted(self, pki: Pki) -> None:
        for name in ("CurveP256", "CurveP384", "CurveP521", "X25519"):
            assert self.context(pki, curve_preferences=[name])[1] == ()
        (note,) = self.context(pki, curve_preferences=["X25519", "CurveP256"])[1]
        assert "only one curve" in note

    def test_server_prefers_its_own_order_of_ciphers_unless_disabled(self, pki: Pki) -> None:
        assert self.context(pki)[0].options & ssl.OP_CIPHER_SERVER_PREFERENCE
        context, _ = self.context(pki, prefer_server_cipher_suites=False)
        assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE

    def test_inline_certificates_are_used_and_leave_no_file(self, pki: Pki) -> None:
        before = set(pki.directory.iterdir())
        given = serve(pki)
        tls = {
            "cert": (pki.directory / str(given["cert_file"])).read_text(),
            "key": (pki.directory / str(given["key_file"])).read_text(),
            "client_ca": pki.bundle.read_text(),
            "client_auth_type": "RequireAndVerifyClientCert",
        }
        access = self.read(pki, tls)
        assert access.tls is not None
        assert access.tls.context.verify_mode is ssl.CERT_REQUIRED
        assert access.config.files() == frozenset()
        assert {path.suffix for path in set(pki.directory.iterdir()) - before} <= {
            ".crt", ".key", ".yml"
        }, "keys are written nowhere"  # fmt: skip

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"cert_file": "missing"}, "tls_server_config.cert_file: cannot read"),
            ({"key_file": "."}, "Is a directory"),
            ({"cert_file": "pipe"}, "cert_file: cannot read {}/pipe: not a regular file"),
            ({"key_file": "/dev/zero"}, "key_file: cannot read /dev/zero: not a regular file"),
            ({"client_ca_file": "huge"}, "client_ca_file: {}/huge is larger than 1048576 bytes"),
            ({"cert_file": "empty"}, "has no certificate in PEM form"),
            ({"key_file": "empty"}, "has no private key in PEM form"),
            ({"client_ca_file": "empty"}, "has no certificates in PEM form"),
            ({"client_ca_file": "server.key"}, "has no certificates in PEM form"),
            ({"key_file": "other.key"}, "is not the key of the certificate"),
            ({"key_file": "encrypted"}, "is encrypted"),
            ({"cert_file": "torn"}, "cannot be used"),
            ({"min_version": "TLS10", "max_version": "TLS11"}, "is insecure and not offered"),
            ({"cipher_suites": ["TLS_RSA_WITH_RC4_128_SHA"]}, "RC4_128_SHA': unknown or insecure"),
            (
                {"cipher_suites": ["TLS_AES_128_GCM_SHA256"], "max_version": "TLS12"},
                "has only suites of TLS 1.3",
            ),
            ({"curve_preferences": ["CurveP224"]}, "'CurveP224': unknown; there are: CurveP256"),
        ],
    )
    def test_each_mistake_in_certificates_is_reported(
        self, pki: Pki, change: dict[str, object], words: str
    ) -> None:
        given = mutual(pki, **change)
        pki.issue("other")
        (pki.directory / "empty").write_bytes(b"")
        torn = (pki.directory / "server.crt").read_text()[:200] + "\n-----END CERTIFICATE-----\n"
        (pki.directory / "torn").write_text(torn)
        (pki.directory / "huge").write_text("#" * 2_000_000)
        (pki.directory / "pipe").unlink(missing_ok=True)
        os.mkfifo(pki.directory / "pipe")
        (pki.directory / "encrypted").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        with pytest.raises(WebConfigError) as caught:
            self.read(pki, given)
        told = str(caught.value)
        assert told.startswith(str(pki.directory / "web.yml"))
        assert words.format(pki.directory) in told
        assert "\n" not in told
        assert "_ssl.c" not in told

    def test_names_of_client_certificates_are_checked(self, pki: Pki) -> None:
        sans = ["::1", "10.0.0.1", "a@example.org", "https://example.org/a", "example.org"]
        tls = self.read(pki, mutual(pki, client_allowed_sans=sans)).tls
        assert tls is not None
        for kind, name in (
            ("DNS", "example.org"), ("URI", "https://example.org/a"), ("email", "a@example.org"),
            ("IP Address", "10.0.0.1"), ("IP Address", "0:0:0:0:0:0:0:1\n"),
        ):  # fmt: skip
            assert tls.admits({"subjectAltName": (("DNS", "other"), (kind, name))}), name
        for kind, name in (
            ("DNS", "www.example.org"), ("DNS", "EXAMPLE"), ("IP Address", "10.0.0.2"),
            ("IP Address", "<invalid>"), ("DirName", "example.org"),
        ):  # fmt: skip
            assert not tls.admits({"subjectAltName": ((kind, name),)}), name
        assert not tls.admits(None)
        assert not tls.admits({"subject": ((("commonName", "example.org"),),)})


class TestRateLimitBucket:
    def test_bucket_refills_over_time(self, clock: FrozenDateTimeFactory) -> None:
        bucket = Bucket(RateLimit(2.0, 3), FrozenClock())
        assert [bucket.take() for _ in range(4)] == [True, True, True, False]
        clock.tick(1.9)
        assert not bucket.take()
        clock.tick(0.1)
        assert [bucket.take(), bucket.take()] == [True, False]
        clock.tick(1000)
        assert [bucket.take() for _ in range(4)] == [True, True, True, False]

    def test_bucket_without_a_limit_never_empties(self) -> None:
        bucket = Bucket(None, FrozenClock())
        assert all(bucket.take() for _ in range(1000))


class TestReload:
    """The program looks once a second."""

    @pytest.fixture
    def lines(self, caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
        caplog.set_level(logging.INFO)

        def lines() -> list[tuple[str, str]]:
            found = [(record.levelname, record.getMessage()) for record in caplog.records]
            caplog.clear()
            return found

        return lines

    def looks(self, files: WebFiles, times: int = 2) -> None:
        for _ in range(times):
            files.check()

    def test_changed_users_are_read_again(
        self, write: Callable[[object], Path], lines: Callable[[], list[tuple[str, str]]]
    ) -> None:
        files = WebFiles(write({"basic_auth_users": {"alice": HASH}}))
        assert lines() == [("INFO", "web configuration read")]
        write({"basic_auth_users": {"bob": HASH}})
        files.check()
        assert set(files.access.config.users) == {"alice"}, "it may still be written"
        files.check()
        assert set(files.access.config.users) == {"bob"}
        assert lines() == [("INFO", "web configuration reloaded")]
        before = files.access
        self.looks(files, 5)
        os.utime(files._path)
        self.looks(files, 5)
        assert files.access is before
        assert lines() == []

    def test_broken_file_is_logged_once_for_each_change(
        self, write: Callable[[object], Path], lines: Callable[[], list[tuple[str, str]]]
    ) -> None:
        good = {"basic_auth_users": {"alice": HASH}}
        files = WebFiles(write(good))
        lines()
        for _ in range(2):
            write("a: [")
            self.looks(files, 5)
            ((level, line),) = lines()
            assert level == "ERROR"
            assert "line 1: invalid YAML" in line
            assert line.endswith("; the previous configuration stays in force")
        files._path.unlink()
        self.looks(files, 5)
        ((level, line),) = lines()
        assert "cannot read it: No such file" in line
        assert set(files.access.config.users) == {"alice"}
        write(good)
        self.looks(files, 5)
        assert lines() == [("INFO", "web configuration unchanged")]

    @pytest.mark.parametrize(
        ("before", "after", "lost"),
        [
            ({"basic_auth_users": {"a": HASH}}, {}, "users"),
            ({"tls": "mutual"}, {}, "TLS"),
            ({"tls": "mutual"}, {"tls": "serve"}, "client certificates"),
            ({"tls": "named"}, {"tls": "mutual"}, "client_allowed_sans"),
            ({"tls": "serve", "basic_auth_users": {"a": HASH}}, {}, "TLS and users"),
        ],
    )
    def test_reload_never_removes_protection(
        self,
        write: Callable[[object], Path],
        lines: Callable[[], list[tuple[str, str]]],
        tmp_path: Path,
        before: dict[str, object],
        after: dict[str, object],
        lost: str,
    ) -> None:
        own = Pki(tmp_path)
        named = mutual(own, client_allowed_sans=["prometheus.example.org"])
        kinds = {"named": named, "mutual": mutual(own), "serve": serve(own)}

        def content(given: dict[str, object]) -> dict[str, object]:
            rest = {key: value for key, value in given.items() if key != "tls"}
            kind = given.get("tls")
            return {**rest, "tls_server_config": kinds[str(kind)]} if kind else rest

        files = WebFiles(write(content(before)))
        access = files.access
        lines()
        write(content(after))
        self.looks(files)
        assert files.access is access
        ((level, line),) = lines()
        assert level == "ERROR"
        assert f"no longer requires {lost}: if you want that, restart" in line

    def test_changed_certificate_is_loaded(
        self,
        write: Callable[[object], Path],
        lines: Callable[[], list[tuple[str, str]]],
        tmp_path: Path,
    ) -> None:
        own = Pki(tmp_path)
        files = WebFiles(write({"tls_server_config": mutual(own)}))
        lines()
        before = files.access.tls
        cert, _ = own.issue("server", "localhost")
        self.looks(files)
        assert files.access.tls is not before
        assert lines() == [("INFO", "web configuration reloaded")]
        good = cert.read_bytes()
        own.issue("other")
        cert.write_bytes((tmp_path / "other.crt").read_bytes())
        self.looks(files, 5)
        ((level, line),) = lines()
        assert (level, "is not the key of the certificate" in line) == ("ERROR", True)
        cert.write_bytes(good)
        self.looks(files)
        assert lines() == [("INFO", "web configuration unchanged")]

    def test_certificate_file_that_appears_later_is_loaded(
        self,
        write: Callable[[object], Path],
        lines: Callable[[], list[tuple[str, str]]],
        tmp_path: Path,
    ) -> None:
        tls = {**serve(Pki(tmp_path)), "cert_file": "later.crt"}
        files = WebFiles(write({}))
        write({"tls_server_config": tls})
        self.looks(files, 3)
        assert [level for level, _ in lines()] == ["INFO", "ERROR"]
        (tmp_path / "server.crt").rename(tmp_path / "later.crt")
        self.looks(files)
        assert files.access.tls is not None

    def test_failed_read_is_retried_although_no_file_changed(
        self, write: Callable[[object], Path], lines: Callable[[], list[tuple[str, str]]]
    ) -> None:
        files = WebFiles(write({}))
        lines()
        write({"basic_auth_users": {"bob": HASH}})
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            self.looks(files, 5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        ((level, line),) = lines()
        assert (level, "Too many open files" in line) == ("ERROR", True)
        files.check()
        assert set(files.access.config.users) == {"bob"}

    def test_requested_reload_happens_at_once(
        self, write: Callable[[object], Path], lines: Callable[[], list[tuple[str, str]]]
    ) -> None:
        files = WebFiles(write({}))
        write({"basic_auth_users": {"bob": HASH}})
        files.request_reload()
        files.check()
        assert set(files.access.config.users) == {"bob"}
        lines()
        files.request_reload()
        files.check()
        assert lines() == [("INFO", "web configuration unchanged")], "who asks gets an answer"

    def test_file_is_watched_while_the_loop_runs(self, write: Callable[[object], Path]) -> None:
        files = WebFiles(write({}))

        async def run() -> None:
            stopped = asyncio.Event()
            watching = asyncio.create_task(files.watch(stopped))
            write({"basic_auth_users": {"bob": HASH}})
            until = time.monotonic() + 10
            while not files.access.config.users:
                await asyncio.sleep(0.01)
                assert time.monotonic() < until
            stopped.set()
            await watching

        asyncio.run(run())


class TestCheckCommand:
    def test_valid_file_is_accepted(
        self, write: Callable[[object], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        content = {
            "tls_server_config": mutual(Pki(tmp_path)),
            "http_server_config": {"http2": True, "headers": {"X-Frame-Options": "deny"}},
            "basic_auth_users": {"alice": HASH},
            "rate_limit": {"interval": "1s", "burst": 20},
        }
        path = write(content)
        assert main(["check-web-config", str(path)]) == 0
        out, err = capfd.readouterr()
        assert err == ""
        assert out == (
            f"{path}: valid: tls on, client certificates RequireAndVerifyClientCert, users 1,"
            " rate limit 20 and one every 1s, headers 1;"
            " http_server_config.http2: HTTP/2 is not supported; HTTP/1.1 is used\n"
        )

    @pytest.mark.parametrize("content", ["a: [", "tls_server_config: {cert_file: c, key_file: k}"])
    def test_invalid_file_is_reported_in_one_line(
        self, write: Callable[[object], Path], content: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = write(content)
        assert main(["check-web-config", str(path)]) == 1
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith(f"pacemaker-bundle-exporter: {path}: ")
        assert err.count("\n") == 1

    def test_missing_file_is_reported(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["check-web-config", str(tmp_path / "none")]) == 1
        assert "cannot read it: No such file or directory" in capfd.readouterr().err

    def test_file_that_is_not_regular_is_refused(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        for path in (str(pipe), "/dev/zero"):
            assert main(["check-web-config", path]) == 1
            assert f"{path}: cannot read it: not a regular file" in capfd.readouterr().err

    @pytest.mark.parametrize("arguments", [[], [""], ["a", "b"], ["--nonsense", "a"]])
    def test_wrong_arguments_exit_with_status_2(
        self, arguments: list[str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["check-web-config", *arguments]) == 2
        assert capfd.readouterr().err.count("\n") == 1

    def test_all_parsers_are_listed(self) -> None:
        names = {parser.prog.partition(" ")[2] for parser in flags.parsers()}
        assert names == {"", *flags.SUBCOMMANDS}
