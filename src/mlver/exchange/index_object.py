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

Read whole, always: its one digest is that of all bytes. What is larger than a push of some
thousand records is of the other kind, exchange/paged_index.py, whose parts are verified alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from mlver.errors import CorruptContent
from mlver.model.digest import SIZE, Digest, keyed_digest

_MAGIC = b"MLVRINDX"
_HEAD = struct.Struct("<8sIIIIQ")
_FAN = struct.Struct("<256I")
ROW = struct.Struct("<32sBBHIQIII")
"""A row as it lies in both kinds: see above."""
NO_BASE = 0xFFFFFFFF
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


Order = tuple[Digest, int, Digest, int, int, int, int, bytes]


def order(row: Found) -> Order:
    """The order of rows: by id, then kind; copies of one record by where they lie."""
    id_, kind, codec, pack, offset, stored, raw, base = row
    return id_, kind, pack, offset, codec, stored, raw, base or b""


class IndexRows(Protocol):
    """An index object, whichever its kind: rows, of which several may be of one record.

    What it reads may fail: CorruptContent, and where it lies on a remote RemoteError (NotFound: it
    is gone).
    """

    def __len__(self) -> int:
        """How many rows."""

    def __iter__(self) -> Iterator[Found]:
        """Every row, in their order."""

    def lookup(self, ids: Collection[bytes]) -> dict[bytes, list[Found]]:
        """The rows of these ids; an id without one is left out."""

    def bucket(self, first: int) -> list[Found]:
        """The rows whose id begins with the byte `first`, in their order."""

    def packs(self) -> list[Digest]:
        """The packs that the rows lie in, sorted."""

    def verify(self) -> None:
        """Read all of it. Raises CorruptContent unless every byte is what its name promises."""


def packed(row: Found, packs: Mapping[Digest, int], bases: Mapping[Digest, int]) -> bytes:
    """A row's bytes, by the places of packs and bases in their tables."""
    base = NO_BASE if row.base is None else bases[row.base]
    place = packs[row.pack]
    return ROW.pack(row.id, row.kind, row.codec, 0, place, row.offset, row.stored, row.raw, base)


def encode(records: Iterable[Found]) -> bytes:
    """The bytes of an index object of these records."""
    rows = sorted(records, key=order)
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
            *(packed(row, packs, bases) for row in rows),
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
        self._packs_at = self._rows_at + rows * ROW.size
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
        """The first row of this id and kind, or None."""
        place = self._place(digest + bytes([kind]))
        found = self._row_at(place) if place < len(self) else None
        return found if found and (found.id, found.kind) == (digest, kind) else None

    def lookup(self, ids: Collection[bytes]) -> dict[bytes, list[Found]]:
        """See `IndexRows`."""
        if len(ids) > len(self):
            ids = self._ids_among(ids)
        found = {}
        for digest in ids:
            place, rows = self._place(digest), []
            while place < len(self) and self._id_at(place) == digest:
                rows.append(self._row_at(place))
                place += 1
            if rows:
                found[digest] = rows
        return found

    def bucket(self, first: int) -> list[Found]:
        """See `IndexRows`."""
        low = self._fan[first - 1] if first else 0
        return [self._row_at(place) for place in range(low, self._fan[first])]

    def verify(self) -> None:
        """See `IndexRows`: done when it was opened."""

    def _ids_among(self, ids: Collection[bytes]) -> list[bytes]:
        wanted = ids if isinstance(ids, (set, frozenset, dict)) else set(ids)
        mine = dict.fromkeys(map(self._id_at, range(len(self))))
        return [digest for digest in mine if digest in wanted]

    def _place(self, key: bytes) -> int:
        """Place of the first row whose id and kind are not below `key`."""
        low = self._fan[key[0] - 1] if key[0] else 0
        high = self._fan[key[0]]
        while low < high:
            middle = (low + high) // 2
            at = self._rows_at + middle * ROW.size
            if self._data[at : at + SIZE + 1] < key:
                low = middle + 1
            else:
                high = middle
        return low

    def _id_at(self, place: int) -> bytes:
        at = self._rows_at + place * ROW.size
        return self._data[at : at + SIZE]

    def __iter__(self) -> Iterator[Found]:
        for place in range(len(self)):
            yield self._row_at(place)

    def _row_at(self, place: int) -> Found:
        fields = ROW.unpack_from(self._data, self._rows_at + place * ROW.size)
        return row_of(fields, self._pack, self._base)

    def _pack(self, place: int) -> Digest:
        return self._entry(self._packs_at, place, self._packs)

    def _base(self, place: int) -> Digest:
        return self._entry(self._bases_at, place, self._bases)

    def _entry(self, table: int, place: int, count: int) -> Digest:
        if place >= count:
            raise CorruptContent("an index object names a pack that it does not list")
        start = table + place * SIZE
        return Digest(self._data[start : start + SIZE])

    def packs(self) -> list[Digest]:
        """The packs that this object's rows lie in."""
        return [self._pack(place) for place in range(self._packs)]


Fields = tuple[bytes, int, int, int, int, int, int, int, int]


def row_of(
    fields: Fields, pack_at: Callable[[int], Digest], base_at: Callable[[int], Digest]
) -> Found:
    """The row that `ROW` has unpacked; the two tables are asked for what it names by its place.

    Raises CorruptContent for one that no pack can hold: it might be believed before it is read.
    """
    id_, kind, codec, _zero, pack, offset, stored, raw, base = fields
    if offset > _MOST_OFFSET or stored > _MOST or raw > _MOST:
        raise CorruptContent("an index object names a record that no pack can hold")
    base_id = None if base == NO_BASE else base_at(base)
    return Found(Digest(id_), kind, codec, pack_at(pack), offset, stored, raw, base_id)
