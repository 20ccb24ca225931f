"""Versions of files as formats read them: a file on this disk, or a blob of the store.

A blob's pieces are its recipe's chunks, so two versions are compared without reading what they
share.
"""

from __future__ import annotations

import bisect
import os
import stat
from collections import OrderedDict
from collections.abc import Sequence

from mlver.errors import LocalIOError
from mlver.formats.base import Piece
from mlver.model.digest import Digest, digest_of
from mlver.model.pointer import Pointer
from mlver.store import files
from mlver.store.chunker import Chunker, spans
from mlver.workflows.context import Context

_WINDOW = 8 * 1024 * 1024
_KEPT = 64


class BytesSource:
    """A version in memory: what is small, or has no place to be read from twice."""

    is_near = True

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def pieces(self) -> Sequence[Piece]:
        return _cut(self._data)


class FileSource:
    """A file on this disk. Close it, or use it as a context manager.

    Read, not mapped: pages of a map count as memory of ours, and a file that gets shorter while it
    is mapped kills the process.
    """

    is_near = True

    def __init__(self, path: bytes, fd: int | None = None) -> None:
        """`fd`: the file, where it is open; it is closed with this. Raises LocalIOError."""
        self._path = path
        try:
            self._fd = os.open(path, files.READ) if fd is None else fd
            info = os.fstat(self._fd)
        except OSError as error:
            raise files.local_error(error, "reading a version", path) from error
        if not stat.S_ISREG(info.st_mode):
            os.close(self._fd)
            raise LocalIOError(f"{os.fsdecode(path)} is no regular file")
        self.size = info.st_size

    def read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._fd, length, offset)
        except OSError as error:
            raise files.local_error(error, "reading a version", self._path) from error

    def pieces(self) -> Sequence[Piece]:
        return _cut(self.read(0, self.size))

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> FileSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cut(data: bytes) -> Sequence[Piece]:
    """Pieces as the store would cut them."""
    with memoryview(data) as view:
        pieces = []
        for start, length in spans(Chunker().cut(view)):
            with view[start : start + length] as part:
                pieces.append(Piece(digest_of(part), start, length))
    return pieces


class BlobSource:
    """A blob: chunks of the store, each verified; fetched where it is not here."""

    is_cut = True  # pieces cost nothing

    def __init__(self, ctx: Context, pointer: Pointer) -> None:
        """Raises MissingContent, RemoteError where it cannot be had."""
        self._ctx, self.size = ctx, pointer.size
        self._pieces = self._rows(pointer)
        self._starts = [piece.offset for piece in self._pieces]
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()

    def _rows(self, pointer: Pointer) -> list[Piece]:
        from mlver.workflows.fetch import fetch_pointers

        if self._ctx.store.missing(pointer) is not None:
            failed = fetch_pointers(self._ctx, [pointer]).failed
            if pointer in failed:
                raise failed[pointer]
        pieces, start = [], 0
        for digest, length in self._ctx.store.rows(pointer):
            pieces.append(Piece(digest, start, length))
            start += length
        return pieces

    @property
    def is_near(self) -> bool:
        store = self._ctx.store
        return all(store.locate(Digest(piece.id)) is not None for piece in self._pieces)

    def pieces(self) -> Sequence[Piece]:
        return self._pieces

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        first = max(0, bisect.bisect_right(self._starts, offset) - 1)
        last = bisect.bisect_left(self._starts, end)
        wanted = self._pieces[first:last]
        parts = []
        for piece in wanted:
            data = self._chunk(Digest(piece.id))
            parts.append(data[max(0, offset - piece.offset) : end - piece.offset])
        return b"".join(parts)

    def _chunk(self, digest: Digest) -> bytes:
        data = self._kept.get(digest)
        if data is None:
            data = bytes(self._ctx.store.chunk(digest))
            self._kept[digest] = data
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return data
