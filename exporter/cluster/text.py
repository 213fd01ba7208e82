"""Makes foreign text safe to show: one line, no control characters, limited length."""

TEXT_LIMIT = 1000
"""Maximum characters of a text that is shown."""
REASON_LIMIT = 600
"""Maximum characters of a command's message; fewer, to leave room for advice."""


def printable(text: str) -> str:
    """Escape control and formatting characters, which a terminal would interpret or hide."""
    return text if text.isprintable() else "".join(map(_printable, text))


def shortened(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text as one printable line; if it is cut, say how many characters are missing.

    Args:
        text: the text.
        limit: maximum characters to keep, counted after escaping.

    """
    if len(text) <= limit and text.isprintable():
        return text
    kept, length = [], 0
    for character in text[: limit + 1]:  # escaping never makes a text shorter
        kept.append(_printable(character))
        length += len(kept[-1])
        if length > limit:
            kept.pop()
            return "".join(kept) + f" ... ({len(text) - len(kept)} more characters)"
    return "".join(kept)


def shortened_in_the_middle(text: str, limit: int) -> str:
    """Return several lines, such as a traceback, and cut the middle if they are too long.

    Args:
        text: the lines.
        limit: maximum characters to keep, counted after escaping.

    """
    lines = "\n".join(map(printable, text.split("\n")))
    left_out = len(lines) - limit
    if left_out <= 0:
        return lines
    begin, end = lines[: limit // 2], lines[-(limit // 2) :]
    return f"{begin}\n... ({left_out} more characters)\n{end}"


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode()
