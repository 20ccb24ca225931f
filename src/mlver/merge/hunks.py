"""A side against base, from the parts that differ alone.

Between zones of whole equal records lie hunks: a part of base, and what stands there in the side.
Only their records are read. Records that mean the same in a side's hunks, wherever they stand,
cancel as a multiset; the rest was removed and added.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mlver.diff.rows import hashable
from mlver.diff.stretches import Stretch
from mlver.formats.base import Source
from mlver.merge.rows import Cells, Row, Run


class Span(NamedTuple):
    """A record's bytes in its version, with its line end."""

    start: int
    end: int


ReadRecords = Callable[[Source, int, int], list[tuple[Span, Cells]]]
"""Reads the records from one place to another, both at borders of records."""


class Hunks:
    """One side (rows.Side), by places that are offsets."""

    def __init__(
        self,
        base: Source,
        side: Source,
        zones: Sequence[Stretch],
        starts: tuple[int, int],
        read: ReadRecords,
    ) -> None:
        """`zones`: whole records that both have, in the order of both; `starts`: where the
        records of each begin."""
        self._zones = [zone for zone in zones if zone.length]
        self._olds = [zone.old for zone in self._zones]
        self._images: dict[int, Row] = {}
        self._origins: dict[int, Row] = {}
        self._ends = (base.size, side.size)
        self._starts = starts
        self._side, self._read = side, read
        self.runs: list[Run] = []
        gone: list[Row] = []
        came: list[Row] = []
        for old, old_end, new, new_end in self._gaps():
            gone += [_row(*item) for item in read(base, old, old_end)]
            rows = [_row(*item) for item in read(side, new, new_end)]
            came += rows
            if rows:
                self.runs.append(Run(old, [row.place for row in rows]))
        self.removed, self.added = self._cancelled(gone, came)

    def _gaps(self) -> Iterator[tuple[int, int, int, int]]:
        old, new = self._starts
        for zone in self._zones:
            if zone.old > old or zone.new > new:
                yield old, max(old, zone.old), new, max(new, zone.new)
            old, new = max(old, zone.old + zone.length), max(new, zone.new + zone.length)
        if old < self._ends[0] or new < self._ends[1]:
            yield old, self._ends[0], new, self._ends[1]

    def _cancelled(self, gone: Sequence[Row], came: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        there: dict[Cells, deque[Row]] = {}
        for row in came:
            there.setdefault(_value(row), deque()).append(row)
        removed = []
        for row in gone:
            found = there.get(_value(row))
            if found:
                kept = found.popleft()
                self._images[row.place] = kept
                self._origins[kept.place] = row
            else:
                removed.append(row)
        return removed, [row for row in came if row.place not in self._origins]

    def image(self, row: Row) -> Row:
        kept = self._images.get(row.place)
        if kept is not None:
            return kept
        zone = self._zones[bisect.bisect_right(self._olds, row.place) - 1]
        shift = zone.new - zone.old
        return row._replace(place=row.place + shift, end=row.end + shift)

    def origin(self, place: int) -> Row | None:
        return self._origins.get(place)

    def untouched(self) -> Iterator[Row]:
        yield from self._images.values()
        for zone in self._zones:
            for item in self._read(self._side, zone.new, zone.new + zone.length):
                yield _row(*item)

    def boundary(self, before: int) -> int:
        number = bisect.bisect_right(self._olds, before) - 1
        if number < 0:
            if before <= self._starts[0] < self._ends[0]:
                return self._starts[1]
            return self._zones[0].new if self._zones else self._ends[1]
        zone = self._zones[number]
        if before <= zone.old + zone.length and not self._is_last_end(number, before):
            return zone.new + before - zone.old
        if number + 1 < len(self._zones):
            return self._zones[number + 1].new
        return self._ends[1]

    def _is_last_end(self, number: int, before: int) -> bool:
        """Base ends here, and the side may go on."""
        zone = self._zones[number]
        return before == zone.old + zone.length == self._ends[0]


def _row(span: Span, cells: Cells) -> Row:
    return Row(span.start, span.end, cells)


def _value(row: Row) -> Cells:
    return tuple([hashable(cell) for cell in row.cells])
