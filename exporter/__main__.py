"""`python -m exporter` runs the program."""

import sys

from exporter.service.program import main

if __name__ == "__main__":
    sys.exit(main())
