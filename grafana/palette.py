"""What each colour means, the same on every dashboard; no colour stands alone, each has a word.

After Okabe and Ito: told apart by the colour-blind, too.
"""

PROMOTED = "#0072B2"
"""Blue."""
STARTED = "#009E73"
"""Bluish green. Also: well."""
UNPROMOTED = "#56B4E9"
"""Sky blue."""
TRANSITION = "#E69F00"
"""Orange: on the way. Also: degraded, a warning."""
STOPPED = "#7F7F7F"
"""Grey. Also: on purpose, nothing to say."""
FAILED = "#D55E00"
"""Vermillion. Also: down, critical."""

WELL, WARNING, CRITICAL, NEUTRAL = STARTED, TRANSITION, FAILED, STOPPED
