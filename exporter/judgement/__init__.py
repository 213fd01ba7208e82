"""Judges the state of a cluster: what is wrong, how bad, and what to do."""
