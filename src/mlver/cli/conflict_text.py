"""Conflicts for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mlver.cli.diff_json import value as json_value
from mlver.cli.output import escape
from mlver.model.change import Value
from mlver.model.conflict import Conflict, to_json

_LONGEST = 60


def conflict_json(conflict: Conflict) -> dict[str, Any]:
    """One conflict in the shape of docs/schema/merge-file.json."""
    row = to_json(conflict)
    row["key"] = {name: json_value(part) for name, part in conflict.key.items()}
    for side in ("base", "ours", "theirs"):
        row[side] = json_value(row[side])
    return row


def lines(conflicts: Sequence[Conflict], limit: int | None = None) -> Iterator[str]:
    """A line a conflict, of the first `limit`."""
    for conflict in conflicts[:limit]:
        yield f"{conflict.kind:<13} {_where(conflict)}: {_values(conflict)}"
    if limit is not None and len(conflicts) > limit:
        yield f"… and {len(conflicts) - limit:,} more"


def _where(conflict: Conflict) -> str:
    parts = [f"{name}={_short(part)}" for name, part in conflict.key.items()]
    if conflict.column is not None:
        parts.append(f"column {conflict.column}")
    return escape(", ".join(parts) or "the file")


def _values(conflict: Conflict) -> str:
    return ", ".join(
        f"{side} {'nothing' if side in conflict.absent else escape(_short(conflict.side(side)))}"
        for side in ("base", "ours", "theirs")
    )


def _short(part: Value) -> str:
    text = part if isinstance(part, str) else repr(part)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
