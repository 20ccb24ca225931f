"""SQLite: table by table, rows by their primary key. Pages, order and free space are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from mlver.diff import typed
from mlver.diff.options import Options
from mlver.formats import sqlite
from mlver.formats.base import Source
from mlver.formats.sqlite import Database, Table
from mlver.model.change import Columns, FileDiff, RowCounts, Value
from mlver.model.digest import Hasher, digest_of

_HEAD = 1000
"""Rows at the head of a version."""

Row = tuple[Value, ...]


def diff(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed from `old` to `new`. Raises NotThisFormat."""
    with sqlite.opened(old) as before, sqlite.opened(new) as after:
        tables_old = before.tables() if before else {}
        tables_new = after.tables() if after else {}
        found, notes = [], []
        for name in sorted({*tables_old, *tables_new}):
            a, b = tables_old.get(name), tables_new.get(name)
            if a is None or b is None:
                notes.append(f"table {name} was {'added' if a is None else 'removed'}")
            one = _table(before, after, a, b, options)
            if a is None or b is None:
                names = tuple((b or a or Table("", {}, ())).columns)
                side = Columns(added=names) if a is None else Columns(removed=names)
                one = replace(one, columns=side)
            found.append((name, one))
    return _merged(found, tuple(notes))


def _table(
    before: Database | None,
    after: Database | None,
    old: Table | None,
    new: Table | None,
    options: Options,
) -> FileDiff:
    one = new or old
    assert one is not None
    a, b = old or one, new or one
    balance: dict[bytes, int] = {}
    counts = [0, 0]
    for side, rows in enumerate((_rows(before, old), _rows(after, new))):
        for row in rows:
            name = _digest(row)
            balance[name] = balance.get(name, 0) + (1, -1)[side]
            counts[side] += 1
    if a.columns.keys() != b.columns.keys() or list(a.columns) != list(b.columns):
        # The rows are not of one shape: they cancel in the columns that both have, later.
        left = [list(_rows(before, old)), list(_rows(after, new))]
    else:
        left = [
            _left(_rows(before, old), balance, 1),
            _left(_rows(after, new), balance, -1),
        ]
    first = [[*islice(_rows(*side), _HEAD)] for side in ((before, old), (after, new))]
    shown = [[tuple([_value(v) for v in row]) for row in rows] for rows in (*left, *first)]
    retyped = [
        (name, a.columns[name], b.columns[name])
        for name in b.columns
        if name in a.columns and a.columns[name] != b.columns[name]
    ]
    wanted = options if all(n in b.columns for n in options.key) else options._replace(key=())
    return typed.compare(
        "sqlite",
        ([*a.columns], [*b.columns]),
        (shown[0], shown[1]),
        (counts[0], counts[1]),
        wanted,
        heads=(shown[2], shown[3]),
        key=b.key if a.key == b.key else (),
        retyped=retyped,
    )


def _rows(database: Database | None, table: Table | None) -> Iterator[tuple[object, ...]]:
    return iter(()) if database is None or table is None else database.rows(table)


def _digest(row: tuple[object, ...]) -> bytes:
    return Hasher(repr(row).encode("utf-8", "surrogatepass")).digest(16)


def _left(
    rows: Iterator[tuple[object, ...]], balance: dict[bytes, int], sign: int
) -> list[tuple[object, ...]]:
    owed = {name: count * sign for name, count in balance.items() if count * sign > 0}
    left = []
    for row in rows if owed else ():
        name = _digest(row)
        if owed.get(name, 0) > 0:
            owed[name] -= 1
            left.append(row)
    return left


def _value(value: object) -> Value:
    return blob(value) if isinstance(value, bytes) else value


def blob(data: bytes) -> Value:
    """Bytes as a JSON value: all of them where they are few, else their length and id."""
    if len(data) <= 32:
        return {"bytes": data.hex()}
    return {"size": len(data), "blake3": digest_of(data).hex()[:16]}


def _merged(found: list[tuple[str, FileDiff]], notes: tuple[str, ...]) -> FileDiff:
    """One diff of all tables; the key begins with the table's name."""
    keys = {diff.key for _, diff in found if diff.changes}
    rows = [diff.rows for _, diff in found if diff.rows is not None]
    columns = [(name, diff.columns) for name, diff in found]
    return FileDiff(
        "sqlite",
        ("table", *(keys.pop() if len(keys) == 1 else ())),
        "format",
        Columns(
            tuple([f"{t}.{c}" for t, part in columns for c in part.added]),
            tuple([f"{t}.{c}" for t, part in columns for c in part.removed]),
            tuple([(f"{t}.{a}", f"{t}.{b}") for t, part in columns for a, b in part.renamed]),
            tuple([(f"{t}.{c}", a, b) for t, part in columns for c, a, b in part.retyped]),
        ),
        RowCounts(*(sum(part) for part in zip(*rows, strict=True))) if rows else None,
        tuple(
            [
                change._replace(key={"table": name, **change.key})
                for name, diff in found
                for change in diff.changes
            ]
        ),
        notes=notes,
    )
