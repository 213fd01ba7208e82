"""Flags to settings: all of them are read before any mistake is told, in one message."""

import argparse
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from exporter import __version__, logs
from exporter.collectors import Collector, Selection

PROGRAM = "pacemaker-bundle-exporter"

_SWITCHES = {
    Collector.RESOURCES: "resources outside bundles",
    Collector.FAILURES: "fail-counts, migration thresholds and failed actions",
    Collector.FENCING: "the fencing history",
    Collector.BANS: "location constraints",
    Collector.TICKETS: "tickets",
}
_DEFAULT_ADDRESS = ":19664"
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_UNITS = (3600.0, 60.0, 1.0, 0.001)


class UsageError(Exception):
    """The command line cannot be used; one line names every mistake."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen; an empty host is every address of the machine, IPv4 and IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as on the command line."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the flags say; durations in seconds."""

    web_listen_address: tuple[ListenAddress, ...]
    web_telemetry_path: str
    web_runbooks_url: str
    """What the status page links to; empty for no link."""
    web_config_file: str | None
    """TLS, users and more; None for none."""
    poll_interval: float
    poll_timeout: float
    poll_max_age: float
    crm_mon_path: str
    cibadmin_path: str
    crm_node_path: str
    command_prefix: tuple[str, ...]
    selection: Selection
    log_level: str
    log_format: str
    from_file: str | None
    """A saved output of crm_mon in place of a cluster; - for standard input, None for none."""
    once: bool
    demo: bool


@dataclass(frozen=True, slots=True)
class ShowSettings:
    """What the flags of `show` say."""

    poll_timeout: float
    crm_mon_path: str
    cibadmin_path: str
    crm_node_path: str
    command_prefix: tuple[str, ...]
    from_file: str | None
    json: bool
    config: str | None
    """The bundle whose configuration is shown; None for the state of all."""
    secrets: bool
    demo: bool


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What the arguments of `check-web-config` say."""

    file: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a flag takes: its name in the help, and what reads it or raises ValueError."""

    metavar: str
    read: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class _Mistake:
    """Stands for a value that could not be read, so that the others still are."""

    flag: str
    what: str


def parse(arguments: Sequence[str]) -> Settings:
    """Read the command line of the exporter.

    Raises:
        UsageError: there are mistakes in it.
        SystemExit: --help or --version was asked for, and answered.

    """
    values, mistakes = _read(parser(), arguments)
    values["web_listen_address"] = tuple(
        values["web_listen_address"] or [_address(_DEFAULT_ADDRESS)]
    )
    names = values.pop("collector_node_attributes")
    on = {name for name in _SWITCHES if values.pop(f"collector_{name.value}")}
    if names is not None:
        on.add(Collector.NODE_ATTRIBUTES)
    if not mistakes:
        selection = Selection(frozenset(on), names or re.compile(""))
        settings = Settings(selection=selection, **values)
        mistakes += _disagreements(settings)
    if mistakes:
        raise UsageError("; ".join(mistakes))
    return settings


def parse_show(arguments: Sequence[str]) -> ShowSettings:
    """Read the command line of `show`, without that word.

    Raises:
        UsageError: there are mistakes in it.
        SystemExit: --help was asked for, and answered.

    """
    values, mistakes = _read(show_parser(), arguments)
    if values["from_file"] and values["demo"]:
        mistakes.append("--from-file and --demo exclude each other")
    if values["from_file"] and values["config"]:
        mistakes.append("--config reads the CIB, which is not in an output of crm_mon")
    if values["secrets"] and not values["config"]:
        mistakes.append("--secrets goes with --config")
    if mistakes:
        raise UsageError("; ".join(mistakes))
    return ShowSettings(**values)


def parse_check(arguments: Sequence[str]) -> CheckSettings:
    """Read the command line of `check-web-config`, without that word.

    Raises:
        UsageError: there are mistakes in it.
        SystemExit: --help was asked for, and answered.

    """
    values, mistakes = _read(check_parser(), arguments)
    if not values["file"]:
        mistakes.append("name the file to check")
    if mistakes:
        raise UsageError("; ".join(mistakes))
    return CheckSettings(**values)


SUBCOMMANDS: Mapping[str, Callable[[Sequence[str]], ShowSettings | CheckSettings]] = {
    "show": parse_show,
    "check-web-config": parse_check,
}
"""The words that a command line may start with, and what reads the rest of it."""


def parsers() -> tuple[argparse.ArgumentParser, ...]:
    """Return the parser of the exporter's flags, and that of each subcommand."""
    return parser(), show_parser(), check_parser()


def _disagreements(settings: Settings) -> Iterator[str]:
    if settings.poll_max_age < settings.poll_interval + settings.poll_timeout:
        yield (
            "--poll.max-age must be at least --poll.interval and --poll.timeout together,"
            " or data would be withdrawn while crm_mon is merely slow"
        )
    if settings.from_file and not settings.once:
        yield "--from-file goes with --once, as a saved output does not change"
    if settings.from_file and settings.demo:
        yield "--from-file and --demo exclude each other"


def _read(
    parser: argparse.ArgumentParser, arguments: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Read arguments to values by name, some of which may be mistakes, and to those in words."""
    namespace, unknown = parser.parse_known_args(arguments)
    values = vars(namespace)
    mistakes = [f"unknown argument {word!r}" for word in unknown]
    parts = [p for v in values.values() for p in (v if isinstance(v, list) else [v])]
    mistakes += [f"{part.flag} {part.what}" for part in parts if isinstance(part, _Mistake)]
    return values, mistakes


def parser() -> argparse.ArgumentParser:
    """Return the parser of the exporter's flags."""
    result = _Parser(
        PROGRAM,
        usage=f"{PROGRAM} [flags]\n       {PROGRAM} show [flags]"
        f"\n       {PROGRAM} check-web-config FILE",
        description="Prometheus exporter for Pacemaker container bundles;"
        " show prints the cluster as the exporter understands it,"
        " check-web-config tries a file for --web.config.file.",
        epilog="Durations are written as 10s, 1m30s or 500ms.",
        allow_abbrev=False,
        formatter_class=_Help,
    )
    _add(
        result,
        "--web.listen-address",
        _Kind("[HOST]:PORT", _address),
        None,
        "Address to listen on, such as 127.0.0.1:19664 or [::1]:19664; may be repeated."
        f" (default: {_DEFAULT_ADDRESS})",
        repeated=True,
    )
    _add(
        result,
        "--web.telemetry-path",
        _Kind("PATH", _telemetry_path),
        "/metrics",
        "Path of the metrics.",
    )
    _add(
        result,
        "--web.config.file",
        _Kind("FILE", _name_of("file")),
        None,
        "Configuration of TLS, users, headers and rate limit, as Prometheus' own exporters read it;"
        " read again when it or a certificate changes, and on SIGHUP.",
    )
    _add(
        result,
        "--web.runbooks-url",
        _Kind("URL", _web_url),
        "",
        "Where your runbooks are: the status page links there.",
    )
    _add(
        result,
        "--poll.interval",
        _DURATION_KIND,
        "10s",
        "Time from the start of one poll to the start of the next.",
    )
    _add(
        result,
        "--poll.max-age",
        _DURATION_KIND,
        "150s",
        "Age at which the last good data is withdrawn.",
    )
    _add_commands(result)
    _add(
        result,
        "--collector.node-attributes",
        _Kind("REGEX", _pattern),
        "pingd",
        "Node attributes to show: those whose whole name matches and whose value is a number.",
    )
    result.add_argument(
        "--no-collector.node-attributes",
        dest="collector_node_attributes",
        action="store_const",
        const=None,
        help="Show no node attributes.",
    )
    for collector, text in _SWITCHES.items():
        result.add_argument(
            f"--no-collector.{collector.value}",
            dest=f"collector_{collector.value}",
            action="store_false",
            help=f"Leave out {text}.",
        )
    _add(
        result,
        "--log.level",
        _Kind("LEVEL", _level),
        "info",
        f"Least severe level that is logged: {', '.join(logs.LEVELS)}.",
    )
    _add(
        result,
        "--log.format",
        _Kind("FORMAT", _one_of(logs.FORMATS)),
        "logfmt",
        f"Format of log lines: {', '.join(logs.FORMATS)}.",
    )
    result.add_argument(
        "--once",
        action="store_true",
        help="Poll once, print the metrics for node_exporter's textfile collector, and exit.",
    )
    version = f"{PROGRAM} {__version__}"
    result.add_argument("--version", action="version", version=version)
    return result


def show_parser() -> argparse.ArgumentParser:
    """Return the parser of the flags of `show`."""
    result = _Parser(
        f"{PROGRAM} show",
        usage=f"{PROGRAM} show [flags]",
        description="Print the cluster as the exporter understands it: a table per bundle,"
        " and what is wrong.",
        allow_abbrev=False,
        formatter_class=_Help,
    )
    _add_commands(result)
    result.add_argument("--json", action="store_true", help="Print JSON, for scripts.")
    _add(
        result,
        "--config",
        _Kind("BUNDLE", _name_of("bundle")),
        None,
        "Print the configuration of this bundle in place of its state.",
    )
    result.add_argument(
        "--secrets",
        action="store_true",
        help="Show values of the configuration whose names look secret, and those that are no"
        " plain words.",
    )
    return result


def check_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments of `check-web-config`."""
    result = _Parser(
        f"{PROGRAM} check-web-config",
        usage=f"{PROGRAM} check-web-config FILE",
        description="Read a file for --web.config.file, load the certificates that it names,"
        " and say what is wrong, or what it amounts to.",
        allow_abbrev=False,
        formatter_class=_Help,
    )
    result.add_argument("file", metavar="FILE", nargs="?", help="The file.")
    return result


def _add(  # noqa: PLR0913 - what a flag is
    parser: argparse.ArgumentParser,
    flag: str,
    kind: _Kind,
    default: str | None,
    text: str,
    *,
    repeated: bool = False,
) -> None:
    """Add a flag; what reads its value never fails, but makes a mistake of it.

    One that may be repeated has no default here: argparse would add to it.
    """

    def lenient(value: str) -> object:
        try:
            return kind.read(value)
        except ValueError as error:
            return _Mistake(flag, f"{value!r}: {error}")

    parser.add_argument(
        flag,
        dest=re.sub(r"[.-]", "_", flag.removeprefix("--")),
        action="append" if repeated else "store",
        type=lenient,
        default=default,  # read like any value
        nargs="?",
        const=_Mistake(flag, "needs a value"),
        metavar=kind.metavar,
        help=text if repeated else f"{text} (default: {default or 'none'})",
    )


def _add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say whom to ask."""
    path = _Kind("PATH", _word)
    _add(parser, "--poll.timeout", _DURATION_KIND, "60s", "Time after which crm_mon is killed.")
    for command in ("crm_mon", "cibadmin", "crm_node"):
        _add(parser, f"--{command}.path", path, command, f"The {command} to run.")
    _add(
        parser,
        "--command.prefix",
        _Kind("COMMAND", _words),
        "",
        "Words put in front of these commands, such as 'podman exec pacemaker'.",
    )
    _add(
        parser,
        "--from-file",
        _Kind("FILE", _name_of("file")),
        None,
        "Read a saved output of crm_mon in place of asking it, once or in show; - for standard"
        " input.",
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="Show a demonstration cluster in place of this machine's; needs no Pacemaker.",
    )


class _Parser(argparse.ArgumentParser):
    """Tells mistakes that argparse finds as all others are told."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


class _Help(argparse.HelpFormatter):
    """Shows that flags need their values, though the parser can do without (see _Mistake)."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        return str(action.metavar or default_metavar)


def _address(text: str) -> ListenAddress:
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or (":" in host and not bracketed):
        raise ValueError("write host:port, :port or [IPv6]:port")
    if int(port) > 65535:  # noqa: PLR2004 - the highest port there is
        raise ValueError("there is no such port")
    return ListenAddress(host[1:-1] if bracketed else host, int(port))


def _telemetry_path(text: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", text):
        raise ValueError("write a path that starts with / and needs no escaping")
    if text == "/" or text.startswith("/-/"):
        raise ValueError("this path is taken by another page")
    return text


def _web_url(text: str) -> str:
    if text and not re.fullmatch(r"https?://[!-~]+", text):
        raise ValueError("write a URL that starts with http:// or https://")
    return text


def _duration(text: str) -> float:
    match = _DURATION.fullmatch(text)
    seconds = sum(
        float(number) * unit
        for number, unit in zip(match.groups("0") if match else (), _UNITS, strict=False)
    )
    if seconds <= 0:
        raise ValueError("write a duration above zero such as 10s, 1m30s or 500ms")
    return seconds


_DURATION_KIND = _Kind("DURATION", _duration)


def _word(text: str) -> str:
    if not text.strip():
        raise ValueError("name a command")
    return text


def _name_of(what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        # Empty is a variable that is not set, and no wish to go without TLS, say.
        if not text:
            raise ValueError(f"name a {what}")
        return text

    return read


def _level(text: str) -> str:
    # Prometheus' own programs write it so.
    return _one_of(logs.LEVELS)("warning" if text == "warn" else text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text))


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression ({error})") from error


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"choose from {', '.join(choices)}")
        return text

    return read
