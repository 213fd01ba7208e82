"""The meaning of each colour, the same on all dashboards. A word accompanies every colour.

Based on the palette of Okabe and Ito, which colour-blind people can distinguish. Some colours are
darker or lighter than the originals, so that Grafana's black or white text on them is readable.
"""

PROMOTED = "#3B62D0"
"""Blue."""
STARTED = "#00805A"
"""Bluish green. Also: well."""
UNPROMOTED = "#78CFFF"
"""Sky blue."""
TRANSITION = "#FFB300"
"""Orange: in transition. Also: degraded, a warning."""
STOPPED = "#BBBBBB"
"""Grey. Also: planned."""
FAILED = "#C04A00"
"""Vermillion. Also: down, critical."""

WELL, WARNING, CRITICAL, PLANNED = STARTED, TRANSITION, FAILED, STOPPED
NOTHING = "transparent"
"""No colour."""
