"""The model of a cluster, one observation of it, and role changes over time."""
