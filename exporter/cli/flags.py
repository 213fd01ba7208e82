"""Parses all flags and reports every error at once."""

import argparse
import difflib
import itertools
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from exporter import __version__
from exporter.cluster.observation import Origin
from exporter.cluster.selection import Collector, Selection
from exporter.pacemaker.demo import DEMOS
from exporter.runtime import logs
from exporter.web.address import ListenAddress

PROGRAM = "pacemaker-bundle-exporter"

_SWITCHES = {
    Collector.RESOURCES: "resources outside bundles",
    Collector.FAILURES: "fail-counts, migration thresholds and failed actions",
    Collector.FENCING: "the fencing history",
    Collector.BANS: "location constraints",
    Collector.TICKETS: "tickets",
    Collector.COROSYNC: "what corosync says: quorum, votes and links",
}
_DEFAULT_ADDRESS = ":19664"
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_UNITS = (3600.0, 60.0, 1.0, 0.001)


class UsageError(Exception):
    """The command line is invalid; the message is one line with every mistake."""


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """The flags that the exporter and `show` share: which commands to run, and how."""

    poll_timeout: float
    """Seconds."""
    crm_mon_path: str
    cibadmin_path: str
    crm_node_path: str
    corosync_cmapctl_path: str
    corosync_quorumtool_path: str
    corosync_socket: str | None
    """Socket that runs the commands of corosync; None to run them here."""
    command_prefix: tuple[str, ...]
    from_file: str | None
    """Saved output of crm_mon to read instead of a cluster; - is standard input."""
    demo: str | None
    """Name of the demonstration to show; None to show a cluster."""

    @property
    def origin(self) -> Origin:
        """Where observations come from."""
        return Origin.DEMO if self.demo else Origin.FILE if self.from_file else Origin.CLUSTER


@dataclass(frozen=True, slots=True)
class Settings(CommandSettings):
    """The values of the exporter's flags; durations in seconds."""

    web_listen_address: tuple[ListenAddress, ...]
    web_systemd_socket: bool
    """Whether to listen on the sockets that systemd passes, in place of these addresses."""
    web_telemetry_path: str
    web_runbooks_url: str
    """Target of a link on the status page; empty for no link."""
    web_node_url: str
    """URL of the exporter on another node, with NODE for its name; empty for no links."""
    web_config_file: str | None
    """File with TLS, users and more; None without one."""
    poll_interval: float
    poll_max_age: float
    selection: Selection
    log_level: str
    log_format: str
    once: bool


@dataclass(frozen=True, slots=True)
class ShowSettings(CommandSettings):
    """The values of the flags of `show`; durations in seconds."""

    names: tuple[str, ...]
    """Shell patterns of the nodes, bundles and resources to show; none for all."""
    all: bool
    """List what is well, too, however much there is."""
    problems: bool
    """Show only what is wrong."""
    check: bool
    """Print one line and end as a monitoring plugin does."""
    watch: bool
    """Print again and again, in place."""
    poll_interval: float
    json: bool
    config: str | None
    """Show the configuration of this bundle; None to show the state of the cluster."""
    secrets: bool


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """The arguments of `check-web-config`."""

    file: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """Type of a flag's value: its name in the help, and a parser that raises ValueError."""

    metavar: str
    read: Callable[[str], object]
    secret: bool = False
    """Messages leave out the value, because it may contain a password."""


@dataclass(frozen=True, slots=True)
class _Mistake:
    """Takes the place of an invalid value, so that parsing continues."""

    flag: str
    what: str


def parse(arguments: Sequence[str]) -> Settings:
    """Parse the command line of the exporter.

    Raises:
        UsageError: the command line has mistakes.
        SystemExit: --help or --version was given, and its text was printed.

    """
    values, mistakes = _read(parser(), _with_demo_named(arguments), SUBCOMMANDS)
    if values["web_systemd_socket"] and values["web_listen_address"]:
        mistakes.append("--web.systemd-socket and --web.listen-address exclude each other")
    values["web_listen_address"] = tuple(
        values["web_listen_address"] or [_address(_DEFAULT_ADDRESS)]
    )
    names = values.pop("collector_node_attributes")
    text_names = values.pop("collector_node_attributes_text")
    on = {name for name in _SWITCHES if values.pop(f"collector_{name.value}")}
    if names is not None:
        on.add(Collector.NODE_ATTRIBUTES)
    if not mistakes:
        selection = Selection(frozenset(on), names or re.compile(""), text_names)
        settings = Settings(selection=selection, **values)
        mistakes += _conflicts(settings)
    if mistakes:
        raise UsageError("; ".join(mistakes))
    return settings


def parse_show(arguments: Sequence[str]) -> ShowSettings:
    """Parse the arguments after the word `show`.

    Raises:
        UsageError: the command line has mistakes.
        SystemExit: --help was given, and its text was printed.

    """
    values, mistakes = _read(show_parser(), _with_demo_named(arguments))
    values["names"] = tuple(values["names"])
    mistakes += _excluding(values)
    if values["from_file"] and values["demo"]:
        mistakes.append("--from-file and --demo exclude each other")
    if values["from_file"] and values["config"]:
        mistakes.append("--config needs the CIB, which a saved output of crm_mon does not contain")
    if values["secrets"] and not values["config"]:
        mistakes.append("--secrets needs --config")
    if mistakes:
        raise UsageError("; ".join(mistakes))
    return ShowSettings(**values)


def _excluding(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a mistake for each pair of flags that ask for different output."""
    given = [name for name in ("check", "watch", "json", "config") if values[name]]
    for one, other in itertools.combinations(given, 2):
        if {one, other} != {"json", "config"}:
            yield f"--{one} and --{other} exclude each other"
    parts = {"NAME": values["names"], "--all": values["all"], "--problems": values["problems"]}
    for output in {"json", "config"}.intersection(given):
        for name in filter(parts.get, parts):
            yield f"{name} does not go with --{output}, which prints everything that it knows"


def parse_check(arguments: Sequence[str]) -> CheckSettings:
    """Parse the arguments after the word `check-web-config`.

    Raises:
        UsageError: the command line has mistakes.
        SystemExit: --help was given, and its text was printed.

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
"""Subcommands, each with the parser of its arguments."""


def parsers() -> tuple[argparse.ArgumentParser, ...]:
    """Return the parsers of the exporter's flags and of each subcommand."""
    return parser(), show_parser(), check_parser()


def _with_demo_named(arguments: Sequence[str]) -> list[str]:
    """Name the demonstration if the flag does not: then a NAME of `show` may follow the flag."""
    following = itertools.zip_longest(arguments, arguments[1:])
    return [
        f"{word}={DEMOS[0]}" if word == "--demo" and after not in DEMOS else word
        for word, after in following
    ]


def _conflicts(settings: Settings) -> Iterator[str]:
    if settings.poll_max_age < settings.poll_interval + settings.poll_timeout:
        yield (
            "--poll.max-age must be at least --poll.interval plus --poll.timeout: otherwise a slow"
            " crm_mon would cause data to be withdrawn"
        )
    if settings.from_file and not settings.once:
        yield "--from-file needs --once, because a saved output does not change"
    if settings.from_file and settings.demo:
        yield "--from-file and --demo exclude each other"


def _read(
    parser: "_Parser", arguments: Sequence[str], subcommands: Iterable[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Parse arguments; return the values by name, and the mistakes as text."""
    namespace, unknown = parser.parse_known_args(arguments)
    values = vars(namespace)
    known = [*subcommands, *parser.flags()]
    mistakes = [f"unknown argument {word!r}{_meant(word, known)}" for word in unknown]
    parts = [p for v in values.values() for p in (v if isinstance(v, list) else [v])]
    mistakes += [f"{part.flag} {part.what}" for part in parts if isinstance(part, _Mistake)]
    return values, mistakes


def _meant(word: str, known: Sequence[str]) -> str:
    """Return a known word that is nearly the same, as a question in brackets; empty if none is."""
    near = difflib.get_close_matches(word.partition("=")[0], known, n=1, cutoff=0.7)
    return f" (did you mean {near[0]}?)" if near else ""


def parser() -> "_Parser":
    """Return the parser of the exporter's flags."""
    result = _Parser(
        PROGRAM,
        usage=f"{PROGRAM} [flags]\n       {PROGRAM} show [flags]"
        f"\n       {PROGRAM} check-web-config FILE",
        description="Prometheus exporter for Pacemaker container bundles;"
        " show prints the cluster as the exporter understands it,"
        " check-web-config checks a file for --web.config.file.",
        epilog="Write durations as 10s, 1m30s or 500ms. --collector.NAME undoes an earlier"
        " --no-collector.NAME.",
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
    result.add_argument(
        "--web.systemd-socket",
        dest="web_systemd_socket",
        action="store_true",
        help="Listen on the sockets that systemd passes (socket activation) in place of addresses.",
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
        "File with TLS, users, headers and rate limit, in the format of Prometheus' exporters;"
        " reloaded when it or a certificate changes, and on SIGHUP.",
    )
    _add(
        result,
        "--web.runbooks-url",
        _Kind("URL", _web_url, secret=True),
        "",
        "URL of your runbooks, for a link on the status page.",
    )
    _add(
        result,
        "--web.node-url",
        _Kind("URL", _node_url, secret=True),
        "",
        "URL of the exporter on another node, with NODE for its name, such as http://NODE:19664/,"
        " for links on the status page.",
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
        "Node attributes to export: numeric ones whose whole name matches.",
    )
    result.add_argument(
        "--no-collector.node-attributes",
        dest="collector_node_attributes",
        action="store_const",
        const=None,
        help="Leave out the node attributes with numeric values.",
    )
    _add(
        result,
        "--collector.node-attributes-text",
        _Kind("REGEX", _pattern),
        None,
        "Node attributes to export with the value as a label: those whose whole name matches.",
    )
    for collector, text in _SWITCHES.items():
        result.add_argument(
            f"--no-collector.{collector.value}",
            dest=f"collector_{collector.value}",
            action="store_false",
            help=f"Leave out {text}.",
        )
        result.add_argument(
            f"--collector.{collector.value}",
            dest=f"collector_{collector.value}",
            action="store_true",
            default=True,
            help=argparse.SUPPRESS,
        )
    _add(
        result,
        "--log.level",
        _Kind("LEVEL", _level),
        "info",
        f"Lowest level to log: {', '.join(logs.LEVELS)}.",
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


def show_parser() -> "_Parser":
    """Return the parser of the flags of `show`."""
    result = _Parser(
        f"{PROGRAM} show",
        usage=f"{PROGRAM} show [flags] [NAME ...]",
        description="Print what is wrong with the cluster, and then what there is. Of many nodes,"
        " resources and events only what is not well, or the first ten, are listed.",
        allow_abbrev=False,
        formatter_class=_Help,
    )
    result.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        help="Show only these nodes, bundles and resources, in full; shell patterns such as"
        " 'galera*' are allowed.",
    )
    _add_commands(result)
    result.add_argument(
        "--all", action="store_true", help="List everything, however much there is."
    )
    result.add_argument("--problems", action="store_true", help="Print only what is wrong.")
    result.add_argument(
        "--check",
        action="store_true",
        help="Print one line with performance data, and exit as a plugin of Nagios or Icinga: 0 if"
        " nothing is wrong, 1 for a warning, 2 if it is critical, 3 if the cluster cannot be read.",
    )
    result.add_argument(
        "--watch", action="store_true", help="Print again and again in place, on a terminal."
    )
    _add(
        result,
        "--poll.interval",
        _DURATION_KIND,
        "5s",
        "With --watch: the time between two polls.",
    )
    result.add_argument("--json", action="store_true", help="Print JSON, for scripts.")
    _add(
        result,
        "--config",
        _Kind("BUNDLE", _name_of("bundle")),
        None,
        "Print the configuration of this bundle instead of the state of the cluster.",
    )
    result.add_argument(
        "--secrets",
        action="store_true",
        help="With --config, also print the values that are hidden because their names look secret"
        " or they are not plain words.",
    )
    return result


def check_parser() -> "_Parser":
    """Return the parser of the arguments of `check-web-config`."""
    result = _Parser(
        f"{PROGRAM} check-web-config",
        usage=f"{PROGRAM} check-web-config FILE",
        description="Read a file for --web.config.file, load the certificates that it names,"
        " and print what is wrong, or what it configures.",
        allow_abbrev=False,
        formatter_class=_Help,
    )
    result.add_argument("file", metavar="FILE", nargs="?", help="The file.")
    return result


def _add(  # noqa: PLR0913 - a flag has this many properties
    parser: argparse.ArgumentParser,
    flag: str,
    kind: _Kind,
    default: str | None,
    text: str,
    *,
    repeated: bool = False,
) -> None:
    """Add a flag whose invalid values become a _Mistake.

    A repeatable flag has no default here, because argparse would append to it.
    """

    def lenient(value: str) -> object:
        try:
            return kind.read(value)
        except ValueError as error:
            return _Mistake(flag, str(error) if kind.secret else f"{value!r}: {error}")

    parser.add_argument(
        flag,
        dest=re.sub(r"[.-]", "_", flag.removeprefix("--")),
        action="append" if repeated else "store",
        type=lenient,
        default=default,  # argparse parses a string default
        nargs="?",
        const=_Mistake(flag, "needs a value"),
        metavar=kind.metavar,
        help=text if repeated else f"{text} (default: {default or 'none'})",
    )


def _add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the flags about the commands to run."""
    path = _Kind("PATH", _word)
    _add(parser, "--poll.timeout", _DURATION_KIND, "60s", "Time after which crm_mon is killed.")
    for command in (
        "crm_mon",
        "cibadmin",
        "crm_node",
        "corosync-cmapctl",
        "corosync-quorumtool",
    ):
        _add(parser, f"--{command}.path", path, command, f"The {command} to run.")
    _add(
        parser,
        "--corosync.socket",
        _Kind("PATH", _name_of("socket")),
        None,
        "Ask corosync through this socket, whose other end runs its commands: for sites with ACLs.",
    )
    _add(
        parser,
        "--command.prefix",
        _Kind("COMMAND", _words),
        "",
        "Words to put before these commands, such as 'podman exec pacemaker'.",
    )
    _add(
        parser,
        "--from-file",
        _Kind("FILE", _name_of("file")),
        None,
        "Read a saved output of crm_mon, once or in show, instead of running it; - for standard"
        " input.",
    )
    _add(
        parser,
        "--demo",
        _Kind("DEMO", _one_of(DEMOS)),
        None,
        "Show a demonstration instead of this machine's cluster, without Pacemaker: a cluster of"
        f" three nodes, or a cloud of 300 computes: {', '.join(DEMOS)}."
        f" --demo alone shows {DEMOS[0]}.",
    )


class _Parser(argparse.ArgumentParser):
    """Raises argparse's errors as UsageError."""

    def flags(self) -> Iterator[str]:
        """Yield all flags, as they are written."""
        for action in self._actions:
            yield from action.option_strings

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


class _Help(argparse.HelpFormatter):
    """Shows values as required, although the parser accepts flags without them (see _Mistake)."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        return str(action.metavar or default_metavar)


def _address(text: str) -> ListenAddress:
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or (":" in host and not bracketed):
        raise ValueError("write host:port, :port or [IPv6]:port")
    if int(port) > 65535:  # noqa: PLR2004 - the highest port
        raise ValueError("the highest port is 65535")
    return ListenAddress(host[1:-1] if bracketed else host, int(port))


def _telemetry_path(text: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", text):
        raise ValueError("write a path that starts with / and needs no escaping")
    if text in {"/", "/status.json"} or text.startswith("/-/"):
        raise ValueError("another page uses this path")
    return text


def _web_url(text: str) -> str:
    if text and not re.fullmatch(r"https?://[!-~]+", text):
        raise ValueError("is not a URL: write one that starts with http:// or https://")
    # Browsers take a backslash for a slash.
    if "@" in re.split(r"[/\\?#]", text.partition("://")[2])[0]:
        raise ValueError(
            "has a user name or a password in it, which the status page would show to everybody:"
            " write the URL without what is in front of the @"
        )
    return text


def _node_url(text: str) -> str:
    if text and "NODE" not in text:
        raise ValueError("write NODE where the name of the node belongs")
    return _web_url(text)


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
        # An empty value is probably an unset variable, not a wish to go without TLS.
        if not text:
            raise ValueError(f"name a {what}")
        return text

    return read


def _level(text: str) -> str:
    # Prometheus' own programs call it warn.
    return _one_of(logs.LEVELS)("warning" if text == "warn" else text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text))


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from error


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"choose from {', '.join(choices)}")
        return text

    return read
