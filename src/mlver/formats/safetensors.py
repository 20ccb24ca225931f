"""safetensors: a JSON header of names, types, shapes and offsets; then the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlver.formats.base import NotThisFormat, Source
from mlver.formats.parameters import parse_json
from mlver.formats.tensors import Tensor, checked, shape_of

LARGEST_HEADER = 100 * 1000 * 1000
"""As the format says."""
_TYPES = {"F8_E4M3FN": "F8_E4M3"}


class File(NamedTuple):
    """Tensors by name, and the strings of `__metadata__`. `entries`: the tensors as the header has
    them; `start`: where it ends."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]
    entries: Mapping[str, Any] = {}
    start: int = 0


def read(source: Source) -> File:
    """The header. Raises NotThisFormat."""
    if not source.size:
        return File({}, {})
    length = int.from_bytes(source.read(0, 8), "little")
    if source.size < 8 or length > min(LARGEST_HEADER, source.size - 8):
        raise NotThisFormat(
            "it is no safetensors file", why=f"a header of {length:,} bytes does not fit into it"
        )
    header = parse_json(source.read(8, length))
    if not isinstance(header, dict):
        raise NotThisFormat("it is no safetensors file", why="its header is no object")
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise NotThisFormat("it is no safetensors file", why="its metadata is no object")
    found = (_tensor(source, 8 + length, name, entry) for name, entry in header.items())
    return File(checked(found), metadata, header, 8 + length)


def _tensor(source: Source, start: int, name: str, entry: Any) -> Tensor:
    try:
        begin, end = entry["data_offsets"]
        dtype, shape = str(entry["dtype"]), shape_of(entry["shape"])
        if not (isinstance(begin, int) and isinstance(end, int) and 0 <= begin <= end):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise NotThisFormat("a tensor's entry makes no sense", why=repr(name[:60])) from error
    return Tensor(name, _TYPES.get(dtype, dtype), shape, source, start + begin, end - begin)
