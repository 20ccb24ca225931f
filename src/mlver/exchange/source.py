"""Where content can be had from: one small contract over remotes and other stores here.

A source finds records and gives their raw bytes; whoever reads verifies. `Catalog` is a remote
seen through its index objects; `sibling.Sibling` is the store of another repository here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator
from typing import Protocol, TypeVar

from mlver.errors import CorruptContent, MlverError, RemoteError
from mlver.exchange import condemned, layout
from mlver.exchange.condemned import Condemned
from mlver.exchange.index_cache import IndexCache
from mlver.exchange.index_object import Found, IndexRows
from mlver.exchange.index_reader import SMALL, IndexReader
from mlver.exchange.nearby import Nearby
from mlver.exchange.ranges import AT_ONCE
from mlver.model.digest import Digest
from mlver.remotes.base import NotFound, Remote
from mlver.store.record import CHUNK, RECIPE, needs_base

_LOOKS = 4
"""A listing is made again so often where an object of it was gone when it was read."""

_Answer = TypeVar("_Answer")


class Source(Protocol):
    """A place to fetch records from."""

    @property
    def name(self) -> str:
        """For messages."""

    def prepare(self, ids: Iterable[Digest]) -> list[Digest]:
        """Look for all of these ids at once, ahead of `find`; those of which nothing is there.

        Raises as `find`. Where answers take long, one call of this replaces one for each id.
        """

    def find(self, digest: Digest, kind: int) -> Found | None:
        """Where the record lies, or None. Raises RemoteError, CorruptContent."""

    def find_alone(self, digest: Digest) -> Found | None:
        """A copy of the chunk that is no delta: what can be a base. Raises as `find`."""

    def find_blob(self, oid: Digest, size: int) -> Found | None:
        """The one chunk of this size that the blob is, or its recipe. Raises as `find`."""

    def read(self, pack: Digest, offset: int, length: int) -> bytes:
        """Raw bytes of a pack, exactly `length`. Raises RemoteError, CorruptContent."""

    def refresh(self) -> bool:
        """Something was not had: if what is there has changed, look again; True if done."""

    def close(self) -> None:
        """Release what is open."""


class Catalog:
    """A remote and its index objects, looked for when first asked. See `index_reader` for what is
    read of them; `cache`: where a network lies before the remote.

    `wary`: what collection is going to delete counts as absent. For whoever relies on what is
    there for longer than one read: a push, and what frees content here. It believes index objects
    only; others are also told by the packs' footers (`nearby`).
    """

    def __init__(
        self, remote: Remote, name: str, cache: IndexCache | None = None, *, wary: bool = False
    ) -> None:
        self.remote = remote
        self._cache = cache
        self._reader = IndexReader(remote, cache)
        self.name = name
        self.wary = wary
        self._missed = False
        self.listed = 0
        """How many index objects the last listing had."""
        self.distrusted: frozenset[Digest] = frozenset()
        """Packs that are known to be bad: what lies there counts as absent."""
        self.forget()

    def forget(self) -> None:
        """Read the index objects again when next asked."""
        self._objects: dict[str, IndexRows] | None = None
        self._damaged: list[str] = []
        self._used: set[str] = set()
        self._sizes: dict[str, int] = {}
        self._answers: dict[bytes, list[Found]] = {}
        self._nearby = Nearby(self.remote)
        self._lists: frozenset[str] = frozenset()
        self.condemned = Condemned()
        """What will be deleted, as of the last reading; nothing unless `wary`."""

    @property
    def is_far(self) -> bool:
        """A network lies before it: its index objects are kept, and many requests at once pay."""
        return self._cache is not None

    # -- index objects ---------------------------------------------------------------------

    def objects(self) -> list[IndexRows]:
        """The index objects, newest last. A damaged one is left out, and named in `damaged`.

        Raises RemoteError, again each time: what could not be listed or read is never "empty".
        """
        return list(self.named_objects().values())

    def named_objects(self) -> dict[str, IndexRows]:
        """As `objects`, by their names on the remote."""
        if self._objects is None:
            objects: dict[str, IndexRows] = {}
            damaged: list[str] = []
            if layout.read_meta(self.remote) is not None:
                if self.wary and not self._used:
                    self._read_condemned()
                objects, damaged = self._look()
            self._objects, self._damaged = objects, damaged
            self._used.update(objects)
        return self._objects

    def _read_condemned(self) -> None:
        lists = condemned.read_all(self.remote)
        self.condemned = condemned.union(lists, self.remote.url)
        self._lists = frozenset(item.name for item in lists)

    def _look(self) -> tuple[dict[str, IndexRows], list[str]]:
        """Index objects by name, and names of damaged ones. A name that was gone when it was read
        was replaced by another, which was there first: the listing is made again."""
        from concurrent.futures import ThreadPoolExecutor  # with logging: 5 ms

        for _ in range(_LOOKS):
            rows = sorted(self.remote.list(layout.INDEX), key=lambda row: (row.modified, row.name))
            rows = [row for row in rows if layout.digest_in_name(row.name) is not None]
            self._sizes = {row.name: row.size for row in rows}
            self.listed = len(rows)
            try:
                with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mlver-index") as pool:
                    found = dict(zip(self._sizes, pool.map(self._reader.open, rows), strict=True))
            except NotFound:
                continue
            whole = {name: item for name, item in found.items() if item is not None}
            return whole, [name for name in found if name not in whole]
        raise self._restless()

    def _restless(self) -> RemoteError:
        return RemoteError(
            f"{self.name}: index objects go while they are read",
            why="a collection or a compaction is at work there",
            fix="run this again later",
        )

    def _asked(self, ask: Callable[[IndexRows], _Answer]) -> list[_Answer]:
        """The answer of each index object, newest first. One that turns out to be damaged is set
        aside; where one is gone, what is there now is asked."""
        for _ in range(_LOOKS):
            try:
                answers = []
                for name, item in reversed(list(self.named_objects().items())):
                    try:
                        answers.append(ask(item))
                    except CorruptContent:
                        del self.named_objects()[name]
                        self._damaged.append(name)
                return answers
            except NotFound:
                self._objects = None
                self._answers.clear()
        raise self._restless()

    def whole_objects(self) -> dict[str, IndexRows]:
        """As `named_objects`, all of them read to their last byte and found right."""
        self._asked(lambda item: item.verify())
        return self.named_objects()

    def sizes(self) -> dict[str, int]:
        """Name → bytes of the index objects, damaged ones too."""
        self.named_objects()
        return self._sizes

    def drop_copies(self, names: Iterable[str]) -> None:
        """Objects that are not on the remote any more need not be kept here."""
        for digest in map(layout.digest_in_name, names):
            if self._cache is not None and digest is not None:
                self._cache.drop(digest)

    def packs(self) -> set[Digest]:
        """Every pack that an index object names. Reads no rows."""
        return {pack for packs in self._asked(lambda item: item.packs()) for pack in packs}

    @property
    def damaged(self) -> list[str]:
        """Names of index objects that could not be used, as far as they were read."""
        self.objects()
        return self._damaged

    def is_current(self, written: str | None = None) -> bool:
        """True if all that was read is there still and nothing more was condemned since; and the
        index object `written`, which collection may have been rewriting under that very name.

        Asked by a push before it acknowledges. Collection deletes index objects before the packs
        that they name, so this also tells a push that took longer than any time of grace. An
        object that went while it was read in parts is one that was used.
        """
        lists = {row.name for row in self.remote.list(layout.CONDEMNED)}
        lists = {name for name in lists if layout.digest_in_name(name) is not None}
        self.named_objects()
        needed = {*self._used, *([] if written is None else [written])}
        return lists <= self._lists and self._names() >= needed

    def since(self, known: Container[str]) -> list[IndexRows]:
        """Index objects that are there now and have none of these names, for collection. Raises
        RemoteError, CorruptContent."""
        found = []
        for row in self.remote.list(layout.INDEX):
            if row.name in known or layout.digest_in_name(row.name) is None:
                continue
            item = self._reader.open(row)
            if item is None:
                raise CorruptContent(f"{self.name}: an index object that has just come is damaged")
            item.verify()
            found.append(item)
        return found

    def _names(self) -> set[str]:
        names = (row.name for row in self.remote.list(layout.INDEX))
        return {name for name in names if layout.digest_in_name(name) is not None}

    # -- finding ---------------------------------------------------------------------------

    def prepare(self, ids: Iterable[Digest]) -> list[Digest]:
        """See `Source`."""
        wanted = list(dict.fromkeys(ids))
        new = [i for i in wanted if i not in self._answers and i not in self._nearby]
        if self.is_far and not self.wary and self._is_scattered(new):
            self._nearby.find(new, self._look_up)
        else:
            self._look_up(new)
        return [i for i in wanted if not self._answers.get(i) and i not in self._nearby]

    def _is_scattered(self, ids: Collection[Digest]) -> bool:
        """True where rows cost a request each, and the objects are too large to be read whole."""
        self.named_objects()
        sizes = (size for name, size in self._sizes.items() if name.startswith(layout.COMPACTED))
        return self._nearby.pays(len(ids), sum(size for size in sizes if size > SMALL))

    def _look_up(self, ids: Collection[Digest]) -> dict[bytes, list[Found]]:
        """The rows of these ids in all index objects, now in `_answers`."""
        if ids:
            answers = self._asked(lambda item: item.lookup(ids))
            self._answers.update((digest, []) for digest in ids)
            for answer in answers:
                for digest, rows in answer.items():
                    self._answers[digest] += rows
        return self._answers

    def _copies(self, digest: Digest) -> list[Found]:
        if digest not in self._answers:
            self._look_up([digest])
        return self._answers[digest]

    def _rows(self, digest: Digest) -> Iterator[Found]:
        yield from self._nearby.rows(digest)
        yield from self._copies(digest)  # asked for only where those did not do

    def _first(self, digest: Digest, fits: Callable[[Found], bool]) -> Found | None:
        rows = (row for row in self._rows(digest) if fits(row) and self._counts(row))
        return next(rows, None)

    def _counts(self, found: Found) -> bool:
        return found.pack not in self.distrusted and not self.condemned.names(
            found.pack, (found.id, found.kind)
        )

    def find(self, digest: Digest, kind: int) -> Found | None:
        """See `Source`."""
        return self._first(digest, lambda found: found.kind == kind)

    def find_alone(self, digest: Digest) -> Found | None:
        """See `Source`."""
        return self._first(
            digest, lambda found: found.kind == CHUNK and not needs_base(found.codec)
        )

    def find_blob(self, oid: Digest, size: int) -> Found | None:
        """See `Source`."""
        return self._first(
            oid, lambda found: found.kind == RECIPE or (found.kind == CHUNK and found.raw == size)
        )

    def find_all(self, digest: Digest, kind: int) -> list[Found]:
        """Every copy of a record that the index names, condemned or not."""
        return [found for found in self._copies(digest) if found.kind == kind]

    def read(self, pack: Digest, offset: int, length: int) -> bytes:
        """See `Source`."""
        try:
            return self.remote.read(layout.pack_object(pack), offset, length)
        except NotFound:
            self._missed = True
            raise

    def refresh(self) -> bool:
        """See `Source`."""
        if self._missed or self._has_changed():
            self._missed = False
            self.forget()
            return True
        return False

    def _has_changed(self) -> bool:
        """A listing that was made while objects were replaced may lack both the old and the new."""
        try:
            return self._objects is not None and self._names() != self._sizes.keys()
        except RemoteError:
            return False  # what failed before is what is told

    def close(self) -> None:
        """See `Source`."""
        self.forget()
        self.remote.close()
        if self._cache is not None:
            self._cache.close()


def has_blob(source: Source, oid: Digest, size: int) -> bool:
    """True if the source knows the blob: its recipe, or the one chunk that it is."""
    try:
        return source.find_blob(oid, size) is not None
    except MlverError:
        return False
