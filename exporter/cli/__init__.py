"""The command line: flags, `show`, and output to a terminal."""
