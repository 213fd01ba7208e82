"""Clusters, CIBs, states and situations that tests show to the exporter."""
