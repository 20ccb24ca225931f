"""ONNX: `metadata_props` of ModelProto (field 14), each a key (1) and a value (2).

A protobuf message is a row of fields in any order, so ours are put at the end, and those that we
wrote before are left out; everything else is copied as it is, without the onnx library.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

_PROPS, _GRAPH = 14, 7
_LONGEST = 1 << 20
_WINDOW = 1 << 20


class _Field(NamedTuple):
    number: int
    start: int
    body: int
    end: int


def write(source: BinaryIO, target: BinaryIO, metadata: Mapping[str, str]) -> None:
    """Copy `source` with `metadata`. Raises ValueError for what is no ONNX model."""
    fields = list(_fields(source))
    if not any(field.number == _GRAPH for field in fields):
        raise ValueError("it has no graph")
    for field in fields:
        if field.number != _PROPS or _key(source, field) not in metadata:
            _copy(source, target, field.start, field.end)
    for key, value in metadata.items():
        entry = _text(1, key) + _text(2, value)
        target.write(_varint(_PROPS << 3 | 2) + _varint(len(entry)) + entry)


def _fields(source: BinaryIO) -> Iterator[_Field]:
    """The message's own fields; what lies inside them is passed over."""
    size = os.fstat(source.fileno()).st_size
    at = 0
    while at < size:
        source.seek(at)
        tag = _read_varint(source)
        kind, body = tag & 7, source.tell()
        if kind == 0:
            _read_varint(source)
            end = source.tell()
        elif kind == 2:
            length = _read_varint(source)
            body = source.tell()
            end = body + length
        elif kind in (1, 5):
            end = body + (8 if kind == 1 else 4)
        else:
            raise ValueError("it is no protobuf message")
        if end > size or tag >> 3 == 0:
            raise ValueError("it is cut off, or no protobuf message")
        yield _Field(tag >> 3, at, body, end)
        at = end


def _key(source: BinaryIO, field: _Field) -> str:
    """The key of an entry, where it comes first, as everybody writes it."""
    source.seek(field.body)
    data = source.read(min(field.end - field.body, _LONGEST))
    if len(data) < 2 or data[0] != 1 << 3 | 2:
        return ""
    length, start = data[1], 2
    return "" if length > 127 else data[start : start + length].decode("utf-8", "replace")


def _copy(source: BinaryIO, target: BinaryIO, start: int, end: int) -> None:
    source.seek(start)
    while start < end:
        data = source.read(min(_WINDOW, end - start))
        if not data:
            raise ValueError("it became shorter")
        target.write(data)
        start += len(data)


def _text(number: int, text: str) -> bytes:
    data = text.encode("utf-8")
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def _read_varint(source: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = source.read(1)
        if not byte:
            raise ValueError("it is cut off")
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("it is no protobuf message")
