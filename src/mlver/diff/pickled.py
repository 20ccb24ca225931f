"""PyTorch files and pickles: tensors by name, other values by path. Nothing is unpickled."""

from __future__ import annotations

from typing import Any

from mlver.diff import tensors
from mlver.diff.options import Options
from mlver.diff.rows import hashable
from mlver.formats import pickled
from mlver.formats.base import Source
from mlver.model.change import Cell, Change, FileDiff


def diff(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed from `old` to `new`. Raises NotThisFormat."""
    before, after = pickled.read(old), pickled.read(new)
    found = tensors.compare(before.tensors, after.tensors, options)
    notes = [*found.notes]
    fresh = [name for name in after.imports if name not in before.imports]
    if fresh and old.size:
        notes.append("loading it would import what it did not before: " + ", ".join(fresh[:20]))
    is_torch = bool(before.tensors or after.tensors)
    return FileDiff(
        "pytorch" if is_torch else "pickle",
        ("tensor",) if is_torch else ("path",),
        "format",
        tensors=found.tensors,
        changes=found.changes + by_path(before.values, after.values, options),
        notes=tuple(notes),
    )


def by_path(old: dict[str, Any], new: dict[str, Any], options: Options) -> tuple[Change, ...]:
    """Changes of values that have paths already."""
    changes = []
    for path in [*old, *(path for path in new if path not in old)]:
        key = {"path": path}
        if path in options.ignore:
            continue
        if path not in new:
            changes.append(Change("removed", key, {**key, "value": old[path]}))
        elif path not in old:
            changes.append(Change("added", key, {**key, "value": new[path]}))
        elif hashable(old[path]) != hashable(new[path]):
            cell = Cell("value", old[path], new[path])
            changes.append(Change("modified", key, {**key, "value": new[path]}, (cell,)))
    return tuple(changes)
