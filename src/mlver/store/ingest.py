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

import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from mlver.errors import CorruptContent, MissingContent, MlverError
from mlver.model.digest import Digest, Hasher, digest_of
from mlver.model.pointer import Pointer
from mlver.model.recipe import INLINE_ROWS, ListCutter, Recipe, Row, encode_rows
from mlver.store.align import Aligner
from mlver.store.chunker import MAX, MIN, Chunker, spans
from mlver.store.encode import Encoder
from mlver.store.local import LocalStore
from mlver.store.pack import NewRecord
from mlver.store.record import RECIPE
from mlver.store.session import Session

ReadInto = Callable[[memoryview], int]
"""Fills the view from its start; returns how many bytes, 0 only at the end."""

WINDOW = 4 * 1024 * 1024
_AHEAD = 3
_QUEUE = 1024 * 1024


@dataclass(slots=True)
class _Window:
    """A stretch of the blob: whole chunks, by (start in `buffer`, length)."""

    buffer: bytearray
    offset: int
    spans: list[tuple[int, int]]
    ids: list[Digest] = field(default_factory=list)

    def view(self, start: int, length: int) -> memoryview:
        return memoryview(self.buffer)[start : start + length]


class Ingest:
    """Adds blobs to a store. One at a time; `close` ends its threads and seals the pack."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        self.session = Session(store)
        self._workers = max(2, min(8, os.cpu_count() or 2))
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
        lengths = self._cutter().cut(data)
        blob = _Blob(self, previous())
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
        blob = _Blob(self, previous())
        reader = _Reader(read_into, self._first, WINDOW, self._cutter())
        hashed: deque[tuple[_Window, Future[list[Digest]]]] = deque()
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
        blob: _Blob,
        reader: _Reader,
        item: tuple[_Window, Future[list[Digest]]],
        stored: deque[Future[None]],
    ) -> None:
        window, ids = item
        new = []
        for digest, (start, length) in zip(ids.result(), window.spans, strict=True):
            if blob.take(digest, window.offset + start, length):
                base = blob.base(window.offset + start, length)
                new.append((digest, window.view(start, length), base))
        if new:
            stored.append(self._threads().submit(blob.encode, new, reader, window.buffer))
        else:
            reader.recycle(window.buffer)
        while len(stored) > self._workers:
            stored.popleft().result()

    def _cutter(self) -> Chunker:
        if self._chunker is None:
            self._chunker = Chunker()
        return self._chunker

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
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


class _Blob:
    """What is known of the blob being added: its rows so far, and the version it replaces."""

    def __init__(self, ingest: Ingest, previous: Pointer | None) -> None:
        self._store = ingest.store
        self._session = ingest.session
        self._previous = previous
        self._aligner = Aligner(self._rows_of(previous))
        self._encoder = Encoder(ingest.store)
        self._claimed: set[Digest] = set()
        self._rows: list[Row] = []
        self._outer: _List | None = None

    def _rows_of(self, previous: Pointer | None) -> Iterable[Row]:
        if previous is None:
            return ()
        try:
            return list(self._store.rows(previous))
        except MlverError:
            return ()  # not here: then there is nothing to take deltas against

    def take(self, digest: Digest, start: int, length: int) -> bool:
        """Note the next chunk of the blob; True if its bytes have to be stored."""
        self._row((digest, length))
        self._aligner.matched(digest, start)
        if digest in self._claimed or self._session.has(digest):
            return False
        self._claimed.add(digest)
        return True

    def _row(self, row: Row) -> None:
        if self._outer is None and len(self._rows) >= INLINE_ROWS:
            self._outer = _List(self._store, self._session, self._encoder, self._previous)
            for earlier in self._rows:
                self._outer.push(earlier)
            self._rows.clear()
        if self._outer is not None:
            self._outer.push(row)
        else:
            self._rows.append(row)

    def base(self, start: int, length: int) -> Digest | None:
        """The full chunk that the new chunk at `start` can be a delta against."""
        found = self._aligner.base_for(start, length)
        return None if found is None else self._store.base_of_chunk(found)

    def store_chunk(self, digest: Digest, data: memoryview, start: int) -> None:
        """Store one chunk now, unless it is known."""
        if not self._session.has(digest):
            base = self.base(start, len(data))
            self._session.append([self._encoder.record(digest, data, base)])

    def encode(
        self,
        new: list[tuple[Digest, memoryview, Digest | None]],
        reader: _Reader,
        buffer: bytearray,
    ) -> None:
        """Encode and append a window's new chunks (on a pool thread)."""
        try:
            self._session.append(
                [self._encoder.record(digest, data, base) for digest, data, base in new]
            )
        finally:
            reader.recycle(buffer)

    def store_recipe(self, pointer: Pointer) -> None:
        """Store the recipe, last: what it names is in the pack already."""
        if self._session.has(pointer.oid, RECIPE) or self._session.has(pointer.oid):
            return
        if self._outer is not None:
            recipe = Recipe(pointer.size, 1, self._outer.finish())
        else:
            recipe = Recipe(pointer.size, 0, tuple(self._rows))
        base = None
        payload = recipe.encode(pointer.oid)
        record = Encoder(self._store).record(pointer.oid, payload, base, RECIPE)
        self._session.append([record])


class _List:
    """The list chunks of a long recipe, stored as they fill, against those of the old one."""

    def __init__(
        self,
        store: LocalStore,
        session: Session,
        encoder: Encoder,
        previous: Pointer | None,
    ) -> None:
        self._store, self._session = store, session
        self._encoder = Encoder(store)
        self._cutter = ListCutter()
        self._rows: list[Row] = []
        self._end = 0
        self._aligner = Aligner(())
        if previous is not None:
            with contextlib.suppress(MlverError):
                self._aligner = Aligner(store.list_rows(previous))

    def push(self, row: Row) -> None:
        done = self._cutter.push(row)
        if done is not None:
            self._add(done)

    def _add(self, data: bytes) -> None:
        digest = digest_of(data)
        self._aligner.matched(digest, self._end)
        if not self._session.has(digest):
            found = self._aligner.base_for(self._end, len(data))
            base = None if found is None else self._store.base_of_chunk(found)
            self._session.append([self._encoder.record(digest, memoryview(data), base)])
        self._rows.append((digest, len(data)))
        self._end += len(data)

    def finish(self) -> tuple[Row, ...]:
        done = self._cutter.finish()
        if done is not None:
            self._add(done)
        return tuple(self._rows)


class _Reader:
    """Windows of a stream, read, cut and hashed one ahead on a thread of its own."""

    def __init__(
        self, read_into: ReadInto, first: bytearray, length: int, chunker: Chunker
    ) -> None:
        self.hasher = Hasher()
        self.size = 0
        self._read_into, self._chunker = read_into, chunker
        self._first, self._length = first, length
        self._ready: queue.Queue[_Window | BaseException | None] = queue.Queue(_AHEAD)
        self._spare: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlver-read", daemon=True)
        self._thread.start()

    def __iter__(self) -> _Reader:
        return self

    def __next__(self) -> _Window:
        item = self._ready.get()
        if item is None:
            raise StopIteration
        if isinstance(item, BaseException):
            raise item
        return item

    def recycle(self, buffer: bytearray) -> None:
        """Give a window's buffer back once nothing views it."""
        self._spare.put(buffer)

    def stop(self) -> None:
        """End the thread, also in the middle."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._ready.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def _run(self) -> None:
        try:
            self._windows()
            self._ready.put(None)
        except BaseException as error:  # handed to the thread that reads the windows
            self._ready.put(error)

    def _windows(self) -> None:
        buffer, length, offset = self._first, self._length, 0
        fresh = memoryview(buffer)[:length]
        while not self._stopped.is_set():
            self.hasher.update(fresh)
            self.size += len(fresh)
            lengths = self._chunker.cut(memoryview(buffer)[:length])
            at_end = len(fresh) == 0
            kept = 0 if at_end else lengths.pop()
            done = length - kept
            following = self._buffer()
            following[:kept] = memoryview(buffer)[done:length]
            if lengths:
                self._ready.put(_Window(buffer, offset, list(spans(lengths))))
            if at_end:
                return
            offset += done
            got = fill(self._read_into, memoryview(following)[kept : WINDOW + MAX])
            buffer, length = following, kept + got
            fresh = memoryview(buffer)[kept:length]

    def _buffer(self) -> bytearray:
        try:
            return self._spare.get_nowait()
        except queue.Empty:
            return bytearray(WINDOW + MAX)


def _hash(window: _Window) -> list[Digest]:
    return [digest_of(window.view(start, length)) for start, length in window.spans]


def fill(read_into: ReadInto, view: memoryview) -> int:
    """Fill `view` as far as the stream goes; how many bytes that is."""
    done = 0
    while done < len(view):
        got = read_into(view[done:])
        if got == 0:
            break
        done += got
    return done


__all__ = ["Ingest", "ReadInto", "encode_rows", "fill"]
