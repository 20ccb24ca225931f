"""Rows that are left on either side, paired by key into changes. Pure values.

1. Equal rows have cancelled as multisets before this.
2. Rows whose key stands once on either side among the rest are pairs: one row that was modified.
3. The rest was added or removed; where its key stands more than once on a side, it is ambiguous.

Because the rest does not depend on how it was found (from the changed parts, or from all rows), the
result does not either. An inferred key is the best column, or smallest set of columns, that is
unique on each side in the rest and in the rows at the head of each version.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from mlver.model.change import Cell, Change, Value

Row = tuple[Value, ...]

_ID_NAME = re.compile(r"(?i)\A(?:.*[^a-z])?(?:u?id|uuid|guid|key|pk|index|code)\Z|\A.*(?:ID|Id)\Z")
_FRACTION = re.compile(r"\A\s*[-+]?[0-9]*\.[0-9]+(?:[eE][-+]?[0-9]+)?\s*\Z")
_WIDEST = 12
"""Columns that are tried in sets of two and three."""


class Tolerance(NamedTuple):
    """Numbers are equal where |a - b| <= absolute + relative * |a|; asked of paired cells only."""

    absolute: float = 0.0
    relative: float = 0.0

    def equal(self, a: Value, b: Value) -> bool:
        """True where the cells count as the same; NaN equals NaN."""
        if a == b and type(a) is type(b):
            return True
        if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
            return True
        if not (self.absolute or self.relative):
            return False
        try:
            x, y = float(a), float(b)
        except (TypeError, ValueError):
            return False
        return abs(x - y) <= self.absolute + self.relative * abs(x)


class Paired(NamedTuple):
    """Changes in the order of their keys (numbers as numbers), of their rows where there is none.

    Not in the order of the file: of rows that are the same, which one was added is not known.
    """

    changes: tuple[Change, ...]
    added: int
    removed: int
    modified: int
    ambiguous: int


def pair(
    header: Sequence[str],
    old: Sequence[Row],
    new: Sequence[Row],
    key: Sequence[str],
    tolerance: Tolerance = Tolerance(),  # noqa: B008 - immutable
) -> Paired:
    """Changes from the rows `old` to the rows `new`, both in the columns of `header`."""
    places = [header.index(name) for name in key]
    groups_old, groups_new = _grouped(old, places), _grouped(new, places)
    changes: list[Change] = []
    counts = {"added": 0, "removed": 0, "modified": 0}
    ambiguous = 0
    paired: set[Row] = set()
    for row in new:
        name = _key(row, places)
        before, after = groups_old.get(name, []), groups_new[name]
        if places and len(before) == len(after) == 1:
            paired.add(name)
            cells = _cells(header, before[0], row, tolerance)
            if cells:
                changes.append(_change("modified", header, places, row, cells))
                counts["modified"] += 1
            continue
        unsure = bool(places) and (len(after) > 1 or len(before) > 1)
        changes.append(_change("added", header, places, row, ambiguous=unsure))
        counts["added"] += 1
        ambiguous += unsure
    for row in old:
        name = _key(row, places)
        if name in paired and places:
            continue
        unsure = bool(places) and (len(groups_old[name]) > 1 or len(groups_new.get(name, [])) > 1)
        changes.append(_change("removed", header, places, row, ambiguous=unsure))
        counts["removed"] += 1
        ambiguous += unsure
    changes.sort(key=_order)
    return Paired(tuple(changes), counts["added"], counts["removed"], counts["modified"], ambiguous)


_KINDS = {"removed": 0, "modified": 1, "added": 2}


def _order(
    change: Change,
) -> tuple[list[tuple[int, float, str]], int, list[tuple[int, float, str]]]:
    key = [_natural(value) for value in change.key.values()]
    return key, _KINDS[change.kind], [_natural(value) for value in change.row.values()]


def _natural(value: Value) -> tuple[int, float, str]:
    """Numbers before text, by their size; text by its letters."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return (1, 0.0, str(value))
    return (1, 0.0, str(value)) if math.isnan(number) else (0, number, str(value))


def _grouped(rows: Iterable[Row], places: Sequence[int]) -> dict[Row, list[Row]]:
    groups: dict[Row, list[Row]] = {}
    for row in rows:
        groups.setdefault(_key(row, places), []).append(row)
    return groups


_TEXT = {str}


def _key(row: Row, places: Sequence[int]) -> Row:
    values = tuple([row[place] for place in places])
    if set(map(type, values)) == _TEXT:  # every row of a text table
        return values
    return tuple([hashable(value) for value in values])


def hashable(value: Value) -> Value:
    """A value that equals another just where the JSON values are the same: 1, 1.0 and true are
    three, NaN is itself, and lists and objects count by their content."""
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value)
    if isinstance(value, list | tuple):
        return ("list", tuple([hashable(item) for item in value]))
    if isinstance(value, dict):
        return ("object", frozenset((name, hashable(item)) for name, item in value.items()))
    return (type(value).__name__, value)


def _cells(header: Sequence[str], old: Row, new: Row, tolerance: Tolerance) -> tuple[Cell, ...]:
    return tuple(
        Cell(name, a, b)
        for name, a, b in zip(header, old, new, strict=True)
        if not tolerance.equal(a, b)
    )


def _change(
    kind: str,
    header: Sequence[str],
    places: Sequence[int],
    row: Row,
    cells: tuple[Cell, ...] = (),
    *,
    ambiguous: bool = False,
) -> Change:
    return Change(
        kind,
        {header[place]: row[place] for place in places},
        dict(zip(header, row, strict=True)),
        cells,
        ambiguous,
    )


def infer_key(
    header: Sequence[str],
    old: Sequence[Row],
    new: Sequence[Row],
    old_head: Sequence[Row] = (),
    new_head: Sequence[Row] = (),
) -> tuple[str, ...]:
    """The columns by which rows are told apart; () where none can be told.

    `old_head`, `new_head`: rows at the head of each version, which the key must tell apart too.
    """
    return unique_key(header, [[*old_head, *old], [*new_head, *new]], old, new)


def unique_key(
    header: Sequence[str],
    versions: Sequence[Sequence[Row]],
    old: Sequence[Row],
    new: Sequence[Row],
) -> tuple[str, ...]:
    """The best columns that tell the rows of each version apart; () where none do. `old`, `new`:
    rows of which as many as can be should pair."""
    sides = [_distinct(rows) for rows in versions]
    if not any(sides) or not header:
        return ()
    for size in (1, 2, 3):
        columns = range(len(header)) if size == 1 else range(min(len(header), _WIDEST))
        found = [
            places
            for places in combinations(columns, size)
            if all(_is_unique(rows, places) for rows in sides)
        ]
        if found:
            best = min(found, key=lambda places: _rank(header, places, old, new))
            return tuple(header[place] for place in best)
    return ()


def _distinct(rows: Iterable[Row]) -> list[Row]:
    """Without rows that are the same altogether: one may stand in the head and in the rest."""
    return list({_key(row, range(len(row))): row for row in rows}.values())


def _is_unique(rows: Sequence[Row], places: tuple[int, ...]) -> bool:
    seen: set[Row] = set()
    for row in rows:
        name = _key(row, places)
        if name in seen:
            return False
        seen.add(name)
    return True


def _rank(
    header: Sequence[str], places: tuple[int, ...], old: Sequence[Row], new: Sequence[Row]
) -> tuple[bool, int, bool, tuple[int, ...]]:
    """Named like a key first, then what pairs most rows, measured values last, the leftmost."""
    named = any(_ID_NAME.match(header[place]) for place in places)
    shared = {_key(row, places) for row in old} & {_key(row, places) for row in new}
    sample = [row[place] for row in [*new, *old][:100] for place in places]
    measured = any(
        isinstance(v, float) or (isinstance(v, str) and _FRACTION.match(v)) for v in sample
    )
    return (not named, -len(shared), measured, places)
