"""Columns of three versions brought together.

A column keeps its identity when it is renamed, so an edit follows it. Added on one side: it is in
the result, and other rows have nothing in it. Dropped on one side: it goes, unless the other side
renamed it, or changed a value of it (rows tells that): a schema conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlver.diff import columns as matched
from mlver.merge.base import BASE, OURS, THEIRS
from mlver.merge.options import Options
from mlver.model.conflict import Conflict

Names = Sequence[str]
ReadRows = Callable[[], Iterator[tuple[Any, ...]]]


@dataclass(slots=True)
class Column:
    """One column: its number in base, ours and theirs (None: not there), and its name now.
    `is_kept`: it stays, though one side dropped it."""

    name: str
    places: list[int | None]
    is_kept: bool = False


@dataclass(slots=True)
class Plan:
    """`columns`: all that any version has; `result`: those of the merged file, by number, in the
    order of the skeleton; `conflicts`: of names."""

    columns: list[Column]
    result: list[int] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)

    def places(self, side: int) -> list[int | None]:
        """Where each column stands in a version."""
        return [column.places[side] for column in self.columns]

    def shared(self) -> list[int]:
        """Columns of all three versions."""
        return [n for n, c in enumerate(self.columns) if None not in c.places]

    def fresh(self) -> frozenset[int]:
        """Columns that base has not."""
        return frozenset(n for n, c in enumerate(self.columns) if c.places[BASE] is None)

    def dropped(self, side: int) -> frozenset[int]:
        """Columns of base that this side has not."""
        return frozenset(
            n
            for n, c in enumerate(self.columns)
            if c.places[BASE] is not None and c.places[side] is None
        )


def plan(
    headers: Sequence[Names], reads: Sequence[ReadRows], skeleton: int, options: Options
) -> Plan:
    """Match the columns of three headers. `reads`: the rows of each."""
    base, ours, theirs = headers
    renamed = [_renamed(headers, reads, side) for side in (OURS, THEIRS)]
    made = Plan([])
    for place, name in enumerate(base):
        now = [
            _now(name, header, found) for header, found in zip(headers[1:], renamed, strict=True)
        ]
        column = Column(name, [place, *now])
        _name(made, column, headers, options)
        made.columns.append(column)
    _add_new(made, ours, OURS)
    _add_new(made, theirs, THEIRS)
    _mend_names(made)
    order(made, headers, skeleton)
    return made


def _renamed(headers: Sequence[Names], reads: Sequence[ReadRows], side: int) -> dict[str, str]:
    both = matched.shared(headers[BASE], headers[side])
    found = matched.renames(headers[BASE], headers[side], both, reads[BASE], reads[side])
    return dict(found)


def _now(name: str, header: Names, renamed: dict[str, str]) -> int | None:
    """Where a column of base stands in a side."""
    if name in renamed:
        return header.index(renamed[name])
    return header.index(name) if name in header and name not in renamed.values() else None


def _name(made: Plan, column: Column, headers: Sequence[Names], options: Options) -> None:
    """Its name: the one that a side gave it."""
    names = [
        None if place is None else headers[side][place] for side, place in enumerate(column.places)
    ]
    old, ours, theirs = names
    changed = [name for name in (ours, theirs) if name not in (None, old)]
    if changed and (None in (ours, theirs) or (len(changed) == 2 and ours != theirs)):
        conflict = Conflict("schema", {}, old, old, ours, theirs)
        choice = options.choice(conflict)
        if choice is None:
            made.conflicts.append(conflict)
        chosen = conflict.side((choice and choice.side) or "ours")
        column.name = chosen or ours or theirs or column.name
        column.is_kept = chosen is not None
    elif changed:
        column.name = str(changed[0])


def _add_new(made: Plan, header: Names, side: int) -> None:
    known = {column.places[side] for column in made.columns}
    for place, name in enumerate(header):
        if place in known:
            continue
        met = next((c for c in made.columns if c.places[BASE] is None and c.name == name), None)
        if met is not None:
            met.places[side] = place
        else:
            column = Column(name, [None, None, None])
            column.places[side] = place
            made.columns.append(column)


def _mend_names(made: Plan) -> None:
    """Two columns of one name: a side renamed one to what the other calls another one."""
    seen: dict[str, Column] = {}
    for column in made.columns:
        if column.name in seen:
            name = column.name
            made.conflicts.append(Conflict("schema", {}, name, None, name, name, ("base",)))
        while column.name in seen:
            column.name += "_theirs"
        seen[column.name] = column


def order(made: Plan, headers: Sequence[Names], skeleton: int) -> None:
    """Find the columns of the result: the skeleton's, each other one behind its left neighbour."""
    gone = made.dropped(OURS) | made.dropped(THEIRS)
    stays = {n for n, c in enumerate(made.columns) if n not in gone or c.is_kept}
    by_place = [
        {column.places[side]: n for n, column in enumerate(made.columns)} for side in range(3)
    ]
    result = [by_place[skeleton][place] for place in range(len(headers[skeleton]))]
    for side in (OURS, THEIRS, BASE):
        for place in range(len(headers[side])):
            number = by_place[side][place]
            if number in result or number not in stays:
                continue
            left = by_place[side].get(place - 1) if place else None
            at = result.index(left) + 1 if left in result else 0 if not place else len(result)
            result.insert(at, number)
    made.result = [number for number in result if number in stays]
