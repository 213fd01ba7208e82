"""Build hook of hatchling: adds generated files, which it writes into build/, to the packages."""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROGRAM = "pacemaker-bundle-exporter"
REVISION = "exporter/REVISION"


class PackageDataHook(BuildHookInterface[Any]):
    """Adds the revision; to wheels also the man page and the shell completions."""

    def dependencies(self) -> list[str]:
        """Return the packages needed to import the parsers and to generate the completions."""
        return [*self.metadata.core.dependencies, "shtab>=1.13"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the files. Editable installations need none."""
        if version == "editable":
            return
        root = Path(self.root)
        made = root / "build" / "generated"
        made.mkdir(parents=True, exist_ok=True)
        if not (root / REVISION).exists():  # an sdist already has it
            (made / "REVISION").write_text(revision(root) + "\n", encoding="utf-8")
            build_data["force_include"][str(made / "REVISION")] = REVISION
        if self.target_name == "wheel":
            sys.path.insert(0, str(root))
            for name, text in documents().items():
                path = made / Path(name).name
                path.write_text(text, encoding="utf-8")
                build_data["shared_data"][str(path)] = name


def revision(root: Path) -> str:
    """Return the commit, marked if files differ from it; empty outside of a git repository."""
    argv = ("git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12")
    try:
        return subprocess.run(
            argv, cwd=root, capture_output=True, check=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def documents() -> dict[str, str]:
    """Return the generated documents by their path below the prefix."""
    return {
        f"share/man/man1/{PROGRAM}.1": man_page(),
        f"share/bash-completion/completions/{PROGRAM}": completion("bash"),
        f"share/zsh/site-functions/_{PROGRAM}": completion("zsh"),
        f"share/fish/vendor_completions.d/{PROGRAM}.fish": completion("fish"),
    }


# ---- Parsers ----


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parsers by subcommand; the exporter itself has the empty one."""
    from exporter.cli import flags

    found = {parser.prog.removeprefix(PROGRAM).strip(): parser for parser in flags.parsers()}
    for parser in found.values():
        for action in list(parser._actions):
            if action.help == argparse.SUPPRESS:
                parser._actions.remove(action)
            # For argparse the value is optional, but only so that our own error reports it as
            # missing.
            if action.nargs == "?" and action.option_strings:
                action.nargs = None
    return found


def completion(shell: str) -> str:
    """Return the completions for bash, zsh or fish."""
    import shtab

    found = commands()
    parser = found.pop("")
    subparsers = parser.add_subparsers()
    for name, of in found.items():
        subparsers.add_parser(name, parents=[of], add_help=False, help=of.description)
    for each in (parser, *subparsers.choices.values()):
        for action in each._actions:
            values = re.search(r": ([a-z]+(?:, [a-z]+)+)\.", action.help or "")
            if action.metavar in {"LEVEL", "FORMAT", "DEMO"} and values:
                action.choices = values[1].split(", ")
            elif action.metavar in {"FILE", "PATH"}:
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab reads it
    text: str = shtab.complete(parser, shell=shell)
    return text


# ---- The man page ----


def man_page() -> str:
    """Return the man page, in groff's man macros."""
    from exporter import __version__

    found = commands()
    day = time.strftime(
        "%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    )
    lines = [
        f'.TH {PROGRAM.upper()} 1 {day} "{PROGRAM} {__version__}" "Administrator\'s manual"',
        *_section("NAME"),
        f"{_escape(PROGRAM)} \\- Prometheus exporter for Pacemaker clusters and their bundles",
        *_section("SYNOPSIS"),
    ]
    for number, (name, parser) in enumerate(found.items()):
        lines += [".br"] if number else []
        lines += [f".B {_escape(f'{PROGRAM} {name}'.strip())}", _positionals(parser)]
    lines += [*_section("DESCRIPTION"), _escape(found[""].description or "")]
    for name, parser in found.items():
        lines += _section(f"OPTIONS OF {name.upper()}" if name else "OPTIONS")
        lines += [_escape(parser.description or "")] if name else []
        for action in parser._actions:
            lines += _option(action)
    lines += [".PP", _escape(found[""].epilog or "")]
    return "\n".join([*lines, *_sections()]) + "\n"


def _positionals(parser: argparse.ArgumentParser) -> str:
    words = [str(a.metavar or a.dest) for a in parser._actions if not a.option_strings]
    flags = [] if words else ["[flags]"]
    return " ".join(f"\\fI{_escape(word)}\\fR" for word in (*flags, *words))


def _option(action: argparse.Action) -> Iterator[str]:
    words = (
        [f"\\fB{_escape(', '.join(action.option_strings))}\\fR"] if action.option_strings else []
    )
    if action.nargs is None or not action.option_strings:
        words.append(f"\\fI{_escape(str(action.metavar))}\\fR")
    yield ".TP"
    yield " ".join(words)
    yield _escape((action.help or "").capitalize() if action.dest == "help" else action.help or "")


def _sections() -> Iterator[str]:
    for title, entries in {
        "EXIT STATUS": {
            "0": "Stopped by a signal; or the poll (--once), read (show) or check succeeded.",
            "1": "An address is not available; the poll, read or check failed.",
            "2": "The flags are wrong.",
            "70": "A bug in the exporter: see the log.",
        },
        "FILES": {
            "/etc/default/pacemaker-bundle-exporter, /etc/sysconfig/pacemaker-bundle-exporter": (
                'Flags of the service: ARGS="--poll.interval=15s --log.level=debug".'
            ),
            "/etc/pacemaker-bundle-exporter/web.yml": (
                "Recommended place of --web.config.file: TLS, users, headers, limits. Group"
                " pacemaker-exporter must be able to read it, and the keys that it names."
            ),
            "/usr/share/pacemaker-bundle-exporter": (
                "Rules, dashboards, runbooks and an Ansible role."
            ),
        },
    }.items():
        yield from _section(title)
        for term, text in entries.items():
            yield from (".TP", f"\\fB{_escape(term)}\\fR", _escape(text))
    yield from _section("SEE ALSO")
    yield ".BR crm_mon (8),\n.BR cibadmin (8),\n.BR crm_node (8)"


def _section(title: str) -> list[str]:
    return [f".SH {_escape(title)}"]


def _escape(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped)
