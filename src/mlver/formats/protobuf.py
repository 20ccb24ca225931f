"""Fields of protocol buffers, by position: long values are skipped, not read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mlver.formats.base import NotThisFormat, Source

_WINDOW = 64 * 1024


class Field(NamedTuple):
    """`value`: of a number. `offset`, `length`: of its bytes in the file."""

    number: int
    wire: int
    value: int
    offset: int
    length: int


class Reader:
    """Reads messages of one source, through a window."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._start, self._window = 0, b""

    def bytes(self, field: Field, limit: int = 16 * 1024 * 1024) -> bytes:
        """A field's bytes. Raises NotThisFormat where they are too many."""
        if field.length > limit:
            raise NotThisFormat("a field of it is too long", why=f"{field.length:,} bytes")
        return self._source.read(field.offset, field.length)

    def text(self, field: Field) -> str:
        return self.bytes(field).decode("utf-8", "replace")

    def fields(self, offset: int, length: int) -> Iterator[Field]:
        """The fields of the message that lies there. Raises NotThisFormat."""
        at, end = offset, offset + length
        while at < end:
            tag, at = self._number(at, end)
            number, wire = tag >> 3, tag & 7
            value, size = 0, 0
            if wire == 0:
                start = at
                value, at = self._number(at, end)
                size = at - start
            else:
                if wire == 2:
                    size, at = self._number(at, end)
                elif wire in (1, 5):
                    size = 8 if wire == 1 else 4
                else:
                    raise NotThisFormat("it is no ONNX model", why=f"a field of wire type {wire}")
                start, at = at, at + size
            if at > end or number == 0:
                raise NotThisFormat("it is no ONNX model", why="a field ends after its message")
            yield Field(number, wire, value, start, size)

    def _number(self, at: int, end: int) -> tuple[int, int]:
        value, shift = 0, 0
        while at < end and shift < 70:
            byte = self._byte(at)
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & (2**64 - 1), at
            shift += 7
        raise NotThisFormat("it is no ONNX model", why="a number in it has no end")

    def _byte(self, at: int) -> int:
        place = at - self._start
        if not 0 <= place < len(self._window):
            self._start, self._window = at, self._source.read(at, _WINDOW)
            place = 0
            if not self._window:
                raise NotThisFormat("it is no ONNX model", why="it is cut off")
        return self._window[place]

    def numbers(self, field: Field) -> list[int]:
        """A repeated number, packed or not."""
        if field.wire == 0:
            return [field.value]
        found, at, end = [], field.offset, field.offset + field.length
        while at < end:
            value, at = self._number(at, end)
            found.append(value)
        return found
