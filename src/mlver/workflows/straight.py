"""Content into the worktree where the store has a bound: what may stay there comes by way of the
store, some at a time, and makes room after each time; what is larger than the bound comes straight.

With a bound of 0 everything that a remote holds comes straight: small files together through a
store that is gone afterwards, a large one in stretches. The file is shown only when the whole
of it was hashed. What no remote holds, but only a clone beside ours, goes into our store as well:
the file would be the only copy here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from mlver.errors import MlverError
from mlver.exchange.fetch import Fetcher
from mlver.exchange.source import Catalog, Source, has_blob
from mlver.exchange.through import STRETCH, mismatch, stream_through
from mlver.git.worktree import Worktree
from mlver.model.digest import Hasher
from mlver.model.pointer import Pointer
from mlver.store import files
from mlver.store.flight import NewStore, flight
from mlver.store.record import Buffer
from mlver.workflows import cache
from mlver.workflows.context import Context
from mlver.workflows.fetch import fetch_twice, is_whole, open_sources
from mlver.workflows.hydrate import (
    Content,
    Hydrated,
    from_store,
    still_pointer,
    through_store,
    write_all,
)

Wanted = dict[bytes, Pointer]


def hydrate_bounded(
    ctx: Context,
    wanted: Wanted,
    remote: str | None,
    result: Hydrated,
    stats: dict[bytes, os.stat_result],
) -> None:
    """As `hydrate.through_store`, within `mlver.cacheSize`. Must not be called without one."""
    limit = cache.bound(ctx) or 0
    with Worktree(ctx.repo.top) as worktree:  # nothing is fetched for what is there already
        done = [path for path, p in wanted.items() if not still_pointer(worktree, path, p)]
    result.skipped += done
    wanted = {path: p for path, p in wanted.items() if path not in set(done)}
    here = {path: p for path, p in wanted.items() if is_whole(ctx, p)}
    through_store(ctx, here, result, stats, fetch=False, remote=remote)
    rest = {path: p for path, p in wanted.items() if path not in here}
    straight = {path: p for path, p in rest.items() if p.size > limit}
    if straight:
        with open_sources(ctx, remote) as (sources, pool):
            straight = _on_remotes(sources, straight)
            try:
                _Straight(ctx, sources, pool, result, stats).write(straight)
            except MlverError as error:  # the disk refuses
                left = straight.keys() - stats.keys() - result.failed.keys()
                result.failed.update(dict.fromkeys(left, error))
    by_store = {path: p for path, p in rest.items() if path not in straight}
    for some in _groups(by_store, max(limit // 4, STRETCH)):
        through_store(ctx, some, result, stats, fetch=True, remote=remote)
        cache.enforce(ctx)


def _on_remotes(sources: Sequence[Source], wanted: Wanted) -> Wanted:
    catalogs = [source for source in sources if isinstance(source, Catalog)]
    return {
        path: pointer
        for path, pointer in wanted.items()
        if any(has_blob(catalog, pointer.oid, pointer.size) for catalog in catalogs)
    }


class _Straight:
    """Writes files without keeping anything in the store."""

    def __init__(
        self,
        ctx: Context,
        sources: Sequence[Source],
        pool: ThreadPoolExecutor,
        result: Hydrated,
        stats: dict[bytes, os.stat_result],
    ) -> None:
        self._ctx, self._sources, self._pool = ctx, sources, pool
        self._result, self._stats = result, stats

    def write(self, wanted: Wanted) -> None:
        """Write these files; failures are in the result."""
        if not wanted:
            return
        total = sum(pointer.size for pointer in wanted.values())
        files.free_space_or_error(self._ctx.repo.top, total, "checking out")
        with flight(self._ctx.store.root) as new_store:
            large = {path: p for path, p in wanted.items() if p.size > STRETCH}
            small = {path: p for path, p in wanted.items() if path not in large}
            for some in _groups(small, STRETCH):
                self._together(new_store, some)
            for path, pointer in large.items():
                self._all({path: pointer}, self._in_stretches(new_store))

    def _together(self, new_store: NewStore, some: Wanted) -> None:
        with new_store() as store:
            fetcher = Fetcher(store, self._sources, self._pool, lambda _: None)
            fetched = fetch_twice(
                self._ctx, fetcher, self._sources, list(dict.fromkeys(some.values()))
            )
            for path, pointer in some.items():
                if pointer in fetched.failed:
                    self._result.failed[path] = fetched.failed[pointer]
            todo = {path: p for path, p in some.items() if p not in fetched.failed}
            self._all(todo, from_store(self._ctx, store))

    def _all(self, todo: Wanted, content: Content) -> None:
        write_all(self._ctx, todo, self._result, self._stats, content)

    def _in_stretches(self, new_store: NewStore) -> Content:
        def content(pointer: Pointer) -> Iterator[list[Buffer]]:
            return _proven(pointer, stream_through(new_store, self._sources, self._pool, pointer))

        return content


def _proven(pointer: Pointer, stream: Iterable[list[Buffer]]) -> Iterator[list[Buffer]]:
    """The same; at its end CorruptContent, unless it was what the pointer names."""
    hasher = Hasher()
    for parts in stream:
        for part in parts:
            hasher.update(part)
        yield parts
    if hasher.digest() != pointer.oid:
        raise mismatch(pointer)


def _groups(wanted: Wanted, most: int) -> Iterator[Wanted]:
    """Files in groups of at most `most` bytes, or of one that is larger."""
    group: Wanted = {}
    size = 0
    for path, pointer in wanted.items():
        if group and size + pointer.size > most:
            yield group
            group, size = {}, 0
        group[path] = pointer
        size += pointer.size
    if group:
        yield group
