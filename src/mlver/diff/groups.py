"""Changes counted by the value of a column: what changed for each label or sub-population."""

from __future__ import annotations

import json
from typing import NamedTuple

from mlver.model.change import FileDiff, Value


class Group(NamedTuple):
    """Changes of rows with this value. `moved_in`, `moved_out`: modified rows that had another
    value before, or have another now; they are in `modified` of the group that they are in now."""

    value: Value
    added: int = 0
    removed: int = 0
    modified: int = 0
    moved_in: int = 0
    moved_out: int = 0


def by_column(content: FileDiff, column: str) -> list[Group]:
    """Groups with changes, those with most of them first. Empty where no row has the column."""
    found: dict[str, Group] = {}

    def count(value: Value, kind: str) -> None:
        name = json.dumps(value, sort_keys=True, default=str)
        group = found.get(name, Group(value))
        found[name] = group._replace(**{kind: getattr(group, kind) + 1})

    for change in content.changes:
        if column not in change.row:
            continue
        count(change.row[column], change.kind)
        for cell in change.cells:
            if cell.column == column:
                count(cell.new, "moved_in")
                count(cell.old, "moved_out")
    return sorted(found.values(), key=lambda g: (-sum(g[1:]), str(g.value)))
