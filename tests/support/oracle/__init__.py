"""Expected results that do not come from the exporter's code."""
