"""Prometheus exporter for Pacemaker clusters: polls crm_mon and serves what it says."""

__version__ = "0.1.0"
__revision__ = ""  # the commit, for whoever packages it; unknown otherwise
