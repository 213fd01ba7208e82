"""What each colour means, the same on every dashboard; no colour stands alone, each has a word.

After Okabe and Ito: told apart by the colour-blind, too. Darker or lighter than theirs, so that
the word that Grafana writes on each, in black or white, can be read.
"""

PROMOTED = "#3B62D0"
"""Blue."""
STARTED = "#00805A"
"""Bluish green. Also: well."""
UNPROMOTED = "#78CFFF"
"""Sky blue."""
TRANSITION = "#FFB300"
"""Orange: on the way. Also: degraded, a warning."""
STOPPED = "#BBBBBB"
"""Grey. Also: on purpose."""
FAILED = "#C04A00"
"""Vermillion. Also: down, critical."""

WELL, WARNING, CRITICAL, PLANNED = STARTED, TRANSITION, FAILED, STOPPED
NOTHING = "transparent"
"""No colour: nothing to say."""
