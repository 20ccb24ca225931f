"""Rows of two sides brought together. Pure values: a side is what it took from base and what it
added; rows that neither touched are not seen here.

One side is the *skeleton*: its rows stay where and as they are, and the result is what has to be
done to it. The rules are
in row_merge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mlver.diff.rows import hashable
from mlver.diff.typed import ABSENT
from mlver.model.change import Value
from mlver.model.conflict import Conflict

Cells = tuple[Value, ...]


class Row(NamedTuple):
    """Cells in the working columns, ABSENT where the version has no such column. It stands at
    `place` of its version, and the next one at `end`."""

    place: int
    end: int
    cells: Cells


class Run(NamedTuple):
    """Rows of a side that stand together, some of them new; in base they follow `before`."""

    before: int
    places: Sequence[int]


class Side(Protocol):
    """One side against base."""

    @property
    def removed(self) -> Sequence[Row]:
        """Rows of base that it has not."""

    @property
    def added(self) -> Sequence[Row]:
        """Rows of its own that base has not."""

    @property
    def runs(self) -> Sequence[Run]:
        """Where its added rows stand, in order."""

    def image(self, row: Row) -> Row:
        """Its row for a row of base that it kept."""

    def origin(self, place: int) -> Row | None:
        """The row of base that stands at this place of a run, where it is no new one."""

    def untouched(self) -> Iterable[Row]:
        """Its rows that stand in base too and were not looked at: all that it is not asked for
        otherwise. A look at all of the file."""

    def boundary(self, before: int) -> int:
        """The place in this side that answers to this place between rows of base; behind what
        this side put there."""


class Columns(NamedTuple):
    """The working columns: those that any version has. `fresh`: not in base; `gone`: dropped by
    the skeleton, or by the other side, and in the result no more; `shared`: all three have them.
    All by number."""

    names: Sequence[str]
    key: Sequence[int]
    fresh: frozenset[int] = frozenset()
    gone_skeleton: frozenset[int] = frozenset()
    gone_other: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()
    """A side dropped them, and it was decided that they stay."""

    def shared(self, cells: Cells) -> Cells:
        """What of a row can be compared between any two versions."""
        apart = self.fresh | self.gone_skeleton | self.gone_other
        if not apart:
            return cells
        return tuple([value for place, value in enumerate(cells) if place not in apart])


class Inserted(NamedTuple):
    """A row to put before `place` of the skeleton; `row`: where it stands in the other side."""

    place: int
    cells: Cells
    row: Row | None


@dataclass(slots=True)
class Edits:
    """What makes the merged rows of the skeleton's. `cells`: place → (row, what is another value,
    the other side's row)."""

    cells: dict[int, tuple[Row, dict[int, Value], Row | None]] = field(default_factory=dict)
    deleted: dict[int, Row] = field(default_factory=dict)
    inserted: list[Inserted] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)


def touched_by_both(skeleton: Side, other: Side, key: Sequence[int]) -> set[Cells]:
    """The keys of which both sides changed rows: what the key is matters for them alone."""
    there = {key_of(row, key) for rows in (other.removed, other.added) for row in rows}
    here = {key_of(row, key) for rows in (skeleton.removed, skeleton.added) for row in rows}
    return here & there


def key_of(row: Row, key: Sequence[int]) -> Cells:
    """The key of a row."""
    return tuple([hashable(row.cells[place]) for place in key])


def same(a: Value, b: Value) -> bool:
    """Equal as JSON values: 1, 1.0 and true are three; NaN equals itself."""
    if a is b or (isinstance(a, str) and isinstance(b, str)):
        return bool(a == b)
    if a is ABSENT or b is ABSENT:
        return False
    return bool(hashable(a) == hashable(b))


def is_empty(value: Value) -> bool:
    """Nothing, as far as a text table can tell."""
    return value is ABSENT or value is None or value == ""
