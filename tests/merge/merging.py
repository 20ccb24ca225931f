"""Merges of bytes, for tests."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

from mlver.merge import registry
from mlver.merge.base import Merged, Versions, read_parts
from mlver.merge.options import Options
from mlver.workflows.versions import BytesSource

Row = dict[str, str]


def merged(
    base: bytes, ours: bytes, theirs: bytes, name: str = "x.csv", **options: Any
) -> tuple[bytes, Merged]:
    """(the merged file, what the merge says)."""
    versions = Versions(*map(BytesSource, (base, ours, theirs)))
    found = registry.merge(versions, name, Options(**options))
    return b"".join(read_parts(versions, found.parts)), found


def clean(base: bytes, ours: bytes, theirs: bytes, name: str = "x.csv", **options: Any) -> bytes:
    """The merged file of a merge that must have no conflict."""
    data, found = merged(base, ours, theirs, name, **options)
    assert not found.conflicts, found.conflicts
    assert found.format != "opaque", found.notes
    return data


def told(found: Merged) -> list[tuple[Any, ...]]:
    """Conflicts as (kind, values of the key, column, base, ours, theirs)."""
    return [(c.kind, *c.key.values(), c.column, c.base, c.ours, c.theirs) for c in found.conflicts]


def read(data: bytes) -> list[Row]:
    """A CSV file's rows."""
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def written(header: list[str], rows: list[Row], line_end: str = "\n", quoting: int = 0) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=line_end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(header)
    writer.writerows([row[name] for name in header] for row in rows)
    return out.getvalue().encode()


def cell(dice: random.Random) -> str:
    return dice.choice(["", "a", "b,c", 'say "x"', "two\nlines", "é", "1", "1.0", "x" * 20])


def edited(dice: random.Random, rows: list[Row], columns: list[str], new_keys: int) -> list[Row]:
    """A table after some edits, by a key `id` that stays unique."""
    rows = [dict(row) for row in rows]
    for _ in range(dice.randint(0, 5)):
        kind, at = dice.randrange(4), dice.randrange(len(rows) + 1)
        if kind == 0:
            key = str(dice.randrange(new_keys))
            if all(row["id"] != key for row in rows):
                rows.insert(at, {"id": key, **{name: cell(dice) for name in columns}})
        elif rows and kind == 1:
            del rows[at % len(rows)]
        elif rows:
            rows[at % len(rows)][dice.choice(columns)] = cell(dice)
    return rows
