"""NumPy arrays: by name, as tensors."""

from __future__ import annotations

from mlver.diff import tensors
from mlver.diff.options import Options
from mlver.formats import numpy_files
from mlver.formats.base import Source
from mlver.model.change import FileDiff


def diff(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed from `old` to `new`. Raises NotThisFormat."""
    before, after = numpy_files.read(old, old_name), numpy_files.read(new, new_name)
    found = tensors.compare(before, after, options)
    kind = "npz" if new_name.lower().endswith(".npz") else "npy"
    return FileDiff(
        kind, ("tensor",), "format", tensors=found.tensors, changes=found.changes, notes=found.notes
    )
