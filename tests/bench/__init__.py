"""Measurements, each against a reference in the same run; never timed tests."""
