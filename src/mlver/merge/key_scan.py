"""A look at the key of every row of a large text table, without rows being made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mlver.formats.base import Source
from mlver.formats.delimited import Dialect
from mlver.merge.delimited_text import spans, split_fields, without_line_end
from mlver.merge.rows import Cells

_STEP = 4 * 1024 * 1024
_FEW = 32
"""So many keys are looked for as bytes; more, by cutting every record."""


def is_unique(
    source: Source, dialect: Dialect, key: Sequence[int], wanted: Iterable[Cells]
) -> bool:
    """Whether each of these keys stands in one row at most, in quotes or without."""
    names = {_written(cells, dialect) for cells in wanted}
    if len(key) == 1 and len(names) <= _FEW and _stands_once(source, dialect, key[0], names):
        return True
    met: set[tuple[bytes, ...]] = set()
    for name in _keys(source, dialect, key):
        if name in names:
            if name in met:
                return False
            met.add(name)
    return True


def _written(cells: Cells, dialect: Dialect) -> tuple[bytes, ...]:
    return tuple([str(cell).encode(dialect.encoding, "surrogateescape") for cell in cells])


def _stands_once(
    source: Source, dialect: Dialect, place: int, names: set[tuple[bytes, ...]]
) -> bool:
    """True where no name stands twice as a whole field, in any column; False is no answer."""
    left = b"\n" if place == 0 else dialect.delimiter
    rights = [b"\r", b"\n"] if place == len(dialect.header) - 1 else [dialect.delimiter]
    marks = {name: [left + name[0] + right for right in rights] for name in names}
    longest = max(len(mark) for found in marks.values() for mark in found)
    counts = dict.fromkeys(names, 0)
    at = max(0, dialect.body - 1)
    while at < source.size:
        data = source.read(at, _STEP + longest - 1)  # a mark lies whole in one of two steps
        if b'"' in data:
            return False
        for name, found in marks.items():
            counts[name] += sum([data.count(mark) for mark in found])
            if counts[name] > 1:
                return False
        at += _STEP
    return True


def _keys(source: Source, dialect: Dialect, key: Sequence[int]) -> Iterator[tuple[bytes, ...]]:
    at, rest, mark, most = dialect.body, b"", dialect.delimiter, max(key) + 1
    while at < source.size or rest:
        data = rest + source.read(at, _STEP)
        at += _STEP
        ends = at >= source.size
        if b'"' not in data:
            *lines, rest = data.split(b"\n")
            if ends:
                lines, rest = [*lines, rest], b""
            rows = [line.removesuffix(b"\r").split(mark, most) for line in lines if line]
        else:
            found = spans(data, 0)
            last = len(data) if ends else found.pop().start
            rest = data[last:]
            records = [without_line_end(data[span.start : span.end])[0] for span in found]
            rows = [[_plain(f) for f in split_fields(record, mark)] for record in records]
        yield from (tuple([fields[place] for place in key]) for fields in rows)


def _plain(field: bytes) -> bytes:
    return field[1:-1].replace(b'""', b'"') if field.startswith(b'"') else field
