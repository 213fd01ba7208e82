"""Parses XML defensively: the command is trusted, its output is not."""

import contextlib
import hashlib
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from lxml import etree

from exporter.cluster.model import INFINITY
from exporter.cluster.outcome import Failure, Outcome, out_of_memory

# Stricter than Python's int() and float(). Numbers that a float cannot hold are excluded, because
# Prometheus rejects a page that has one.
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")
_DECIMAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_TIME = re.compile(
    r"\s*(?P<number>\d{1,18})[\d.]*\s*(?P<unit>ms|us|s|m|h|\Z)", re.ASCII | re.IGNORECASE
)
_MICROSECONDS = {
    "us": 1,
    "ms": 1000,
    "s": 1_000_000,
    "": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
}
_SCORES: dict[str | None, int] = {
    "INFINITY": INFINITY,
    "+INFINITY": INFINITY,
    "-INFINITY": -INFINITY,
}
_FLAGS: dict[str | None, bool] = {
    **dict.fromkeys(("true", "on", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "off", "no", "n", "0"), False),
}


_OTHER = rb"""(?:\s+(?!state=)[a-z-]+="[^"<]*")*"""
_PENDING_TWICE = re.compile(
    rb"""(<fence_event%b\s+state="pending"%b\s+)state="pending"(?=%b\s*/?>)""" % ((_OTHER,) * 3)
)

Found = TypeVar("Found")
Value = TypeVar("Value")


class UnreadableError(Exception):
    """An answer cannot be read. `reading` turns it into a Failure."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(outcome, message)


class MalformedError(UnreadableError):
    """The output is not the expected XML."""

    def __init__(self, message: str) -> None:
        super().__init__(Outcome.MALFORMED, message)


def reading(command: str, read: Callable[[], Value]) -> Value | Failure:
    """Return what `read` returns, or the failure if the answer cannot be read.

    The exception does not leave this function, so its stack frames, which hold the answer, are
    freed.
    """
    try:
        return read()
    except UnreadableError as error:
        return error.failure
    except MemoryError:
        pass  # leaving this block frees what the reader held
    return out_of_memory(f"read the output of {command}")


def parse_document(data: bytes, command: str) -> etree._Element:
    """Parse a document without entities, external files or huge trees.

    Raises:
        MalformedError: the document is not well-formed, or has a document type definition.
        MemoryError: there is not enough memory.

    """
    if not data.lstrip().startswith(b"<"):
        start = data.strip()[:100].decode(errors="replace").partition("\n")[0]
        raise MalformedError(f"{command} did not print XML: {start!r}")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        # Without memory for a message there is none.
        if error.code == etree.ErrorTypes.ERR_NO_MEMORY or error.msg is None:
            raise MemoryError from error
        if error.code == etree.ErrorTypes.ERR_ATTRIBUTE_REDEFINED:
            once = pending_once(data)
            if once != data:
                return parse_document(once, command)
        reason = " ".join(str(error.msg).split())
        raise MalformedError(f"{command} printed ill-formed XML: {reason}") from error
    if root.getroottree().docinfo.doctype:
        raise MalformedError(f"{command} printed a document type definition, which is refused")
    return root


def pending_once(data: bytes) -> bytes:
    """Remove the second state="pending" of fence_event elements.

    crm_mon 1.1 writes the attribute twice while fencing is under way. Other faults are not
    repaired.
    """
    return _PENDING_TWICE.sub(rb"\1", data)


def free_in_pieces(root: etree._Element) -> None:
    """Free a parsed document element by element.

    Freeing 300 bundles of 8 replicas at once holds Python's lock, and so blocks scrapes, for 9 ms.
    """
    for element in root.iterfind("*/*"):
        element.clear()


class ParseCache:
    """Reuses the parsed form of elements that did not change since the last document.

    An element is parsed again only if its text changed, or if anything that it looked up changed.
    Otherwise the same object is returned, which makes comparisons with the last document quick.
    """

    def __init__(self) -> None:
        self._previous: dict[bytes, tuple[Any, dict[str, Any]]] = {}
        """Parsed element and the values it looked up, by the hash of the element's text."""
        self._current: dict[bytes, tuple[Any, dict[str, Any]]] = {}

    @contextlib.contextmanager
    def document(self) -> Iterator[None]:
        """Parse one document in this context, then forget elements that it did not have."""
        self._current = {}
        yield
        self._previous = self._current

    def read(
        self,
        element: etree._Element,
        read: Callable[[etree._Element, Callable[[str], Found]], Value],
        look_up: Callable[[str], Found],
    ) -> Value:
        """Return the parsed element, from the cache if possible.

        Args:
            element: the element.
            read: parses it; gets the element and a function to look up names elsewhere.
            look_up: finds what a name stands for.

        """
        key = hashlib.sha256(etree.tostring(element, with_tail=False)).digest()
        known, looked_up = self._previous.get(key, (None, {}))
        found = {name: look_up(name) for name in looked_up}
        if known is not None and found == looked_up:
            value: Value = known
        else:
            found = {}

            def look_up_and_note(name: str) -> Found:
                found[name] = look_up(name)
                return found[name]

            value = read(element, look_up_and_note)
        self._current[key] = value, found
        return value


def required(element: etree._Element, name: str) -> str:
    """Return a required attribute.

    Raises:
        MalformedError: it is missing; the message names element and line.

    """
    value = element.get(name)
    if value is None:
        raise MalformedError(f"{where(element)} has no attribute {name}")
    return value


def required_flag(element: etree._Element, name: str) -> bool:
    """Return a required boolean attribute.

    Raises:
        MalformedError: it is missing or not a boolean; the message names element and line.

    """
    value = to_flag(required(element, name))
    if value is None:
        raise MalformedError(f"{where(element)} has {name}={element.get(name)!r}, not a boolean")
    return value


def flag(element: etree._Element, name: str, *, default: bool = False) -> bool:
    """Return an optional boolean attribute, or the default if it is missing or not a boolean."""
    text = element.get(name)
    if text is None:
        return default
    value = to_flag(text)
    return default if value is None else value


def to_flag(text: str | None) -> bool | None:
    """Parse a boolean in any spelling that Pacemaker accepts; return None for anything else."""
    if text in _FLAGS:
        return _FLAGS[text]
    return _FLAGS.get(text.lower()) if text else None


def to_int(text: str | None) -> int | None:
    """Parse an integer; return None if it is missing, empty or not an integer."""
    return int(text) if text and _INTEGER.fullmatch(text) else None


def to_score(text: str | None) -> int | None:
    """Parse a score: an integer or ±INFINITY, which is ±1000000 in Pacemaker."""
    return _SCORES[text] if text in _SCORES else to_int(text)


def to_number(text: str) -> float | None:
    """Parse a finite number: a score or a decimal fraction; return None for anything else."""
    score = to_score(text)
    if score is not None:
        return score
    number = float(text) if _DECIMAL.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def to_seconds(text: str) -> float | None:
    """Parse a time as Pacemaker does: a number, its decimals ignored, and perhaps a unit.

    Only the beginning of a unit counts. Return None for anything else, negative numbers included.
    """
    found = _TIME.match(text)
    if not found:
        return None
    return int(found["number"]) * _MICROSECONDS[found["unit"].lower()] // 1000 / 1000


def where(element: etree._Element) -> str:
    """Describe an element for error messages: line, tag, and id or name."""
    name = element.get("id") or element.get("name")
    tag = str(element.tag)
    label = f"<{tag} {name!r}>" if name else f"<{tag}>"
    return f"line {element.sourceline}: {label}"
