"""Chunks for whoever reads parts of blobs: from the store, verified, the last ones kept in memory;
what the store lacks is fetched, some at a time, and nothing more.

A recipe that had to be fetched for it is verified by its own digest, but not proven by the blob's
hash: for that all of the blob would have to come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, TypeVar

from mlver.errors import CorruptContent, MissingContent, MlverError
from mlver.model.digest import Digest, short
from mlver.model.pointer import Pointer
from mlver.model.recipe import Row
from mlver.store.index import batched
from mlver.store.record import Buffer
from mlver.workflows.context import Context

if TYPE_CHECKING:
    from mlver.exchange.parts import PartFetcher
    from mlver.exchange.source import Source

T = TypeVar("T")

_KEPT = 32 * 1024 * 1024
_FIRST_AHEAD, _MOST_AHEAD = 1024 * 1024, 64 * 1024 * 1024
_FEW = 8


class Chunks:
    """Used for the versions of one file, one after the other. A context manager."""

    def __init__(self, ctx: Context) -> None:
        self._ctx, self._store = ctx, ctx.store
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()
        self._size = 0
        self._ahead = _FIRST_AHEAD
        self._stack = ExitStack()
        self._fetcher: PartFetcher | None = None
        self._sources: Sequence[Source] = ()

    # -- recipes ---------------------------------------------------------------------------

    def rows(self, pointer: Pointer) -> list[Row]:
        """The blob's chunks in order. Raises MissingContent, CorruptContent, RemoteError."""
        rows = self._rows_here(pointer)
        if rows is None:
            rows = self._fetched(lambda fetcher: list(fetcher.rows_of(pointer)))
        if sum([length for _, length in rows]) != pointer.size:
            raise CorruptContent(
                f"the recipe of {short(pointer.oid)} is of another size than its pointer states"
            )
        return rows

    def _rows_here(self, pointer: Pointer) -> list[Row] | None:
        if not self._store.holds(pointer):
            return None
        try:
            return list(self._store.rows(pointer))
        except MissingContent:  # a list chunk
            return None

    # -- chunks ----------------------------------------------------------------------------

    def get(self, digest: Digest, following: Callable[[], Iterable[Row]] | None = None) -> bytes:
        """A chunk's bytes. Where it has to be fetched, some of the `following` (itself first) come
        with it."""
        data = self._kept.get(digest)
        if data is not None:
            self._kept.move_to_end(digest)
            return data
        try:
            data = self._decoded(digest)
        except MissingContent:
            self._bring_ahead(digest, following() if following else [(digest, 0)])
            data = self._decoded(digest)
        self._keep(digest, data)
        return data

    def _decoded(self, digest: Digest) -> bytes:
        header, payload = self._store.record(digest)
        return bytes(self._store.codec().decode(header, payload, self._base))

    def _base(self, digest: Digest) -> Buffer:
        data = self._kept.get(digest)
        if data is None:
            data = bytes(self._store.full_chunk(digest))
            self._keep(digest, data)
        return data

    def _keep(self, digest: Digest, data: bytes) -> None:
        self._kept[digest] = data
        self._size += len(data)
        while self._size > _KEPT and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1])

    def stream(self, rows: Sequence[Row]) -> Iterator[bytes]:
        """These chunks in order, decoded ahead on threads where there are many."""
        from mlver.store.assemble import stream_rows

        for some in _stretches(rows):
            self.bring(some)
            if len(some) <= _FEW:
                for digest, _ in some:
                    yield self.get(digest)
                continue
            done = 0
            with suppress(MissingContent):  # a delta whose base is gone: `get` fetches it
                for parts in stream_rows(self._store, some, self._ctx.pool):
                    for part in parts:
                        done += 1
                        yield bytes(part)
            for digest, _ in some[done:]:
                yield self.get(digest)

    # -- what is not here ------------------------------------------------------------------

    def lacking(self, digests: Sequence[Digest]) -> list[Digest]:
        """Those that the store cannot give."""
        known = self._store.known(digests)
        return [digest for digest in digests if digest not in known]

    def bring(self, rows: Iterable[Row]) -> None:
        """Fetch what the store lacks of these."""
        lengths = dict(rows)
        wanted: list[Row] = []
        for some in batched(lengths.items()):
            lacking = self.lacking([digest for digest, _ in some])
            wanted += [(digest, lengths[digest]) for digest in lacking]
        if wanted:
            self._fetch(wanted)

    def _bring_ahead(self, digest: Digest, following: Iterable[Row]) -> None:
        if self._store.locate(digest) is not None:
            self._store.forget(digest)  # a delta whose base is gone
        wanted: list[Row] = []
        size = 0
        for row in following:
            if not wanted or self._store.locate(row[0]) is None:
                wanted.append(row)
                size += row[1]
            if size >= self._ahead:
                break
        self._ahead = min(self._ahead * 2, _MOST_AHEAD)
        self._fetch(wanted)

    def _fetch(self, rows: Sequence[Row]) -> None:
        progress = self._ctx.progress
        progress.start("fetching", sum(length for _, length in rows))
        try:
            self._fetched(lambda fetcher: fetcher.bring(rows))
        finally:
            progress.finish()

    def _fetched(self, use: Callable[[PartFetcher], T]) -> T:
        from mlver.workflows import places

        try:
            fetcher = self._opened()
            try:
                return use(fetcher)
            except MissingContent:  # collection may have taken a pack meanwhile
                if not any([source.refresh() for source in self._sources]):
                    raise
                return use(fetcher)
        except MlverError as error:
            raise places.untrusted(self._ctx, error) from error

    def _opened(self) -> PartFetcher:
        if self._fetcher is None:
            from mlver.exchange.parts import PartFetcher
            from mlver.workflows.fetch import open_sources

            self._store.use()
            self._sources, pool = self._stack.enter_context(open_sources(self._ctx))
            step = self._ctx.progress.step
            self._fetcher = PartFetcher(self._store, self._sources, pool, step)
        return self._fetcher

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Chunks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _stretches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    found: list[Row] = []
    size = 0
    for row in rows:
        found.append(row)
        size += row[1]
        if size >= _MOST_AHEAD:
            yield found
            found, size = [], 0
    if found:
        yield found
