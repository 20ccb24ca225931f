"""Rows that are told apart by nothing, or by a key that stands more than once: by their number.

Both sides changed the number in one direction: ours + theirs - base. One adds a row that the other
removes, or both changed rows of one such key in different ways: a conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mlver.diff.rows import hashable
from mlver.merge.judge import Judge
from mlver.merge.rows import Cells, Columns, Edits, Inserted, Row, Side


@dataclass(slots=True)
class Group:
    """Rows of one key: of base those that a side touched, with what either side has of them.
    `touched`: by the skeleton; the other side touched every group."""

    base: dict[int, Row] = field(default_factory=dict)
    skeleton: list[Row] = field(default_factory=list)
    other: list[Row] = field(default_factory=list)
    skeleton_gone: set[int] = field(default_factory=set)
    other_gone: set[int] = field(default_factory=set)
    touched: bool = False


class Counts:
    """Merges such groups. `insert` takes a row of the other side; `meet` is told of rows of either
    side that are the same."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        columns: Columns,
        judge: Judge,
        edits: Edits,
        insert: Callable[[Row], None],
        meet: Callable[[Row, Row], None],
    ) -> None:
        self._skeleton, self._other = sides
        self._columns, self._judge, self._edits = columns, judge, edits
        self._insert, self._meet = insert, meet

    def merge(self, name: Cells, group: Group) -> None:
        counted = [
            self._by_value(rows) for rows in (group.base.values(), group.skeleton, group.other)
        ]
        values = list(dict.fromkeys(value for side in counted for value in side))
        numbers = [[len(side.get(value, ())) for side in counted] for value in values]
        if name and group.touched and _is_torn(numbers):
            self._torn(group)
            return
        for value, (old, mine, their) in zip(values, numbers, strict=True):
            rows = counted[1].get(value, []), counted[2].get(value, [])
            target = self._target(value, rows, (old, mine, their))
            for row in rows[1][: max(0, target - mine)]:
                self._insert(row)
            for row in rows[0][target:]:
                self._edits.deleted[row.place] = row
            missing = old - mine - their
            if missing > 0 and mine < old and their < old and mine != their:
                self._delete_others(value, missing, {row.place for row in rows[0]})
            for a, b in zip(rows[0], rows[1], strict=False):
                self._meet(a, b)

    def _target(
        self, value: Cells, rows: tuple[list[Row], list[Row]], numbers: tuple[int, int, int]
    ) -> int:
        """How often a row stands in the result, of those that a side touched."""
        old, mine, their = numbers
        if mine in (their, old):
            return their
        if their == old:
            return mine
        if (mine > old) == (their > old):
            return max(0, mine + their - old)
        others = sum(1 for _ in self._others(value, {row.place for row in rows[0]}))
        counts = [number + others for number in numbers]
        return self._judge.counted([*rows[0], *rows[1]][0], *counts) - others

    def _others(self, value: Cells, known: set[int]) -> Iterator[Row]:
        """Rows of the same value that no side touched."""
        for row in self._skeleton.untouched():
            if row.place not in known and self._value(row) == value:
                yield row

    def _delete_others(self, value: Cells, count: int, known: set[int]) -> None:
        """Both sides removed rows of this value, together more than either touched: others of the
        same value go."""
        for row in islice(self._others(value, known), count):
            self._edits.deleted[row.place] = row

    def _torn(self, group: Group) -> None:
        """Both sides changed rows of one key, and not in the same way."""
        base, mine, their = [*group.base.values()], group.skeleton, group.other
        shown = [[self._judge.shown(row) for row in side] for side in (base, mine, their)]
        kind = "cell" if base else "add-add"
        conflict = self._judge.conflict(kind, [*base, *mine, *their][0], None, *shown)
        rows = self._judge.version(conflict, base, mine, their)
        if rows is mine:
            return
        for row in mine:
            self._edits.deleted[row.place] = row
        for row in rows:
            if rows is their and row in self._other.added:
                self._insert(row)
            else:
                place = self._skeleton.boundary(next(iter(group.base), 0))
                self._edits.inserted.append(Inserted(place, row.cells, None))

    def _by_value(self, rows: Iterable[Row]) -> dict[Cells, list[Row]]:
        found: dict[Cells, list[Row]] = {}
        for row in rows:
            found.setdefault(self._value(row), []).append(row)
        return found

    def _value(self, row: Row) -> Cells:
        return tuple([hashable(cell) for cell in self._columns.shared(row.cells)])


def _is_torn(numbers: Sequence[Sequence[int]]) -> bool:
    mine = any(s != o for o, s, _ in numbers)
    their = any(t != o for o, _, t in numbers)
    return mine and their and any(s != t for _, s, t in numbers)
