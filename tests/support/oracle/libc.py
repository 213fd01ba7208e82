"""What the C library of this machine, which Pacemaker calls, makes of texts."""

import ctypes
from collections.abc import Sequence

_LIBC = ctypes.CDLL(None)
_LIBC.strtod.restype = ctypes.c_double
_LIBC.strtoll.restype = ctypes.c_longlong
_EXTENDED = 1
_LARGEST = 1024
"""More bytes than any regex_t has."""


class _Span(ctypes.Structure):
    """regmatch_t of glibc."""

    _fields_ = (("start", ctypes.c_int), ("end", ctypes.c_int))


def match(pattern: str, text: str) -> Sequence[str] | None:
    """The match and its nine submatches by regexec(3), None without a match.

    Raises:
        ValueError: regcomp(3) refuses the pattern.

    """
    compiled = ctypes.create_string_buffer(_LARGEST)
    if _LIBC.regcomp(compiled, pattern.encode(), _EXTENDED):
        raise ValueError(pattern)
    spans = (_Span * 10)()
    missed = _LIBC.regexec(compiled, text.encode(), 10, spans, 0)
    _LIBC.regfree(compiled)
    return None if missed else [text[s.start : s.end] if s.start >= 0 else "" for s in spans]


def integer(text: str) -> int | None:
    """The number at the beginning by strtoll(3)."""
    end = ctypes.c_char_p()
    data = ctypes.create_string_buffer(text.encode())
    number = _LIBC.strtoll(data, ctypes.byref(end), 10)
    return None if end.value == text.encode() else int(number)


def number(text: str) -> float | None:
    """The number at the beginning by strtod(3)."""
    end = ctypes.c_char_p()
    data = ctypes.create_string_buffer(text.encode())
    found = _LIBC.strtod(data, ctypes.byref(end))
    return None if end.value == text.encode() else float(found)


def compare(left: str, right: str) -> int:
    """The order of two texts by strcasecmp(3)."""
    return int(_LIBC.strcasecmp(left.encode(), right.encode()))
