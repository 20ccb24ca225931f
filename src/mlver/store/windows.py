"""A long stream in windows of whole chunks, read, cut and hashed one ahead on a thread.

A window's last chunk may go on in the next window, so it is kept back and cut again there: the
cuts are those of the whole content. Buffers are used again when whoever took a window gives it
back, so memory does not grow with the stream.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from mlver.model.digest import Hasher
from mlver.store.chunker import MAX, spans

ReadInto = Callable[[memoryview], int]
"""Fills the view from its start; returns how many bytes, 0 only at the end."""

Cut = Callable[[memoryview, int], list[int]]
"""The lengths of the chunks of data that stands at a place of the stream: see Chunker.cut."""

WINDOW = 4 * 1024 * 1024
_AHEAD = 3


class Window:
    """A stretch of the blob: whole chunks, by (start in `buffer`, length)."""

    __slots__ = ("buffer", "offset", "spans")

    def __init__(self, buffer: bytearray, offset: int, spans: list[tuple[int, int]]) -> None:
        self.buffer, self.offset, self.spans = buffer, offset, spans

    def view(self, start: int, length: int) -> memoryview:
        return memoryview(self.buffer)[start : start + length]


class WindowReader:
    """Windows of a stream, read, cut and hashed one ahead on a thread of its own."""

    def __init__(self, read_into: ReadInto, first: bytearray, length: int, cut: Cut) -> None:
        self.hasher = Hasher()
        self.size = 0
        self._read_into, self._cut = read_into, cut
        self._first, self._length = first, length
        self._ready: queue.Queue[Window | BaseException | None] = queue.Queue(_AHEAD)
        self._spare: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlver-read", daemon=True)
        self._thread.start()

    def __iter__(self) -> WindowReader:
        return self

    def __next__(self) -> Window:
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
            lengths = self._cut(memoryview(buffer)[:length], offset)
            at_end = len(fresh) == 0
            kept = 0 if at_end else lengths.pop()
            done = length - kept
            following = self._buffer()
            following[:kept] = memoryview(buffer)[done:length]
            if lengths:
                self._ready.put(Window(buffer, offset, list(spans(lengths))))
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


def fill(read_into: ReadInto, view: memoryview) -> int:
    """Fill `view` as far as the stream goes; how many bytes that is."""
    done = 0
    while done < len(view):
        got = read_into(view[done:])
        if got == 0:
            break
        done += got
    return done
