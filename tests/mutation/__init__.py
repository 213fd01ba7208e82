"""Breaks the exporter's code in one place at a time, to see which test notices."""
