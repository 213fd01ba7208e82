"""Renders families in the two text formats of Prometheus.

A large cluster has tens of thousands of samples, and prometheus_client's generate_latest takes
three times as long (BENCHMARKS.md). The tests check the text with prometheus_client's parsers.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, repeat
from typing import TypeVar

from exporter.metrics.declaration import Family, Kind

GZIP_LEVEL = 1
"""The lowest: higher levels save few bytes of such repetitive text for much CPU time."""
_NO_PARTS = repeat((object(), ""))
"""Pairs of part and lines that equal no real part, for parts without a predecessor."""
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"

Source = TypeVar("Source")


class Format(StrEnum):
    """A text format; the value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


EOF = {Format.TEXT: b"", Format.OPENMETRICS: b"# EOF\n"}
"""The end-of-page marker of each format."""


@dataclass(frozen=True, slots=True)
class Block:
    """One rendered family."""

    name: str
    kind: Kind
    help: str
    parts: tuple[object, ...]
    """The parts that it was rendered from."""
    lines: tuple[str, ...]
    """The lines of each part."""

    def text(self, form: Format) -> Iterator[str]:
        """Yield the text in a format. OpenMetrics names a counter without _total in its header."""
        name = self.name.removesuffix("_total") if form is Format.OPENMETRICS else self.name
        yield f"# HELP {name} {self.help}\n# TYPE {name} {self.kind}\n"
        yield from self.lines

    def is_named(self, names: frozenset[str]) -> bool:
        """Whether one of the names is this family's name in either format."""
        return self.name in names or self.name.removesuffix("_total") in names


def render(
    families: Iterable[Family[Source]], source: Source, before: Iterable[Block] = ()
) -> tuple[Block, ...]:
    """Render families to blocks; leave out families without samples.

    Args:
        families: the families to render.
        source: what they are about.
        before: the previous blocks. Parts that are equal, at the same position, reuse their lines.

    """
    writer = _Writer()
    previous_blocks = {block.name: block for block in before}
    blocks = []
    for family in families:
        block = previous_blocks.get(family.name)
        parts = tuple(family.parts(source))
        if block is None or block.parts != parts:
            pattern = _pattern(family)
            previous = zip(block.parts, block.lines, strict=True) if block else ()
            lines = tuple(
                [
                    lines if part == was else writer.lines(pattern, family.collect(part))
                    for part, (was, lines) in zip(parts, chain(previous, _NO_PARTS), strict=False)
                ]
            )
            block = Block(family.name, family.kind, family.help, parts, lines)
        if any(block.lines):
            blocks.append(block)
    return tuple(blocks)


def join(blocks: Iterable[Block], form: Format) -> bytes:
    """Join blocks to text, without the end-of-page marker."""
    return "".join(chain.from_iterable(block.text(form) for block in blocks)).encode()


@dataclass(frozen=True, slots=True)
class Page:
    """The cluster families, rendered and compressed once per poll for all scrapes.

    Both formats share all families but counters, which come last.
    """

    blocks: tuple[Block, ...]
    shared: bytes
    deflated: bytes
    """The shared part as deflate blocks; more blocks may follow."""
    checksum: int
    """CRC-32 of the shared part."""

    @classmethod
    def of(cls, blocks: tuple[Block, ...]) -> "Page":
        """Join and compress blocks."""
        shared = join((b for b in blocks if b.kind is not Kind.COUNTER), Format.TEXT)
        compressor = zlib.compressobj(GZIP_LEVEL, wbits=-zlib.MAX_WBITS)
        deflated = compressor.compress(shared) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return cls(blocks, shared, deflated, zlib.crc32(shared))

    def counters(self, form: Format) -> bytes:
        """Return the counters, which differ between formats."""
        return join((b for b in self.blocks if b.kind is Kind.COUNTER), form)

    def followed_by(self, rest: bytes) -> bytes:
        """Return the shared part, followed by the rest."""
        return self.shared + rest

    def gzip_followed_by(self, rest: bytes) -> bytes:
        """Return the same as one gzip member, compressing only the rest."""
        compressor = zlib.compressobj(GZIP_LEVEL, wbits=-zlib.MAX_WBITS)
        end = compressor.compress(rest) + compressor.flush()
        size = len(self.shared) + len(rest)
        trailer = struct.pack("<II", zlib.crc32(rest, self.checksum), size & 0xFFFFFFFF)
        return b"".join((_GZIP_HEADER, self.deflated, end, trailer))


EMPTY = Page.of(())
"""The page without an observation."""


def _pattern(family: Family[Source]) -> str:
    """Return a %-format string for the line of a sample."""
    labels = ",".join(f'{label}="%s"' for label in family.labels)
    return f"{family.name}{{{labels}}} %s\n" if labels else f"{family.name} %s\n"


class _Writer:
    """Writes samples; converts each label value and number to text once."""

    def __init__(self) -> None:
        self._label = _LabelTexts().__getitem__
        self._number = _NumberTexts().__getitem__

    def lines(self, pattern: str, samples: Mapping[tuple[str, ...], float]) -> str:
        label, number = self._label, self._number
        return "".join(
            [pattern % (*map(label, labels), number(value)) for labels, value in samples.items()]
        )


class _LabelTexts(dict[str, str]):
    """Escaped text by label value: most values repeat."""

    def __missing__(self, text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        self[text] = escaped
        return escaped


class _NumberTexts(dict[float, str]):
    """Text by number; True and 1.0 share the entry of 1."""

    def __missing__(self, number: float) -> str:
        text = str(int(number)) if number % 1 == 0 else repr(number)
        self[number] = text
        return text
