"""Reading XML from a command that is trusted to run, and not to print what it should."""

import contextlib
import hashlib
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from lxml import etree

from exporter.errors import Outcome, PollError

INFINITY = 1_000_000
"""Pacemaker's ("Scores" in Pacemaker Explained)."""

# Not all that Python takes for numbers, and none that a float cannot hold: Prometheus would
# refuse the whole page for it.
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")
_DECIMAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_FLAGS: dict[str | None, bool] = {
    **dict.fromkeys(("true", "on", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "off", "no", "n", "0"), False),
}


Found = TypeVar("Found")
Value = TypeVar("Value")


class MalformedError(PollError):
    """The output is not the XML that it should be."""

    def __init__(self, message: str) -> None:
        super().__init__(Outcome.MALFORMED, message)


def parse_document(data: bytes, command: str) -> etree._Element:
    """Parse with everything off that reaches outside the document or blows it up.

    Raises:
        MalformedError: it is not well-formed, or has a document type definition.

    """
    if not data.lstrip().startswith(b"<"):
        start = data.strip()[:100].decode(errors="replace").partition("\n")[0]
        raise MalformedError(f"{command} printed no XML but {start!r}")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        reason = " ".join(str(error.msg).split())
        raise MalformedError(f"{command} printed ill-formed XML: {reason}") from error
    if root.getroottree().docinfo.doctype:
        raise MalformedError(f"{command} printed a document type definition, which is refused")
    return root


def free_in_pieces(root: etree._Element) -> None:
    """Empty a document that has been read.

    Freed as a whole, one of 300 bundles of 8 holds Python's lock, and so all scrapes, for 9 ms.
    """
    for element in root.iterfind("*/*"):
        element.clear()


class Memory:
    """What elements of the document before were read to.

    What is written as it was, and refers to what is as it was, is not read again, and is the same
    object: equality, and what follows from it, is known at once.
    """

    def __init__(self) -> None:
        self._before: dict[bytes, tuple[Any, dict[str, Any]]] = {}
        """What an element was read to, and what the reading looked up elsewhere."""
        self._now: dict[bytes, tuple[Any, dict[str, Any]]] = {}

    @contextlib.contextmanager
    def document(self) -> Iterator[None]:
        """Read a document; when that is done, what it did not have is forgotten."""
        self._now = {}
        yield
        self._before = self._now

    def recall(
        self,
        element: etree._Element,
        read: Callable[[etree._Element, Callable[[str], Found]], Value],
        look_up: Callable[[str], Found],
    ) -> Value:
        """Return what the element was read to, or read it if what it looks up is not as it was."""
        key = hashlib.sha256(etree.tostring(element, with_tail=False)).digest()
        known, looked_up = self._before.get(key, (None, {}))
        found = {name: look_up(name) for name in looked_up}
        if known is not None and found == looked_up:
            value: Value = known
        else:
            found = {}

            def noted(name: str) -> Found:
                found[name] = look_up(name)
                return found[name]

            value = read(element, noted)
        self._now[key] = value, found
        return value


def required(element: etree._Element, name: str) -> str:
    """Return an attribute that must be there.

    Raises:
        MalformedError: it is missing; names element and line.

    """
    value = element.get(name)
    if value is None:
        raise MalformedError(f"{where(element)} has no attribute {name}")
    return value


def required_flag(element: etree._Element, name: str) -> bool:
    """Return a boolean attribute that must be there.

    Raises:
        MalformedError: it is missing or no boolean; names element and line.

    """
    value = to_flag(required(element, name))
    if value is None:
        raise MalformedError(f"{where(element)} has {name}={element.get(name)!r}, not a boolean")
    return value


def flag(element: etree._Element, name: str, *, default: bool = False) -> bool:
    """Return an optional boolean attribute; the default where it is missing or unknown."""
    text = element.get(name)
    if text is None:
        return default
    value = to_flag(text)
    return default if value is None else value


def to_flag(text: str | None) -> bool | None:
    """Read a boolean in the spellings that Pacemaker takes; None for anything else."""
    if text in _FLAGS:
        return _FLAGS[text]
    return _FLAGS.get(text.lower()) if text else None


def to_int(text: str | None) -> int | None:
    """Read an integer; None where it is missing, empty or none."""
    return int(text) if text and _INTEGER.fullmatch(text) else None


def to_score(text: str | None) -> int | None:
    """Read a score: an integer or ±INFINITY, which is ±1000000 in Pacemaker."""
    named = {"INFINITY": INFINITY, "+INFINITY": INFINITY, "-INFINITY": -INFINITY}
    return named[text] if text in named else to_int(text)


def to_number(text: str) -> float | None:
    """Read a number that a metric can have: a score, or a decimal fraction."""
    score = to_score(text)
    if score is not None:
        return score
    number = float(text) if _DECIMAL.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def where(element: etree._Element) -> str:
    """Name an element for an error line."""
    name = element.get("id") or element.get("name")
    tag = str(element.tag)
    label = f"<{tag} {name!r}>" if name else f"<{tag}>"
    return f"line {element.sourceline}: {label}"
