"""Prometheus exporter for Pacemaker clusters: polls crm_mon and serves metrics."""

from importlib import resources

__version__ = "0.1.0"


def _revision() -> str:
    # hatch_build.py writes it. As a resource, it can also be in a zip.
    built_from = resources.files(__name__) / "REVISION"
    return built_from.read_text(encoding="utf-8").strip() if built_from.is_file() else ""


__revision__ = _revision()
"""The commit that the package was built from; empty when run from the sources."""
