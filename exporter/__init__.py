"""Prometheus exporter for Pacemaker clusters: polls crm_mon and serves what it says."""

from pathlib import Path

__version__ = "0.1.0"


def _revision() -> str:
    built_from = Path(__file__).with_name("REVISION")  # packages have it: hatch_build.py
    return built_from.read_text(encoding="utf-8").strip() if built_from.exists() else ""


__revision__ = _revision()
"""The commit that a package was built from; empty where the sources are run."""
