"""The pages, asked for in-process and over real connections."""

import asyncio
import gzip
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.outcome import Failure, Outcome
from exporter.metrics.exporter import Identity
from exporter.metrics.text import Format
from exporter.pacemaker.demo import DemoCommands
from exporter.polling.poller import Poller
from exporter.polling.state import State
from exporter.report.document import document
from exporter.sources.tools import SourceContext, Tools
from exporter.web.address import ListenAddress
from exporter.web.app import App
from exporter.web.connection import Connection
from exporter.web.negotiation import accepts_gzip, choose_format
from exporter.web.server import Server, bind
from exporter.web.status_page import PageOptions
from tests.support.harness.fakes import FrozenClock, ScriptedCommands
from tests.support.harness.programs import eventually
from tests.support.harness.serving import serving

IDENTITY = Identity("1.2.3", "abc", "3.11", poll_interval=10, max_age=90)
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.fixture
def poller(commands: ScriptedCommands) -> Poller:
    return Poller(SourceContext(Tools(commands), FrozenClock(), 30), 10)


def application(poller: Poller, *, demo: bool = False) -> App:
    return App(lambda: poller.state, IDENTITY, FrozenClock(), PageOptions("/metrics", demo=demo))


@pytest.fixture
def app(poller: Poller) -> App:
    return application(poller)


def ask(app: App, path: str, method: str = "GET", query: str = "", **headers: str) -> Any:  # noqa: ANN401 - status, headers, body
    sent: list[Any] = []

    async def send(message: Any) -> None:  # noqa: ANN401 - as ASGI has it
        sent.append(message)

    async def receive() -> Any:  # noqa: ANN401 - as ASGI has it
        pytest.fail("no request has a body that anybody reads")

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }
    asyncio.run(app(scope, receive, send))
    start, body = sent
    return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, body["body"]


class TestNegotiation:
    @pytest.mark.parametrize(
        ("accept", "form"),
        [
            ("", Format.TEXT),
            ("*/*", Format.TEXT),
            ("text/html,*/*;q=0.8", Format.TEXT),
            (PROMETHEUS_2, Format.OPENMETRICS),
            (PROMETHEUS_3, Format.OPENMETRICS),
            ("application/openmetrics-text", Format.OPENMETRICS),
            ("Application/OpenMetrics-Text; version=1.0.0", Format.OPENMETRICS),
            ("application/openmetrics-text;q=0", Format.TEXT),
            ("application/openmetrics-text;q=0.1, text/plain", Format.TEXT),
            ("application/openmetrics-text;q=nonsense", Format.TEXT),
        ],
    )
    def test_accept_header_selects_the_format(self, accept: str, form: Format) -> None:
        assert choose_format(accept) is form

    @pytest.mark.parametrize(
        ("header", "accepted"),
        [
            ("", False),
            ("gzip", True),
            ("deflate, GZIP;q=1.0", True),
            ("gzip;q=0", False),
            ("gzip;q=0, *", False),
            ("*", True),
            ("*;q=0", False),
            ("br", False),
            ("identity", False),
        ],
    )
    def test_accept_encoding_header_selects_gzip(self, header: str, accepted: bool) -> None:
        assert accepts_gzip(header) is accepted


class TestMetrics:
    def test_page_before_the_first_poll_says_that_the_exporter_is_not_up(self, app: App) -> None:
        status, headers, body = ask(app, "/metrics")
        assert status == 200
        assert headers["content-type"] == Format.TEXT
        assert b"pacemaker_up 0\n" in body
        assert b"pacemaker_view_trusted 0\npacemaker" not in body
        assert b"pacemaker_view_trusted 0\n" in body
        assert (
            b'pacemaker_exporter_source_last_outcome{source="status",outcome="success"} 0\n' in body
        )
        assert b"pacemaker_cluster" not in body
        assert b"snapshot_timestamp" not in body

    def test_text_page_has_cluster_and_exporter_metrics(self, app: App, poller: Poller) -> None:
        poller.poll()
        _, headers, body = ask(app, "/metrics")
        assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert headers["vary"] == "Accept, Accept-Encoding"
        assert "content-encoding" not in headers
        for line in (
            'pacemaker_cluster_info{cluster_name="tripleo",',
            "pacemaker_up 1\n",
            "# TYPE pacemaker_exporter_source_reads_total counter\n",
            "process_cpu_seconds_total ",
            "python_info{",
            "python_gc_collections_total{",
        ):
            assert line in body.decode(), line
        assert not body.endswith(b"# EOF\n")

    def test_openmetrics_page_has_its_content_type_and_end(self, app: App, poller: Poller) -> None:
        poller.poll()
        _, headers, body = ask(app, "/metrics", accept=PROMETHEUS_3)
        assert (
            headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        )
        assert b"# TYPE pacemaker_exporter_source_reads counter\n" in body
        assert body.endswith(b"# EOF\n")
        assert body.count(b"# EOF\n") == 1

    @pytest.mark.parametrize("accept", ["", PROMETHEUS_3])
    def test_gzip_page_has_the_same_content(self, app: App, poller: Poller, accept: str) -> None:
        poller.poll()
        _, _, plain = ask(app, "/metrics", accept=accept)
        _, headers, body = ask(app, "/metrics", accept=accept, accept_encoding="gzip")
        assert headers["content-encoding"] == "gzip"
        assert int(headers["content-length"]) == len(body) < len(plain)
        assert gzip.decompress(body) == plain

    def test_name_parameter_selects_metrics(self, app: App, poller: Poller) -> None:
        poller.poll()
        names = (
            "pacemaker_up", "pacemaker_exporter_source_reads_total", "pacemaker_cluster_quorate",
            "process_open_fds", "no_such_metric",
        )  # fmt: skip
        query = "&".join(f"name[]={name}" for name in names)
        _, _, body = ask(app, "/metrics", query=query)
        found = {line.split()[2] for line in body.decode().splitlines() if "# TYPE" in line}
        assert found == set(names) - {"no_such_metric"}
        _, _, body = ask(app, "/metrics", query=query, accept=PROMETHEUS_3)
        assert b"pacemaker_exporter_source_reads_total{" in body, "by the name of its samples"
        assert body.endswith(b"# EOF\n")
        _, _, packed = ask(
            app, "/metrics", query=query, accept=PROMETHEUS_3, accept_encoding="gzip"
        )
        assert gzip.decompress(packed) == body
        by_family = "name[]=pacemaker_exporter_source_reads&name[]=process_cpu_seconds"
        _, _, body = ask(app, "/metrics", query=by_family, accept=PROMETHEUS_3)
        assert b"pacemaker_exporter_source_reads_total{" in body
        assert b"process_cpu_seconds_total " in body

    def test_declared_metric_without_samples_gives_an_empty_page(self, app: App) -> None:
        found = ask(app, "/metrics", query="name[]=pacemaker_bundle_replicas")
        assert (found[0], found[2]) == (200, b"")

    @pytest.mark.parametrize(
        ("query", "answer"),
        [
            (
                "name[]=pacemaker_bundle_replica",
                "no metric is called 'pacemaker_bundle_replica': did you mean pacemaker_bundle",
            ),
            ("name[]=", "no metric is called '': without parameters this page has all"),
            ("name[]=" + 9000 * "x", f"no metric is called '{80 * 'x'}': without"),
            ("collect[]=bundles", "unknown parameter 'collect[]': name[]=NAME, which may be"),
            ("name[]=pacemaker_up&verbose", "unknown parameter 'verbose': name[]=NAME"),
        ],
    )
    def test_query_that_selects_nothing_is_refused_in_one_line(
        self, app: App, query: str, answer: str
    ) -> None:
        status, headers, body = ask(app, "/metrics", query=query)
        assert (status, headers["content-type"]) == (400, "text/plain; charset=utf-8")
        assert body.decode().startswith(answer)
        assert body.count(b"\n") == 1

    def test_age_of_the_data_is_checked_at_each_scrape(
        self, app: App, poller: Poller, clock: FrozenDateTimeFactory
    ) -> None:
        poller.poll()
        clock.tick(90)
        assert b"pacemaker_cluster_quorate 1" in ask(app, "/metrics")[2]
        clock.tick(0.001)
        body = ask(app, "/metrics")[2]
        assert b"pacemaker_cluster" not in body
        assert b"pacemaker_up 0\n" in body
        assert b"pacemaker_exporter_snapshot_timestamp_seconds 1795348800\n" in body

    def test_new_poll_shows_at_once(
        self, app: App, poller: Poller, commands: ScriptedCommands
    ) -> None:
        poller.poll()
        assert b"pacemaker_up 1\n" in ask(app, "/metrics")[2]

        def fail() -> Failure:
            return Failure(Outcome.NOT_CONNECTED, "gone")

        commands.crm_mon = fail
        poller.poll()
        body = ask(app, "/metrics")[2]
        assert b"pacemaker_up 0\n" in body
        assert b"pacemaker_cluster" not in body

    def test_exporter_metrics_are_rendered_once_a_second(
        self, app: App, poller: Poller, clock: FrozenDateTimeFactory
    ) -> None:
        poller.poll()
        first = ask(app, "/metrics")[2]
        assert ask(app, "/metrics")[2] is first
        clock.tick(1)
        assert ask(app, "/metrics")[2] is not first


class TestPages:
    def test_readiness_follows_the_first_poll(
        self, app: App, poller: Poller, commands: ScriptedCommands
    ) -> None:
        assert ask(app, "/-/ready")[0] == 503
        assert ask(app, "/-/healthy")[0] == 200

        def fail() -> Failure:
            return Failure(Outcome.NOT_CONNECTED, "a stopped Pacemaker is reported, too")

        commands.crm_mon = fail
        poller.poll()
        assert ask(app, "/-/ready")[0] == 200

    def test_status_page_is_served_with_security_headers(self, app: App, poller: Poller) -> None:
        status, headers, body = ask(app, "/")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha")
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert b"No data yet" in body
        poller.poll()
        body = ask(app, "/")[2]
        assert b"Cluster tripleo" in body
        assert b"http-equiv" in body
        assert b"http-equiv" not in ask(app, "/", query="refresh=off")[2]
        _, headers, packed = ask(app, "/", accept_encoding="gzip")
        assert (headers["content-encoding"], headers["vary"]) == ("gzip", "Accept-Encoding")
        assert gzip.decompress(packed) == body

    def test_json_has_what_show_prints(
        self, app: App, poller: Poller, commands: ScriptedCommands
    ) -> None:
        assert ask(app, "/status.json")[0] == 503
        poller.poll()
        status, headers, body = ask(app, "/status.json")
        assert (status, headers["content-type"]) == (200, "application/json")
        assert poller.state.judgement
        assert json.loads(body) == json.loads(json.dumps(document(poller.state.judgement)))
        _, headers, packed = ask(app, "/status.json", accept_encoding="gzip")
        assert (headers["content-encoding"], headers["vary"]) == ("gzip", "Accept-Encoding")
        assert gzip.decompress(packed) == body

        def fail() -> Failure:
            return Failure(Outcome.NOT_CONNECTED, "gone")

        commands.crm_mon = fail
        poller.poll()
        assert ask(app, "/status.json")[0] == 503

    @pytest.mark.parametrize("path", ["/nothing", "/metrics/", "//metrics", "/-/", "/../metrics"])
    def test_unknown_paths_get_status_404(self, app: App, path: str) -> None:
        assert ask(app, path) == (
            404,
            {
                "content-type": "text/plain; charset=utf-8",
                "content-length": "10",
                "x-content-type-options": "nosniff",
            },
            b"Not found\n",
        )

    @pytest.mark.parametrize("path", ["/", "/status.json", "/metrics", "/-/healthy", "/-/ready"])
    def test_only_get_head_and_options_are_allowed(self, app: App, path: str) -> None:
        for method in ("POST", "PUT", "DELETE", "TRACE", "PATCH"):
            status, headers, _ = ask(app, path, method)
            assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        status, headers, body = ask(app, path, "OPTIONS")
        assert (status, headers["allow"], body) == (200, "GET, HEAD, OPTIONS", b"")


class Impatient(Connection):
    request_timeout = 0.3
    keep_alive = 1.0
    max_connections = 8


@contextmanager
def demonstration(connection: type[Connection]) -> Iterator[int]:
    """The demonstration behind the real server; gives its port."""
    clock = FrozenClock()
    poller = Poller(SourceContext(Tools(DemoCommands(clock)), clock, 30), 10)
    poller.poll()
    app = App(lambda: poller.state, IDENTITY, clock, PageOptions("/metrics", demo=True))
    with serving(Server(app, clock, connection)) as port:
        yield port


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[[], http.client.HTTPConnection]]:
    with demonstration(Connection) as port:
        yield lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=10)


@pytest.fixture(scope="module")
def impatient() -> Iterator[int]:
    with demonstration(Impatient) as port:
        yield port


def test_body_does_not_wait_for_the_acknowledgement_of_the_head() -> None:
    with closing(bind([ListenAddress("127.0.0.1", 0)])[0]) as listening:
        client = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
        with client, accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_idle_server_wakes_once_a_second_and_ends_at_once() -> None:
    ticks: list[float] = []

    class Counted(Server):
        async def on_tick(self, counter: int) -> bool:
            ticks.append(time.monotonic())
            return await super().on_tick(counter)

    async def serve() -> float:
        app = App(State, IDENTITY, FrozenClock(), PageOptions("/metrics", demo=True))
        server = Counted(app, FrozenClock())
        serving = asyncio.create_task(server.serve(bind([ListenAddress("127.0.0.1", 0)])))
        await asyncio.sleep(1.2)
        assert len(ticks) <= 2
        asked = time.monotonic()
        await server.stop()
        await serving
        return time.monotonic() - asked

    assert asyncio.run(serve()) < 0.9


class TestClientsThatStall:
    def scrape(self, port: int) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            response.read()
            return response.status

    @pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"])
    def test_client_without_a_whole_request_is_disconnected(
        self, sent: bytes, impatient: int
    ) -> None:
        with socket.create_connection(("127.0.0.1", impatient), timeout=10) as client:
            client.sendall(sent)
            with suppress(ConnectionResetError):
                assert client.recv(1) == b""

    @pytest.mark.parametrize(
        "after",
        [
            b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n\r\n",
            b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 200,
        ],
    )
    def test_inactive_client_is_disconnected(self, after: bytes, impatient: int) -> None:
        with socket.create_connection(("127.0.0.1", impatient), timeout=10) as client:
            client.sendall(after)
            time.sleep(2.5)  # without reading
            with suppress(ConnectionResetError):
                while client.recv(1 << 20):
                    pass

    def test_time_counts_per_request_and_not_per_connection(self, impatient: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", impatient, timeout=10)) as connection:
            for _ in range(3):
                time.sleep(0.2)
                connection.request("GET", "/-/healthy")
                assert connection.getresponse().read() == b"Healthy\n"

    def test_endless_headers_end_the_connection(self, impatient: int) -> None:
        with socket.create_connection(("127.0.0.1", impatient), timeout=10) as client:
            endless = b"GET / HTTP/1.1\r\n" + b"X-Filler: xxxxxxxxxxxxxxxxxxxx\r\n" * 1_000_000
            with pytest.raises(OSError):  # noqa: PT011 - reset, or a broken pipe
                client.sendall(endless)
        assert self.scrape(impatient) == 200

    def test_clients_beyond_the_limit_are_refused(self, impatient: int) -> None:
        with ExitStack() as opened:
            for _ in range(50):
                opened.enter_context(socket.create_connection(("127.0.0.1", impatient), 10))
        eventually(lambda: self.scrape(impatient) == 200)

    def test_idle_clients_do_not_stop_scrapes(self, impatient: int) -> None:
        """Idle clients within the limit leave room; others are disconnected soon."""
        with ExitStack() as opened:
            for _ in range(Impatient.max_connections):
                opened.enter_context(socket.create_connection(("127.0.0.1", impatient), 10))
            eventually(lambda: self.scrape(impatient) == 200, seconds=5)


class TestServer:
    def test_connection_is_kept_open_between_requests(
        self, served: Callable[[], http.client.HTTPConnection]
    ) -> None:
        with closing(served()) as connection:
            ports = set()
            for path in ("/metrics", "/", "/nothing", "/-/healthy"):
                connection.request("GET", path)
                connection.getresponse().read()
                ports.add(connection.sock.getsockname()[1])
            assert len(ports) == 1

    def test_head_has_the_headers_of_get(
        self, served: Callable[[], http.client.HTTPConnection]
    ) -> None:
        with closing(served()) as connection:
            connection.request("HEAD", "/")
            response = connection.getresponse()
            assert response.read() == b""
            head = response.getheaders()
            connection.request("GET", "/")
            get = connection.getresponse()
            assert len(get.read()) == int(get.headers["content-length"]) > 0
            names = {"date"}
            assert [h for h in head if h[0] not in names] == [
                h for h in get.getheaders() if h[0] not in names
            ]

    def test_headers_name_no_server_version(
        self, served: Callable[[], http.client.HTTPConnection]
    ) -> None:
        with closing(served()) as connection:
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read()
            assert "server" not in response.headers

    def test_server_does_not_wait_for_a_body(
        self, served: Callable[[], http.client.HTTPConnection]
    ) -> None:
        with closing(served()) as connection:
            connection.putrequest("POST", "/metrics")
            connection.putheader("content-length", "1000000")
            connection.endheaders()
            assert connection.getresponse().status == 405

    @pytest.mark.parametrize("request_line", [b"NONSENSE\r\n\r\n", b"\0\0"])
    def test_malformed_request_gets_status_400(
        self, request_line: bytes, served: Callable[[], http.client.HTTPConnection]
    ) -> None:
        with closing(served()) as connection:
            connection.connect()
            connection.sock.sendall(request_line)
            assert connection.sock.recv(100).startswith(b"HTTP/1.1 400 ")
