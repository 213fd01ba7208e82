"""Makes glibc's malloc return free memory to the system. Other allocators are left alone."""

import ctypes

_M_ARENA_MAX = -8  # malloc.h
# Looked up at import, because a later lookup could fail when memory has run out.
_LIBC = ctypes.CDLL(None)
_MALLOPT = getattr(_LIBC, "mallopt", None)
_MALLOC_TRIM = getattr(_LIBC, "malloc_trim", None)


def use_one_arena() -> None:
    """Make all threads started from now on share one malloc arena.

    By default each thread gets its own arena, whose free end, up to 64 MB, is never returned.
    """
    if _MALLOPT is not None:
        _MALLOPT(_M_ARENA_MAX, 1)


def release_free_memory() -> None:
    """Return free memory to the system: malloc keeps it after large blocks are freed."""
    if _MALLOC_TRIM is not None:
        _MALLOC_TRIM(0)
