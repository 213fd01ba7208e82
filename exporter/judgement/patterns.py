"""The patterns of location constraints (rsc-pattern): extended regular expressions of POSIX."""

import re
from functools import reduce

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_MOST_REPETITIONS = 3
"""More, or one within another, could take Python's matcher too long for any text."""
_REPETITION = re.compile(r"(?<!\\)[*+?{]")
_REPEATED_GROUP = re.compile(r"\([^()]*[*+?{|][^()]*\)[*+?{]|\)\)+[*+?{]")
_PYTHON_ONLY = re.compile(r"\(\?|[*+?}]\?|[*+?}]\+|\\[A-Za-z0-9]")
_UNKNOWN_CLASS = re.compile(r"\[[\[:.=]")


def compile_pattern(text: str) -> re.Pattern[str] | None:
    """Compile a pattern.

    Returns:
        The pattern, to be searched for. None if it is invalid, has what POSIX and Python understand
        differently, or repeats so much that it could take too long.

    """
    if (
        _PYTHON_ONLY.search(text)
        or _REPEATED_GROUP.search(text)
        or len(_REPETITION.findall(text)) > _MOST_REPETITIONS
    ):
        return None
    translated = reduce(
        lambda known, name: known.replace(f"[:{name}:]", _CLASSES[name]), _CLASSES, text
    )
    if _UNKNOWN_CLASS.search(translated):
        return None
    try:
        return re.compile(translated)
    except re.error:
        return None
