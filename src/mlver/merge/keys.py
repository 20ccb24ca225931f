"""By which columns rows are told apart in a merge.

An inferred key must be unique in all that changed and at the head of each version; where both sides
changed a row of one key, that key also among all rows of base.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlver.diff.rows import hashable, unique_key
from mlver.formats.base import NotThisFormat
from mlver.merge.options import Options
from mlver.merge.rows import Cells, Row, Side, touched_by_both

__all__ = ["NO_KEY", "KeyGone", "choose", "hashable"]

NO_KEY = "no column tells its rows apart: they are counted; --key names one"


class KeyGone(NotThisFormat):
    """A column of the key that was named is not in all versions."""

    def __init__(self, column: str) -> None:
        super().__init__(f"its key {column!r} is not in all versions")
        self.column = column


def choose(
    names: Sequence[str],
    sides: tuple[Side, Side],
    heads: Sequence[Sequence[Cells]],
    options: Options,
    usable: Sequence[int],
    is_unique: Callable[[Sequence[int], set[Cells]], bool],
) -> tuple[tuple[int, ...], str | None]:
    """(columns by number, who named them). `heads`: rows at the head of each version; `usable`:
    columns that all have; `is_unique`: whether each of these keys stands once in base at most."""
    if options.key:
        for name in options.key:
            if name not in names:
                raise NotThisFormat(f"it has no column {name!r} to be its key")
        places = tuple([names.index(name) for name in options.key])
        for place in places:
            if place not in usable:
                raise KeyGone(names[place])
        return places, options.key_source
    if options.keyless or not usable:
        return (), None

    def pick(rows: Sequence[Row]) -> list[Cells]:
        return [tuple([row.cells[place] for place in usable]) for row in rows]

    old = [*pick(sides[0].removed), *pick(sides[1].removed)]
    new = [pick(side.added) for side in sides]
    narrow = [[tuple([row[place] for place in usable]) for row in rows] for rows in heads]
    versions = [[*narrow[0], *old], [*narrow[1], *new[0]], [*narrow[2], *new[1]]]
    header = [names[place] for place in usable]
    found = unique_key(header, versions, old, [*new[0], *new[1]])
    places = tuple([names.index(name) for name in found])
    both = touched_by_both(*sides, places) if places else set()
    if both and not is_unique(places, both):
        return (), None
    return places, "inferred" if places else None
