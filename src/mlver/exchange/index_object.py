"""A remote's index object: which records a push has brought, and where they lie.

Little-endian (docs/format/index.md):

    header    32 bytes: "MLVRINDX", version u32 = 1, rows u32, packs u32, bases u32, zero u64
    fan-out   256 × u32: how many rows have an id whose first byte is at most this one
    rows      60 bytes each, sorted by id, then kind: id 32, kind u8, codec u8, zero u16,
              pack u32 (place in the pack table), offset u64, stored u32, raw u32,
              base u32 (place in the base table, 0xffffffff where the record is no delta)
    packs     32 bytes each
    bases     32 bytes each
    trailer   BLAKE3 of all before, under its domain

Sorted and of fixed width, so that a reader may fetch header, fan-out and single stretches.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mlver.errors import CorruptContent
from mlver.model.digest import SIZE, Digest, keyed_digest

_MAGIC = b"MLVRINDX"
_HEAD = struct.Struct("<8sIIIIQ")
_FAN = struct.Struct("<256I")
_ROW = struct.Struct("<32sBBHIQIII")
_NONE = 0xFFFFFFFF
_DOMAIN = b"mlver/1 index"
_MOST, _MOST_OFFSET = 1 << 25, 1 << 48
"""No record is longer and no pack is; a reader would ask for as many bytes as a row says."""


class Found(NamedTuple):
    """A record on a remote: its pack, the offset of its header, lengths in bytes, its base."""

    id: Digest
    kind: int
    codec: int
    pack: Digest
    offset: int
    stored: int
    raw: int
    base: Digest | None


def encode(records: Iterable[Found]) -> bytes:
    """The bytes of an index object of these records."""
    rows = sorted(records, key=lambda found: (found.id, found.kind))
    packs = {pack: i for i, pack in enumerate(sorted({row.pack for row in rows}))}
    bases = {base: i for i, base in enumerate(sorted({row.base for row in rows if row.base}))}
    counts = [0] * 256
    for row in rows:
        counts[row.id[0]] += 1
    total, fan = 0, []
    for count in counts:
        total += count
        fan.append(total)
    body = b"".join(
        [
            _HEAD.pack(_MAGIC, 1, len(rows), len(packs), len(bases), 0),
            _FAN.pack(*fan),
            *(
                _ROW.pack(
                    row.id,
                    row.kind,
                    row.codec,
                    0,
                    packs[row.pack],
                    row.offset,
                    row.stored,
                    row.raw,
                    _NONE if row.base is None else bases[row.base],
                )
                for row in rows
            ),
            *packs,
            *bases,
        ]
    )
    return body + keyed_digest(_DOMAIN, body)


class IndexObject:
    """An index object in memory; rows are found by bisection, none is unpacked in advance."""

    def __init__(self, data: bytes) -> None:
        """Raises CorruptContent unless all of it holds together."""
        if len(data) < _HEAD.size + _FAN.size + SIZE:
            raise CorruptContent("an index object is too short")
        if keyed_digest(_DOMAIN, data[:-SIZE]) != data[-SIZE:]:
            raise CorruptContent("an index object does not match its own digest")
        magic, version, rows, packs, bases, _zero = _HEAD.unpack_from(data)
        self._rows_at = _HEAD.size + _FAN.size
        self._packs_at = self._rows_at + rows * _ROW.size
        self._bases_at = self._packs_at + packs * SIZE
        if magic != _MAGIC or version != 1 or self._bases_at + bases * SIZE + SIZE != len(data):
            raise CorruptContent("an index object cannot be read", why=f"version {version}")
        self._data = data
        self._fan = _FAN.unpack_from(data, _HEAD.size)
        self._packs, self._bases = packs, bases
        if self._fan[255] != rows or any(
            a > b for a, b in zip(self._fan, self._fan[1:], strict=False)
        ):
            raise CorruptContent("an index object's fan-out is not in order")

    def __len__(self) -> int:
        return int(self._fan[255])

    def find(self, digest: bytes, kind: int) -> Found | None:
        """The row of this id and kind, or None."""
        low = self._fan[digest[0] - 1] if digest[0] else 0
        high = self._fan[digest[0]]
        key = digest + bytes([kind])
        while low < high:
            middle = (low + high) // 2
            at = self._rows_at + middle * _ROW.size
            if self._data[at : at + SIZE + 1] < key:
                low = middle + 1
            else:
                high = middle
        at = self._rows_at + low * _ROW.size
        if low < len(self) and self._data[at : at + SIZE + 1] == key:
            return self._row(at)
        return None

    def __iter__(self) -> Iterator[Found]:
        for place in range(len(self)):
            yield self._row(self._rows_at + place * _ROW.size)

    def _row(self, at: int) -> Found:
        id_, kind, codec, _zero, pack, offset, stored, raw, base = _ROW.unpack_from(self._data, at)
        if pack >= self._packs or (base != _NONE and base >= self._bases):
            raise CorruptContent("an index object names a pack that it does not list")
        if offset > _MOST_OFFSET or stored > _MOST or raw > _MOST:
            raise CorruptContent("an index object names a record that no pack can hold")
        return Found(
            Digest(id_),
            kind,
            codec,
            self._entry(self._packs_at, pack),
            offset,
            stored,
            raw,
            None if base == _NONE else self._entry(self._bases_at, base),
        )

    def _entry(self, table: int, place: int) -> Digest:
        start = table + place * SIZE
        return Digest(self._data[start : start + SIZE])

    def packs(self) -> list[Digest]:
        """The packs that this object's rows lie in."""
        return [self._entry(self._packs_at, place) for place in range(self._packs)]
