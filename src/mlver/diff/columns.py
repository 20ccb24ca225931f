"""Columns of two versions matched: by name, and where one went and one came, by their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from mlver.model.change import Columns, Value

Row = tuple[Value, ...]

_SAMPLE = 20_000
"""Rows of each version that are compared to tell a rename."""


class Match(NamedTuple):
    """`shared`: names that both have, in the new order; `renamed`: (old name, new name)."""

    old: Sequence[str]
    new: Sequence[str]
    shared: Sequence[str]
    renamed: Sequence[tuple[str, str]]

    def header(self) -> tuple[str, ...]:
        """The columns that are compared, by their new names, in the new order."""
        there = {*self.shared, *(name for _, name in self.renamed)}
        return tuple([name for name in self.new if name in there])

    def old_places(self) -> list[int]:
        """Where the compared columns stand in the old version."""
        before = {name: old for old, name in self.renamed}
        return [self.old.index(before.get(name, name)) for name in self.header()]

    def new_places(self) -> list[int]:
        """Where they stand in the new version."""
        return [self.new.index(name) for name in self.header()]

    def columns(self) -> Columns:
        gone = {name for name, _ in self.renamed}
        came = {name for _, name in self.renamed}
        return Columns(
            added=tuple([n for n in self.new if n not in self.old and n not in came]),
            removed=tuple([n for n in self.old if n not in self.new and n not in gone]),
            renamed=tuple(self.renamed),
            reordered=[n for n in self.old if n in self.shared] != list(self.shared),
        )


def shared(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Names that both have, in the new order."""
    there = set(old)
    return [name for name in new if name in there]


def renames(
    old: Sequence[str],
    new: Sequence[str],
    both: Sequence[str],
    read_old: Callable[[], Iterator[Row]],
    read_new: Callable[[], Iterator[Row]],
) -> list[tuple[str, str]]:
    """Columns that only changed their name: equal values in rows that are otherwise the same.

    Rows are joined by the values of the columns that both have, where these stand once on a side;
    without such columns, by their place.
    """
    gone = [name for name in old if name not in both]
    came = [name for name in new if name not in both]
    if not gone or not came:
        return []
    sides = [
        _joinable(list(islice(read(), _SAMPLE)), [names.index(name) for name in both])
        for names, read in ((old, read_old), (new, read_new))
    ]
    joined = [(sides[0][name], sides[1][name]) for name in sides[0] if name in sides[1]]
    found: list[tuple[str, str]] = []
    for before in gone:
        for after in came:
            a, b = old.index(before), new.index(after)
            if joined and all(x[a] == y[b] for x, y in joined):
                found.append((before, after))
                came.remove(after)
                break
    return found


def _joinable(rows: list[Row], places: list[int]) -> dict[object, Row]:
    if not places:
        return dict(enumerate(rows))
    groups: dict[object, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple([row[place] for place in places]), []).append(row)
    return {name: group[0] for name, group in groups.items() if len(group) == 1}
