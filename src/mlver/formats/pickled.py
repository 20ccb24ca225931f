"""PyTorch files and pickles as tensors and plain values by path, from opcode listings alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from mlver.formats.base import NotThisFormat, Source
from mlver.formats.numeric import WIDTH
from mlver.formats.pickle_listing import LARGEST, Call, Name, Persistent, listing
from mlver.formats.tensors import Tensor, checked, shape_of
from mlver.formats.zip_members import Archive
from mlver.model.digest import digest_of

_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL", "Float8_e5m2Storage": "F8_E5M2",
    "Float8_e4m3fnStorage": "F8_E4M3",
}  # fmt: skip
_DEEPEST = 100
_MOST = 2_000_000


class File(NamedTuple):
    """Tensors by name, the other values by path, and what the pickle would import."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]
    imports: list[str]


def read(source: Source) -> File:
    """A PyTorch archive, or a pickle. Raises NotThisFormat."""
    if not source.size:
        return File({}, {}, [])
    if source.read(0, 4) == b"PK\x03\x04":
        return _archive(Archive(source))
    if source.size > LARGEST:
        raise NotThisFormat("its pickle is too large to be listed", why=f"{source.size:,} bytes")
    return _walked([listing(source.read(0, source.size))[0]], lambda _key: None)


def _archive(archive: Archive) -> File:
    names = archive.names()
    pickles = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise NotThisFormat("it is no PyTorch file", why="its archive has no data.pkl of its own")
    folder = pickles[0].removesuffix("data.pkl")
    member = archive.member(pickles[0])
    if member.size > LARGEST:
        raise NotThisFormat("its pickle is too large to be listed", why=f"{member.size:,} bytes")
    order = f"{folder}byteorder"
    big = order in names and archive.member(order).read() == b"big"

    def storage(key: str) -> tuple[Source, int, int, bool] | None:
        path = f"{folder}data/{key}"
        if path not in names:
            return None
        found = archive.member(path)
        return found.source, found.offset, found.size, big

    return _walked([listing(member.read())[0]], storage)


_Storage = Callable[[str], "tuple[Source, int, int, bool] | None"]


def _walked(roots: list[Any], storage: _Storage) -> File:
    walk = _Walk(storage)
    for root in roots:
        walk.value(root, "", 0)
    return File(checked(walk.tensors), walk.values, sorted(walk.imports))


class _Walk:
    def __init__(self, storage: _Storage) -> None:
        self.tensors: list[Tensor] = []
        self.values: dict[str, Any] = {}
        self.imports: set[str] = set()
        self._storage, self._left = storage, _MOST
        self._above: set[int] = set()

    def value(self, item: Any, path: str, depth: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise NotThisFormat("its pickle holds too many values")
        if depth > _DEEPEST or id(item) in self._above:
            self.values[path or "."] = "(it goes round)" if depth <= _DEEPEST else "(deeper)"
            return
        tensor = self._tensor(item, path)
        if tensor is not None:
            self.tensors.append(tensor)
            return
        self._above.add(id(item))
        try:
            self._inside(item, path, depth)
        finally:
            self._above.discard(id(item))

    def _inside(self, item: Any, path: str, depth: int) -> None:
        if isinstance(item, dict):
            self._members(item, path, depth)
        elif isinstance(item, list | tuple):
            if len(item) <= 16 and all(_is_plain(part) for part in item):
                self.values[path or "."] = [_plain(part) for part in item]
            else:
                for number, part in enumerate(item):
                    self.value(part, f"{path}[{number}]", depth + 1)
        elif isinstance(item, Call):
            self.imports.add(item.path)
            members = item.path in ("collections.OrderedDict", "collections.defaultdict")
            if not members:
                self.values[f"{path}()" if path else "."] = item.path
            for part, name in ((item.args, "args"), (item.state, "")):
                empty = part is None or part == () or members
                if not empty:
                    self.value(part, _join(path, name), depth + 1)
            self._members(item.items, path, depth)
            if item.parts:
                self.value(item.parts, path, depth + 1)
        elif isinstance(item, Name):
            self.imports.add(item.path)
            self.values[path or "."] = item.path
        elif isinstance(item, Persistent):
            self.values[path or "."] = "(outside of the pickle)"
        else:
            self.values[path or "."] = _plain(item)

    def _members(self, items: dict[Any, Any], path: str, depth: int) -> None:
        for name, part in items.items():
            self.value(part, _join(path, str(name)), depth + 1)

    def _tensor(self, item: Any, path: str) -> Tensor | None:
        if not isinstance(item, Call) or not isinstance(item.args, tuple):
            return None
        if item.path in ("torch._utils._rebuild_parameter", "torch.nn.parameter.Parameter"):
            return self._tensor(item.args[0], path) if item.args else None
        if not item.path.startswith("torch._utils._rebuild_tensor") or len(item.args) < 4:
            return None
        self.imports.add(item.path)
        stored, offset, size, stride = item.args[:4]
        key = stored.key if isinstance(stored, Persistent) else None
        if not isinstance(key, tuple) or len(key) < 3 or not isinstance(offset, int):
            return None
        kind = key[1].path.rpartition(".")[2] if isinstance(key[1], Name) else "?"
        return self._stored(path, _STORAGES.get(kind, kind), str(key[2]), offset, size, stride)

    def _stored(
        self, path: str, dtype: str, key: str, offset: int, size: Any, stride: Any
    ) -> Tensor:
        shape = shape_of(size)
        there, width = self._storage(key), WIDTH.get(dtype)
        name = path or "tensor"
        if there is None or width is None:
            return Tensor(name, dtype, shape, layout=f"{stride}")
        source, start, length, big = there
        if tuple(stride) != _contiguous(shape):
            # A view: its values lie scattered, so the whole storage stands for them.
            return Tensor(name, f"{dtype} view", shape, source, start, length, big, f"{stride}")
        at, count = offset * width, math.prod(shape) * width
        if not 0 <= at <= at + count <= length:
            raise NotThisFormat("a tensor lies outside of its storage", why=repr(name[:60]))
        return Tensor(name, dtype, shape, source, start + at, count, big)


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def _is_plain(item: Any) -> bool:
    return item is None or isinstance(item, str | bool | int | float)


def _plain(item: Any) -> Any:
    if isinstance(item, bytes | bytearray):
        return {"size": len(item), "blake3": digest_of(bytes(item)).hex()[:16]}
    return item if _is_plain(item) else type(item).__name__
