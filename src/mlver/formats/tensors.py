"""Named tensors, and where the bytes of each are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from mlver.formats.base import NotThisFormat, Source
from mlver.formats.numeric import WIDTH

MOST_TENSORS = 500_000


class Tensor(NamedTuple):
    """`length` bytes of `source` from `offset`. `source` is None where they are not in the file;
    `layout` tells apart what has the same values in another order."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    source: Source | None = None
    offset: int = 0
    length: int = 0
    big: bool = False
    layout: str = ""


def checked(tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    """By name. Raises NotThisFormat where two have one name, or bytes lie outside of the file."""
    found: dict[str, Tensor] = {}
    for tensor in tensors:
        if tensor.name in found:
            raise NotThisFormat("it names a tensor twice", why=repr(tensor.name[:60]))
        if len(found) == MOST_TENSORS:
            raise NotThisFormat("it names too many tensors", why=f"over {MOST_TENSORS:,}")
        source = tensor.source
        if source is not None:
            inside = 0 <= tensor.offset <= tensor.offset + tensor.length <= source.size
            if not inside:
                raise NotThisFormat("a tensor lies outside of the file", why=repr(tensor.name[:60]))
            width = WIDTH.get(tensor.dtype)
            if width is not None and math.prod(tensor.shape) * width != tensor.length:
                raise NotThisFormat(
                    "a tensor has another length than its shape", why=repr(tensor.name[:60])
                )
        found[tensor.name] = tensor
    return found


def shape_of(values: object) -> tuple[int, ...]:
    """A shape as a header has it. Raises NotThisFormat."""
    if not isinstance(values, list | tuple) or len(values) > 64:
        raise NotThisFormat("a tensor has no shape that makes sense")
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in values):
        raise NotThisFormat("a tensor has no shape that makes sense")
    return tuple(values)
