"""The program: wiring, signals and systemd."""
