"""safetensors: tensors by name, from the headers; metadata by path."""

from __future__ import annotations

from mlver.diff import tensors
from mlver.diff.options import Options
from mlver.diff.parameters import compare
from mlver.formats import safetensors
from mlver.formats.base import Source
from mlver.model.change import FileDiff


def diff(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed from `old` to `new`. Raises NotThisFormat."""
    before, after = safetensors.read(old), safetensors.read(new)
    found = tensors.compare(before.tensors, after.tensors, options)
    metadata = tuple(compare(before.metadata, after.metadata, options, "metadata"))
    return FileDiff(
        "safetensors",
        ("tensor",),
        "format",
        tensors=found.tensors,
        changes=found.changes + metadata,
        notes=found.notes,
    )
