"""safetensors by tensor, its metadata by key: ranges of the three versions behind a header.

Where each tensor of ours is still there with its type and shape, the header and all places stay.
Otherwise the header is written anew: tensors of ours in their order, added ones at the end. The
format allows no gap, so where a tensor would not be aligned they are put by width, as its library
does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlver.formats import safetensors
from mlver.formats.base import NotThisFormat
from mlver.formats.numeric import WIDTH
from mlver.formats.safetensors import File
from mlver.formats.tensors import Tensor
from mlver.merge import tensors
from mlver.merge.base import OURS, THEIRS, Copy, Merged, Part, Versions
from mlver.merge.options import Options
from mlver.merge.parameters import Walk
from mlver.model.conflict import Conflict

_ALIGNMENT = 8


def merge(versions: Versions, name: str, options: Options) -> Merged:
    """The three versions merged. Raises NotThisFormat."""
    files = [safetensors.read(source) for source in versions]
    for side in (OURS, THEIRS):
        _check(files[side], versions[side].size)
    found = tensors.choose([file.tensors for file in files], options)
    metadata, conflicts = _metadata(files, options)
    names = sorted(found.sides, key=lambda name: _place(files, found.sides[name], name))
    if metadata == files[OURS].metadata and _fits(files, found.sides):
        header: Part = Copy(OURS, 0, files[OURS].start)
    else:
        names = _aligned(files, found.sides, names)
        header = _header(files, found.sides, names, metadata)
    chosen = ((side := found.sides[name], files[side].tensors[name]) for name in names)
    parts = list(_joined(header, (Copy(side, t.offset, t.length) for side, t in chosen)))
    told = (*found.conflicts, *conflicts)
    return Merged("safetensors", parts, told, ("tensor",), "format", found.notes)


def _check(file: File, size: int) -> None:
    """Raises NotThisFormat for bytes that would get lost, and what the format does not know."""
    if not size:
        raise NotThisFormat("one side emptied the file")
    at = file.start
    for tensor in sorted(file.tensors.values(), key=lambda item: (item.offset, item.length)):
        if tensor.offset != at:
            raise NotThisFormat("its tensors overlap, or bytes between them belong to none")
        at += tensor.length
    if at != size:
        raise NotThisFormat("bytes at its end belong to no tensor")
    if not all(isinstance(value, str) for value in file.metadata.values()):
        raise NotThisFormat("its metadata are no strings")


def _metadata(files: Sequence[File], options: Options) -> tuple[dict[str, str], list[Conflict]]:
    """By key; what both sides changed is a conflict of the path metadata.KEY, as in a diff."""
    walk = Walk(options)
    found = walk.value((), *({"metadata": file.metadata} for file in files))["metadata"]
    texts = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()
    }
    return texts, walk.conflicts


def _place(files: Sequence[File], side: int, name: str) -> tuple[bool, int, int]:
    """Where a tensor goes: those of ours as they lie there; what is added behind them."""
    tensor = files[OURS].tensors.get(name)
    if tensor is not None:
        return False, tensor.offset, tensor.length
    tensor = files[side].tensors[name]
    return True, tensor.offset, tensor.length


def _fits(files: Sequence[File], sides: Mapping[str, int]) -> bool:
    """Whether the header of ours is that of the result."""
    return sides.keys() == files[OURS].tensors.keys() and all(
        side == OURS or _described(files[side], name) == _described(files[OURS], name)
        for name, side in sides.items()
    )


def _described(file: File, name: str) -> dict[str, Any]:
    entry = {key: value for key, value in file.entries[name].items() if key != "data_offsets"}
    return {**entry, "length": file.tensors[name].length}


def _aligned(files: Sequence[File], sides: Mapping[str, int], names: list[str]) -> list[str]:
    def width(name: str) -> int:
        return WIDTH.get(_taken(files, sides, name).dtype, 1)

    at = 0
    for name in names:
        if at % width(name):
            return sorted(names, key=width, reverse=True)
        at += _taken(files, sides, name).length
    return names


def _taken(files: Sequence[File], sides: Mapping[str, int], name: str) -> Tensor:
    return files[sides[name]].tensors[name]


def _header(
    files: Sequence[File], sides: Mapping[str, int], names: list[str], metadata: Mapping[str, str]
) -> bytes:
    """`names`: as their bytes follow one another. Raises NotThisFormat where it gets too large."""
    starts, at = {}, 0
    for name in names:
        starts[name] = at
        at += _taken(files, sides, name).length
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    for name, side in sides.items():
        end = starts[name] + files[side].tensors[name].length
        header[name] = {**files[side].entries[name], "data_offsets": [starts[name], end]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > safetensors.LARGEST_HEADER:
        raise NotThisFormat("the merged header is too large", why=f"{len(text):,} bytes")
    return len(text).to_bytes(8, "little") + text


def _joined(header: Part, copies: Iterator[Copy]) -> Iterator[Part]:
    """Ranges that follow one another in one version as one."""
    last = header
    for copy in copies:
        if not copy.length:
            continue
        follows = (
            isinstance(last, Copy)
            and copy.side == last.side
            and copy.offset == last.offset + last.length
        )
        if follows and isinstance(last, Copy):
            last = last._replace(length=last.length + copy.length)
        else:
            yield last
            last = copy
    yield last
