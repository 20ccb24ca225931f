"""One version of a file as a few lines that compare well: what textconv gives to git.

A line for each column, tensor, parameter or line of a notebook cell; what did not change between
two versions is the same line in both. Why not the rows: decision 19.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlver.diff import registry
from mlver.diff.parameters import leaves
from mlver.formats.base import NotThisFormat, Source
from mlver.formats.tensors import Tensor
from mlver.model.digest import Hasher

_BLOCK = 1024 * 1024
_HASHED = 64 * 1024 * 1024
"""A file larger than this has its tensors listed without digests of their bytes."""


def summary(source: Source, name: str) -> list[str]:
    """The lines; none for a format that is not known, one that says why where it cannot be read."""
    module = registry.module_for(name)
    if module is None or not source.size:
        return []
    try:
        return list(_BY_MODULE[module](source, name))
    except NotThisFormat as error:
        return [f"opaque: {error.what}" + (f": {error.why}" if error.why else "")]
    except (RecursionError, MemoryError):
        return ["opaque: it needs too much memory to be looked into"]


def _delimited(source: Source, name: str) -> Iterator[str]:
    from mlver.formats.delimited import read_dialect

    dialect = read_dialect(source, name)
    yield from (f"column {column}" for column in dialect.header)
    yield f"lines {_lines(source)}"


def _json_lines(source: Source, name: str) -> Iterator[str]:
    yield f"lines {_lines(source)}"


def _lines(source: Source) -> int:
    count, at = 0, 0
    while data := source.read(at, _BLOCK):
        count, at = count + data.count(b"\n"), at + len(data)
    return count


def _columnar(source: Source, name: str) -> Iterator[str]:
    from mlver.formats import columnar

    table = columnar.read(source, name)
    yield from (f"column {field.name} {field.type}" for field in table.schema)
    yield f"rows {table.num_rows}"


def _sqlite(source: Source, name: str) -> Iterator[str]:
    from mlver.formats import sqlite

    with sqlite.opened(source) as database:
        for table in database.tables().values() if database else ():
            yield from (f"{table.name}.{c} {kind}".rstrip() for c, kind in table.columns.items())
            yield f"{table.name} rows {sum(1 for _ in database.rows(table)) if database else 0}"


def _parameters(source: Source, name: str) -> Iterator[str]:
    from mlver.formats import parameters

    for path, value in sorted(leaves(parameters.read(source, name), ""), key=_path):
        yield f"{path} = {json.dumps(value, ensure_ascii=False, default=str)}"


def _path(leaf: tuple[str, Any]) -> str:
    return leaf[0]


def _notebook(source: Source, name: str) -> Iterator[str]:
    from mlver.diff.notebook import read

    for cell in read(source)["cells"]:
        yield f"[{cell.get('cell_type')}] {cell.get('id', '')}".rstrip()
        text = cell.get("source", "")
        lines = text if isinstance(text, list) else str(text).splitlines()
        yield from (f"  {str(line).rstrip()}" for line in lines)


def _tensors(found: Mapping[str, Tensor], size: int) -> Iterator[str]:
    for tensor in sorted(found.values(), key=lambda tensor: tensor.name):
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        digest = f" blake3:{_digest(tensor)}" if tensor.source and size <= _HASHED else ""
        yield f"tensor {tensor.name} {tensor.dtype} {shape}{digest}"


def _digest(tensor: Tensor) -> str:
    hasher, at, end = Hasher(), tensor.offset, tensor.offset + tensor.length
    assert tensor.source is not None
    while at < end:
        data = tensor.source.read(at, min(_BLOCK, end - at))
        if not data:
            break
        hasher.update(data)
        at += len(data)
    return hasher.digest().hex()[:16]


def _safetensors(source: Source, name: str) -> Iterator[str]:
    from mlver.formats import safetensors

    found = safetensors.read(source)
    yield from _values({f"metadata.{key}": value for key, value in found.metadata.items()})
    yield from _tensors(found.tensors, source.size)


def _arrays(source: Source, name: str) -> Iterator[str]:
    from mlver.formats import numpy_files

    yield from _tensors(numpy_files.read(source, name), source.size)


def _model(module: str) -> Callable[[Source, str], Iterator[str]]:
    def lines(source: Source, name: str) -> Iterator[str]:
        found: Any = importlib.import_module(f"mlver.formats.{module}").read(source)
        yield from _values(found.values)
        yield from _tensors(found.tensors, source.size)

    return lines


def _values(values: Mapping[str, Any]) -> Iterator[str]:
    for path, value in sorted(values.items()):
        yield f"{path} = {json.dumps(value, ensure_ascii=False, default=str)}"


_BY_MODULE: dict[str, Callable[[Source, str], Iterator[str]]] = {
    "arrays": _arrays,
    "columnar": _columnar,
    "delimited": _delimited,
    "json_lines": _json_lines,
    "notebook": _notebook,
    "onnx": _model("onnx"),
    "parameters": _parameters,
    "pickled": _model("pickled"),
    "safetensors": _safetensors,
    "sqlite": _sqlite,
}
