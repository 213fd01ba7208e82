"""Starts and drives programs: the exporter, its commands and its clients."""
