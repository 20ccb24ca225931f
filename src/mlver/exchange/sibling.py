"""The store of another repository on this machine as a source: the clone of a plain path just
works, also of what was never pushed. See `source.Source` for the contract."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mlver.errors import CorruptContent
from mlver.exchange.index_object import Found
from mlver.model.digest import Digest, digest_of
from mlver.store.local import LocalStore
from mlver.store.record import CHUNK, RECIPE, needs_base


class Sibling:
    """The store of another repository on this machine. Nothing is written there: it may belong to
    somebody else, and lie in a folder that is read-only."""

    def __init__(self, root: bytes) -> None:
        self.name = os.fsdecode(root)
        self._store = LocalStore(root, read_only=True)
        self._names: dict[Digest, str] = {}

    def find(self, digest: Digest, kind: int) -> Found | None:
        place = self._store.locate(digest, kind)
        if place is None:
            return None
        base = self._store.base_of_chunk(digest) if needs_base(place.codec) else None
        pack = digest_of(place.pack.encode())
        self._names[pack] = place.pack
        return Found(digest, kind, place.codec, pack, place.offset, place.stored, place.raw, base)

    def find_alone(self, digest: Digest) -> Found | None:
        found = self.find(digest, CHUNK)
        return None if found is None or needs_base(found.codec) else found

    def find_blob(self, oid: Digest, size: int) -> Found | None:
        found = self.find(oid, CHUNK)
        return found if found is not None and found.raw == size else self.find(oid, RECIPE)

    def prepare(self, ids: Iterable[Digest]) -> list[Digest]:
        locate = self._store.locate
        return [i for i in ids if locate(i, CHUNK) is None and locate(i, RECIPE) is None]

    def read(self, pack: Digest, offset: int, length: int) -> bytes:
        data = self._store.read_span(self._names[pack], offset, length)
        if len(data) != length:
            raise CorruptContent(f"a pack in {self.name} is shorter than its index says")
        return data

    def refresh(self) -> bool:
        return False

    def close(self) -> None:
        self._store.close()
