"""Writing to standard output, so that nothing is lost without a word."""


class CannotWriteError(Exception):
    """Standard output takes nothing, or not all."""


def write_out(data: bytes) -> None:
    """Write all of it.

    Raises:
        BrokenPipeError: whoever read it has gone.
        CannotWriteError: it could not be written; one line says why.

    """
    try:
        # A file of its own: sys.stdout may be closed, or write in parts without telling.
        with open(1, "wb", closefd=False) as out:
            out.write(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CannotWriteError(f"cannot write to standard output: {error.strerror}") from error
