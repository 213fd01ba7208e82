"""Odd requests, and what node_exporter and the exporter answer to them.

tests/web/test_protocol.py sends every request to both servers; tools/http_table.py writes the table
of SECURITY.md from them.
The answers of node_exporter are those of version 1.5.0, built with Go 1.19, of Debian 12.
"""

from dataclasses import dataclass

BODY = "bodies are not read: after the answer the connection ends"
METHOD = "only GET, HEAD and OPTIONS are allowed; node_exporter does not look at the method"
UNKNOWN = "httptools does not know the method; node_exporter does not look at it"
PATH = "every page has one path; Go cleans paths, and `/` stands for all that it does not know"
STRICT = "httptools refuses what two servers could read differently"
URL = "httptools refuses such a URL; the exporter is no proxy and no browser sends it"
SIZE = "64 KiB are enough for the headers of a scrape; Go takes 1 MiB"
OLD = "connections of HTTP/1.0 end after one answer"
CODING = "httptools refuses it before the exporter sees it"


@dataclass(frozen=True, slots=True)
class Odd:
    """A request, and the answers to it.

    An answer is the status, and `open` if the connection takes another request. Pipelined requests
    have one after the other.
    """

    name: str
    raw: bytes
    node_exporter: str
    exporter: str = ""
    """Empty for the same answer."""
    reason: str = ""
    """Why the exporter answers something else."""

    @property
    def ours(self) -> str:
        """What the exporter answers."""
        return self.exporter or self.node_exporter


HOST = "Host: x\r\n"


def get(
    headers: str = "",
    line: str = "GET /metrics HTTP/1.1",
    body: str = "",
    host: str = HOST,
) -> bytes:
    """A request, each character of which is a byte."""
    return f"{line}\r\n{host}{headers}\r\n{body}".encode("latin-1")


def line(text: str) -> bytes:
    """A request with this first line."""
    return get(line=text)


def to(target: str) -> bytes:
    """A request for this target."""
    return get(line=f"GET {target} HTTP/1.1")


CHUNKED = "Transfer-Encoding: chunked\r\n"


def chunks(body: str) -> bytes:
    """A request with a body in chunks."""
    return get(CHUNKED, body=body)


SAME = [
    Odd("a plain request", get(), "200 open"),
    Odd("two pipelined requests", get() * 2, "200, 200 open"),
    Odd("a request, then garbage", get() + b"garbage\r\n\r\n", "200, 400"),
    Odd("garbage", b"garbage\r\n\r\n", "400"),
    Odd("all bytes", bytes(range(256)) + b"\r\n\r\n", "400"),
    Odd("the begin of a TLS handshake", b"\x16\x03\x01\x00\x05\x01\0\0\n\n", "400"),
    Odd("an empty line before the request", b"\r\n" + get(), "400"),
    Odd("a line feed before the request", b"\n" + get(), "400"),
    Odd("no Host", get(host=""), "400"),
    Odd("two Hosts", get(HOST), "400"),
    Odd("two different Hosts", get("Host: y\r\n"), "400"),
    Odd("an empty Host", get(host="Host:\r\n"), "200 open"),
    Odd("a Host with a space", get(host="Host: a b\r\n"), "400"),
    Odd("a Host with a slash", get(host="Host: a/b\r\n"), "400"),
    Odd("a Host with an @", get(host="Host: u@b\r\n"), "400"),
    Odd("a Host with a quote", get(host='Host: a"b\r\n'), "400"),
    Odd("a Host that is not ASCII", get(host="Host: \xe9\r\n"), "400"),
    Odd("a Host with a control character", get(host="Host: a\x01b\r\n"), "400"),
    Odd("a Host with two ports", get(host="Host: x:1:2\r\n"), "200 open"),
    Odd("a Host with spaces around", get(host="Host:  x \t\r\n"), "200 open"),
    Odd("a Host that is an IPv6 address", get(host="Host: [::1]:80\r\n"), "200 open"),
    Odd("HTTP/1.0", get(line="GET /metrics HTTP/1.0"), "200"),
    Odd("HTTP/1.0 without Host", get(line="GET /metrics HTTP/1.0", host=""), "200"),
    Odd("HTTP/1.0 with two Hosts", get(HOST, line="GET /metrics HTTP/1.0"), "400"),
    Odd("HTTP/0.9", b"GET /metrics\r\n\r\n", "400"),
    Odd("a version of HTTP/0.9", line("GET /metrics HTTP/0.9"), "505"),
    Odd("HTTP/2.0", line("GET /metrics HTTP/2.0"), "505"),
    Odd("HTTP/3.0", line("GET /metrics HTTP/3.0"), "505"),
    Odd("HTTP/1.10", line("GET /metrics HTTP/1.10"), "400"),
    Odd("HTTP/1", line("GET /metrics HTTP/1"), "400"),
    Odd("http in lower case", line("GET /metrics http/1.1"), "400"),
    Odd("a version with more behind it", line("GET /metrics HTTP/1.1x"), "400"),
    Odd("another protocol", line("GET /metrics RTSP/1.0"), "400"),
    Odd("two spaces before the target", line("GET  /metrics HTTP/1.1"), "400"),
    Odd("two spaces behind the target", line("GET /metrics  HTTP/1.1"), "400"),
    Odd("a space at the begin", line(" GET /metrics HTTP/1.1"), "400"),
    Odd("a space at the end of the line", line("GET /metrics HTTP/1.1 "), "400"),
    Odd("a tab for a space", line("GET\t/metrics HTTP/1.1"), "400"),
    Odd("no target", line("GET HTTP/1.1"), "400"),
    Odd("a carriage return without line feed", get("A: b\rC: d\r\n"), "400"),
    Odd("two carriage returns", b"GET /metrics HTTP/1.1\r\r\nHost: x\r\n\r\n", "400"),
    Odd("a line that begins with a space first", get(host=" A: b\r\nHost: x\r\n"), "400"),
    Odd("a space before a colon", get("A : b\r\n"), "400"),
    Odd("a tab before a colon", get("A\t: b\r\n"), "400"),
    Odd("a header without colon", get("AAA\r\n"), "400"),
    Odd("a name with a space", get("A B: c\r\n"), "400"),
    Odd("a name with a bracket", get("A(: b\r\n"), "400"),
    Odd("a name that is not ASCII", get("\xe9: b\r\n"), "400"),
    Odd("a name with NUL", get("A\0: b\r\n"), "400"),
    Odd("a value with NUL", get("A: a\0b\r\n"), "400"),
    Odd("a value with a control character", get("A: a\x01b\r\n"), "400"),
    Odd("a value with a tab", get("A: a\tb\r\n"), "200 open"),
    Odd("a value that is not ASCII", get("A: \xe9\r\n"), "200 open"),
    Odd("an empty value", get("A:\r\n"), "200 open"),
    Odd("a target with NUL", to("/metrics\0"), "400"),
    Odd("a target with a control character", to("/metrics\x01"), "400"),
    Odd("a target with quotes", to('/?"<>{}|^`\\'), "200 open"),
    Odd("a bad escape in the path", to("/metrics%zz"), "400"),
    Odd("half an escape in the path", to("/metrics%4"), "400"),
    Odd("a bad escape in the query", to("/?a=%zz"), "200 open"),
    Odd("an escaped letter in the path", to("/%6detrics"), "200 open"),
    Odd("an escaped slash at the begin", to("%2Fmetrics"), "400"),
    Odd("a fragment", to("/metrics#a"), "200 open"),
    Odd("a query alone", to("?a=b"), "400"),
    Odd("a path without slash", to("metrics"), "400"),
    Odd("60 KiB of query", to("/?" + "a" * 60_000), "200 open"),
    Odd("1.1 MiB of query", to("/metrics?" + "a" * 1_150_000), "431"),
    Odd("1.1 MiB of headers", get("".join(f"A{n}: {'b' * 90}\r\n" for n in range(12_000))), "431"),
    Odd("1,000 headers", get("".join(f"A{n}: b\r\n" for n in range(1000))), "200 open"),
    Odd("an absolute URL", to("http://x/metrics"), "200 open"),
    Odd("an absolute URL of another host", to("http://y/metrics"), "200 open"),
    Odd("an absolute URL and no Host", get(line="GET http://x/metrics HTTP/1.1", host=""), "400"),
    Odd("an absolute URL with a user", to("http://u:p@x/metrics"), "200 open"),
    Odd("an absolute URL with a bad port", to("http://x:bad/metrics"), "400"),
    Odd("an asterisk", to("*"), "400"),
    Odd("OPTIONS for an asterisk", line("OPTIONS * HTTP/1.1"), "200 open"),
    Odd("OPTIONS", line("OPTIONS /metrics HTTP/1.1"), "200 open"),
    Odd("HEAD", line("HEAD /metrics HTTP/1.1"), "200 open"),
    Odd("a method with a bracket", line("G(T /metrics HTTP/1.1"), "400"),
    Odd("a method that is not ASCII", line("G\xe9T /metrics HTTP/1.1"), "400"),
    Odd("a method with NUL", line("G\0T /metrics HTTP/1.1"), "400"),
    Odd("Transfer-Encoding: gzip, chunked", get("Transfer-Encoding: gzip, chunked\r\n"), "501"),
    Odd("Transfer-Encoding: gzip", get("Transfer-Encoding: gzip\r\n"), "501"),
    Odd("Transfer-Encoding: identity", get("Transfer-Encoding: identity\r\n"), "501"),
    Odd("a chunk of size zz", chunks("zz\r\nabc\r\n0\r\n\r\n"), "200"),
    Odd("a chunk of negative size", chunks("-3\r\nabc\r\n0\r\n\r\n"), "200"),
    Odd("a chunk of huge size", chunks("f" * 18 + "\r\nabc\r\n0\r\n\r\n"), "200"),
    Odd("a chunk longer than its size", chunks("3\r\nabcd\r\n0\r\n\r\n"), "200"),
    Odd("Content-Length: 0", get("Content-Length: 0\r\n"), "200 open"),
    Odd("Content-Length: -1", get("Content-Length: -1\r\n"), "400"),
    Odd("Content-Length: +3", get("Content-Length: +3\r\n", body="abc"), "400"),
    Odd("Content-Length: 0x3", get("Content-Length: 0x3\r\n", body="abc"), "400"),
    Odd("Content-Length: 3, 3", get("Content-Length: 3, 3\r\n", body="abc"), "400"),
    Odd("a Content-Length of 2^63", get(f"Content-Length: {2**63}\r\n"), "400"),
    Odd("a Content-Length of 2^80", get(f"Content-Length: {2**80}\r\n"), "400"),
    Odd("a Content-Length of 1 MB, no body", get("Content-Length: 1000000\r\n"), "200"),
    Odd(
        "two different Content-Lengths",
        get("Content-Length: 3\r\nContent-Length: 4\r\n", body="abcd"),
        "400",
    ),
    Odd("Expect: 100-continue", get("Expect: 100-continue\r\n"), "200 open"),
    Odd(
        "Expect: 100-continue, with a body",
        get("Expect: 100-continue\r\nContent-Length: 3\r\n", body="abc"),
        "200",
    ),
    Odd("an empty Expect", get("Expect:\r\n"), "200 open"),
    Odd("another Expect", get("Expect: 200-ok\r\n"), "417"),
    Odd("another Expect, HTTP/1.0", get("Expect: 200-ok\r\n", "GET /metrics HTTP/1.0"), "417"),
    Odd("Upgrade: h2c", get("Connection: Upgrade\r\nUpgrade: h2c\r\n"), "200 open"),
    Odd("Upgrade: websocket", get("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "200 open"),
    Odd("Connection: close", get("Connection: close\r\n"), "200"),
    Odd("Connection: foo, close", get("Connection: foo, close\r\n"), "200"),
    Odd("two Connections", get("Connection: keep-alive\r\nConnection: close\r\n"), "200"),
    Odd("Range", get("Range: bytes=0-1\r\n"), "200 open"),
]
"""Where both answer the same."""

OTHER = [
    Odd(
        "a parameter that there is not",
        to("/metrics?a=b"),
        "200 open",
        "400 open",
        "misspelt, it would select everything",
    ),
    Odd("HTTP/1.2", line("GET /metrics HTTP/1.2"), "200 open", "505", "there is no such version"),
    Odd(
        "the preface of HTTP/2",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "400",
        "505",
        "like any other request of HTTP/2.0",
    ),
    Odd(
        "HTTP/1.0 with keep-alive",
        get("Connection: keep-alive\r\n", line="GET /metrics HTTP/1.0"),
        "200 open",
        "200",
        OLD,
    ),
    Odd(
        "Proxy-Connection: close",
        get("Proxy-Connection: close\r\n"),
        "200 open",
        "200",
        "httptools takes it for Connection",
    ),
    Odd("POST", line("POST /metrics HTTP/1.1"), "200 open", "405 open", METHOD),
    Odd("PUT", line("PUT /metrics HTTP/1.1"), "200 open", "405 open", METHOD),
    Odd("DELETE", line("DELETE /metrics HTTP/1.1"), "200 open", "405 open", METHOD),
    Odd("PATCH", line("PATCH /metrics HTTP/1.1"), "200 open", "405 open", METHOD),
    Odd("TRACE", line("TRACE /metrics HTTP/1.1"), "200 open", "405 open", METHOD),
    Odd("CONNECT of a path", line("CONNECT /metrics HTTP/1.1"), "200 open", "405 open", METHOD),
    Odd("CONNECT", line("CONNECT x:80 HTTP/1.1"), "404 open", "400", URL),
    Odd("an unknown method", line("FOO /metrics HTTP/1.1"), "200 open", "501", UNKNOWN),
    Odd("get in lower case", line("get /metrics HTTP/1.1"), "200 open", "501", UNKNOWN),
    Odd(
        "a method of 5,000 letters",
        line("A" * 5000 + " /metrics HTTP/1.1"),
        "200 open",
        "501",
        UNKNOWN,
    ),
    Odd(
        "line feeds alone",
        b"GET /metrics HTTP/1.1\nHost: x\n\n",
        "200 open",
        "400",
        STRICT,
    ),
    Odd("a line feed alone", get("A: b\nC: d\r\n"), "200 open", "400", STRICT),
    Odd("a folded header", get("A: b\r\n c\r\n"), "200 open", "400", STRICT),
    Odd("a folded Host", get(host="Host:\r\n x\r\n"), "200 open", "400", STRICT),
    Odd("an empty name", get(": b\r\n"), "200 open", "400", STRICT),
    Odd(
        "Content-Length and Transfer-Encoding",
        get(f"Content-Length: 5\r\n{CHUNKED}", body="0\r\n\r\n"),
        "200 open",
        "400",
        STRICT,
    ),
    Odd(
        "Transfer-Encoding and Content-Length",
        get(f"{CHUNKED}Content-Length: 5\r\n", body="0\r\n\r\n"),
        "200 open",
        "400",
        STRICT,
    ),
    Odd(
        "the same Content-Length twice",
        get("Content-Length: 3\r\nContent-Length: 3\r\n", body="abc"),
        "200 open",
        "400",
        STRICT,
    ),
    Odd("an empty Content-Length", get("Content-Length:\r\n"), "200 open", "400", STRICT),
    Odd("Transfer-Encoding twice", get(CHUNKED * 2, body="0\r\n\r\n"), "501", "400", CODING),
    Odd(
        "Transfer-Encoding: chunked, chunked",
        get("Transfer-Encoding: chunked, chunked\r\n", body="0\r\n\r\n"),
        "501",
        "400",
        CODING,
    ),
    Odd("an empty Transfer-Encoding", get("Transfer-Encoding:\r\n"), "501", "400", CODING),
    Odd("a body of 3 bytes", get("Content-Length: 3\r\n", body="abc"), "200 open", "200", BODY),
    Odd(
        "a body of 100 kB",
        get("Content-Length: 100000\r\n", body="a" * 100_000),
        "200 open",
        "200",
        BODY,
    ),
    Odd(
        "POST with a body",
        get("Content-Length: 3\r\n", "POST /metrics HTTP/1.1", body="abc"),
        "200 open",
        "405",
        f"{METHOD}; {BODY}",
    ),
    Odd("a body in chunks", chunks("3\r\nabc\r\n0\r\n\r\n"), "200 open", "200", BODY),
    Odd("chunks with an extension", chunks("3;a=b\r\nabc\r\n0\r\n\r\n"), "200 open", "200", BODY),
    Odd("chunks with a trailer", chunks("0\r\nA: b\r\n\r\n"), "200 open", "200", BODY),
    Odd("chunks with a space", chunks("3 \r\nabc\r\n0\r\n\r\n"), "200 open", "200", BODY),
    Odd("70 KiB of query", to("/metrics?" + "a" * 70_000), "200 open", "431", SIZE),
    Odd("a header of 70 KiB", get(f"A: {'b' * 70_000}\r\n"), "200 open", "431", SIZE),
    Odd("UTF-8 in the path", to("/m\xc3\xa9trics"), "200 open", "400", STRICT),
    Odd("UTF-8 in the query", to("/metrics?\xc3\xa9"), "200 open", "400", STRICT),
    Odd("//metrics", to("//metrics"), "301 open", "404 open", PATH),
    Odd("/metrics/", to("/metrics/"), "200 open", "404 open", PATH),
    Odd("/../metrics", to("/../metrics"), "301 open", "404 open", PATH),
    Odd("/./metrics", to("/./metrics"), "301 open", "404 open", PATH),
    Odd("/METRICS", to("/METRICS"), "200 open", "404 open", PATH),
    Odd("an escaped NUL in the path", to("/metrics%00"), "200 open", "404 open", PATH),
    Odd("an escape that is not UTF-8", to("/%ff"), "200 open", "404 open", PATH),
    Odd("an absolute URL without path", to("http://x"), "301 open", "400", URL),
    Odd("an absolute URL without host", to("http:///metrics"), "200 open", "400", URL),
    Odd("an absolute URL with port 99999", to("http://x:99999/metrics"), "200 open", "400", URL),
    Odd("a host and a port", to("x:80"), "301 open", "400", URL),
    Odd("a URL of another kind", to("mailto:x"), "301 open", "400", URL),
]
"""Where the exporter answers something else, and why."""

ALL = [*SAME, *OTHER]
