"""Makes conflicts of what two sides changed differently, and asks what was decided of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mlver.diff.typed import ABSENT
from mlver.merge.options import Choice, Options
from mlver.merge.rows import Columns, Row
from mlver.model.change import Value
from mlver.model.conflict import Conflict

T = TypeVar("T")


class Judge:
    """Of one merge. `conflicts`: those that nobody has decided. `mine` is the skeleton's, `their`
    the other side's, whichever of them ours is."""

    def __init__(self, columns: Columns, options: Options, ours_is_other: bool) -> None:
        self._columns, self._options, self._swapped = columns, options, ours_is_other
        self.conflicts: list[Conflict] = []

    def cell(self, place: int, row: Row, base: Value, mine: Value, their: Value) -> Value:
        """A cell that is another on each side: the value that stands in the result."""
        columns = self._columns
        dropped = place in columns.gone_skeleton or place in columns.gone_other
        kind = "schema" if dropped else "cell"
        conflict = self.conflict(kind, row, columns.names[place], base, mine, their)
        about = conflict._replace(key={}) if dropped else conflict
        if (choice := self._options.choice(about)) is not None:
            return mine if dropped else _chosen(choice, conflict)
        self.conflicts.append(conflict)
        return their if self._swapped else mine

    def conflict(
        self, kind: str, row: Row, column: str | None, base: Value, mine: Value, their: Value
    ) -> Conflict:
        values = {"base": base, "ours": mine, "theirs": their}
        if self._swapped:
            values |= {"ours": their, "theirs": mine}
        absent = tuple([name for name, value in values.items() if value is ABSENT])
        shown = {name: None if value is ABSENT else value for name, value in values.items()}
        return Conflict(kind, self._key_of(row), column, **shown, absent=absent)

    def _key_of(self, row: Row) -> Mapping[str, Value]:
        return {self._columns.names[place]: row.cells[place] for place in self._columns.key}

    def shown(self, row: Row) -> dict[str, Value]:
        cells = zip(self._columns.names, row.cells, strict=True)
        return {name: value for name, value in cells if value is not ABSENT}

    def side(self, conflict: Conflict) -> str:
        """The side (base, ours, theirs) that stands in the result as a whole."""
        choice = self._options.choice(conflict)
        if choice is not None and choice.side is not None:
            return choice.side
        self.conflicts.append(conflict)
        return "ours"

    def version(self, conflict: Conflict, base: T, mine: T, their: T) -> T:
        """The one of the three that stands in the result."""
        ours, theirs = (their, mine) if self._swapped else (mine, their)
        return {"base": base, "ours": ours, "theirs": theirs}[self.side(conflict)]

    def counted(self, row: Row, old: int, mine: int, their: int) -> int:
        """How often a row stands in the result that one side added and the other removed."""
        ours, theirs = (their, mine) if self._swapped else (mine, their)
        conflict = Conflict("edit-delete", self.shown(row), None, old, ours, theirs)
        return int(conflict.side(self.side(conflict)))


def _chosen(choice: Choice, conflict: Conflict) -> Value:
    if choice.side is None:
        return choice.value
    return ABSENT if choice.side in conflict.absent else conflict.side(choice.side)
