"""Content into the store: read, cut, hash, look up, encode, append; memory is bounded.

A blob that fits one window is handled on the calling thread: hashed first, and cut only if it is
not known. A longer one flows through three stages, so that two cores are busy:

    reader thread   fills a window, cuts it, hashes the whole        (one window ahead)
    pool            hashes a window's chunks
    caller          looks chunks up, in order, and pairs new ones with bases
    pool            encodes what is new and appends it

zstd, BLAKE3, FastCDC, read and write free the interpreter lock. The pointer is returned when
everything it needs is in a pack file.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mlver.errors import CorruptContent, MissingContent
from mlver.model.digest import Digest, digest_of
from mlver.model.pointer import Pointer
from mlver.store.blob_writer import BlobWriter
from mlver.store.chunker import MIN, Chunker, spans
from mlver.store.encode import Encoder
from mlver.store.local import LocalStore
from mlver.store.pack import NewRecord
from mlver.store.record import RECIPE
from mlver.store.session import Session
from mlver.store.tensors import Layout, layout_of
from mlver.store.windows import WINDOW, Cut, ReadInto, Window, WindowReader, fill

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_QUEUE = 1024 * 1024


class Ingest:
    """Adds blobs to a store. One at a time; `close` ends its threads and seals the pack."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        self.session = Session(store)
        self._workers = max(1, min(8, (os.cpu_count() or 2) - 1))  # the reader is one more
        self._pool: ThreadPoolExecutor | None = None
        self._chunker: Chunker | None = None
        self._first = bytearray(WINDOW)
        self._small = Encoder(store)
        self._queued: dict[Digest, NewRecord] = {}
        self._queued_bytes = 0

    def add(
        self, read_into: ReadInto, previous: Callable[[], Pointer | None] = lambda: None
    ) -> Pointer | None:
        """Store everything `read_into` gives; None for empty content.

        `previous` is asked, only if the content is new, for the version that this one replaces:
        its chunks serve as bases. Raises LocalIOError and whatever `read_into` raises; nothing
        is acknowledged then.
        """
        length = fill(read_into, memoryview(self._first))
        if length == 0:
            return None
        if length < WINDOW:
            return self.add_bytes(memoryview(self._first)[:length], previous)
        return self._add_long(read_into, previous)

    def add_small(self, data: bytes) -> Pointer:
        """Store a blob of at most MIN bytes, with others in one write: acknowledged by `flush`."""
        oid = digest_of(data)
        if oid not in self._queued and not self.session.has(oid):
            self._queued[oid] = self._small.record(oid, data)
            self._queued_bytes += len(data)
            if self._queued_bytes >= _QUEUE:
                self.flush()
        return Pointer(oid, len(data))

    def flush(self) -> None:
        """Write what `add_small` has gathered."""
        records, self._queued, self._queued_bytes = list(self._queued.values()), {}, 0
        if records:
            self.session.append(records)

    def add_bytes(
        self, data: memoryview, previous: Callable[[], Pointer | None] = lambda: None
    ) -> Pointer:
        """Store content that is in memory: known content is answered from its hash alone."""
        pointer = Pointer(digest_of(data), len(data))
        if self.session.has(pointer.oid):
            return pointer
        if len(data) <= MIN:  # one chunk by definition, and too short to be worth a base
            self.session.append([self._small.record(pointer.oid, data)])
            return pointer
        if self._is_whole(pointer):
            return pointer
        layout = layout_of(data)
        lengths = self._cutter(layout)(data, 0)
        blob = BlobWriter(self.store, self.session, previous(), layout)
        if len(lengths) == 1:
            blob.store_chunk(pointer.oid, data, 0)
            return pointer
        for start, length in spans(lengths):
            piece = data[start : start + length]
            digest = digest_of(piece)
            blob.take(digest, start, length)
            blob.store_chunk(digest, piece, start)
        blob.store_recipe(pointer)
        return pointer

    def _is_whole(self, pointer: Pointer) -> bool:
        """True if the blob's recipe is stored, and what it names: a power cut may take a chunk."""
        if not self.session.has(pointer.oid, RECIPE):
            return False
        if self.session.wrote(pointer.oid, RECIPE):
            return True
        try:
            return self.store.missing(pointer) is None
        except (CorruptContent, MissingContent):
            self.store.forget(pointer.oid, RECIPE)
            return False

    def _add_long(self, read_into: ReadInto, previous: Callable[[], Pointer | None]) -> Pointer:
        layout = layout_of(memoryview(self._first))
        blob = BlobWriter(self.store, self.session, previous(), layout)
        reader = WindowReader(read_into, self._first, WINDOW, self._cutter(layout))
        hashed: deque[tuple[Window, Future[list[Digest]]]] = deque()
        stored: deque[Future[None]] = deque()
        try:
            for window in reader:
                hashed.append((window, self._threads().submit(_hash, window)))
                if len(hashed) > self._workers:
                    self._store_window(blob, reader, hashed.popleft(), stored)
            while hashed:
                self._store_window(blob, reader, hashed.popleft(), stored)
            while stored:
                stored.popleft().result()
        finally:
            reader.stop()
            for future in stored:
                future.cancel()
            for future in stored:
                if not future.cancelled():
                    future.exception()
            self._first = bytearray(WINDOW)
        pointer = Pointer(Digest(reader.hasher.digest()), reader.size)
        blob.store_recipe(pointer)
        return pointer

    def _store_window(
        self,
        blob: BlobWriter,
        reader: WindowReader,
        item: tuple[Window, Future[list[Digest]]],
        stored: deque[Future[None]],
    ) -> None:
        window, ids = item
        new = []
        digests = ids.result()
        stored_ids = self.session.stored(digests)
        for digest, (start, length) in zip(digests, window.spans, strict=True):
            if blob.take(digest, window.offset + start, length, stored_ids):
                place = window.offset + start
                base, width = blob.base(place, length), blob.width(place)
                new.append((digest, window.view(start, length), base, width))
        if new:
            stored.append(self._threads().submit(blob.encode, new, reader, window.buffer))
        else:
            reader.recycle(window.buffer)
        while len(stored) > self._workers:
            stored.popleft().result()

    def _cutter(self, layout: Layout | None) -> Cut:
        if self._chunker is None:
            self._chunker = Chunker()
        if layout is not None:
            return partial(layout.cut, self._chunker)
        chunker = self._chunker
        return lambda data, _offset: chunker.cut(data)

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # only a long blob needs it

            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="mlver-ingest")
        return self._pool

    def close(self) -> None:
        """End the threads; seal the pack."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        self.session.close()

    def __enter__(self) -> Ingest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _hash(window: Window) -> list[Digest]:
    return [digest_of(window.view(start, length)) for start, length in window.spans]
