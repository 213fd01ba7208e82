#!/usr/bin/env python3
"""Apply an operator's changes to the rule files, so that these stay as they are shipped.

    override.py CHANGES.yml --into DIRECTORY RULES.yml ...

Reads the rule files and writes each of them, changed, under its name into another directory, which
is there. Needs Python 3.9 and PyYAML (Debian: python3-yaml). CHANGES.yml, of which every part may
be absent:

    alerts:
      PacemakerBundleDegraded: {for: 10m, severity: warning}
      PacemakerNodeStandby: {for: 12h}
      PacemakerBundleFlapping:
        replace: {"6 *": "10 *"}       # text of the expression: a limit, a range
      PacemakerBundleDisabled: off     # left out
    all:                               # every alert that has such a duration, but for those above
      keep_firing_for: 20m

A keep_firing_for that outlasts what silences in maintenance is warned of: see README.md.
Exit status: 0; 1 when the changes do not fit the rules, and nothing is written; 2 on wrong usage.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path
from typing import Any

import yaml

DURATIONS = ("for", "keep_firing_for")
DURATION = re.compile(r"0|(\d+(ms|[smhdwy]))+")
OF_AN_ALERT = {*DURATIONS, "severity", "replace"}
SEVERITIES = ("critical", "warning", "info")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
# They silence what they explain, and without data for as long as their expressions look back.
EXPLAINING = ("PacemakerMaintenanceMode", "PacemakerBundleMaintenance", "PacemakerStopAllResources")
SEEN = 120  # seconds for which others look back, before their keep_firing_for begins


class ChangesError(Exception):
    """The changes cannot be applied; says what, where, and what there is."""


def apply(changes: Any, files: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - what YAML holds
    """Return the rule files with the changes made.

    Raises:
        ChangesError: they name an alert, a field or a text that is not there.

    """
    changes = _mapping(changes or {}, "the file", {"alerts", "all"})
    everywhere = _mapping(changes.get("all") or {}, "all", set(DURATIONS))
    alerts = _mapping(changes.get("alerts") or {}, "alerts")
    known = [
        r["alert"] for f in files.values() for g in f["groups"] for r in g["rules"] if "alert" in r
    ]
    for name, fields in alerts.items():
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            hint = f"; is it {close[0]}?" if close else ""
            raise ChangesError(f"alerts: there is no {name}{hint}")
        if fields is not False:
            _mapping(fields, f"alerts: {name}", OF_AN_ALERT)
    return {
        file: {
            "groups": [
                {
                    **group,
                    "rules": [
                        _changed(rule, everywhere, alerts.get(rule.get("alert"), {}))
                        for rule in group["rules"]
                        if alerts.get(rule.get("alert")) is not False
                    ],
                }
                for group in content["groups"]
            ]
        }
        for file, content in files.items()
    }


def _mapping(value: Any, where: str, keys: set[str] | None = None) -> dict[Any, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise ChangesError(f"{where}: expected names with values, not {value!r}")
    unknown = sorted(str(key) for key in value.keys() - keys) if keys is not None else []
    if unknown:
        known = ", ".join(sorted(keys or ()))
        raise ChangesError(f"{where}: unknown {', '.join(unknown)}; there are {known}")
    for key in DURATIONS:
        if keys and key in value and not DURATION.fullmatch(str(value[key])):
            raise ChangesError(f"{where}: {key}: no duration: {value[key]!r}; it is like 90s or 5m")
    return value


def _changed(
    rule: dict[str, Any], everywhere: dict[str, Any], fields: dict[str, Any]
) -> dict[str, Any]:
    if "alert" not in rule:
        return rule
    new = {**rule, **{key: value for key, value in everywhere.items() if key in rule}}
    new.update({key: fields[key] for key in DURATIONS if key in fields})
    if "severity" in fields:
        if fields["severity"] not in SEVERITIES:
            raise ChangesError(
                f"alerts: {rule['alert']}: severity is one of {', '.join(SEVERITIES)}"
            )
        new["labels"] = {**rule["labels"], "severity": fields["severity"]}
    for old, text in _mapping(
        fields.get("replace") or {}, f"alerts: {rule['alert']}: replace"
    ).items():
        if str(old) not in new["expr"]:
            raise ChangesError(f"alerts: {rule['alert']}: replace: its expression has no {old!r}")
        new["expr"] = new["expr"].replace(str(old), str(text))
    return new


def unexplained(files: dict[str, Any]) -> list[str]:
    """Say which alerts silence others for a shorter time without data than these go on."""
    rules = [rule for file in files.values() for group in file["groups"] for rule in group["rules"]]
    lasting = [r for r in rules if "keep_firing_for" in r and r["alert"] not in EXPLAINING]
    longest = max(lasting, key=lambda rule: _seconds(rule["keep_firing_for"]), default=None)
    told = []
    for rule in rules:
        if longest and rule.get("alert") in EXPLAINING:
            back = min(re.findall(r"\[(\w+)\]", rule["expr"]), key=_seconds, default="0")
            if _seconds(longest["keep_firing_for"]) + SEEN > _seconds(back):
                told.append(
                    f"{longest['alert']} goes on for 2m and {longest['keep_firing_for']} without"
                    f" data, {rule['alert']} silences for {back}: replace its [{back}]"
                )
    return told


def _seconds(duration: object) -> float:
    found = re.findall(r"(\d+)(ms|[smhdwy])", str(duration))
    return sum(int(number) * SECONDS[unit] for number, unit in found)


# Those in C are ten times as fast, and not in every PyYAML.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc] # either is one
    """Writes text of several lines as such."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def main() -> int:
    """Read, change, write."""
    parser = argparse.ArgumentParser(
        description="Apply changes of your own to Prometheus rule files.",
        epilog="See the head of this file, and README.md beside it.",
    )
    parser.add_argument("changes", type=Path, metavar="CHANGES.yml")
    parser.add_argument("rules", type=Path, nargs="+", metavar="RULES.yml")
    parser.add_argument("--into", type=Path, required=True, metavar="DIRECTORY")
    arguments = parser.parse_args()
    try:
        changed = apply(_read(arguments.changes), {p.name: _read(p) for p in arguments.rules})
        _keep(arguments.rules, arguments.into)
        for line in unexplained(changed):
            print(f"override.py: {arguments.changes}: warning: {line}", file=sys.stderr)
        for path in arguments.rules:
            _write(arguments.into / path.name, path, changed[path.name], arguments.changes.name)
    except ChangesError as error:
        print(f"override.py: {arguments.changes}: {error}", file=sys.stderr)
    except yaml.YAMLError as error:
        print(f"override.py: no YAML: {' '.join(str(error).split())}", file=sys.stderr)
    except OSError as error:
        print(f"override.py: {error.filename}: {error.strerror}", file=sys.stderr)
    else:
        return 0
    return 1


def _keep(rules: list[Path], into: Path) -> None:
    if not into.is_dir():
        raise ChangesError(f"--into {into}: there is no such directory")
    for path in rules:
        if (into / path.name).resolve() == path.resolve():
            raise ChangesError(f"--into {into}: {path} would be overwritten")


def _read(path: Path) -> Any:  # noqa: ANN401 - what YAML holds
    with path.open(encoding="utf-8") as file:  # a file and no text: its errors name the path
        return yaml.load(file, Loader=_Loader)  # noqa: S506 - it is a safe one


def _write(path: Path, original: Path, content: Any, changes: str) -> None:  # noqa: ANN401
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=100)
    head = f"# Made by override.py from {original.name} and {changes}: do not edit.\n"
    path.write_text(head + text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
