"""Lists of what collection is going to delete: `gc/condemned/<id>`, immutable, named by content.

Little-endian (docs/format/remote.md):

    header    32 bytes: "MLVRCOND", version u32 = 1, packs u32, records u32, zero u32,
              time u64 (seconds since 1970, the remote's clock)
    packs     32 bytes each, sorted
    records   33 bytes each, sorted: id 32, kind u8
    trailer   BLAKE3 of all before, under its domain

Whoever pushes takes what a list names for absent. `packs` will be deleted. `records` lie in packs
that stay, and cannot be read without those that go: a recipe whose chunks go, a delta whose base
goes. They are named for as long as the packs, since a push that relied on one would lose as much.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from mlver.errors import CorruptContent, RemoteError
from mlver.exchange import layout
from mlver.model.digest import SIZE, Digest, digest_of, keyed_digest
from mlver.remotes.base import NotFound, Remote

Key = tuple[Digest, int]
"""A record's id and kind."""

_MAGIC = b"MLVRCOND"
_HEAD = struct.Struct("<8sIIIIQ")
_ROW = struct.Struct("<32sB")
_DOMAIN = b"mlver/1 condemned"


class Condemned(NamedTuple):
    """What one list, or all of them together, names. `time` in seconds, the remote's clock."""

    packs: frozenset[Digest] = frozenset()
    records: frozenset[Key] = frozenset()
    time: int = 0

    def names(self, pack: Digest, key: Key) -> bool:
        """True for a record that must not be relied on."""
        return pack in self.packs or key in self.records


class Listed(NamedTuple):
    """A list as it lies on a remote. `modified` is the remote's own clock."""

    name: str
    modified: float
    content: Condemned | None  # None: damaged


def encode(condemned: Condemned) -> bytes:
    """The bytes of a list."""
    packs, records = sorted(condemned.packs), sorted(condemned.records)
    body = b"".join(
        [
            _HEAD.pack(_MAGIC, 1, len(packs), len(records), 0, condemned.time),
            *packs,
            *(_ROW.pack(digest, kind) for digest, kind in records),
        ]
    )
    return body + keyed_digest(_DOMAIN, body)


def decode(data: bytes) -> Condemned:
    """The list that `data` is. Raises CorruptContent unless all of it holds together."""
    if len(data) < _HEAD.size + SIZE or keyed_digest(_DOMAIN, data[:-SIZE]) != data[-SIZE:]:
        raise CorruptContent("a list of condemned packs does not match its own digest")
    magic, version, packs, records, _zero, time = _HEAD.unpack_from(data)
    rows_at = _HEAD.size + packs * SIZE
    end = rows_at + records * _ROW.size
    if magic != _MAGIC or version != 1 or end + SIZE != len(data):
        raise CorruptContent("a list of condemned packs cannot be read", why=f"version {version}")
    named = (data[at : at + SIZE] for at in range(_HEAD.size, rows_at, SIZE))
    rows = _ROW.iter_unpack(data[rows_at:end])
    return Condemned(
        frozenset(Digest(pack) for pack in named),
        frozenset((Digest(digest), kind) for digest, kind in rows),
        time,
    )


def read_all(remote: Remote) -> list[Listed]:
    """Every list on the remote; one that is deleted meanwhile is left out. Raises RemoteError."""
    found = []
    for row in remote.list(layout.CONDEMNED):
        digest = layout.digest_in_name(row.name)
        if digest is None:
            continue  # a name that a later version may give a meaning
        try:
            data = remote.read(row.name)
        except NotFound:
            continue
        content = None
        if digest_of(data) == digest:
            try:
                content = decode(data)
            except CorruptContent:
                content = None
        found.append(Listed(row.name, row.modified, content))
    return found


def union(lists: Iterable[Listed], url: str) -> Condemned:
    """What all lists together name. Raises RemoteError where one is damaged: what it names is
    unknown, so nothing on the remote may be relied on."""
    packs: set[Digest] = set()
    records: set[Key] = set()
    for item in lists:
        if item.content is None:
            raise RemoteError(
                f"{url}: a list of condemned packs is damaged",
                why=f"{item.name} does not match its name, and what it names will be deleted",
                fix="git mlver gc --remote --yes, which removes it",
            )
        packs |= item.content.packs
        records |= item.content.records
    return Condemned(frozenset(packs), frozenset(records))
