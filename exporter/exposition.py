"""From families to the text that Prometheus scrapes, in both of its formats.

Ours rather than prometheus_client's generate_latest, which takes three times as long (see
BENCHMARKS.md), and a poll of a large cluster makes tens of thousands of samples.
prometheus_client's parsers check it in the tests.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, repeat
from typing import TypeVar

from exporter.metrics import Family, Kind

GZIP_LEVEL = 1
"""The text repeats itself so much that higher levels cost more than the bytes they save."""
_NOTHING = repeat((object(), ""))
"""Parts, and their lines, that there are none of: equal to no other."""
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"

Source = TypeVar("Source")


class Format(StrEnum):
    """A text format; the value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


EOF = {Format.TEXT: b"", Format.OPENMETRICS: b"# EOF\n"}
"""What closes a page."""


@dataclass(frozen=True, slots=True)
class Block:
    """One family as text: what a name filter picks."""

    name: str
    kind: Kind
    help: str
    parts: tuple[object, ...]
    """What it was rendered of."""
    lines: tuple[str, ...]
    """Those of each part."""

    def text(self, form: Format) -> Iterator[str]:
        """Yield it in a format: OpenMetrics heads a counter without its _total."""
        name = self.name.removesuffix("_total") if form is Format.OPENMETRICS else self.name
        yield f"# HELP {name} {self.help}\n# TYPE {name} {self.kind}\n"
        yield from self.lines

    def answers_to(self, names: frozenset[str]) -> bool:
        """Whether one of the names is this family's, as either format has it."""
        return self.name in names or self.name.removesuffix("_total") in names


def render(
    families: Iterable[Family[Source]], source: Source, before: Iterable[Block] = ()
) -> tuple[Block, ...]:
    """Render families, each to a block; one without samples leaves none.

    Of the blocks before, the lines of those parts stay that are what they were, and where.
    """
    writer = _Writer()
    known = {block.name: block for block in before}
    blocks = []
    for family in families:
        block = known.get(family.name)
        parts = tuple(family.parts(source))
        if block is None or block.parts != parts:
            pattern = _pattern(family)
            there = zip(block.parts, block.lines, strict=True) if block else ()
            lines = tuple(
                [
                    lines if part == was else writer.lines(pattern, family.collect(part))
                    for part, (was, lines) in zip(parts, chain(there, _NOTHING), strict=False)
                ]
            )
            block = Block(family.name, family.kind, family.help, parts, lines)
        if any(block.lines):
            blocks.append(block)
    return tuple(blocks)


def join(blocks: Iterable[Block], form: Format) -> bytes:
    """Join blocks to text, without what closes a page."""
    return "".join(chain.from_iterable(block.text(form) for block in blocks)).encode()


@dataclass(frozen=True, slots=True)
class Page:
    """The cluster families, rendered and compressed once a poll for every scrape until the next.

    Only counters differ from format to format. They come last, so that all before is shared.
    """

    blocks: tuple[Block, ...]
    shared: bytes
    deflated: bytes
    """The shared part as deflate blocks that others may follow."""
    checksum: int

    @classmethod
    def of(cls, blocks: tuple[Block, ...]) -> "Page":
        """Join and compress."""
        shared = join((b for b in blocks if b.kind is not Kind.COUNTER), Format.TEXT)
        compressor = zlib.compressobj(GZIP_LEVEL, wbits=-zlib.MAX_WBITS)
        deflated = compressor.compress(shared) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return cls(blocks, shared, deflated, zlib.crc32(shared))

    def counters(self, form: Format) -> bytes:
        """Return the part that differs from format to format."""
        return join((b for b in self.blocks if b.kind is Kind.COUNTER), form)

    def followed_by(self, rest: bytes) -> bytes:
        """Return the shared part and the rest."""
        return self.shared + rest

    def gzip_followed_by(self, rest: bytes) -> bytes:
        """Return the same as one gzip member, compressing only the rest."""
        compressor = zlib.compressobj(GZIP_LEVEL, wbits=-zlib.MAX_WBITS)
        end = compressor.compress(rest) + compressor.flush()
        size = len(self.shared) + len(rest)
        trailer = struct.pack("<II", zlib.crc32(rest, self.checksum), size & 0xFFFFFFFF)
        return b"".join((_GZIP_HEADER, self.deflated, end, trailer))


EMPTY = Page.of(())
"""No cluster to be seen."""


def _pattern(family: Family[Source]) -> str:
    """Return the line of a sample, without the values."""
    labels = ",".join(f'{label}="%s"' for label in family.labels)
    return f"{family.name}{{{labels}}} %s\n" if labels else f"{family.name} %s\n"


class _Writer:
    """Writes samples; what repeats from one to the next is made to text once."""

    def __init__(self) -> None:
        self._label = _Escaped().__getitem__
        self._number = _Written().__getitem__

    def lines(self, pattern: str, samples: Mapping[tuple[str, ...], float]) -> str:
        label, number = self._label, self._number
        return "".join(
            [pattern % (*map(label, labels), number(value)) for labels, value in samples.items()]
        )


class _Escaped(dict[str, str]):
    """Values of labels as they are written; each is escaped once, as most repeat."""

    def __missing__(self, text: str) -> str:
        written = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        self[text] = written
        return written


class _Written(dict[float, str]):
    """Numbers as they are written; True and 1.0 are found as 1."""

    def __missing__(self, number: float) -> str:
        written = str(int(number)) if number % 1 == 0 else repr(number)
        self[number] = written
        return written
