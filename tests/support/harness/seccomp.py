"""Runs a program as on another kernel.

    python -m tests.support.harness.seccomp ERRNO FIRST LAST PROGRAM ...

Linux then answers system calls from the number FIRST to LAST with the error ERRNO, such as ENOSYS.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2  # linux/prctl.h
# linux/bpf_common.h and linux/seccomp.h
_LOAD, _JUMP_IF_AT_LEAST, _JUMP_IF_ABOVE, _RETURN = 0x20, 0x35, 0x25, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _instructions(number: int, first: int, last: int) -> Iterator[bytes]:
    for code, if_true, if_false, value in (
        (_LOAD, 0, 0, 0),  # the system call's number
        (_JUMP_IF_AT_LEAST, 0, 2, first),
        (_JUMP_IF_ABOVE, 1, 0, last),
        (_RETURN, 0, 0, _ERROR | number),
        (_RETURN, 0, 0, _ALLOW),
    ):
        yield struct.pack("HBBI", code, if_true, if_false, value)


def forbid(number: int, first: int, last: int) -> None:
    """Forbid system calls in this process and its children, for good."""
    instructions = tuple(_instructions(number, first, last))
    program = _Program(len(instructions), b"".join(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    forbid(getattr(errno, sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    os.execvp(sys.argv[4], sys.argv[4:])  # noqa: S606 - runs the program that it was given
