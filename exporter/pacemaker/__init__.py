"""Runs Pacemaker's commands and parses their output."""
