"""Starts crm_mon ten thousand times in a storm, and reports on the process.

.venv/bin/python -m tests.endurance [POLLS [SEED]]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.endurance.checks import complaints
from tests.endurance.storm import storm


def main() -> int:
    """Run the storm, print the report and return an exit status."""
    parser = argparse.ArgumentParser(prog="tests.endurance", description=__doc__)
    parser.add_argument("starts", nargs="?", type=int, default=10_000)
    parser.add_argument("seed", nargs="?", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        report = storm(Path(name), chosen.starts, chosen.seed)
    print(f"seed {chosen.seed}\n\n{report.tables()}")
    found = list(complaints(report))
    print(*(found or ["nothing to complain about"]), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
