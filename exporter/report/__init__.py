"""The cluster as tables of words and as data for JSON."""
