"""Packs that no index names, found by listing: an earlier push was killed after it had sent them.

Where one holds what a push is about to send, that push names those records in its own index
instead. A pack is believed only when its bytes match its name; a delta is taken only with a base
that stands alone, and a recipe only if it is ours, byte for byte: another one may name chunks that
nobody has looked for. Condemned packs are left alone (docs/decisions/0015), and one that goes while
it is looked at is as good as none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlver.errors import CorruptContent
from mlver.exchange import layout
from mlver.exchange.condemned import Key
from mlver.exchange.index_object import Found
from mlver.exchange.source import Catalog
from mlver.model.digest import SIZE, Digest, digest_of
from mlver.remotes.base import NotFound, RemoteObject
from mlver.store import pack
from mlver.store.index import Location
from mlver.store.local import LocalStore
from mlver.store.record import CHUNK, HEADER, RECIPE, needs_base

_FOOTER = 64 * 1024


@dataclass(slots=True)
class Adopted:
    """Rows for the index of the push that adopts; the packs that they name, with their sizes."""

    rows: list[Found] = field(default_factory=list)
    packs: dict[Digest, int] = field(default_factory=dict)


def adopt(
    store: LocalStore, catalog: Catalog, needed: dict[Key, Location], bases: set[Digest]
) -> Adopted:
    """Take what orphans hold of `needed`, and remove it from there. Raises RemoteError.

    `bases`: what must stand alone there, since deltas are sent upon it; grows by those adopted.
    """
    indexed = catalog.packs()
    work = _Adoption(store, catalog, needed, bases)
    for row in catalog.remote.list(layout.PACKS):
        pack_id = layout.digest_in_name(row.name)
        if pack_id is None or pack_id in indexed or pack_id in catalog.condemned.packs:
            continue
        if not needed:
            break
        try:
            work.look_into(row, pack_id)
        except NotFound:
            continue  # collection was quicker: as if it had never been there
    return work.result


class _Adoption:
    def __init__(
        self, store: LocalStore, catalog: Catalog, needed: dict[Key, Location], bases: set[Digest]
    ) -> None:
        self._store, self._catalog, self._remote = store, catalog, catalog.remote
        self._needed, self._bases = needed, bases
        self._alone: set[Digest] = set()  # adopted, and in need of no base
        self.result = Adopted()

    def look_into(self, row: RemoteObject, pack_id: Digest) -> None:
        """Adopt what this pack has. Raises NotFound, with nothing adopted, where it is gone."""
        entries = self._footer(row.name, row.size)
        wanted = [e for e in entries if (e.header.id, e.header.kind) in self._needed]
        if not wanted:
            return
        data = memoryview(self._remote.read(row.name))
        if digest_of(data) != pack_id:
            return  # a damaged one is as if it were not there
        for entry in sorted(wanted, key=lambda e: needs_base(e.header.codec)):
            payload = data[entry.offset + HEADER : entry.offset + entry.length]
            found = row_of(
                pack_id,
                entry,
                Digest(bytes(payload[:SIZE])) if needs_base(entry.header.codec) else None,
            )
            key = (found.id, found.kind)
            if key not in self._needed or not self._is_readable(found):
                continue
            if found.kind == RECIPE and payload != self._store.record(*key)[1]:
                continue
            del self._needed[key]
            self.result.rows.append(found)
            self.result.packs[pack_id] = row.size
            if found.base is None:
                self._alone.add(found.id)
            else:
                self._bases.add(found.base)

    def _is_readable(self, found: Found) -> bool:
        """True if what the record needs is there, or will be with this push."""
        if found.base is None:
            return True
        if found.id in self._bases:
            return False
        if found.base in self._alone:
            return True
        place = self._needed.get((found.base, CHUNK))
        sent = place is not None and not needs_base(place.codec)
        return sent or self._catalog.find_alone(found.base) is not None

    def _footer(self, name: str, size: int) -> list[pack.Entry]:
        wanted = min(size, _FOOTER)
        try:
            found = pack.decode_footer(self._remote.read(name, size - wanted, wanted), size)
            if isinstance(found, int):
                found = pack.decode_footer(self._remote.read(name, size - found, found), size)
        except CorruptContent:
            return []
        return [] if isinstance(found, int) else found


def row_of(pack_id: Digest, entry: pack.Entry, base: Digest | None) -> Found:
    """The index row of a pack's record."""
    head = entry.header
    return Found(head.id, head.kind, head.codec, pack_id, entry.offset, head.stored, head.raw, base)
