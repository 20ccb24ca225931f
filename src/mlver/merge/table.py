"""A text table of which all rows are looked at: its bytes, and where its records lie.

Rows are cut into fields when they are asked for, so a table costs its bytes and two numbers a row.
Blank lines belong to no record. Places of rows are their numbers.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter

from mlver.diff.typed import ABSENT
from mlver.formats import delimited
from mlver.formats.base import NotThisFormat, Source
from mlver.formats.delimited import Dialect
from mlver.merge.delimited_text import split_fields, text_encoding, without_line_end
from mlver.merge.rows import Cells, Row, Run
from mlver.model.change import Value
from mlver.model.digest import Hasher

_MOST_PENDING = 1024 * 1024


class Table:
    """One version. A version of wide characters is held as UTF-8, without its BOM."""

    def __init__(self, source: Source, name: str, header: Sequence[str] = ()) -> None:
        """`header`: of an empty version, which has none. Raises NotThisFormat."""
        self.dialect: Dialect = delimited.read_dialect(source, name)
        self.data = source.read(0, source.size)
        if not self.dialect.is_bytewise:
            text = self.data[self.dialect.start :].decode(self.dialect.encoding, "surrogateescape")
            self.data = text.encode("utf-8", "surrogateescape")
        self._starts, self._ends = array("q"), array("q")
        self.header: Sequence[str] = self.dialect.header or header
        start = self.dialect.start if self.dialect.is_bytewise else 0
        self._is_plain = self._cut_plain(start)
        if not self._is_plain:
            self._cut(start)
        self.header_span = (0, 0)
        if len(self):
            self.header_span = self._starts.pop(0), self._ends.pop(0)
        for number in range(0 if self._is_plain else len(self)):
            self.fields(number)

    def __len__(self) -> int:
        return len(self._starts)

    def span(self, number: int) -> tuple[int, int]:
        """Where a record lies, with its line end; of the number after the last, the end."""
        if number == len(self):
            return len(self.data), len(self.data)
        return self._starts[number], self._ends[number]

    def bare(self, number: int) -> tuple[bytes, bytes]:
        """(a record, its line end)."""
        start, end = self.span(number)
        return without_line_end(self.data[start:end])

    def fields(self, number: int) -> list[bytes]:
        """Its fields as written. Raises NotThisFormat for one of another width."""
        found = split_fields(self.bare(number)[0], self.dialect.delimiter)
        if len(found) != len(self.header):
            raise NotThisFormat(
                f"row {number + 1} has {len(found)} fields, the header {len(self.header)}",
                why="every row of a table has as many fields as its header",
            )
        return found

    def cells(self, number: int) -> list[str]:
        """Its cells' text."""
        record = self.bare(number)[0]
        encoding = text_encoding(self.dialect)
        if b'"' not in record:
            text = record.decode(encoding, "surrogateescape")
            return text.split(self.dialect.delimiter.decode())
        rows = delimited.parse([record], self.dialect.delimiter, encoding)
        found = next(rows, ())
        if len(found) != len(self.header):
            raise NotThisFormat("its quotes can be read in two ways", why=repr(record[:60]))
        return list(found)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """All rows' cells."""
        return (tuple(self.cells(number)) for number in range(len(self)))

    def packed(self, places: Sequence[int]) -> Iterator[bytes]:
        """Of each row some cells, as bytes that no other cells have, in whatever form they are
        written: UTF-8, and a byte between them that UTF-8 never holds."""
        if not self._is_plain or text_encoding(self.dialect) != "utf-8":
            for number in range(len(self)):
                cells = self.cells(number)
                yield pack([cells[place] for place in places])
            return
        mark, data = self.dialect.delimiter, self.data
        every = list(places) == list(range(len(self.header)))
        one = places[0] if len(places) == 1 else -1
        pick = itemgetter(*places)
        for start, end in zip(self._starts, self._ends, strict=True):
            record = data[start:end].rstrip(b"\r\n")
            if every:
                yield record.replace(mark, b"\xff")
            elif one >= 0:
                yield record.split(mark, one + 1)[one]
            else:
                yield b"\xff".join(pick(record.split(mark)))

    def _cut_plain(self, start: int) -> bool:
        """Cut a table without quotes, blank lines and carriage returns of their own, all of whose
        rows are as wide as the header; False for any other."""
        data = self.data
        if b'"' in data or b"\n\n" in data or b"\n\r\n" in data or not data:
            return False
        if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
            return False
        lines = data[start:].split(b"\n")
        ends = list(accumulate(map(len, lines), lambda at, size: at + size + 1, initial=start))
        if not lines.pop():
            ends.pop()
        if {line.count(self.dialect.delimiter) for line in lines} != {len(self.header) - 1}:
            return False
        ends[-1] = len(data)
        self._starts, self._ends = array("q", ends[:-1]), array("q", ends[1:])
        return b"" not in lines[:1]

    def _cut(self, at: int) -> None:
        self._starts, self._ends = array("q"), array("q")
        start, size, find = at, len(self.data), self.data.find
        quotes = 0
        while at < size:
            line_feed = find(b"\n", at)
            end = size if line_feed < 0 else line_feed + 1
            quotes += self.data.count(b'"', at, end)
            at = end
            if quotes and not self._is_closed(start, end):
                if end - start > _MOST_PENDING:
                    raise NotThisFormat("a quote in it does not close")
                continue
            if self.data[start:end].strip(b"\r\n"):
                if b"\r" in self.data[start:end].rstrip(b"\r\n") and not quotes:
                    raise NotThisFormat("its lines end in carriage returns")
                self._starts.append(start)
                self._ends.append(end)
            start, quotes = end, 0
        if start < size:
            raise NotThisFormat("a quote in it does not close")

    def _is_closed(self, start: int, end: int) -> bool:
        record = without_line_end(self.data[start:end])[0]
        if record.count(b'"') % 2:
            # a quote inside an unquoted field is a character like others
            return all(
                not field.startswith(b'"') or len(field) - len(field.replace(b'"', b"")) > 1
                for field in split_fields(record, self.dialect.delimiter)
            )
        return True


class WholeSide:
    """One side (rows.Side) against base, in the working columns, from all rows of both."""

    def __init__(
        self,
        base: Table,
        side: Table,
        base_places: Sequence[int | None],
        places: Sequence[int | None],
        is_apart: Callable[[int, int], bool] | None = None,
    ) -> None:
        """`is_apart`: asked of a row of base and the equal one of the side, whether they count as
        changed."""
        self._base, self._side, self._places = base, side, places
        self._base_places = base_places
        both = [n for n, p in enumerate(places) if p is not None and base_places[n] is not None]
        self.images = array("q", [-1]) * len(base)
        self.origins = array("q", [-1]) * len(side)
        self._match([base_places[n] or 0 for n in both], [places[n] or 0 for n in both])
        if is_apart is not None:
            for number, image in enumerate(self.images):
                if image >= 0 and is_apart(number, image):
                    self.images[number] = self.origins[image] = -1
        self.removed = [self._base_row(n) for n, image in enumerate(self.images) if image < 0]
        self.added = [self.row(n) for n, origin in enumerate(self.origins) if origin < 0]
        self.runs = list(self._runs())

    def _match(self, old: Sequence[int], new: Sequence[int]) -> None:
        first: dict[bytes, int] = {}
        more: dict[bytes, deque[int]] = {}
        for number, cells in enumerate(self._side.packed(new)):
            name = Hasher(cells).digest(16)
            if first.setdefault(name, number) != number:
                more.setdefault(name, deque()).append(number)
        for number, cells in enumerate(self._base.packed(old)):
            name = Hasher(cells).digest(16)
            image = first.pop(name, -1)
            if image >= 0:
                self.images[number], self.origins[image] = image, number
                if name in more:
                    first[name] = more[name].popleft()
                    if not more[name]:
                        del more[name]

    def _runs(self) -> Iterator[Run]:
        before, gathered = 0, []
        for number, origin in enumerate(self.origins):
            if origin < 0:
                gathered.append(number)
                continue
            if gathered:
                yield Run(before, gathered)
                gathered = []
            before = origin + 1
        if gathered:
            yield Run(before, gathered)

    def _base_row(self, number: int) -> Row:
        return Row(number, number + 1, picked(self._base.cells(number), self._base_places))

    def row(self, number: int) -> Row:
        """A row of the side in the working columns."""
        return Row(number, number + 1, picked(self._side.cells(number), self._places))

    def image(self, row: Row) -> Row:
        return self.row(self.images[row.place])

    def origin(self, place: int) -> Row | None:
        number = self.origins[place]
        return None if number < 0 else self._base_row(number)

    def untouched(self) -> Iterator[Row]:
        return (self.row(number) for number, origin in enumerate(self.origins) if origin >= 0)

    def boundary(self, before: int) -> int:
        if before >= len(self._base):
            return len(self._side)
        while before > 0:
            before -= 1
            if self.images[before] >= 0:
                return self.images[before] + 1
        return 0


def pack(cells: Sequence[str]) -> bytes:
    """Cells as Table.packed gives them."""
    return b"\xff".join([cell.encode("utf-8", "surrogateescape") for cell in cells])


def picked(cells: Sequence[str], places: Sequence[int | None]) -> Cells:
    """A row in the working columns."""
    found: list[Value] = [ABSENT if place is None else cells[place] for place in places]
    return tuple(found)
