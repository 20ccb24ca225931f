"""A blob's ordered chunks, and the payload in which a recipe is stored.

A *row* is one chunk: its id (32 bytes) and its length (u32, little-endian), 36 bytes. The rows of
a short recipe stand in the payload itself (depth 0). The rows of a long one are cut into *list
chunks*, stored like any other chunk, and the payload names those (depth 1): two versions of a
file then share most of their list, and the rest is small as deltas. Where a list is cut depends
on the rows' ids alone, so an insertion moves no later cut. Format: docs/format/recipe.md.

The payload ends in a digest of its own, under the recipe's domain and over the blob's oid too: it
is checked before any row is believed. A recipe is stored only when the whole blob was hashed, so
chunks that match their ids, in the order of a recipe that matches this digest, are the blob.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mlver.errors import CorruptContent
from mlver.model.digest import SIZE, Digest, keyed_digest

Row = tuple[Digest, int]
"""A chunk's id and its length in bytes."""

INLINE_ROWS = 512
"""A recipe of at most this many rows holds them itself."""

_ROW = struct.Struct("<32sI")
_HEAD = struct.Struct("<BBHIQ")  # version, depth, reserved, rows, size of the blob
_VERSION = 1
_DOMAIN = b"mlver/1 recipe"
_LIST_MIN, _LIST_MAX = 128, 4096
_LIST_MASK = 0x3FF  # on average one cut in 1024 rows


class Recipe(NamedTuple):
    """`rows` of the blob itself (depth 0), or of its list chunks (depth 1). `size` in bytes."""

    size: int
    depth: int
    rows: tuple[Row, ...]

    def encode(self, oid: Digest) -> bytes:
        """The payload of the recipe record of the blob `oid`."""
        body = _HEAD.pack(_VERSION, self.depth, 0, len(self.rows), self.size) + encode_rows(
            self.rows
        )
        return body + keyed_digest(_DOMAIN, oid + body)


def decode(payload: bytes | memoryview, oid: Digest) -> Recipe:
    """The recipe of the blob `oid`. Raises CorruptContent unless every byte holds together."""
    data = bytes(payload)
    if len(data) < _HEAD.size + SIZE or keyed_digest(_DOMAIN, oid + data[:-SIZE]) != data[-SIZE:]:
        raise CorruptContent("a recipe does not match its own digest")
    version, depth, _reserved, count, size = _HEAD.unpack_from(data)
    body = data[_HEAD.size : -SIZE]
    if version != _VERSION or depth > 1 or count * _ROW.size != len(body):
        raise CorruptContent(
            "a recipe cannot be read", why=f"version {version}, depth {depth}, {count} rows"
        )
    rows = tuple(decode_rows(body))
    if depth == 0 and sum(length for _, length in rows) != size:
        raise CorruptContent("a recipe's chunks do not add up to the size that it states")
    return Recipe(size, depth, rows)


def encode_rows(rows: Iterable[Row]) -> bytes:
    """Rows as they stand in a payload or a list chunk."""
    return b"".join(_ROW.pack(digest, length) for digest, length in rows)


def decode_rows(data: bytes | memoryview) -> Iterator[Row]:
    """The rows of a list chunk. Raises CorruptContent if the length is no multiple of a row."""
    if len(data) % _ROW.size:
        raise CorruptContent("a recipe's list is not made of whole rows")
    for digest, length in _ROW.iter_unpack(data):
        yield Digest(digest), length


class ListCutter:
    """Cuts a long recipe's rows into list chunks while they arrive; memory: one list chunk.

    >>> cutter.push(row) returns a finished list chunk's bytes, or None; finish() the rest.
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    def push(self, row: Row) -> bytes | None:
        self._pending += _ROW.pack(*row)
        count = len(self._pending) // _ROW.size
        at_mark = not int.from_bytes(row[0][:2], "little") & _LIST_MASK
        if count >= _LIST_MAX or (at_mark and count >= _LIST_MIN):
            return self.finish()
        return None

    def finish(self) -> bytes | None:
        """What is pending as the last list chunk; None if nothing is."""
        done, self._pending = bytes(self._pending), bytearray()
        return done or None
