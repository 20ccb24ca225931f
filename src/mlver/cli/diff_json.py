"""A diff for programs: the shape of docs/schema/diff.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlver.cli.output import json_path
from mlver.diff.groups import Group
from mlver.model.change import Change, FileDiff, TensorChange, Value
from mlver.model.pointer import Pointer
from mlver.workflows.content_diff import Compared


def file_json(item: Compared) -> dict[str, Any]:
    """One file's row."""
    change = item.file
    return {
        "path": json_path(change.path),
        "old_path": json_path(change.old_path),
        "status": change.status,
        **content_json(item.content),
        "old_size": None if change.old is None else change.old.size,
        "new_size": None if change.new is None else change.new.size,
        "old_oid": _oid(change.old),
        "new_oid": _oid(change.new),
    }


def content_json(content: FileDiff) -> dict[str, Any]:
    """What changed in a file."""
    columns, rows, tensors = content.columns, content.rows, content.tensors
    return {
        "format": content.format,
        "key": list(content.key),
        "key_source": content.key_source,
        "columns": {
            "added": list(columns.added),
            "removed": list(columns.removed),
            "renamed": [list(pair) for pair in columns.renamed],
            "retyped": [list(triple) for triple in columns.retyped],
            "reordered": columns.reordered,
        },
        "rows": None if rows is None else rows._asdict(),
        "changes": [_change(change) for change in content.changes],
        "tensors": {
            "added": [_tensor(item) for item in tensors.added],
            "removed": [_tensor(item) for item in tensors.removed],
            "modified": [_tensor(item) for item in tensors.modified],
        },
        "truncated": content.truncated,
        "method": content.method,
        "certificate": content.certificate,
        "notes": list(content.notes),
    }


def groups_json(column: str, groups: Sequence[Group]) -> dict[str, Any]:
    """Changes by the value of a column."""
    rows = [{**group._asdict(), "value": value(group.value)} for group in groups]
    return {"column": column, "groups": rows}


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "key": _object(change.key),
        "row": _object(change.row),
        "cells": [
            {"column": cell.column, "old": value(cell.old), "new": value(cell.new)}
            for cell in change.cells
        ],
        "ambiguous": change.ambiguous,
    }


def _object(row: Mapping[str, Value]) -> dict[str, Any]:
    return {name: value(item) for name, item in row.items()}


def value(item: Value) -> Any:
    """A value that JSON has: NaN and infinities as their names."""
    if isinstance(item, float) and not math.isfinite(item):
        return "NaN" if math.isnan(item) else "Infinity" if item > 0 else "-Infinity"
    if isinstance(item, list | tuple):
        return [value(part) for part in item]
    if isinstance(item, dict):
        return {name: value(part) for name, part in item.items()}
    return item


def _tensor(item: TensorChange) -> dict[str, Any]:
    members = {
        "name": item.name,
        "dtype": item.dtype,
        "shape": list(item.shape),
        "max_abs": value(item.max_abs),
        "rel_l2": value(item.rel_l2),
    }
    if item.old_shape is not None:
        members |= {"old_dtype": item.old_dtype, "old_shape": list(item.old_shape)}
    return members


def _oid(pointer: Pointer | None) -> str | None:
    return None if pointer is None else pointer.oid.hex()
