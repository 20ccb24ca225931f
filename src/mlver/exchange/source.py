"""Where content can be had from: one small contract over remotes and other stores here.

A source finds records and gives their raw bytes; whoever reads verifies. `Catalog` is a remote
seen through its index objects; `Sibling` is the store of another repository on this machine (the
clone of a plain path just works, also of what was never pushed).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from mlver.errors import CorruptContent, MlverError
from mlver.exchange import layout
from mlver.exchange.index_cache import IndexCache
from mlver.exchange.index_object import Found, IndexObject
from mlver.model.digest import Digest, digest_of
from mlver.remotes.base import NotFound, Remote
from mlver.store.local import LocalStore
from mlver.store.record import CHUNK, DELTA, RECIPE

_AT_ONCE = 8
"""Index objects read from a remote at once: each is small, and waits for one answer."""


class Source(Protocol):
    """A place to fetch records from."""

    @property
    def name(self) -> str:
        """For messages."""

    def find(self, digest: Digest, kind: int) -> Found | None:
        """Where the record lies, or None. Raises RemoteError, CorruptContent."""

    def find_alone(self, digest: Digest) -> Found | None:
        """A copy of the chunk that is no delta: what can be a base. Raises as `find`."""

    def read(self, pack: Digest, offset: int, length: int) -> bytes:
        """Raw bytes of a pack, exactly `length`. Raises RemoteError, CorruptContent."""

    def close(self) -> None:
        """Release what is open."""


class Catalog:
    """A remote and all of its index objects, read once, when first asked: from `cache` where they
    are kept there."""

    def __init__(self, remote: Remote, name: str, cache: IndexCache | None = None) -> None:
        self.remote = remote
        self._cache = cache
        self.name = name
        self._objects: list[IndexObject] | None = None
        self._damaged: list[str] = []
        self.distrusted: frozenset[Digest] = frozenset()
        """Packs that are known to be bad: what lies there counts as absent."""

    @property
    def is_far(self) -> bool:
        """A network lies before it: its index objects are kept, and many requests at once pay."""
        return self._cache is not None

    def objects(self) -> list[IndexObject]:
        """The index objects, newest last. A damaged one is left out, and named in `damaged`.

        Raises RemoteError, again each time: what could not be listed or read is never "empty".
        """
        if self._objects is None:
            objects: list[IndexObject] = []
            damaged: list[str] = []
            if layout.read_meta(self.remote) is not None:
                rows = sorted(
                    self.remote.list(layout.INDEX), key=lambda row: (row.modified, row.name)
                )
                names = [row.name for row in rows]
                for name, found in zip(names, self._load_all(names), strict=True):
                    damaged.append(name) if found is None else objects.append(found)
            self._objects, self._damaged = objects, damaged
        return self._objects

    def _load_all(self, names: list[str]) -> list[IndexObject | None]:
        """What each name holds, in order; what is not kept here is read many at a time."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mlver-index") as pool:
            return list(pool.map(self._load, names))

    def _load(self, name: str) -> IndexObject | None:
        digest = layout.digest_in_name(name)
        if digest is None:
            return None
        kept = None if self._cache is None else self._cache.get(digest)
        try:
            data = self.remote.read(name) if kept is None else kept
            if kept is None and digest_of(data) != digest:
                return None
            found = IndexObject(data)
        except (CorruptContent, NotFound):
            return None
        if kept is None and self._cache is not None:
            self._cache.put(digest, data)
        return found

    @property
    def damaged(self) -> list[str]:
        """Names of index objects that could not be used."""
        self.objects()
        return self._damaged

    def find(self, digest: Digest, kind: int) -> Found | None:
        for candidate in reversed(self.objects()):
            found = candidate.find(digest, kind)
            if found is not None and found.pack not in self.distrusted:
                return found
        return None

    def find_alone(self, digest: Digest) -> Found | None:
        for copy in self.find_all(digest, CHUNK):
            if copy.codec != DELTA and copy.pack not in self.distrusted:
                return copy
        return None

    def find_all(self, digest: Digest, kind: int) -> list[Found]:
        """Every copy that the remote holds of a record."""
        hits = (candidate.find(digest, kind) for candidate in self.objects())
        return [found for found in hits if found is not None]

    def read(self, pack: Digest, offset: int, length: int) -> bytes:
        return self.remote.read(layout.pack_object(pack), offset, length)

    def forget(self) -> None:
        """Read the index objects again when next asked."""
        self._objects, self._damaged = None, []

    def close(self) -> None:
        self.remote.close()


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
        base = self._store.base_of_chunk(digest) if place.codec == DELTA else None
        pack = digest_of(place.pack.encode())
        self._names[pack] = place.pack
        return Found(digest, kind, place.codec, pack, place.offset, place.stored, place.raw, base)

    def find_alone(self, digest: Digest) -> Found | None:
        found = self.find(digest, CHUNK)
        return None if found is None or found.codec == DELTA else found

    def read(self, pack: Digest, offset: int, length: int) -> bytes:
        data = self._store.read_span(self._names[pack], offset, length)
        if len(data) != length:
            raise CorruptContent(f"a pack in {self.name} is shorter than its index says")
        return data

    def close(self) -> None:
        self._store.close()


def has_blob(source: Source, oid: Digest, size: int) -> bool:
    """True if the source knows the blob: its recipe, or the one chunk that it is."""

    try:
        found = source.find(oid, CHUNK)
        return (found is not None and found.raw == size) or source.find(oid, RECIPE) is not None
    except MlverError:
        return False
