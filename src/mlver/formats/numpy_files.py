"""NumPy's npy and npz, their headers read by hand. Arrays of objects are pickles; they are never
opened, only their bytes are compared."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

from mlver.formats.base import NotThisFormat, Source
from mlver.formats.tensors import Tensor, checked, shape_of
from mlver.formats.zip_members import Archive

_MAGIC = b"\x93NUMPY"
_LARGEST_HEADER = 1024 * 1024
_PLAIN = re.compile(r"\A([<>=|])([biufc?])([0-9]{1,2})\Z")
_NAMES = {"b": "I", "i": "I", "u": "U", "f": "F", "?": "BOOL"}


def read(source: Source, name: str) -> dict[str, Tensor]:
    """Arrays by name; that of an npy file is called `array`. Raises NotThisFormat."""
    if not source.size:
        return {}
    if not name.lower().endswith(".npz"):
        return checked([array(source, 0, source.size, "array")])
    archive = Archive(source)
    found = []
    for member_name in archive.names():
        member = archive.member(member_name)
        if member_name.endswith(".npy"):
            short = member_name.removesuffix(".npy")
            found.append(array(member.source, member.offset, member.size, short))
        else:
            found.append(
                Tensor(member_name, "bytes", (member.size,), member.source, member.offset,
                       member.size)
            )  # fmt: skip
    return checked(found)


def array(source: Source, offset: int, size: int, name: str) -> Tensor:
    """The array whose npy file lies there."""
    head = source.read(offset, min(12, size))
    if head[:6] != _MAGIC or len(head) < 12 or head[6] not in (1, 2, 3):
        raise NotThisFormat("it is no NumPy array", why="it does not begin as one")
    wide = 2 if head[6] == 1 else 4
    length = int.from_bytes(head[8 : 8 + wide], "little")
    start = 8 + wide + length
    if length > _LARGEST_HEADER or start > size:
        raise NotThisFormat("it is no NumPy array", why=f"a header of {length:,} bytes")
    header = _header(source.read(offset + 8 + wide, length))
    shape = shape_of(header["shape"])
    dtype, big, width = _type(header["descr"])
    if width is not None and math.prod(shape) * width != size - start:
        raise NotThisFormat("an array has another length than its shape", why=repr(name[:60]))
    layout = "fortran" if header["fortran_order"] and len(shape) > 1 else ""
    return Tensor(name, dtype, shape, source, offset + start, size - start, big, layout)


def _header(data: bytes) -> dict[str, Any]:
    """A Python literal: parsed as one, never evaluated."""
    try:
        found = ast.literal_eval(data.decode("utf-8" if data.isascii() else "latin-1").strip())
        if isinstance(found, dict) and {"descr", "shape", "fortran_order"} <= found.keys():
            return found
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise NotThisFormat("it is no NumPy array", why="its header cannot be read") from error
    raise NotThisFormat("it is no NumPy array", why="its header lacks something")


def _type(descr: Any) -> tuple[str, bool, int | None]:
    """(name, big-endian, bytes of one value). Others than plain numbers keep NumPy's name."""
    match = _PLAIN.match(descr) if isinstance(descr, str) else None
    if match is None:
        return str(descr)[:200], False, None
    order, kind, width = match[1], match[2], int(match[3])
    if kind == "b" and width == 1:
        return "BOOL", False, 1
    if kind == "c":
        return f"C{width * 8}", order == ">", width
    return f"{_NAMES[kind]}{width * 8}", order == ">", width
