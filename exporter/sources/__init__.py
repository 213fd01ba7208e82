"""The sources: each reads one thing about the cluster when it is due."""
