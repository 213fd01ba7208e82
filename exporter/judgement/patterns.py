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
_GROUPS = 10
_REPETITION = re.compile(r"(?<!\\)[*+?{]")
_REPEATED_GROUP = re.compile(r"\([^()]*[*+?{|][^()]*\)[*+?{]|\)\)+[*+?{]")
_PYTHON_ONLY = re.compile(r"\(\?|[*+?}]\?|[*+?}]\+|\\[A-Za-z0-9]")
_UNKNOWN_CLASS = re.compile(r"\[[\[:.=]")


class ResourcePattern:
    """The pattern of a location constraint: it matches ids of resources, or all others (`!`)."""

    def __init__(self, regex: re.Pattern[str], *, negated: bool) -> None:
        """Args: what to search for; whether ids without it match."""
        self._regex = regex
        self._negated = negated

    @classmethod
    def of(cls, text: str) -> "ResourcePattern | None":
        """Read a pattern; None if it cannot be evaluated: see compile_pattern."""
        negated = text.startswith("!")
        regex = compile_pattern(text[negated:])
        return None if regex is None else cls(regex, negated=negated)

    def match(self, resource: str) -> tuple[str, ...] | None:
        """Return what %0 to %9 stand for, nothing if negated; None if the id does not match."""
        found = self._regex.search(resource)
        if found is None:
            return () if self._negated else None
        if self._negated:
            return None
        groups = (found[0], *found.groups(default=""))
        return (*groups, *[""] * (_GROUPS - len(groups)))


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
