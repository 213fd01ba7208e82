"""Breaks the code in one place at a time to find missing tests."""
