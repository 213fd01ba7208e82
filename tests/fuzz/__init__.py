"""Looking for input that the exporter cannot stand: `make fuzz`, or CONTRIBUTING.md."""
