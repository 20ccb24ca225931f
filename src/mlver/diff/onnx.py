"""ONNX: initializers as tensors; nodes (by their output), inputs, outputs, metadata by path."""

from __future__ import annotations

from mlver.diff import tensors
from mlver.diff.options import Options
from mlver.diff.pickled import by_path
from mlver.formats import onnx
from mlver.formats.base import Source
from mlver.model.change import FileDiff


def diff(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed from `old` to `new`. Raises NotThisFormat."""
    before, after = onnx.read(old), onnx.read(new)
    found = tensors.compare(before.tensors, after.tensors, options)
    return FileDiff(
        "onnx",
        ("tensor",),
        "format",
        tensors=found.tensors,
        changes=found.changes + by_path(before.values, after.values, options),
        notes=found.notes,
    )
