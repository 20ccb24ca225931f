"""One large blob from sources to whoever writes it, through a store that never holds all of it.

Its recipe is read first; then its chunks, some at a time, each stretch into a store of its own that
is gone when the stretch was given. Every chunk is verified against its id; the order of chunks is
the recipe's, which is not proven here: the caller MUST hash the whole before it shows any of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from mlver.errors import CorruptContent
from mlver.exchange.parts import PartFetcher
from mlver.exchange.source import Source
from mlver.model.digest import short
from mlver.model.pointer import Pointer
from mlver.model.recipe import Row
from mlver.store.assemble import of_size, stream_rows
from mlver.store.flight import NewStore
from mlver.store.record import Buffer

STRETCH = 64 * 1024 * 1024
"""Bytes of content on their way at once."""


def stream_through(
    new_store: NewStore, sources: Sequence[Source], pool: ThreadPoolExecutor, pointer: Pointer
) -> Iterator[list[Buffer]]:
    """The blob in order, as lists of chunks. Raises MissingContent, CorruptContent, RemoteError."""
    stream = _unbounded(new_store, sources, pool, pointer)
    yield from of_size(pointer.size, stream, mismatch(pointer))


def _unbounded(
    new_store: NewStore, sources: Sequence[Source], pool: ThreadPoolExecutor, pointer: Pointer
) -> Iterator[list[Buffer]]:
    with new_store() as outer:
        for rows in _stretches(PartFetcher(outer, sources, pool).rows_of(pointer)):
            with new_store() as store:
                PartFetcher(store, sources, pool).bring(rows)
                yield from stream_rows(store, rows, pool)


def _stretches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    found: list[Row] = []
    size = 0
    for row in rows:
        if found and size + row[1] > STRETCH:
            yield found
            found, size = [], 0
        found.append(row)
        size += row[1]
    if found:
        yield found


def mismatch(pointer: Pointer) -> CorruptContent:
    """The error for a recipe on a remote that builds other content than it promises."""
    return CorruptContent(
        f"the content of {short(pointer.oid)} does not match its digest",
        why="the remote holds a damaged or forged recipe",
        fix="git mlver fsck --remote",
    )
