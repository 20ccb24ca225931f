"""Where content can be had from: one small contract over remotes and other stores here.

A source finds records and gives their raw bytes; whoever reads verifies. `Catalog` is a remote
seen through its index objects; `Sibling` is the store of another repository on this machine (the
clone of a plain path just works, also of what was never pushed).
"""

from __future__ import annotations

import os
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from mlver.errors import CorruptContent, MlverError, RemoteError
from mlver.exchange import condemned, layout
from mlver.exchange.condemned import Condemned
from mlver.exchange.index_cache import IndexCache
from mlver.exchange.index_object import Found, IndexObject
from mlver.model.digest import Digest, digest_of
from mlver.remotes.base import NotFound, Remote
from mlver.store.local import LocalStore
from mlver.store.record import CHUNK, DELTA, RECIPE

_AT_ONCE = 8
"""Index objects read from a remote at once: each is small, and waits for one answer."""
_LOOKS = 4
"""A listing is made again so often where an object of it was gone when it was read."""


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

    def refresh(self) -> bool:
        """Once a pack was gone when it was read: look again for what is there; True if done."""

    def close(self) -> None:
        """Release what is open."""


class Catalog:
    """A remote and all of its index objects, read once, when first asked: from `cache` where they
    are kept there.

    `wary`: what collection is going to delete counts as absent. For whoever relies on what is
    there for longer than one read: a push, and what frees content here.
    """

    def __init__(
        self, remote: Remote, name: str, cache: IndexCache | None = None, *, wary: bool = False
    ) -> None:
        self.remote = remote
        self._cache = cache
        self.name = name
        self.wary = wary
        self._objects: dict[str, IndexObject] | None = None
        self._damaged: list[str] = []
        self._lists: frozenset[str] = frozenset()
        self._missed = False
        self.condemned = Condemned()
        """What will be deleted, as of the last reading; nothing unless `wary`."""
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
        return list(self.named_objects().values())

    def named_objects(self) -> dict[str, IndexObject]:
        """As `objects`, by their names on the remote."""
        if self._objects is None:
            objects: dict[str, IndexObject] = {}
            damaged: list[str] = []
            if layout.read_meta(self.remote) is not None:
                if self.wary:
                    self._read_condemned()
                objects, damaged = self._look()
            self._objects, self._damaged = objects, damaged
        return self._objects

    def _read_condemned(self) -> None:
        lists = condemned.read_all(self.remote)
        self.condemned = condemned.union(lists, self.remote.url)
        self._lists = frozenset(item.name for item in lists)

    def _look(self) -> tuple[dict[str, IndexObject], list[str]]:
        """Index objects by name, and names of damaged ones. A name that was gone when it was read
        was replaced by collection, which writes the new one first: the listing is made again."""
        for _ in range(_LOOKS):
            rows = sorted(self.remote.list(layout.INDEX), key=lambda row: (row.modified, row.name))
            names = [row.name for row in rows]
            try:
                found = dict(zip(names, self._load_all(names), strict=True))
            except NotFound:
                continue
            whole = {name: item for name, item in found.items() if item is not None}
            return whole, [name for name in names if name not in whole]
        raise RemoteError(
            f"{self.name}: index objects go while they are read",
            why="a collection is at work there",
            fix="run this again later",
        )

    def is_current(self, written: str | None = None) -> bool:
        """True if all that was read is there still and nothing more was condemned since; and the
        index object `written`, which collection may have been rewriting under that very name.

        Asked by a push before it acknowledges. Collection deletes index objects before the packs
        that they name, so this also tells a push that took longer than any time of grace.
        """
        lists = {row.name for row in self.remote.list(layout.CONDEMNED)}
        lists = {name for name in lists if layout.digest_in_name(name) is not None}
        names = {row.name for row in self.remote.list(layout.INDEX)}
        needed = {*self.named_objects(), *([] if written is None else [written])}
        return lists <= self._lists and names >= needed

    def since(self, known: Container[str]) -> list[IndexObject]:
        """Index objects that are there now and have none of these names, for collection. Raises
        RemoteError, CorruptContent."""
        rows = [row.name for row in self.remote.list(layout.INDEX)]
        found = self._load_all([name for name in rows if name not in known])
        if None in found:
            raise CorruptContent(f"{self.name}: an index object that has just come is damaged")
        return [item for item in found if item is not None]

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
        except CorruptContent:
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
            if found is not None and self._counts(found):
                return found
        return None

    def _counts(self, found: Found) -> bool:
        return found.pack not in self.distrusted and not self.condemned.names(
            found.pack, (found.id, found.kind)
        )

    def find_alone(self, digest: Digest) -> Found | None:
        for copy in self.find_all(digest, CHUNK):
            if copy.codec != DELTA and self._counts(copy):
                return copy
        return None

    def find_all(self, digest: Digest, kind: int) -> list[Found]:
        """Every copy that the remote holds of a record."""
        hits = (candidate.find(digest, kind) for candidate in self.objects())
        return [found for found in hits if found is not None]

    def read(self, pack: Digest, offset: int, length: int) -> bytes:
        try:
            return self.remote.read(layout.pack_object(pack), offset, length)
        except NotFound:
            self._missed = True
            raise

    def refresh(self) -> bool:
        if self._missed:
            self._missed = False
            self.forget()
            return True
        return False

    def forget(self) -> None:
        """Read the index objects again when next asked."""
        self._objects, self._damaged = None, []
        self._lists, self.condemned = frozenset(), Condemned()

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

    def refresh(self) -> bool:
        return False

    def close(self) -> None:
        self._store.close()


def has_blob(source: Source, oid: Digest, size: int) -> bool:
    """True if the source knows the blob: its recipe, or the one chunk that it is."""

    try:
        found = source.find(oid, CHUNK)
        return (found is not None and found.raw == size) or source.find(oid, RECIPE) is not None
    except MlverError:
        return False
