"""Parquet and Arrow: rows of typed values. Row groups, pages, encodings and dictionaries are none.

Rows that are the same at the same place, from the front or from the back, cancel a block at a time
in pyarrow; only the rest becomes values of Python.
"""

from __future__ import annotations

from typing import Any

from mlver.diff import columns, typed
from mlver.diff.options import Options
from mlver.formats import columnar
from mlver.formats.base import Source
from mlver.model.change import FileDiff

_BLOCK = 8192
_HEAD = 1000
"""Rows at the head of a version."""


def diff(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed from `old` to `new`. Raises NotThisFormat."""
    before, after = columnar.read(old, old_name), columnar.read(new, new_name)
    one = after if after is not None else before
    if one is None:
        return FileDiff("parquet" if new_name.lower().endswith(".parquet") else "arrow")
    before = one.slice(0, 0) if before is None else before
    after = one.slice(0, 0) if after is None else after
    both = columns.shared(before.column_names, after.column_names)
    retyped = [
        (name, str(_type(before, name)), str(_type(after, name)))
        for name in both
        if _type(before, name) != _type(after, name)
    ]
    counts = before.num_rows, after.num_rows
    first = before.slice(0, _HEAD), after.slice(0, _HEAD)
    if not retyped and before.column_names == after.column_names:
        before, after = _rest(before, after)
    names = ([*before.column_names], [*after.column_names])
    numbers = {name for name, *_ in retyped}
    rows = [
        _whole_numbers(columnar.rows(table, side), side, numbers)
        for table, side in zip((before, after, *first), names * 2, strict=True)
    ]
    heads = rows[2], rows[3]
    kind = "parquet" if new_name.lower().endswith(".parquet") else "arrow"
    return typed.compare(
        kind, names, (rows[0], rows[1]), counts, options, heads=heads, retyped=retyped
    )


def _type(table: Any, name: str) -> Any:
    return table.schema.field(name).type


def _whole_numbers(
    rows: list[tuple[Any, ...]], names: list[str], retyped: set[str]
) -> list[tuple[Any, ...]]:
    """In columns that have another type now, 1 and 1.0 are the same: the type is told by itself."""
    places = [place for place, name in enumerate(names) if name in retyped]
    if not places:
        return rows
    changed = []
    for row in rows:
        cells = list(row)
        for place in places:
            value = cells[place]
            if isinstance(value, float) and value.is_integer():
                cells[place] = int(value)
        changed.append(tuple(cells))
    return changed


def _rest(old: Any, new: Any) -> tuple[Any, Any]:
    """Both without the rows that are equal in front, and those at the end."""
    front = _equal_rows(old, new)
    old, new = old.slice(front), new.slice(front)
    back = _equal_rows(old, new, from_end=True)
    old, new = old.slice(0, old.num_rows - back), new.slice(0, new.num_rows - back)
    if old.num_rows != new.num_rows:
        return old, new
    return _differing_blocks(old, new)


def _equal_rows(old: Any, new: Any, *, from_end: bool = False) -> int:
    most = min(old.num_rows, new.num_rows)
    count, block = 0, _BLOCK * 16
    while count < most:
        size = min(block, most - count)
        if _part(old, count, size, from_end).equals(_part(new, count, size, from_end)):
            count += size
        elif size <= 64:
            return count
        else:
            block = size // 8
    return count


def _part(table: Any, count: int, size: int, from_end: bool) -> Any:
    return table.slice(table.num_rows - count - size if from_end else count, size)


def _differing_blocks(old: Any, new: Any) -> tuple[Any, Any]:
    """Of tables of one length: the small blocks that differ."""
    import pyarrow as pa

    kept = []
    for start in range(0, old.num_rows, _BLOCK):
        if old.slice(start, _BLOCK).equals(new.slice(start, _BLOCK)):
            continue
        for at in range(start, min(start + _BLOCK, old.num_rows), 64):
            size = min(64, start + _BLOCK - at)
            if not old.slice(at, size).equals(new.slice(at, size)):
                kept.append((at, size))
    if not kept:
        return old.slice(0, 0), new.slice(0, 0)
    return tuple([pa.concat_tables([t.slice(*part) for part in kept]) for t in (old, new)])
