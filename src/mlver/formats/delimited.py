"""CSV, TSV and their kin: a header, then records of as many fields. Cells are their text.

Fields are quoted as RFC 4180 says: a quote opens at a field's start, and is doubled inside. Where a
file is *strict* (every quote stands at a field's border or beside another), whether a line end is
inside quotes follows from the number of quotes before it, so a part of the file can be read by
itself. Other files are read from the start by the csv module.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mlver.formats.base import NotThisFormat, Source

Row = tuple[str, ...]

_DELIMITERS = b",\t;|"
_HEAD = 256 * 1024
_MAX_HEADER = 16 * 1024 * 1024
_MAX_FIELD = 1 << 30
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
csv.field_size_limit(_MAX_FIELD)


class Dialect(NamedTuple):
    """How one version is written. `start`: bytes before the header; `body`: where rows begin."""

    delimiter: bytes
    encoding: str
    line_end: bytes
    start: int
    body: int
    header: Row

    @property
    def is_bytewise(self) -> bool:
        """True where delimiter, quote and line end are single bytes that stand for nothing else."""
        return self.encoding in ("utf-8", "cp1252")


def read_dialect(source: Source, name: str) -> Dialect:
    """The dialect of a file called `name`. Raises NotThisFormat."""
    head = source.read(0, _HEAD)
    start, encoding = _encoding(head, source)
    if encoding.startswith("utf-16") or encoding.startswith("utf-32"):
        text = head[start:].decode(encoding, "ignore")
        head_bytes, bytewise = text.encode("utf-8"), False
    else:
        head_bytes, bytewise = head[start:], True
    delimiter = b"\t" if name.lower().endswith((".tsv", ".tab")) else _guess(head_bytes)
    length = header_length(head_bytes)
    while length is None and len(head) < min(source.size, _MAX_HEADER) and bytewise:
        head = source.read(0, len(head) * 4)
        length = header_length(head[start:])
        head_bytes = head[start:]
    if length is None:
        length = len(head_bytes)
    first = head_bytes[:length]
    line_end = first[len(first.rstrip(b"\r\n")) :] or b"\n"
    text_encoding = encoding if bytewise else "utf-8"
    rows = list(parse([first], delimiter, text_encoding))
    header = rows[0] if rows else ()
    if len(set(header)) != len(header):
        doubled = next(name for name in header if header.count(name) > 1)
        raise NotThisFormat("its header names a column twice", why=f"{doubled[:60]!r}")
    return Dialect(delimiter, encoding, line_end, start, start + length, header)


def _encoding(head: bytes, source: Source) -> tuple[int, str]:
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return len(bom), encoding
    if b"\0" in head:
        raise NotThisFormat("it holds NUL bytes", why="no text table does")
    return 0, "utf-8" if is_utf8(head, whole=len(head) == source.size) else "cp1252"


def is_utf8(data: bytes, *, whole: bool) -> bool:
    """True where `data` is UTF-8, or the head of it where not `whole`."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, whole)
    except UnicodeDecodeError:
        return False
    return True


def _guess(head: bytes) -> bytes:
    """The delimiter that the first records have most of, each equally often."""
    lines = head[:_HEAD].splitlines()[:20]
    best = (0, 0, b",")
    for rank, code in enumerate(_DELIMITERS):
        mark = bytes([code])
        counts = [_outside_quotes(line, mark) for line in lines if line]
        if counts and counts[0]:
            same = sum(count == counts[0] for count in counts)
            if (same, -rank) > best[:2] or best[0] == 0:
                best = (same, -rank, mark)
    return best[2]


def _outside_quotes(line: bytes, mark: bytes) -> int:
    return sum(part.count(mark) for part in line.split(b'"')[::2])


def header_length(data: bytes) -> int | None:
    """Bytes of the first record with its line end; None where it does not end in `data`."""
    at = 0
    while True:
        end = next_line_end(data, at)
        if end is None:
            return None
        if data.count(b'"', 0, end) % 2 == 0:
            return end
        at = end


def next_line_end(data: bytes | memoryview, at: int) -> int | None:
    """Where the next line begins, after LF, CRLF or a lone CR; None where none does."""
    view = bytes(data) if isinstance(data, memoryview) else data
    line_feed = view.find(b"\n", at)
    stop = len(view) if line_feed < 0 else line_feed
    carriage = view.find(b"\r", at, stop)
    if carriage >= 0 and carriage + 1 < stop:
        return carriage + 1
    if line_feed >= 0:
        return line_feed + 1
    return None


def parse(parts: Iterable[bytes], delimiter: bytes, encoding: str) -> Iterator[Row]:
    """Rows of records, as text. Raises NotThisFormat for what is no text, or never ends a quote.

    Empty lines are no rows. Bytes that are no text in `encoding` come as lone surrogates.
    """
    text = (part.decode(encoding, "surrogateescape") for part in parts)
    lines = (line for part in text for line in io.StringIO(part, newline=""))
    try:
        for row in csv.reader(lines, delimiter=delimiter.decode(), strict=False):
            if row:
                yield tuple(row)
    except csv.Error as error:
        raise NotThisFormat("it is no table of delimited text", why=str(error)) from error


def check_width(rows: Sequence[Row], width: int) -> None:
    """Raise NotThisFormat for a row that has more or fewer fields than the header."""
    for row in rows:
        if len(row) != width:
            raise NotThisFormat(
                f"a row has {len(row)} fields, the header {width}", why=repr(row)[:80]
            )
