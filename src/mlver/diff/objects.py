"""Lists of JSON objects as tables: a column is a member's name, a value may nest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlver.diff import typed
from mlver.diff.options import Options
from mlver.diff.typed import ABSENT
from mlver.formats.base import NotThisFormat
from mlver.model.change import FileDiff

Object = Mapping[str, Any]


def names_of(items: Iterable[Object]) -> list[str]:
    """The members that any of them has, in the order in which they come."""
    found: dict[str, None] = {}
    for item in items:
        found.update(dict.fromkeys(item))
    return list(found)


def compare(
    kind: str,
    old: Sequence[Object],
    new: Sequence[Object],
    counts: tuple[int, int],
    options: Options,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
    heads: tuple[Sequence[Object], Sequence[Object]] = ((), ()),
) -> FileDiff:
    """What changed between two lists of objects, which may leave out what both have.

    `names`: members of all objects of each version, where these lists are not all; `heads`: the
    first objects of each.
    """
    given = names or (names_of(old), names_of(new))
    # A version without rows has no columns; the other's did not come or go.
    before = given[0] if counts[0] else given[1]
    after = given[1] if counts[1] else given[0]
    rows = [
        [tuple([item.get(name, ABSENT) for name in side]) for item in items]
        for items, side in ((old, before), (new, after), (heads[0], before), (heads[1], after))
    ]
    try:
        return typed.compare(
            kind, (before, after), (rows[0], rows[1]), counts, options, heads=(rows[2], rows[3])
        )
    except RecursionError as error:
        raise NotThisFormat("it nests too deeply to be looked into") from error
