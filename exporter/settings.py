"""Flags to settings: all of them are read before any mistake is told, in one message."""

import argparse
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter import __version__, logs

PROGRAM = "pacemaker-bundle-exporter"

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
    poll_interval: float
    poll_timeout: float
    poll_max_age: float
    crm_mon_path: str
    cibadmin_path: str
    crm_node_path: str
    command_prefix: tuple[str, ...]
    log_level: str
    log_format: str
    once: bool
    demo: bool


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
    """Read the command line.

    Raises:
        UsageError: there are mistakes in it.
        SystemExit: --help or --version was asked for, and answered.

    """
    namespace, unknown = parser().parse_known_args(arguments)
    values = vars(namespace)
    addresses = tuple(values.pop("web_listen_address") or [_address(_DEFAULT_ADDRESS)])
    mistakes = [f"unknown argument {word!r}" for word in unknown]
    mistakes += [
        f"{value.flag} {value.what}"
        for value in (*addresses, *values.values())
        if isinstance(value, _Mistake)
    ]
    if not mistakes:
        settings = Settings(web_listen_address=addresses, **values)
        if settings.poll_max_age >= settings.poll_interval + settings.poll_timeout:
            return settings
        mistakes.append(
            "--poll.max-age must be at least --poll.interval and --poll.timeout together,"
            " or data would be withdrawn while crm_mon is merely slow"
        )
    raise UsageError("; ".join(mistakes))


def parser() -> argparse.ArgumentParser:
    """Return the parser; what reads a value never fails, but makes a mistake of it."""
    result = argparse.ArgumentParser(
        PROGRAM,
        usage=f"{PROGRAM} [flags]",
        description="Prometheus exporter for Pacemaker container bundles.",
        epilog="Durations are written as 10s, 1m30s or 500ms.",
        allow_abbrev=False,
        formatter_class=_Help,
    )

    def add(flag: str, kind: _Kind, default: str, text: str, *, repeatable: bool = False) -> None:
        def lenient(value: str) -> object:
            try:
                return kind.read(value)
            except ValueError as error:
                return _Mistake(flag, f"{value!r}: {error}")

        result.add_argument(
            flag,
            dest=re.sub(r"[.-]", "_", flag.removeprefix("--")),
            action="append" if repeatable else "store",
            type=lenient,
            # argparse reads a default like any value, but would add to one that is repeatable.
            default=None if repeatable else default,
            nargs="?",
            const=_Mistake(flag, "needs a value"),
            metavar=kind.metavar,
            help=f"{text} (default: {default or 'none'})",
        )

    path = _Kind("PATH", _word)
    duration = _Kind("DURATION", _duration)
    add(
        "--web.listen-address",
        _Kind("[HOST]:PORT", _address),
        _DEFAULT_ADDRESS,
        "Address to listen on, such as 127.0.0.1:19664 or [::1]:19664; may be repeated.",
        repeatable=True,
    )
    add("--web.telemetry-path", _Kind("PATH", _telemetry_path), "/metrics", "Path of the metrics.")
    add(
        "--poll.interval",
        duration,
        "10s",
        "Time from the start of one poll to the start of the next.",
    )
    add("--poll.timeout", duration, "30s", "Time after which crm_mon is killed.")
    add("--poll.max-age", duration, "90s", "Age at which the last good data is withdrawn.")
    add("--crm_mon.path", path, "crm_mon", "The crm_mon to run.")
    add("--cibadmin.path", path, "cibadmin", "The cibadmin to run.")
    add("--crm_node.path", path, "crm_node", "The crm_node to run.")
    add(
        "--command.prefix",
        _Kind("COMMAND", _words),
        "",
        "Words put in front of these commands, such as 'podman exec pacemaker'.",
    )
    add(
        "--log.level",
        _Kind("LEVEL", _one_of(logs.LEVELS)),
        "info",
        f"Least severe level that is logged: {', '.join(logs.LEVELS)}.",
    )
    add(
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
    result.add_argument(
        "--demo",
        action="store_true",
        help="Show a demonstration cluster in place of this machine's; needs no Pacemaker.",
    )
    version = f"{PROGRAM} {__version__}"
    result.add_argument("--version", action="version", version=version)
    return result


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


def _duration(text: str) -> float:
    match = _DURATION.fullmatch(text)
    seconds = sum(
        float(number) * unit
        for number, unit in zip(match.groups("0") if match else (), _UNITS, strict=False)
    )
    if seconds <= 0:
        raise ValueError("write a duration above zero such as 10s, 1m30s or 500ms")
    return seconds


def _word(text: str) -> str:
    if not text.strip():
        raise ValueError("name a command")
    return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text))


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"choose from {', '.join(choices)}")
        return text

    return read
