"""Incidents as timelines: from what happens in a cluster to what a person on call receives."""
