"""What the tests share: models of clusters, oracles, and a harness for programs."""
