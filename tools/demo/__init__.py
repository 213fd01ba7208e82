"""Generates the demonstrations of the exporter."""
