"""Writes a merged table: the skeleton's bytes with edits, or, where columns came or went, every
record anew from the fields as they stand in the versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlver.diff.typed import ABSENT
from mlver.merge.base import Part
from mlver.merge.delimited_text import Edit, compose, is_quoted_freely, write_field
from mlver.merge.rows import Edits, Inserted, Row
from mlver.merge.schema import Plan
from mlver.merge.table import Table, WholeSide
from mlver.model.change import Value


class TableWriter:
    """One result."""

    def __init__(self, base: Table, skeleton: Table, other: Table, plan: Plan, side: int) -> None:
        self._base, self._skeleton, self._other = base, skeleton, other
        self._plan, self._side = plan, side
        self._dialect = skeleton.dialect
        self._from = plan.places(side)
        self._from_other, self._from_base = plan.places(3 - side), plan.places(0)
        self._quoted = self._quoting()

    def _quoting(self) -> bool:
        """Whether the skeleton puts every field into quotes, by its first row."""
        first = self._skeleton.fields(0) if len(self._skeleton) else []
        return bool(first) and all(is_quoted_freely(field, self._dialect) for field in first)

    def parts(
        self, edits: Edits, first: WholeSide, second: WholeSide, key: Sequence[int]
    ) -> list[Part]:
        """The merged file. Raises UnicodeEncodeError."""
        self._first, self._second = first, second
        self._bases = _by_key(first, key)
        names = [self._plan.columns[number].name for number in self._plan.result]
        if names == list(self._skeleton.header):
            changes = list(self._edits(edits))
        else:
            changes = list(self._everything(edits, names))
        data, line_end = self._skeleton.data, self._dialect.line_end
        open_end = not data.endswith(b"\n")
        parts = compose(len(data), changes, self._side, line_end, open_end=open_end)
        if self._dialect.is_bytewise:
            return parts
        made = b"".join(
            part if isinstance(part, bytes) else data[part.offset : part.offset + part.length]
            for part in parts
        )
        text = made.decode("utf-8", "surrogateescape")
        return [
            _bom(self._dialect.encoding),
            text.encode(self._dialect.encoding, "surrogateescape"),
        ]

    def _edits(self, edits: Edits) -> Iterator[Edit]:
        span = self._skeleton.span
        for row in edits.deleted.values():
            yield (*span(row.place), b"")
        for row, taken, their in edits.cells.values():
            end = self._skeleton.bare(row.place)[1]
            yield (*span(row.place), self._record(row.place, taken, their) + end)
        yield from self._inserted(edits.inserted)

    def _inserted(self, inserted: Sequence[Inserted]) -> Iterator[Edit]:
        for item in inserted:
            at = self._skeleton.span(item.place)[0]
            yield at, at, self._new(item) + self._dialect.line_end

    def _everything(self, edits: Edits, names: Sequence[str]) -> Iterator[Edit]:
        start, end = self._skeleton.header_span
        old = self._skeleton.header
        quoted = self._skeleton.data[start : start + 1] == b'"'
        fields = [write_field(name, self._dialect, quoted=quoted) for name in names]
        line_end = self._dialect.line_end if old else b"\n"
        yield start, end, self._dialect.delimiter.join(fields) + line_end
        for number in range(len(self._skeleton)):
            span = self._skeleton.span(number)
            if number in edits.deleted:
                yield (*span, b"")
                continue
            _, taken, their = edits.cells.get(number, (None, {}, None))
            yield (*span, self._record(number, taken, their) + self._skeleton.bare(number)[1])
        yield from self._inserted(edits.inserted)

    def _record(self, number: int, taken: Mapping[int, Value], their: Row | None) -> bytes:
        mine = self._skeleton.fields(number)
        base = self._base_of(number)
        image = None if base is None else self._second.images[base]
        if their is not None:
            image = their.place
        fields = []
        for column in self._plan.result:
            place = self._from[column]
            if column in taken:
                quoted = (
                    self._quoted if place is None else is_quoted_freely(mine[place], self._dialect)
                )
                fields.append(self._cell(column, taken[column], their, quoted))
            elif place is not None:
                fields.append(mine[place])
            else:
                fields.append(self._looked_up(column, image, base, self._quoted))
        return self._joined(fields)

    def _looked_up(self, column: int, image: int | None, base: int | None, quoted: bool) -> bytes:
        """What the other side, or base, has in a column that the skeleton has not."""
        for table, places, number in (
            (self._other, self._from_other, image),
            (self._base, self._from_base, base),
        ):
            place = places[column]
            if place is not None and number is not None and number >= 0:
                return self._field(table, number, place, quoted)
        return write_field("", self._dialect, quoted=quoted)

    def _base_of(self, number: int) -> int | None:
        origin = self._first.origins[number]
        return origin if origin >= 0 else self._bases.get(number)

    def _cell(self, column: int, value: Value, their: Row | None, quoted: bool) -> bytes:
        place = self._from_other[column]
        if their is not None and place is not None and their.cells[column] == value:
            return self._field(self._other, their.place, place, quoted)
        text = "" if value is ABSENT or value is None else str(value)
        return write_field(text, self._dialect, quoted=quoted)

    def _field(self, table: Table, number: int, place: int, quoted: bool) -> bytes:
        """A field of another version, as written there where that can be read here."""
        a, b = table.dialect, self._dialect
        if not quoted and a.is_bytewise and (a.delimiter, a.encoding) == (b.delimiter, b.encoding):
            return table.fields(number)[place]
        return write_field(table.cells(number)[place], b, quoted=quoted)

    def _new(self, item: Inserted) -> bytes:
        fields = []
        for column in self._plan.result:
            place = self._from_other[column]
            if item.row is not None and place is not None:
                fields.append(self._field(self._other, item.row.place, place, self._quoted))
            else:
                value = item.cells[column]
                text = "" if value is ABSENT or value is None else str(value)
                fields.append(write_field(text, self._dialect, quoted=self._quoted))
        return self._joined(fields)

    def _joined(self, fields: Sequence[bytes]) -> bytes:
        if len(fields) == 1 and not fields[0]:
            return b'""'
        return self._dialect.delimiter.join(fields)


def _by_key(side: WholeSide, key: Sequence[int]) -> dict[int, int]:
    """Changed rows of a side with the row of base that they were: number → number."""
    if not key:
        return {}
    bases = {tuple([row.cells[place] for place in key]): row.place for row in side.removed}
    found = {}
    for row in side.added:
        name = tuple([row.cells[place] for place in key])
        if name in bases:
            found[row.place] = bases[name]
    return found


def _bom(encoding: str) -> bytes:
    return "\ufeff".encode(encoding)
