"""What two sides changed in different ways: values, no text. A conflict never stops a file from
being valid: ours stands in it until somebody decides.

`docs/schema/merge-file.json` is the shape for programs, and that of the conflict file
(docs/format/conflict.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mlver.model.change import Value

SIDES = ("base", "ours", "theirs")
KINDS = (
    "cell",
    "edit-delete",
    "add-add",
    "schema",
    "tensor",
    "path",
    "notebook-cell",
    "file",
)


class Conflict(NamedTuple):
    """One value that is another on each side.

    `key` names the row, path, tensor or cell; `column` is None where all of it is meant, and the
    three are then whole rows (or whatever the format has). `absent` names those of base, ours,
    theirs that have nothing there, where null would be a value.
    """

    kind: str
    key: Mapping[str, Value]
    column: str | None
    base: Value
    ours: Value
    theirs: Value
    absent: tuple[str, ...] = ()

    def side(self, name: str) -> Value:
        """The value of base, ours or theirs."""
        return {"base": self.base, "ours": self.ours, "theirs": self.theirs}[name]


def to_json(conflict: Conflict) -> dict[str, Any]:
    """For the conflict file and for programs."""
    return {
        "kind": conflict.kind,
        "key": dict(conflict.key),
        "column": conflict.column,
        "base": conflict.base,
        "ours": conflict.ours,
        "theirs": conflict.theirs,
        "absent": list(conflict.absent),
    }


def from_json(row: Mapping[str, Any]) -> Conflict:
    """What to_json wrote. Raises KeyError, TypeError for anything else."""
    return Conflict(
        str(row["kind"]),
        dict(row["key"]),
        row["column"],
        row["base"],
        row["ours"],
        row["theirs"],
        tuple(row.get("absent", ())),
    )


def summary(conflicts: Iterable[Conflict]) -> str:
    """How many of which kind: `2 cells, 1 add-add`."""
    counts: dict[str, int] = {}
    for conflict in conflicts:
        counts[conflict.kind] = counts.get(conflict.kind, 0) + 1
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
