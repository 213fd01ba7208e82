"""A real Pacemaker cluster, broken on purpose. Needs root; `make test-cluster` runs it."""
