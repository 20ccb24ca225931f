"""The rows of one side brought into the other, the skeleton. Pure values.

The rules, in the order in which they hold:

1. One side alone changed, or both made the same change: it is taken.
2. Different cells of one row: both are taken; with `strict`, a conflict.
3. One cell changed in two ways; a row deleted here and changed there; a key added twice with
   different cells: a conflict, and ours stands. A row stays deleted where the other side only gave
   it the value of a column that is new there.
4. Rows without a key, or whose key is no key: by count, ours + theirs - base, where both changed
   the count in one direction; a conflict where one adds a row that the other removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlver.diff.typed import ABSENT
from mlver.merge.judge import Judge
from mlver.merge.options import Options
from mlver.merge.row_counts import Counts, Group
from mlver.merge.rows import Cells, Columns, Edits, Inserted, Row, Side, is_empty, key_of, same
from mlver.model.change import Value


def merge_rows(
    skeleton: Side, other: Side, columns: Columns, options: Options, *, ours_is_other: bool = False
) -> Edits:
    """What the other side adds to the skeleton. `ours_is_other`: ours, which stands where there is
    a conflict, is not the skeleton."""
    return _Merge(skeleton, other, columns, options, ours_is_other).run()


class _Merge:
    def __init__(
        self, skeleton: Side, other: Side, columns: Columns, options: Options, ours_is_other: bool
    ) -> None:
        self._skeleton, self._other = skeleton, other
        self._columns, self._strict, self._swapped = columns, options.strict, ours_is_other
        self._edits = Edits()
        self._judge = Judge(columns, options, ours_is_other)
        self._counts = Counts(
            (skeleton, other), columns, self._judge, self._edits, self._insert, self._meet
        )
        self._partner: dict[int, Row] = {}
        self._new: dict[int, Row] = {}
        self._nothing: Cells = (ABSENT,) * len(columns.names)
        self._removed = {row.place for row in skeleton.removed}

    def run(self) -> Edits:
        for name, group in self._groups().items():
            sides = (group.base, group.skeleton, group.other)
            if self._columns.key and all(len(rows) <= 1 for rows in sides):
                base = next(iter(group.base.values()), None)
                self._one(base, _only(group.skeleton), _only(group.other))
            else:
                self._counts.merge(name, group)
        if self._columns.gone_other:
            met = {row.place for row in self._partner.values()}
            for row in self._skeleton.added:
                if row.place not in met:
                    self._lost_cells(row, self._skeleton, self._columns.gone_other)
        self._place()
        self._edits.conflicts = self._judge.conflicts
        return self._edits

    def _groups(self) -> dict[Cells, Group]:
        key = self._columns.key
        groups: dict[Cells, Group] = {}
        for row in self._other.removed:
            group = groups.setdefault(key_of(row, key), Group())
            group.base[row.place] = row
            group.other_gone.add(row.place)
        for row in self._other.added:
            groups.setdefault(key_of(row, key), Group()).other.append(row)
        for rows, gone in ((self._skeleton.removed, True), (self._skeleton.added, False)):
            for row in rows:
                found = groups.get(key_of(row, key))
                if found is None:
                    continue
                found.touched = True
                if gone:
                    found.base[row.place] = row
                    found.skeleton_gone.add(row.place)
                else:
                    found.skeleton.append(row)
        for group in groups.values():
            for place, row in group.base.items():
                if place not in group.skeleton_gone:
                    group.skeleton.append(self._skeleton.image(row))
                if place not in group.other_gone:
                    group.other.append(self._other.image(row))
        return groups

    # -- one row a side ------------------------------------------------------------------------

    def _one(self, base: Row | None, mine: Row | None, their: Row | None) -> None:
        if mine is not None and their is not None:
            self._partner[their.place] = mine
            if base is None and not self._agree(mine, their):
                self._whole("add-add", base, mine, their)
            else:
                self._cells(base, mine, their)
        elif base is None:
            if their is not None:
                self._insert(their)
        elif mine is None and their is None:
            return
        elif self._is_changed(base, mine or their):
            self._whole("edit-delete", base, mine, their)
        elif mine is not None:
            self._edits.deleted[mine.place] = mine

    def _agree(self, mine: Row, their: Row) -> bool:
        """Rows that both added say the same, as far as both have the columns."""
        return all(
            a is ABSENT or b is ABSENT or same(a, b)
            for a, b in zip(mine.cells, their.cells, strict=True)
        )

    def _is_changed(self, base: Row, row: Row | None) -> bool:
        """More than by the value of a new column, or the loss of one that was dropped."""
        assert row is not None
        return any(
            place not in self._columns.fresh and b is not ABSENT and not same(a, b)
            for place, (a, b) in enumerate(zip(base.cells, row.cells, strict=True))
        )

    def _cells(self, base: Row | None, mine: Row, their: Row) -> None:
        old = base.cells if base is not None else self._nothing
        taken: dict[int, Value] = {}
        changed: dict[bool, list[int]] = {True: [], False: []}
        clashes = []
        for place, (x, y, z) in enumerate(zip(old, mine.cells, their.cells, strict=True)):
            if place in self._columns.kept:
                y, z = (x if value is ABSENT else value for value in (y, z))
            if same(y, z) or self._is_schema(place, x, y, z):
                continue
            for is_mine, value in ((True, y), (False, z)):
                if not same(x, value) and place not in self._columns.fresh:
                    changed[is_mine].append(place)
            lost = place in self._columns.gone_skeleton or place in self._columns.gone_other
            if base is None and lost:
                if not (is_empty(y) and is_empty(z)):
                    clashes.append(place)
            elif same(x, y):
                taken[place] = z
            elif not same(x, z):
                clashes.append(place)
        if self._strict and changed[True] and changed[False]:
            clashes = sorted({*clashes, *changed[True], *changed[False]})
        for place in clashes:
            taken.pop(place, None)
            value = self._judge.cell(place, mine, old[place], mine.cells[place], their.cells[place])
            if not same(value, mine.cells[place]):
                taken[place] = value
        if taken:
            self._edits.cells[mine.place] = (mine, taken, their)

    def _is_schema(self, place: int, x: Value, y: Value, z: Value) -> bool:
        """A column that one side dropped and the other did not change the value of."""
        if place in self._columns.gone_skeleton:
            return same(x, z)
        return place in self._columns.gone_other and same(x, y)

    def _whole(self, kind: str, base: Row | None, mine: Row | None, their: Row | None) -> None:
        """A row that is another, or is not there, on each side."""
        some = mine or their
        assert some is not None
        shown = [ABSENT if row is None else self._judge.shown(row) for row in (base, mine, their)]
        conflict = self._judge.conflict(kind, some, None, *shown)
        self._become(mine, self._judge.version(conflict, base, mine, their), their)

    def _meet(self, mine: Row, their: Row) -> None:
        """Equal rows of both sides; either may have the value of a new column."""
        self._partner.setdefault(their.place, mine)
        if self._columns.fresh:
            self._cells(None, mine, their)

    def _become(self, mine: Row | None, wanted: Row | None, their: Row | None) -> None:
        """Put one version of a row in the place of the skeleton's."""
        if wanted is mine:
            return
        if wanted is None:
            assert mine is not None
            self._edits.deleted[mine.place] = mine
        elif mine is None:
            if wanted is their:
                self._insert(wanted)
            else:
                place = self._skeleton.boundary(wanted.place)
                self._edits.inserted.append(Inserted(place, wanted.cells, None))
        else:
            taken = {
                place: value
                for place, (value, now) in enumerate(zip(wanted.cells, mine.cells, strict=True))
                if value is not ABSENT and not same(value, now)
            }
            if taken:
                self._edits.cells[mine.place] = (mine, taken, their)

    def _insert(self, row: Row) -> None:
        self._new[row.place] = row
        self._lost_cells(row, self._other, self._columns.gone_skeleton)

    def _lost_cells(self, row: Row, side: Side, gone: Iterable[int]) -> None:
        """What a side wrote into a column that the other one dropped."""
        for place in gone:
            value = row.cells[place]
            if is_empty(value) or self._was_there(row, side, place):
                continue
            mine, their = (value, ABSENT) if side is self._skeleton else (ABSENT, value)
            self._judge.cell(place, row, ABSENT, mine, their)

    def _was_there(self, row: Row, side: Side, place: int) -> bool:
        """Whether the row had this value before the side changed it."""
        key = self._columns.key
        return any(
            same(old.cells[place], row.cells[place])
            for old in side.removed
            if key_of(old, key) == key_of(row, key)
        )

    # -- where new rows stand --------------------------------------------------------------------

    def _place(self) -> None:
        """A new row follows the row that it follows on its side, and what the skeleton put
        there."""
        left = dict(self._new)
        own = self._put_in()
        at = self._skeleton.boundary(0)
        for run in self._other.runs:
            at = self._skeleton.boundary(run.before)
            for place in run.places:
                if place in self._partner:
                    at = self._partner[place].end
                elif place in left:
                    row = left.pop(place)
                    while at in own:
                        at = own[at]
                    self._edits.inserted.append(Inserted(at, row.cells, row))
                elif (base := self._other.origin(place)) is not None and self._keeps(base):
                    at = self._skeleton.image(base).end
        self._edits.inserted += [Inserted(at, row.cells, row) for row in left.values()]

    def _put_in(self) -> dict[int, int]:
        """Rows that the skeleton added and did not change from others: place → end."""
        key = self._columns.key
        if not key and self._skeleton.removed:
            return {}
        gone = {key_of(row, key) for row in self._skeleton.removed}
        met = {row.place for row in self._partner.values()}
        return {
            row.place: row.end
            for row in self._skeleton.added
            if row.place not in met and (not key or key_of(row, key) not in gone)
        }

    def _keeps(self, base: Row) -> bool:
        return base.place not in self._removed


def _only(rows: Sequence[Row]) -> Row | None:
    return rows[0] if rows else None
