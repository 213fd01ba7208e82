"""Sets the wall clock of a Python wrong by the seconds in a file, from its start.

Not faketime: with that of Debian 12 (0.9.10) every time.sleep of Python 3.11 fails, which waits
for a moment of the monotonic clock.
"""

import os
import time
from pathlib import Path

_true = time.time
_file = Path(os.environ["WALL_CLOCK_OFFSET"])
time.time = lambda: _true() + float(_file.read_text(encoding="utf-8"))
