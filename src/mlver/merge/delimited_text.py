"""How records of a text table are written: cut into fields as they stand, and put together again.

A field that nobody changed keeps its bytes, quotes and all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from mlver.formats.base import NotThisFormat
from mlver.formats.delimited import Dialect
from mlver.merge.base import Copy, Part
from mlver.merge.hunks import Span

Edit = tuple[int, int, bytes]
"""Put these bytes in place of those from one offset to another."""


@cache
def _field(delimiter: bytes) -> re.Pattern[bytes]:
    mark = re.escape(delimiter)
    return re.compile(rb'(?:"(?:[^"]|"")*+"?)?[^%b]*+' % mark, re.DOTALL)


def split_fields(record: bytes, delimiter: bytes) -> list[bytes]:
    """The fields of a record without its line end, as they are written."""
    if b'"' not in record:
        return record.split(delimiter)
    fields, at, pattern = [], 0, _field(delimiter)
    while True:
        found = pattern.match(record, at)
        assert found is not None
        fields.append(found[0])
        at = found.end()
        if at >= len(record):
            return fields
        at += len(delimiter)
        if at == len(record):
            return [*fields, b""]


def without_line_end(record: bytes) -> tuple[bytes, bytes]:
    """(the record, its line end)."""
    bare = record.removesuffix(b"\n").removesuffix(b"\r")
    return bare, record[len(bare) :]


def write_field(value: str, dialect: Dialect, *, quoted: bool, alone: bool = False) -> bytes:
    """A cell as this dialect writes it. `quoted`: also where it need not be; `alone`: it is the
    only field, and an empty line would be none."""
    text = value.encode(text_encoding(dialect), "surrogateescape")
    needs = any(mark in text for mark in (dialect.delimiter, b'"', b"\n", b"\r"))
    if quoted or needs or (alone and not text):
        return b'"' + text.replace(b'"', b'""') + b'"'
    return text


def is_quoted_freely(field: bytes, dialect: Dialect) -> bool:
    """A field in quotes that needs none: its writer puts all of them into quotes."""
    marks = (dialect.delimiter, b'"', b"\n", b"\r")
    return field.startswith(b'"') and not any(mark in field[1:-1] for mark in marks)


def text_encoding(dialect: Dialect) -> str:
    """The encoding in which records are held: a version of wide characters is held as UTF-8."""
    return dialect.encoding if dialect.is_bytewise else "utf-8"


def write_record(
    values: Sequence[str], dialect: Dialect, quoted: Sequence[bool], line_end: bytes
) -> bytes:
    """A record of its own."""
    alone = len(values) == 1
    fields = [
        write_field(value, dialect, quoted=mark, alone=alone)
        for value, mark in zip(values, quoted, strict=True)
    ]
    return dialect.delimiter.join(fields) + line_end


def spans(data: bytes, offset: int) -> list[Span]:
    """Where the records of a strict part lie; it begins and ends at borders of records."""
    found: list[Span] = []
    start = at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        at = len(data) if end < 0 else end + 1
        if data.count(b'"', start, at) % 2 == 0 or at == len(data):
            found.append(Span(offset + start, offset + at))
            start = at
    return found


def compose(
    size: int, edits: Iterable[Edit], side: int, line_end: bytes, *, open_end: bool
) -> list[Part]:
    """A version with edits. `open_end`: its last record has no line end, and the result has none.

    Every edit ends with a line end, unless it replaces that last record.
    """
    parts: list[Part] = []
    at, is_open = 0, open_end
    for start, end, data in sorted(edits, key=lambda edit: edit[:2]):
        if start < at:
            raise NotThisFormat("its records cannot be told apart")
        if start > at:
            parts.append(Copy(side, at, start - at))
        if end == size and start < size:
            is_open = open_end and bool(data)
        if start == size and is_open:
            parts.append(line_end)
            is_open = False
        if data:
            parts.append(data)
        at = end
    if at < size:
        parts.append(Copy(side, at, size - at))
    last = parts[-1] if parts else b""
    if open_end and isinstance(last, bytes):
        parts[-1] = without_line_end(last)[0]
    return parts
