#!/usr/bin/env python3
"""Apply your changes to Prometheus rule files and dashboards without editing the shipped files.

    override.py CHANGES.yml --into DIRECTORY FILE ...

Reads rule files (*.yml) and dashboards (*.json), and writes changed copies with the same names to
an existing directory. In dashboards it only changes the job. With --prometheusrule it writes each
rule file as an object for the Prometheus Operator. Requires Python 3.9 or newer and PyYAML (Debian:
python3-yaml). All parts of CHANGES.yml are optional:

    alerts:
      PacemakerBundleDown: {for: 10m, severity: warning}
      PacemakerNodeStandby: {for: 12h}
      PacemakerBundleFlapping:
        replace: {"6 *": "10 *"}       # replace text in the expression, such as a limit or a range
      PacemakerBundleDisabled: off     # remove the alert
    all:                               # all other alerts that have this duration
      keep_firing_for: 20m             # off removes it, for Prometheus before 2.42
    job: ha-clusters                   # the job of the exporters, if it is not named pacemaker

Exit status: 0 on success. 1 if the changes do not fit the rules; no file is written. 2 on wrong
usage.
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
JOB = "pacemaker"


class ChangesError(Exception):
    """The changes cannot be applied. The message names the error, its place and the known names."""


def apply(changes: Any, files: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - what YAML holds
    """Return the contents of the rule files with the changes applied.

    Raises:
        ChangesError: The changes name an unknown alert or field, or a text that is not in the
            expression.

    """
    job = job_of(changes)
    changes = changes or {}
    everywhere = _mapping(changes.get("all") or {}, "all", set(DURATIONS))
    alerts = _mapping(changes.get("alerts") or {}, "alerts")
    known = [
        r["alert"] for f in files.values() for g in f["groups"] for r in g["rules"] if "alert" in r
    ]
    for name, fields in alerts.items():
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ChangesError(f"alerts: unknown alert {name}{hint}")
        if fields is not False:
            _mapping(fields, f"alerts: {name}", OF_AN_ALERT)
    return {
        file: {
            "groups": [
                {
                    **group,
                    "rules": [
                        _changed(_of_job(rule, job), everywhere, alerts.get(rule.get("alert"), {}))
                        for rule in group["rules"]
                        if alerts.get(rule.get("alert")) is not False
                    ],
                }
                for group in content["groups"]
            ]
        }
        for file, content in files.items()
    }


def job_of(changes: Any) -> str:  # noqa: ANN401 - what YAML holds
    """Return the name of the exporters' job.

    Raises:
        ChangesError: The file has an unknown key, or it is not a name.

    """
    job = _mapping(changes or {}, "the file", {"alerts", "all", "job"}).get("job", JOB)
    if not isinstance(job, str) or not re.fullmatch(r"[^\"\\\n]+", job):
        raise ChangesError(f"job: must be the name of a job, not {job!r}")
    return job


def with_job(job: str, text: str) -> str:
    """Return an expression, or a dashboard as JSON, with another job in its selectors."""
    for quote in ('"', '\\"'):
        text = text.replace(f"job={quote}{JOB}{quote}", f"job={quote}{job}{quote}")
    return text


def _mapping(value: Any, where: str, keys: set[str] | None = None) -> dict[Any, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise ChangesError(f"{where}: must be a mapping, not {value!r}")
    unknown = sorted(str(key) for key in value.keys() - keys) if keys is not None else []
    if unknown:
        known = ", ".join(sorted(keys or ()))
        raise ChangesError(f"{where}: unknown key {', '.join(unknown)}; known keys: {known}")
    for key in DURATIONS:
        if not keys or key not in value or (value[key] is False and key == "keep_firing_for"):
            continue
        if not DURATION.fullmatch(str(value[key])):
            raise ChangesError(f"{where}: {key}: must be like 90s or 5m, not {value[key]!r}")
    return value


def _of_job(rule: dict[str, Any], job: str) -> dict[str, Any]:
    new = {**rule, "expr": with_job(job, rule["expr"])}
    if "annotations" in rule:
        new["annotations"] = {
            name: re.sub(rf"\bjob {JOB}\b", lambda _: f"job {job}", text)
            for name, text in rule["annotations"].items()
        }
    return new


def _changed(
    rule: dict[str, Any], everywhere: dict[str, Any], fields: dict[str, Any]
) -> dict[str, Any]:
    if "alert" not in rule:
        return rule
    new = {**rule, **{key: value for key, value in everywhere.items() if key in rule}}
    new.update({key: fields[key] for key in DURATIONS if key in fields})
    if new.get("keep_firing_for") is False:
        del new["keep_firing_for"]
    if "severity" in fields:
        if fields["severity"] not in SEVERITIES:
            raise ChangesError(
                f"alerts: {rule['alert']}: severity must be one of {', '.join(SEVERITIES)}"
            )
        new["labels"] = {**rule["labels"], "severity": fields["severity"]}
    for old, text in _mapping(
        fields.get("replace") or {}, f"alerts: {rule['alert']}: replace"
    ).items():
        if str(old) not in new["expr"]:
            raise ChangesError(
                f"alerts: {rule['alert']}: replace: the expression does not contain {old!r}"
            )
        new["expr"] = new["expr"].replace(str(old), str(text))
    return new


# The classes in C are ten times as fast, but not every PyYAML has them.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc] # either is one
    """Writes text with line breaks as literal blocks."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def main() -> int:
    """Run the program and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "changes", type=Path, metavar="CHANGES.yml", help="your changes, as described above"
    )
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="shipped rule files, or dashboards (*.json)",
    )
    parser.add_argument(
        "--into",
        type=Path,
        required=True,
        metavar="DIRECTORY",
        help="existing directory for the changed files",
    )
    parser.add_argument(
        "--prometheusrule",
        action="store_true",
        help="write each rule file as a PrometheusRule for the Prometheus Operator",
    )
    arguments = parser.parse_args()
    rules = [path for path in arguments.files if path.suffix != ".json"]
    dashboards = [path for path in arguments.files if path.suffix == ".json"]
    try:
        changes = _read(arguments.changes)
        changed = apply(changes, {path.name: _read(path) for path in rules})
        texts = {path: with_job(job_of(changes), path.read_text("utf-8")) for path in dashboards}
        _keep(arguments.files, arguments.into)
        for path in rules:
            content = changed[path.name]
            if arguments.prometheusrule:
                content = _prometheusrule(path, content)
            _write(arguments.into / path.name, path, content, arguments.changes.name)
        for path, text in texts.items():
            (arguments.into / path.name).write_text(text, encoding="utf-8")
    except ChangesError as error:
        print(f"override.py: {arguments.changes}: {error}", file=sys.stderr)
    except yaml.YAMLError as error:
        print(f"override.py: invalid YAML: {' '.join(str(error).split())}", file=sys.stderr)
    except OSError as error:
        print(f"override.py: {error.filename}: {error.strerror}", file=sys.stderr)
    else:
        return 0
    return 1


def _prometheusrule(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    # Names of objects have no underscore.
    name = path.name.partition(".")[0].replace("_", "-")
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name},
        "spec": content,
    }


def _keep(files: list[Path], into: Path) -> None:
    if not into.is_dir():
        raise ChangesError(f"--into {into}: the directory does not exist")
    for path in files:
        if (into / path.name).resolve() == path.resolve():
            raise ChangesError(f"--into {into}: this would overwrite {path}")


def _read(path: Path) -> Any:  # noqa: ANN401 - what YAML holds
    with path.open(encoding="utf-8") as file:  # pass the file, so that YAML errors name its path
        return yaml.load(file, Loader=_Loader)  # noqa: S506 - it is a safe one


def _write(path: Path, original: Path, content: Any, changes: str) -> None:  # noqa: ANN401
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=100)
    head = f"# Generated by override.py from {original.name} and {changes}: do not edit.\n"
    path.write_text(head + text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
