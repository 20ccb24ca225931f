"""Marks of a text table's pieces, by one look at its bytes; None where parts do not suffice."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlver.diff.records import Marks, Version, scan
from mlver.formats.base import Source
from mlver.formats.delimited import Dialect

_BLANK = (b"\n\n", b"\n\r\n")
_LONE_RETURN = re.compile(rb"\r(?!\n)")


def scanned(source: Source, dialect: Dialect) -> Version | None:
    """The version with marks for each piece, or None: then every row has to be read.

    None where a blank line, a carriage return of its own, or a quote inside an unquoted field
    stands anywhere, where quotes do not close, or where a row has not as many delimiters as the
    header (counted over all rows together).
    """
    marks: list[Marks] = []
    inside, before, quoted = 0, b"\n", False
    delimiters = 0
    for piece in source.pieces():
        data = source.read(piece.offset, piece.length)
        if len(data) != piece.length:
            return None
        mark, after = scan(data, inside)
        if not all(map(_is_plain, _outside_parts(before, data, inside))):
            return None
        quoted = quoted or mark.quotes > 0
        delimiters += data.count(dialect.delimiter)
        marks.append(mark)
        inside, before = after, b"" if after else data[-2:]
    if inside or before.endswith(b"\r") or (quoted and not _is_strict(source, dialect)):
        return None
    version = Version(source, source.pieces(), marks, dialect.start)
    if not quoted and delimiters != (len(dialect.header) - 1) * version.count():
        return None
    return version


def _outside_parts(before: bytes, data: bytes, inside: int) -> list[bytes]:
    """What of a piece lies outside quotes; `before`: the last bytes of the piece before it."""
    if not inside and b'"' not in data:
        return [before + data]
    parts = data.split(b'"')
    if not inside:
        parts[0] = before + parts[0]
    return parts[inside::2]


def _is_plain(data: bytes) -> bool:
    if any(blank in data for blank in _BLANK):
        return False
    return b"\r" not in data[:-1] or _LONE_RETURN.search(data, 0, len(data) - 1) is None


def _is_strict(source: Source, dialect: Dialect) -> bool:
    """True where every quote opens at a field's start, closes at its end, or is doubled.

    The quotes cut the text into parts that lie outside and inside quotes in turn. A part outside,
    between two quotes, is empty (a doubled quote) or begins and ends at a field's border.
    """
    border = dialect.delimiter + b"\r\n"
    for first, last, text in _outside(source, dialect.start):
        if text and not first and text[:1] not in border:
            return False
        if text and not last and text[-1:] not in border:
            return False
    return True


def _outside(source: Source, start: int) -> Iterator[tuple[bool, bool, bytes]]:
    """(is the first, is the last, text) of the parts outside quotes, each cut to its ends."""
    number, rest = 0, b""
    at = start
    while at < source.size:
        data = rest + source.read(at, 4 * 1024 * 1024)
        at += len(data) - len(rest)
        parts = data.split(b'"')
        rest = parts.pop()
        if len(rest) > 2:
            rest = rest[:1] + rest[-1:]
        for part in parts:
            if number % 2 == 0:
                yield number == 0, False, part
            number += 1
    if number % 2 == 0:
        yield number == 0, True, rest
