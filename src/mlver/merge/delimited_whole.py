"""Text tables whose columns, or whose way of being written, differ: by all rows of all versions.

The skeleton is ours, or theirs where theirs alone changed columns or dialect; so what one side did
to every row of the file needs not be done again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from mlver.formats.base import NotThisFormat
from mlver.merge import keys, schema
from mlver.merge.base import OURS, THEIRS, Merged, Versions
from mlver.merge.options import Choice, Options
from mlver.merge.row_merge import merge_rows
from mlver.merge.rows import Cells, Columns, Edits
from mlver.merge.schema import Plan
from mlver.merge.table import Table, WholeSide, pack, picked
from mlver.merge.table_writer import TableWriter
from mlver.model.conflict import SIDES, Conflict

_HEAD = 1000
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z")


def merge(versions: Versions, name: str, options: Options) -> Merged:
    """The three versions merged. Raises NotThisFormat where one is no table."""
    if not versions.ours.size or not versions.theirs.size:
        raise NotThisFormat("one side emptied the file")
    ours, theirs = Table(versions.ours, name), Table(versions.theirs, name)
    both = [column for column in ours.header if column in theirs.header]
    tables = [Table(versions.base, name, both), ours, theirs]
    skeleton = THEIRS if _style(tables[0]) == _style(ours) != _style(theirs) else OURS
    plan = schema.plan(
        [table.header for table in tables], [table.rows for table in tables], skeleton, options
    )
    if not plan.shared():
        raise NotThisFormat("the versions have no column in common")
    places = [plan.places(side) for side in range(3)]
    mine = WholeSide(tables[0], ours, places[0], places[OURS])
    new = [n for n in plan.fresh() if None not in plan.columns[n].places[1:]]

    def is_apart(number: int, image: int) -> bool:
        """Both sides added a column of one name, and say other things in it."""
        met = mine.images[number]
        if met < 0:
            return True
        a, b = mine.row(met).cells, their_cells(image)
        return any(a[place] != b[place] for place in new)

    def their_cells(number: int) -> Cells:
        return picked(theirs.cells(number), places[THEIRS])

    their = WholeSide(tables[0], theirs, places[0], places[THEIRS], is_apart if new else None)
    sides = [mine, their]
    return _Whole(tables, plan, sides, skeleton, options).merge()


def _style(table: Table) -> tuple[object, ...]:
    dialect = table.dialect
    return (
        dialect.delimiter, dialect.encoding, dialect.start, dialect.line_end, tuple(table.header)
    )  # fmt: skip


class _Whole:
    def __init__(
        self,
        tables: Sequence[Table],
        plan: Plan,
        sides: Sequence[WholeSide],
        skeleton: int,
        options: Options,
    ) -> None:
        self._tables, self._plan, self._options = tables, plan, options
        self._skeleton = skeleton
        self._first, self._second = sides if skeleton == OURS else (sides[1], sides[0])
        self._key, self._source = keys.choose(
            [column.name for column in plan.columns],
            (sides[0], sides[1]),
            [self._head(side) for side in range(3)],
            options,
            plan.shared(),
            self._is_unique,
        )

    def merge(self) -> Merged:
        edits = self._edits()
        lost = self._dropped_and_changed(edits)
        conflicts = [*self._plan.conflicts, *self._retyped(), *lost]
        if lost:
            conflicts += [c for c in edits.conflicts if c.kind == "schema" and c.key]
        if self._keep(edits):
            edits = self._edits()
        conflicts += [c for c in edits.conflicts if c.kind != "schema"]
        other = self._tables[3 - self._skeleton]
        writer = TableWriter(
            self._tables[0], self._tables[self._skeleton], other, self._plan, self._skeleton
        )
        try:
            parts = writer.parts(edits, self._first, self._second, self._key)
        except UnicodeEncodeError as error:
            why = f"{error.object[error.start]!r}"
            raise NotThisFormat("the file's encoding has not all characters", why=why) from error
        names = [self._plan.columns[place].name for place in self._key]
        notes = () if names or self._options.keyless else (keys.NO_KEY,)
        return Merged("csv", parts, tuple(conflicts), tuple(names), self._source, notes)

    def _edits(self) -> Edits:
        plan = self._plan
        kept = frozenset(n for n, column in enumerate(plan.columns) if column.is_kept)
        columns = Columns(
            [column.name for column in plan.columns],
            self._key,
            plan.fresh(),
            plan.dropped(self._skeleton) - kept,
            plan.dropped(3 - self._skeleton) - kept,
            kept,
        )
        swapped = self._skeleton == THEIRS
        options = self._options
        return merge_rows(self._first, self._second, columns, options, ours_is_other=swapped)

    def _retyped(self) -> list[Conflict]:
        """Columns of one name that both sides added, numbers here and text there."""
        found = []
        for column in self._plan.columns:
            ours, theirs = column.places[1:]
            if column.places[0] is None and ours is not None and theirs is not None:
                a, b = _kind(self._tables[1], ours), _kind(self._tables[2], theirs)
                about = Conflict("schema", {}, column.name, None, a, b, ("base",))
                if a != b and a and b and not self._options.choice(about):
                    found.append(about)
        return found

    def _dropped_and_changed(self, edits: Edits) -> list[Conflict]:
        """Columns that one side dropped while the other changed values: one conflict each."""
        names = dict.fromkeys(c.column for c in edits.conflicts if c.kind == "schema")
        return [self._about(str(name)) for name in names]

    def _about(self, name: str) -> Conflict:
        column = next(c for c in self._plan.columns if c.name == name)
        base, ours, theirs = (None if place is None else name for place in column.places)
        sides = zip(SIDES, column.places, strict=True)
        absent = tuple([side for side, place in sides if place is None])
        return Conflict("schema", {}, name, base, ours, theirs, absent)

    def _keep(self, edits: Edits) -> bool:
        """Keep the columns of these conflicts that ours, or the side decided for, has."""
        gone = self._plan.dropped(OURS) | self._plan.dropped(THEIRS)
        changed = False
        asked = {c.column for c in edits.conflicts if c.kind == "schema"}
        for number in gone:
            column = self._plan.columns[number]
            about = self._about(column.name)
            choice = self._options.choice(about)
            if column.name not in asked and not (choice and self._is_named(about)):
                continue
            side = (choice or Choice("ours")).side or "ours"
            if side not in about.absent and not column.is_kept:
                column.is_kept = changed = True
        if changed:
            schema.order(self._plan, [table.header for table in self._tables], self._skeleton)
        return changed

    def _is_named(self, about: Conflict) -> bool:
        """Whether this very conflict was decided, not merely all of them."""
        return self._options._replace(rest=None).choice(about) is not None

    def _head(self, side: int) -> list[Cells]:
        table, places = self._tables[side], self._plan.places(side)
        return [
            tuple([None if place is None else row[place] for place in places])
            for row in islice(table.rows(), _HEAD)
        ]

    def _is_unique(self, key: Sequence[int], wanted: set[Cells]) -> bool:
        places = [self._plan.places(0)[place] or 0 for place in key]
        names = {pack([str(cell) for cell in cells]) for cells in wanted}
        met: set[bytes] = set()
        for name in self._tables[0].packed(places):
            if name in names:
                if name in met:
                    return False
                met.add(name)
        return True


def _kind(table: Table, place: int) -> str | None:
    """What a column holds: numbers, text, or nothing that tells."""
    values = {row[place].strip() for row in islice(table.rows(), _HEAD)} - {""}
    if not values:
        return None
    return "numbers" if all(_NUMBER.match(value) for value in values) else "text"
