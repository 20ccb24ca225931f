"""safetensors: `__metadata__` in the header, a map of texts. Offsets count from the header's end,
so the tensors are copied as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import BinaryIO

_LARGEST_HEADER = 100_000_000  # the format's own limit
_WINDOW = 1 << 20


def write(source: BinaryIO, target: BinaryIO, metadata: Mapping[str, str]) -> None:
    """Copy `source` with `metadata` in its header. Raises ValueError for what is no such file."""
    size = int.from_bytes(source.read(8), "little")
    if not 2 <= size <= _LARGEST_HEADER:
        raise ValueError("its header has no valid length")
    data = source.read(size)
    if len(data) != size:
        raise ValueError("it ends within its header")
    header = json.loads(data)
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise ValueError("its header is no object")
    told = {**header.pop("__metadata__", {}), **metadata}
    text = json.dumps({"__metadata__": told, **header}, ensure_ascii=False, separators=(",", ":"))
    fresh = text.encode("utf-8")
    fresh += b" " * (-len(fresh) % 8)  # tensors stay aligned
    target.write(len(fresh).to_bytes(8, "little") + fresh)
    shutil.copyfileobj(source, target, _WINDOW)
