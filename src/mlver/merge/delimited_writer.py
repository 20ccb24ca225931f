"""Writes what changes in a text table of which only the parts that differ were read."""

from __future__ import annotations

from mlver.formats.base import Source
from mlver.formats.delimited import Dialect
from mlver.merge.delimited_text import (
    Edit,
    is_quoted_freely,
    split_fields,
    without_line_end,
    write_field,
    write_record,
)
from mlver.merge.rows import Cells, Edits, Row


class Writer:
    """Writes what changes in the skeleton; the other side is written alike, but for a BOM."""

    def __init__(self, skeleton: Source, dialect: Dialect, other: Source) -> None:
        self._skeleton, self._dialect, self._other = skeleton, dialect, other

    def edits(self, edits: Edits) -> list[Edit]:
        found = [(row.place, row.end, b"") for row in edits.deleted.values()]
        for row, taken, their in edits.cells.values():
            found.append((row.place, row.end, self._changed(row, taken, their)))
        for item in edits.inserted:
            found.append((item.place, item.place, self._new(item.cells, item.row)))
        return found

    def _changed(self, row: Row, taken: dict[int, str], their: Row | None) -> bytes:
        bare, line_end = self._record(self._skeleton, row)
        fields = split_fields(bare, self._dialect.delimiter)
        others = []
        if their is not None:
            others = split_fields(self._record(self._other, their)[0], self._dialect.delimiter)
        for place, value in taken.items():
            quoted = is_quoted_freely(fields[place], self._dialect)
            if their is not None and their.cells[place] == value and not quoted:
                fields[place] = others[place]
            else:
                alone = len(fields) == 1
                fields[place] = write_field(value, self._dialect, quoted=quoted, alone=alone)
        return self._dialect.delimiter.join(fields) + line_end

    def _new(self, cells: Cells, row: Row | None) -> bytes:
        if row is not None:
            return self._record(self._other, row)[0] + self._dialect.line_end
        plain = [False] * len(cells)
        return write_record([*map(str, cells)], self._dialect, plain, self._dialect.line_end)

    @staticmethod
    def _record(source: Source, row: Row) -> tuple[bytes, bytes]:
        return without_line_end(source.read(row.place, row.end - row.place))
