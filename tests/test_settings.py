"""Flags: every mistake is told at once."""

import pytest

from exporter import settings
from exporter.settings import ListenAddress, UsageError, parse


def test_defaults() -> None:
    found = parse([])
    assert found.web_listen_address == (ListenAddress("", 19664),)
    assert found.web_telemetry_path == "/metrics"
    assert (found.poll_interval, found.poll_timeout, found.poll_max_age) == (10, 60, 150)
    assert (found.crm_mon_path, found.cibadmin_path) == ("crm_mon", "cibadmin")
    assert found.web_runbooks_url == ""
    assert found.command_prefix == ()
    assert (found.log_level, found.log_format) == ("info", "logfmt")
    assert (found.once, found.demo) == (False, False)


def test_every_flag_tells_its_default() -> None:
    text = " ".join(settings.parser().format_help().split())
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
def test_addresses(text: str, host: str, port: int) -> None:
    (address,) = parse([f"--web.listen-address={text}"]).web_listen_address
    assert (address.host, address.port) == (host, port)
    assert str(address) == text


def test_several_addresses_take_the_place_of_the_default() -> None:
    found = parse(["--web.listen-address=:1", "--web.listen-address", "[::1]:2"])
    assert found.web_listen_address == (ListenAddress("", 1), ListenAddress("::1", 2))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("1.5s", 1.5), ("2m", 120)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse([f"--poll.max-age={text}", "--poll.interval=1ms", "--poll.timeout=1ms"]) == parse(
        [f"--poll.max-age={seconds}s", "--poll.interval=1ms", "--poll.timeout=1ms"]
    )
    assert parse([f"--poll.interval={text}", "--poll.max-age=9h"]).poll_interval == seconds


def test_a_level_as_prometheus_writes_it() -> None:
    assert parse(["--log.level=warn"]).log_level == "warning"


def test_a_link_to_runbooks() -> None:
    url = "https://example.com/runbooks?a=1#b"
    assert parse([f"--web.runbooks-url={url}"]).web_runbooks_url == url


def test_a_prefix_is_words() -> None:
    found = parse(["--command.prefix", "podman exec 'the pacemaker'"])
    assert found.command_prefix == ("podman", "exec", "the pacemaker")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nonsense"], "unknown argument '--nonsense'"),
        (["positional"], "unknown argument 'positional'"),
        (["--poll.inter=1s"], "unknown argument '--poll.inter=1s'"),
        (["--poll.interval"], "--poll.interval needs a value"),
        (["--web.listen-address"], "--web.listen-address needs a value"),
        (["--poll.interval=10"], "--poll.interval '10': write a duration"),
        (["--poll.interval=0s"], "--poll.interval '0s': write a duration"),
        (["--poll.interval="], "--poll.interval '': write a duration"),
        (["--poll.interval=-1s"], "--poll.interval '-1s': write a duration"),
        (["--web.listen-address=19664"], "write host:port"),
        (["--web.listen-address=::1:19664"], "write host:port"),
        (["--web.listen-address=:65536"], "there is no such port"),
        (["--web.listen-address=:¹"], "write host:port"),
        (["--web.telemetry-path=metrics"], "starts with /"),
        (["--web.telemetry-path=/"], "taken by another page"),
        (["--web.telemetry-path=/-/ready"], "taken by another page"),
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
        (["--log.level=loud"], "choose from debug, info, warning, error"),
        (["--log.format=xml"], "choose from logfmt, json"),
        (["--poll.max-age=69s"], "--poll.max-age must be at least"),
    ],
)
def test_a_mistake(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_mistakes_at_once() -> None:
    arguments = ["--nope", "--poll.interval=x", "--poll.timeout", "--log.level=loud", "extra"]
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    told = str(caught.value)
    for words in ("'--nope'", "'extra'", "--poll.interval 'x'", "--poll.timeout", "'loud'"):
        assert words in told


def test_the_maximum_age_agrees_with_interval_and_timeout() -> None:
    assert parse(["--poll.max-age=70s"]).poll_max_age == 70
