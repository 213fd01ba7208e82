"""Flags: values, defaults and error messages."""

import re

import pytest

from exporter.cli import flags
from exporter.cli.flags import UsageError, parse
from exporter.cluster.selection import Collector, Selection
from exporter.web.address import ListenAddress


def test_every_flag_has_its_documented_default() -> None:
    found = parse([])
    assert found.web_listen_address == (ListenAddress("", 19664),)
    assert not found.web_systemd_socket
    assert found.web_telemetry_path == "/metrics"
    assert (found.poll_interval, found.poll_timeout, found.poll_max_age) == (10, 60, 150)
    assert (found.crm_mon_path, found.cibadmin_path) == ("crm_mon", "cibadmin")
    assert found.web_runbooks_url == ""
    assert found.command_prefix == ()
    assert (found.log_level, found.log_format) == ("info", "logfmt")
    assert (found.once, found.demo) == (False, None)
    assert found.selection == Selection(frozenset(Collector), re.compile("pingd"), None)


def test_help_of_every_flag_shows_its_default() -> None:
    text = " ".join(flags.parser().format_help().split())
    for flag, default in {
        "--web.listen-address [HOST]:PORT": ":19664",
        "--web.telemetry-path PATH": "/metrics",
        "--poll.interval DURATION": "10s",
        "--poll.timeout DURATION": "60s",
        "--poll.max-age DURATION": "150s",
        "--crm_mon.path PATH": "crm_mon",
        "--cibadmin.path PATH": "cibadmin",
        "--crm_node.path PATH": "crm_node",
        "--command.prefix COMMAND": "none",
        "--collector.node-attributes REGEX": "pingd",
        "--collector.node-attributes-text REGEX": "none",
        "--log.level LEVEL": "info",
        "--log.format FORMAT": "logfmt",
    }.items():
        assert f"(default: {default})" in text.partition(flag)[2].partition(" --")[0], flag


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":1", "", 1),
        ("127.0.0.1:19664", "127.0.0.1", 19664),
        ("[::1]:0", "::1", 0),
        ("localhost:65535", "localhost", 65535),
    ],
)
def test_listen_addresses_are_split_into_host_and_port(text: str, host: str, port: int) -> None:
    (address,) = parse([f"--web.listen-address={text}"]).web_listen_address
    assert (address.host, address.port) == (host, port)
    assert str(address) == text


def test_given_addresses_replace_the_default() -> None:
    found = parse(["--web.listen-address=:1", "--web.listen-address", "[::1]:2"])
    assert found.web_listen_address == (ListenAddress("", 1), ListenAddress("::1", 2))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("1.5s", 1.5), ("2m", 120)],
)
def test_durations_take_prometheus_units(text: str, seconds: float) -> None:
    assert parse([f"--poll.max-age={text}", "--poll.interval=1ms", "--poll.timeout=1ms"]) == parse(
        [f"--poll.max-age={seconds}s", "--poll.interval=1ms", "--poll.timeout=1ms"]
    )
    assert parse([f"--poll.interval={text}", "--poll.max-age=9h"]).poll_interval == seconds


def test_log_level_warn_means_warning() -> None:
    assert parse(["--log.level=warn"]).log_level == "warning"


def test_runbooks_url_is_kept_with_query_and_fragment() -> None:
    url = "https://example.com/runbooks?a=1#b"
    assert parse([f"--web.runbooks-url={url}"]).web_runbooks_url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://bob:hunter2@example.com/",
        "http://hunter2@example.com",
        "https://bob:hunter2@[::1]:80/a?b#c",
        "https://hunter2%40x@example.com?a",
        "https://hunter2@example.com\\a",
        "ftp://bob:hunter2@example.com/",
        "bob:hunter2@example.com",
    ],
)
def test_runbooks_url_with_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([f"--web.runbooks-url={url}"])
    assert str(caught.value).startswith("--web.runbooks-url ")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("rest", ["/@team", "?mail=a@example.com", "#a@b", "/a:b@c"])
def test_runbooks_url_may_have_an_at_sign_behind_the_host(rest: str) -> None:
    url = f"https://example.com{rest}"
    assert parse([f"--web.runbooks-url={url}"]).web_runbooks_url == url


def test_command_prefix_is_split_into_words() -> None:
    found = parse(["--command.prefix", "podman exec 'the pacemaker'"])
    assert found.command_prefix == ("podman", "exec", "the pacemaker")


@pytest.mark.parametrize(
    ("arguments", "numeric", "text"),
    [
        ([], "pingd", None),
        (["--collector.node-attributes-text=hana_.*"], "pingd", "hana_.*"),
        (["--collector.node-attributes=load", "--collector.node-attributes-text=a"], "load", "a"),
        (["--no-collector.node-attributes", "--collector.node-attributes-text=a"], None, "a"),
        (["--collector.node-attributes-text=a", "--no-collector.node-attributes"], None, "a"),
        (["--no-collector.node-attributes"], None, None),
    ],
)
def test_the_two_lists_of_node_attributes_are_independent(
    arguments: list[str], numeric: str | None, text: str | None
) -> None:
    found = parse(arguments).selection
    names = found.text_attribute_names
    assert (names.pattern if names else None) == text
    assert (Collector.NODE_ATTRIBUTES in found.collectors) == (numeric is not None)
    assert found.attribute_names.pattern == (numeric or "")


@pytest.mark.parametrize("collector", list(Collector))
def test_last_word_on_a_collector_counts(collector: Collector) -> None:
    on, off = f"--collector.{collector.value}", f"--no-collector.{collector.value}"
    if collector is Collector.NODE_ATTRIBUTES:
        on += "=x"
    assert collector in parse([on]).selection.collectors
    assert collector not in parse([on, off]).selection.collectors
    assert collector in parse([off, on]).selection.collectors


@pytest.mark.parametrize(
    ("arguments", "demo", "names"),
    [
        (["--demo"], "bundles", ()),
        (["--demo=bundles"], "bundles", ()),
        (["--demo=cloud"], "cloud", ()),
        (["--demo", "cloud"], "cloud", ()),
        # As `make demo ARGS=--demo=cloud` passes them.
        (["--demo", "--demo=cloud"], "cloud", ()),
        (["--demo", "galera-bundle", "--all"], "bundles", ("galera-bundle",)),
        (["--demo=cloud", "galera-bundle"], "cloud", ("galera-bundle",)),
    ],
)
def test_demonstration_is_chosen_by_name(
    arguments: list[str], demo: str, names: tuple[str, ...]
) -> None:
    found = flags.parse_show(arguments)
    assert (found.demo, found.names) == (demo, names)
    if not names:
        assert parse(arguments).demo == demo


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nonsense"], "unknown argument '--nonsense'"),
        (["positional"], "unknown argument 'positional'"),
        (["--poll.inter=1s"], "unknown argument '--poll.inter=1s' (did you mean --poll.interval?)"),
        (
            ["--crm-mon.path=x"],
            "unknown argument '--crm-mon.path=x' (did you mean --crm_mon.path?)",
        ),
        (
            ["--web.listen-adress=:1"],
            "unknown argument '--web.listen-adress=:1' (did you mean --web.listen-address?)",
        ),
        (
            ["--no-collector.fence"],
            "unknown argument '--no-collector.fence' (did you mean --no-collector.fencing?)",
        ),
        (["shwo"], "unknown argument 'shwo' (did you mean show?)"),
        (["check-web-conf", "x"], "(did you mean check-web-config?); unknown argument 'x'"),
        (["--poll.interval"], "--poll.interval needs a value"),
        (["--web.listen-address"], "--web.listen-address needs a value"),
        (["--poll.interval=10"], "--poll.interval '10': write a duration"),
        (["--poll.interval=0s"], "--poll.interval '0s': write a duration"),
        (["--poll.interval="], "--poll.interval '': write a duration"),
        (["--poll.interval=-1s"], "--poll.interval '-1s': write a duration"),
        (["--web.listen-address=19664"], "write host:port"),
        (["--web.listen-address=::1:19664"], "write host:port"),
        (["--web.listen-address=:65536"], "the highest port is 65535"),
        (["--web.listen-address=:¹"], "write host:port"),
        (["--web.telemetry-path=metrics"], "starts with /"),
        (["--web.telemetry-path=/"], "another page uses this path"),
        (["--web.telemetry-path=/-/ready"], "another page uses this path"),
        (["--web.telemetry-path=/status.json"], "another page uses this path"),
        (["--web.node-url=http://controller-0:19664/"], "write NODE where"),
        (["--web.node-url=NODE:19664"], "starts with http:// or https://"),
        (["--web.runbooks-url=example.com"], "starts with http:// or https://"),
        (["--web.runbooks-url=javascript:alert(1)"], "starts with http:// or https://"),
        (["--web.runbooks-url=https://"], "starts with http:// or https://"),
        (["--crm_mon.path= "], "name a command"),
        (["--command.prefix='"], "--command.prefix"),
        # A variable that is not set must not mean: without TLS, for anybody.
        (["--web.config.file="], "--web.config.file '': name a file"),
        (["--from-file="], "--from-file '': name a file"),
        (["--version=1"], "--version: ignored explicit argument '1'"),
        (["--once=yes"], "--once: ignored explicit argument 'yes'"),
        (["--demo=nope"], "--demo 'nope': choose from bundles, cloud"),
        (["--demo="], "--demo '': choose from bundles, cloud"),
        (["--collector.node-attributes-text"], "--collector.node-attributes-text needs a value"),
        (
            ["--collector.node-attributes-text=hana_("],
            "--collector.node-attributes-text 'hana_(': not a regular expression",
        ),
        (["--log.level=loud"], "choose from debug, info, warning, error"),
        (["--log.format=xml"], "choose from logfmt, json"),
        (["--poll.max-age=69s"], "--poll.max-age must be at least"),
    ],
)
def test_each_mistake_is_explained_in_one_line(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_mistakes_are_reported_together() -> None:
    arguments = ["--nope", "--poll.interval=x", "--poll.timeout", "--log.level=loud", "extra"]
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    told = str(caught.value)
    for words in ("'--nope'", "'extra'", "--poll.interval 'x'", "--poll.timeout", "'loud'"):
        assert words in told


def test_maximum_age_must_agree_with_interval_and_timeout() -> None:
    assert parse(["--poll.max-age=70s"]).poll_max_age == 70
