"""The outline of a text table: for each of its pieces what reading by parts needs to know, so that
of two versions only the pieces that differ are read.

A piece is entered inside quotes or outside. In that state it holds so many line ends and
delimiters outside quotes, and its quotes turn the state or leave it. All of this follows from its
bytes and the state alone, so a piece that another version has in the same state is not read again.
What stands across a border of two pieces (a blank line, a quote at a field's border) is told by two
bytes on either side. The conditions are those of diff/scan.py, and the results are the same.

An outline is derived: kept beside the store, and made again where it is gone or does not fit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from mlver.diff.scan import is_plain
from mlver.formats.base import CutSource, Piece
from mlver.model.digest import digest_of

_MARK = struct.Struct("<II2s2sBBBx")  # ends, delimiters, head, tail, their lengths, flags
_HEAD = struct.Struct(
    "<4s16s16scxxxI"
)  # magic, digests of the rest and of pieces, delimiter, count
_MAGIC = b"mvo1"
NO_QUOTES = b"\n"
"""As delimiter: lines without quotes and fields (JSON lines)."""


class Mark(NamedTuple):
    """What one piece holds, entered in the state `inside`; `flips`: it is left in the other one.
    `head`, `tail`: its first and last two bytes."""

    line_ends: int
    delimiters: int
    head: bytes
    tail: bytes
    inside: int
    flips: int


class Outline(NamedTuple):
    """`states`: for each piece, 1 where it is entered inside quotes; empty where the version is not
    plain, and all its rows have to be read. `records`: lines, with the header. `body`: the marks,
    as they are kept."""

    delimiter: bytes
    states: bytes = b""
    records: int = 0
    delimiters: int = 0
    body: bytes = b""

    @property
    def is_plain(self) -> bool:
        return bool(self.states)

    def marks(self) -> Iterator[Mark]:
        """One a piece."""
        for ends, delimiters, head, tail, first, last, flags in _MARK.iter_unpack(self.body):
            yield Mark(ends, delimiters, head[:first], tail[:last], flags & 1, flags >> 1)


def outlines(
    old: CutSource, new: CutSource, delimiter: bytes, starts: tuple[int, int] = (0, 0)
) -> tuple[Outline, Outline]:
    """Of both versions: kept ones where they are there, else made, and kept."""
    found = [_kept(source, delimiter) for source in (old, new)]
    marks: dict[tuple[bytes, int], Mark] = {}
    for source, outline, start in zip((old, new), found, starts, strict=True):
        if outline is not None and None in found:
            marks |= _by_id(source.pieces(), outline, start)
    result = []
    for source, outline, start in zip((old, new), found, starts, strict=True):
        if outline is None:
            outline = _made(source, delimiter, start, marks)
            marks |= _by_id(source.pieces(), outline, start)
            source.keep(_name(delimiter), _packed(source.pieces(), outline))
        result.append(outline)
    return result[0], result[1]


def _by_id(pieces: Sequence[Piece], outline: Outline, start: int) -> dict[tuple[bytes, int], Mark]:
    """Marks by piece and state; not of one of which a part was left out."""
    skip = 1 if start else 0
    rows = zip(pieces, outline.marks(), strict=False)
    return {(piece.id, mark.inside): mark for piece, mark in islice(rows, skip, None)}


def _made(
    source: CutSource, delimiter: bytes, start: int, known: Mapping[tuple[bytes, int], Mark]
) -> Outline:
    """The outline, by reading the pieces that are not `known` in the state that they are entered
    in. `start`: bytes of the first piece that are no text."""
    nothing = Outline(delimiter)
    marks: list[Mark] = []
    pieces = source.pieces()
    if not pieces or pieces[0].length <= start:
        return nothing
    # What is entered in another state than the one that is known is read by itself.
    unknown = [piece for piece in pieces if not {(piece.id, 0), (piece.id, 1)} & known.keys()]
    if start and unknown[:1] != [pieces[0]]:
        unknown.insert(0, pieces[0])
    stream = _Stream(source, unknown)
    inside, tail = 0, b""
    for piece in pieces:
        mark = known.get((piece.id, inside)) if marks or not start else None
        if mark is None:
            data = stream.take(piece)
            mark = _mark(data[start:] if not marks else data, inside, delimiter)
        if mark is None or not _joins(tail, mark, inside, delimiter, is_first=not marks):
            return nothing
        marks.append(mark)
        tail = (tail + mark.tail)[-2:]
        inside ^= mark.flips
    if inside:
        return nothing
    records = sum([mark.line_ends for mark in marks]) + (tail[-1:] != b"\n")
    found = sum([mark.delimiters for mark in marks])
    states = bytes([mark.inside for mark in marks])
    return Outline(delimiter, states, records, found, b"".join(map(_packed_mark, marks)))


class _Stream:
    """Pieces one after the other, read ahead; one that is not next is read by itself."""

    def __init__(self, source: CutSource, pieces: Sequence[Piece]) -> None:
        self._source = source
        self._parts = source.stream(pieces)
        self._left = iter(pieces)
        self._next = next(self._left, None)

    def take(self, piece: Piece) -> bytes:
        if self._next is None or self._next.offset != piece.offset:
            return self._source.read(piece.offset, piece.length)
        self._next = next(self._left, None)
        return next(self._parts)


def _mark(data: bytes, inside: int, delimiter: bytes) -> Mark | None:
    """None where it holds what needs all rows read."""
    head, tail = data[:2], data[-2:]
    if delimiter == NO_QUOTES:
        return Mark(data.count(b"\n"), 0, head, tail, 0, 0) if _has_no_blank(data) else None
    if b'"' not in data:
        if inside:
            return Mark(0, 0, head, tail, inside, 0)
        if not is_plain(data, last=True):
            return None
        return Mark(data.count(b"\n"), data.count(delimiter), head, tail, inside, 0)
    parts = data.split(b'"')
    outside = parts[inside::2]
    last = len(parts) - 1
    border = delimiter + b"\r\n"
    for number, part in enumerate(outside):
        place = inside + 2 * number
        if not is_plain(part, last=place == last):
            return None
        if part and place > 0 and part[0] not in border:
            return None
        if part and place < last and part[-1] not in border:
            return None
    ends = sum([part.count(b"\n") for part in outside])
    delimiters = sum([part.count(delimiter) for part in outside])
    return Mark(ends, delimiters, head, tail, inside, last & 1)


def _joins(tail: bytes, mark: Mark, inside: int, delimiter: bytes, *, is_first: bool) -> bool:
    """Nothing that needs all rows read stands across the border before this piece."""
    if is_first:
        blank = b" \t\r\n" if delimiter == NO_QUOTES else b"\r\n"
        return not mark.head[:1] or mark.head[0] not in blank
    if delimiter == NO_QUOTES:
        return _has_no_blank(tail + mark.head)
    if inside:
        return True
    before = tail.rpartition(b'"')[2]
    after, quote, _ = mark.head.partition(b'"')
    if not is_plain(before + after, last=not quote):
        return False
    border = delimiter + b'\r\n"'
    last, first = tail[-1:], mark.head[:1]
    return not ((last == b'"' and first not in border) or (first == b'"' and last not in border))


def _has_no_blank(data: bytes) -> bool:
    return not any(blank in data for blank in (b"\n\n", b"\n\r", b"\n ", b"\n\t"))


# -- as it is kept ------------------------------------------------------------------------------


def _name(delimiter: bytes) -> str:
    return f"outline-{delimiter.hex()}"


def _packed_mark(mark: Mark) -> bytes:
    return _MARK.pack(*mark[:4], len(mark.head), len(mark.tail), mark.inside | mark.flips << 1)


def _packed(pieces: Sequence[Piece], outline: Outline) -> bytes:
    numbers = struct.pack("<QQ", outline.records, outline.delimiters)
    rest = numbers + outline.states + outline.body
    check = bytes(digest_of(rest))[:16]
    return (
        _HEAD.pack(_MAGIC, check, _name_of(pieces), outline.delimiter, len(outline.states)) + rest
    )


def _kept(source: CutSource, delimiter: bytes) -> Outline | None:
    """None where none is kept, or it fits other pieces."""
    data = source.recall(_name(delimiter))
    if data is None or len(data) < _HEAD.size + 16:
        return None
    magic, check, names, kept_for, count = _HEAD.unpack_from(data)
    rest = data[_HEAD.size :]
    pieces = source.pieces()
    fits = magic == _MAGIC and check == bytes(digest_of(rest))[:16] and kept_for == delimiter
    if not fits or count not in (0, len(pieces)) or names != _name_of(pieces):
        return None
    if len(rest) != 16 + count + count * _MARK.size:
        return None
    records, delimiters = struct.unpack_from("<QQ", rest)
    return Outline(delimiter, rest[16 : 16 + count], records, delimiters, rest[16 + count :])


def _name_of(pieces: Sequence[Piece]) -> bytes:
    return bytes(digest_of(b"".join([piece.id for piece in pieces])))[:16]
