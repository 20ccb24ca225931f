"""Rows of typed values, as JSON, Parquet and databases have them: the rules of CSV
(diff/rows.py), with values in place of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mlver.diff import columns
from mlver.diff.options import Options
from mlver.diff.rows import hashable, infer_key, pair
from mlver.formats.base import NotThisFormat
from mlver.model.change import Cell, Change, FileDiff, RowCounts, Value

Row = tuple[Value, ...]


class Absent:
    """Stands in a row for a member that the object does not have: not the same as null."""

    def __repr__(self) -> str:
        return ""


ABSENT = Absent()


def compare(
    kind: str,
    names: tuple[Sequence[str], Sequence[str]],
    rows: tuple[Sequence[Row], Sequence[Row]],
    counts: tuple[int, int],
    options: Options,
    *,
    heads: tuple[Sequence[Row], Sequence[Row]] = ((), ()),
    key: tuple[str, ...] = (),
    retyped: Sequence[tuple[str, str, str]] = (),
) -> FileDiff:
    """What changed between the rows, which both versions may have in part alike.

    `names`: the columns of each; `counts`: rows of each version in all; `heads`: rows at the head
    of each, which an inferred key must tell apart too; `key`: the format's own.
    """
    old_names, new_names = ([*side] for side in names)
    both = columns.shared(old_names, new_names)
    renamed = columns.renames(
        old_names, new_names, both, *(lambda side=side: map(_hashable_row, side) for side in rows)
    )
    match = columns.Match(old_names, new_names, both, renamed)
    header = [name for name in match.header() if name not in options.ignore]
    kept = [place for place, name in enumerate(match.header()) if name not in options.ignore]
    narrowed = [
        [tuple([row[places[place]] for place in kept]) for row in side]
        for side, places in zip(
            (*rows, *heads), (match.old_places(), match.new_places()) * 2, strict=True
        )
    ]
    old, new = cancelled(narrowed[0], narrowed[1])
    chosen, source = _key(header, old, new, options, key, narrowed[2:])
    found = pair(header, old, new, chosen, options.tolerance)
    return FileDiff(
        kind,
        chosen,
        source,
        _with_types(match.columns(), retyped),
        RowCounts(*counts, found.added, found.removed, found.modified, found.ambiguous),
        tuple([_present(change) for change in found.changes]),
    )


def _with_types(found: Any, retyped: Sequence[tuple[str, str, str]]) -> Any:
    from dataclasses import replace

    return replace(found, retyped=tuple(retyped)) if retyped else found


def _key(
    header: Sequence[str],
    old: list[Row],
    new: list[Row],
    options: Options,
    own: tuple[str, ...],
    heads: Sequence[list[Row]],
) -> tuple[tuple[str, ...], str | None]:
    for name in options.key:
        if name not in header:
            raise NotThisFormat(f"it has no column {name!r} to be its key")
    if options.key:
        return options.key, options.key_source
    if options.keyless:
        return (), None
    if own and all(name in header for name in own):
        return own, "format"
    found = infer_key(header, old, new, *heads)
    return found, "inferred" if found else None


def _hashable_row(row: Row) -> Row:
    return tuple([hashable(value) for value in row])


def cancelled(old: Sequence[Row], new: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Both without the rows that they share, as multisets, in order."""
    before, after = [_hashable_row(row) for row in old], [_hashable_row(row) for row in new]
    return _without(old, before, Counter(after)), _without(new, after, Counter(before))


def _without(rows: Sequence[Row], names: Sequence[Row], others: Counter[Row]) -> list[Row]:
    left = []
    for row, name in zip(rows, names, strict=True):
        if others.get(name, 0) > 0:
            others[name] -= 1
        else:
            left.append(row)
    return left


def _present(change: Change) -> Change:
    """Members that an object does not have are left out; in a cell they are null."""
    return change._replace(
        key={name: _or_none(value) for name, value in change.key.items()},
        row={name: value for name, value in change.row.items() if value is not ABSENT},
        cells=tuple([Cell(c.column, _or_none(c.old), _or_none(c.new)) for c in change.cells]),
    )


def _or_none(value: Value) -> Value:
    return None if value is ABSENT else value
