"""Prometheus exporter for Pacemaker clusters: polls crm_mon and serves metrics."""

from pathlib import Path

__version__ = "0.1.0"


def _revision() -> str:
    built_from = Path(__file__).with_name("REVISION")  # hatch_build.py writes it
    return built_from.read_text(encoding="utf-8").strip() if built_from.exists() else ""


__revision__ = _revision()
"""The commit that the package was built from; empty when run from the sources."""
