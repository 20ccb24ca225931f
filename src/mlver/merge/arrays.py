"""A NumPy array in an npy file: one tensor. Where only one side changed its values, type or shape,
that side is taken, however the header is written."""

from __future__ import annotations

from mlver.formats import numpy_files
from mlver.formats.base import NotThisFormat
from mlver.merge import tensors
from mlver.merge.base import Merged, Versions, whole
from mlver.merge.options import Options


def merge(versions: Versions, name: str, options: Options) -> Merged:
    """The three versions merged. Raises NotThisFormat."""
    if not versions.ours.size or not versions.theirs.size:
        raise NotThisFormat("one side emptied the file")
    found = tensors.choose([numpy_files.read(source, name) for source in versions], options)
    parts = [part for side in found.sides.values() for part in whole(versions[side], side)]
    return Merged("npy", parts, tuple(found.conflicts), ("tensor",), "format", found.notes)
