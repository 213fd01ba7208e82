"""Writes to standard output and reports every error."""


class CannotWriteError(Exception):
    """Not everything could be written to standard output."""


def write_out(data: bytes) -> None:
    """Write data to standard output.

    Raises:
        BrokenPipeError: the reader has closed the pipe.
        CannotWriteError: writing failed; the message says why.

    """
    try:
        # Not sys.stdout: it may be closed, or write only a part without an error.
        with open(1, "wb", closefd=False) as out:
            out.write(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CannotWriteError(f"cannot write to standard output: {error.strerror}") from error
