"""ONNX models: initializers, nodes, inputs and outputs, metadata, by field numbers of onnx.proto3.
Graphs inside nodes (If, Loop) are compared as bytes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from mlver.formats.base import NotThisFormat, Source
from mlver.formats.numeric import WIDTH
from mlver.formats.protobuf import Field, Reader
from mlver.formats.tensors import Tensor, checked
from mlver.model.digest import digest_of

_TYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 8: "STRING", 9: "BOOL",
    10: "F16", 11: "F64", 12: "U32", 13: "U64", 14: "C64", 15: "C128", 16: "BF16",
    17: "F8_E4M3", 19: "F8_E5M2",
}  # fmt: skip
_MODEL = {1: "ir_version", 2: "producer_name", 3: "producer_version", 4: "domain",
          5: "model_version", 6: "doc_string"}  # fmt: skip
_TYPED_DATA = {4: "F32", 7: "I64", 10: "F64"}
"""Fields of typed numbers whose packed bytes are those of the tensor, I64's excepted."""


class File(NamedTuple):
    """Initializers by name, and the other values by path."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


def read(source: Source) -> File:
    """Raises NotThisFormat."""
    if not source.size:
        return File({}, {})
    reader, values = Reader(source), dict[str, Any]()
    tensors: list[Tensor] = []
    graph = False
    for field in reader.fields(0, source.size):
        if field.number == 7 and field.wire == 2:
            graph = True
            _graph(reader, source, field, tensors, values)
        elif field.number in _MODEL:
            values[_MODEL[field.number]] = _scalar(reader, field)
        elif field.number == 8 and field.wire == 2:
            domain, version = _two(reader, field, 1, 2)
            values[f"opset.{domain or 'ai.onnx'}"] = version
        elif field.number == 14 and field.wire == 2:
            name, value = _two(reader, field, 1, 2)
            values[f"metadata.{name}"] = value
    if not graph:
        raise NotThisFormat("it is no ONNX model", why="it has no graph")
    return File(checked(tensors), values)


def _scalar(reader: Reader, field: Field) -> Any:
    return field.value if field.wire == 0 else reader.text(field)


def _two(reader: Reader, field: Field, first: int, second: int) -> tuple[Any, Any]:
    found: dict[int, Any] = {}
    for part in reader.fields(field.offset, field.length):
        if part.number in (first, second):
            found[part.number] = _scalar(reader, part)
    return found.get(first, ""), found.get(second, "")


def _graph(
    reader: Reader, source: Source, graph: Field, tensors: list[Tensor], values: dict[str, Any]
) -> None:
    nodes = 0
    for field in reader.fields(graph.offset, graph.length):
        if field.wire != 2:
            continue
        if field.number == 5:
            tensors.append(_tensor(reader, source, field))
        elif field.number == 1:
            name, value = _node(reader, field)
            values[f"nodes.{name or nodes}"] = value
            nodes += 1
        elif field.number in (11, 12):
            kind = "inputs" if field.number == 11 else "outputs"
            name, _ = _two(reader, field, 1, 1)
            values[f"{kind}.{name}"] = digest_of(reader.bytes(field)).hex()[:16]


def _node(reader: Reader, field: Field) -> tuple[str, Any]:
    """(its first output, which is its own in a graph; what it is)."""
    inputs, outputs, op, attributes = list[str](), list[str](), "", {}
    for part in reader.fields(field.offset, field.length):
        if part.number in (1, 2):
            (inputs if part.number == 1 else outputs).append(reader.text(part))
        elif part.number == 4:
            op = reader.text(part)
        elif part.number == 5:
            name, _ = _two(reader, part, 1, 1)
            attributes[name] = digest_of(reader.bytes(part, 256 * 1024 * 1024)).hex()[:16]
    return (outputs or [""])[0], {"op": op, "inputs": inputs, "attributes": attributes}


def _tensor(reader: Reader, source: Source, field: Field) -> Tensor:
    dims: list[int] = []
    kind, name = 0, ""
    data: Field | None = None
    typed, external = "", False
    for part in reader.fields(field.offset, field.length):
        if part.number == 1:
            dims += reader.numbers(part)
        elif part.number == 2:
            kind = part.value
        elif part.number == 8:
            name = reader.text(part)
        elif part.number == 9 and part.wire == 2:
            data = part
        elif part.number in (4, 5, 6, 7, 10, 11) and part.wire == 2:
            data, typed = part, _TYPED_DATA.get(part.number, "numbers")
        elif part.number == 14:
            external = part.value == 1
    dtype = _TYPES.get(kind, f"type {kind}")
    shape: tuple[int, ...] = tuple(dims)
    if external or data is None:
        if external or math.prod(shape) != 0:
            return Tensor(name, dtype, shape, layout="external")
        return Tensor(name, dtype, shape, source, field.offset, 0)
    width = WIDTH.get(dtype)
    fits = width is not None and math.prod(shape) * width == data.length
    if typed and (typed != dtype or not fits or typed == "I64"):
        dtype = f"{dtype} ({typed})"  # in varints, or another type's field: bytes alone
    return Tensor(name, dtype, shape, source, data.offset, data.length)
