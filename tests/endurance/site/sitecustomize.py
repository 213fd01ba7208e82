"""Sets the wall clock of a Python wrong by the seconds in a file, from its start.

Not faketime, which costs each reading of the clock a system call and each command its start;
tests/runtime/test_clock.py has that.
"""

import os
import time
from pathlib import Path

_true = time.time
_file = Path(os.environ["WALL_CLOCK_OFFSET"])
time.time = lambda: _true() + float(_file.read_text(encoding="utf-8"))
