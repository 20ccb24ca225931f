"""Content out of the store: every byte verified before it can be seen.

Chunks are located in order and read in runs that lie side by side in a pack; a pool decodes and
verifies them, some runs ahead, while the caller writes. The whole is not hashed once more: each
chunk matches its id, and the recipe that orders them matches a digest that covers the blob's oid
and was stored only when the whole had been hashed (model/recipe.py).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from mlver.errors import CorruptContent, MissingContent, MlverError
from mlver.model.digest import Digest, short
from mlver.model.pointer import Pointer
from mlver.model.recipe import Row
from mlver.store import files
from mlver.store.chunker import MAX
from mlver.store.index import Location
from mlver.store.local import LocalStore, batched
from mlver.store.record import CHUNK, HEADER, Buffer, split_record

if TYPE_CHECKING:  # it loads logging: 5 ms that every filter would pay
    from concurrent.futures import Future, ThreadPoolExecutor

RUN = 2 * 1024 * 1024
"""A run of records is read at once up to about this many bytes."""
_AHEAD = 4
_BUFFER = RUN + MAX + HEADER


class _Run:
    """Records that follow one another in one pack; `ids`: id, offset in the run, length of header
    and payload."""

    __slots__ = ("ids", "length", "offset", "pack")

    def __init__(self, pack: str, offset: int, first: Digest, length: int) -> None:
        self.pack, self.offset, self.length = pack, offset, length
        self.ids = [(first, 0, length)]


def read_blob(store: LocalStore, pointer: Pointer) -> Buffer:
    """A blob that fits memory, whole and verified. Raises MissingContent, CorruptContent."""
    place = store.locate(pointer.oid)
    if place is not None:
        header, payload = store.record_at(place, pointer.oid)
        data = store.codec().decode(header, payload, store.full_chunk)
    else:
        data = b"".join(_bounded(store, pointer))
    if len(data) != pointer.size:
        raise _mismatch(pointer)
    return data


def _bounded(store: LocalStore, pointer: Pointer) -> Iterator[Buffer]:
    """The blob's chunks; never more than its size, whatever its recipe says."""
    size = 0
    for digest, _ in store.rows(pointer):
        data = store.chunk(digest)
        size += len(data)
        if size > pointer.size:
            raise _mismatch(pointer)
        yield data


def stream_blob(
    store: LocalStore, pointer: Pointer, pool: ThreadPoolExecutor
) -> Iterator[list[Buffer]]:
    """The blob in order, as lists of verified chunks.

    Raises MissingContent, CorruptContent; the latter also after everything was yielded (another
    size than the pointer's), so that nothing is complete before the iterator has ended.
    """
    rows = stream_rows(store, store.rows(pointer), pool)
    yield from of_size(pointer.size, rows, _mismatch(pointer))


def of_size(
    wanted: int, stream: Iterable[list[Buffer]], error: MlverError
) -> Iterator[list[Buffer]]:
    """The same; `error` is raised as soon as it is longer, and at its end where it is shorter."""
    size = 0
    for parts in stream:
        size += sum(map(len, parts))
        if size > wanted:  # a forged recipe must not fill the disk first
            raise error
        yield parts
    if size != wanted:
        raise error


def stream_rows(
    store: LocalStore, rows: Iterable[Row], pool: ThreadPoolExecutor, *, check: bool = True
) -> Iterator[list[Buffer]]:
    """The chunks of `rows` in order, each verified, decoded some runs ahead on `pool`.

    Not `check`: they are not, for the caller hashes the whole. What is yielded is valid until the
    next is asked for: its memory is used again.
    """
    pending: deque[Future[tuple[list[Buffer], bytearray]]] = deque()
    spare: list[bytearray] = []  # fresh memory for each run would cost more than the reading
    try:
        for run in _runs(store, rows):
            buffer = spare.pop() if spare else bytearray(_BUFFER)
            pending.append(pool.submit(_decode_run, store, run, buffer, check))
            if len(pending) > _AHEAD:
                parts, buffer = pending.popleft().result()
                yield parts
                spare.append(buffer)
        while pending:
            yield pending.popleft().result()[0]
    finally:
        for future in pending:
            future.cancel()


def _located(store: LocalStore, rows: Iterable[Row]) -> Iterator[tuple[Digest, Location]]:
    for batch in batched(rows):
        places = store.locate_many([digest for digest, _ in batch])
        for digest, _ in batch:
            if digest not in places:
                raise MissingContent(f"chunk {short(digest)} is not in this store")
            yield digest, places[digest]


def _runs(store: LocalStore, rows: Iterable[Row]) -> Iterator[_Run]:
    run: _Run | None = None
    for digest, place in _located(store, rows):
        if run is not None and _extend(run, digest, place):
            continue
        if run is not None:
            yield run
        run = _Run(place.pack, place.offset, digest, HEADER + place.stored)
    if run is not None:
        yield run


def _extend(run: _Run, digest: Digest, place: Location) -> bool:
    start = place.offset - run.offset
    if place.pack != run.pack or start != run.length or run.length >= RUN:
        return False
    size = HEADER + place.stored
    run.ids.append((digest, start, size))
    run.length += size
    return True


def _decode_run(
    store: LocalStore, run: _Run, buffer: bytearray, check: bool
) -> tuple[list[Buffer], bytearray]:
    """The run's chunks, verified if asked for; those stored raw are views of `buffer`."""
    if run.length > len(buffer):  # one record longer than a chunk of ours can be
        buffer = bytearray(run.length)
    data = store.read_span_into(run.pack, run.offset, memoryview(buffer)[: run.length])
    decode = store.codec().decode
    parts = []
    for digest, start, size in run.ids:
        header, payload = split_record(data[start : start + size], digest, CHUNK)
        parts.append(decode(header, payload, store.full_chunk, check=check))
    return parts, buffer


def write_file(
    store: LocalStore,
    pointer: Pointer,
    path: bytes,
    pool: ThreadPoolExecutor,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the blob to the new file `path` (which must not exist), verified.

    On any error the file is removed again. `tell` is called with bytes done. Raises
    MissingContent, CorruptContent, LocalIOError.
    """
    with files.disk_errors("writing", path):
        fd = os.open(path, files.APPEND_NEW | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        try:
            for parts in stream_blob(store, pointer, pool):
                with files.disk_errors("writing", path):
                    files.write_all(fd, list(parts))
                tell(sum(map(len, parts)))
        finally:
            os.close(fd)
    except BaseException:
        os.unlink(path)
        raise


def _mismatch(pointer: Pointer) -> CorruptContent:
    return CorruptContent(
        f"the content of {short(pointer.oid)} does not match its digest",
        why="a recipe or a chunk in the store is damaged",
        fix="git mlver fsck",
    )
