"""Versions of files as formats read them: a file on this disk, or a blob of the store.

A blob's pieces are its recipe's chunks, so two versions are compared without reading what they
share.
"""

from __future__ import annotations

import bisect
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from mlver.errors import LocalIOError
from mlver.formats.base import Bytes, Piece
from mlver.model.digest import Digest, digest_of
from mlver.model.pointer import Pointer
from mlver.model.recipe import Row
from mlver.store import derived, files
from mlver.store.chunker import Chunker, spans
from mlver.workflows.chunk_reading import Chunks
from mlver.workflows.context import Context


class BytesSource(Bytes):
    """A version in memory: what is small, or has no place to be read from twice."""

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
    """A blob: chunks of the store, each verified. Only what is read is fetched."""

    is_cut = True  # pieces cost nothing

    def __init__(self, ctx: Context, pointer: Pointer, chunks: Chunks | None = None) -> None:
        """`chunks`: shared with the other version. Raises MissingContent, RemoteError where it
        cannot be had."""
        self._store, self.size, self._oid = ctx.store, pointer.size, pointer.oid
        self._chunks = chunks or Chunks(ctx)
        self._pieces, start = [], 0
        for digest, length in self._chunks.rows(pointer):
            self._pieces.append(Piece(digest, start, length))
            start += length
        self._starts = [piece.offset for piece in self._pieces]

    @property
    def is_near(self) -> bool:
        return not self._chunks.lacking([Digest(piece.id) for piece in self._pieces])

    def pieces(self) -> Sequence[Piece]:
        return self._pieces

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        first, last = self._span(offset, end)
        parts = []
        for place in range(first, last):
            piece = self._pieces[place]
            data = self._chunks.get(Digest(piece.id), partial(self._ahead, place))
            parts.append(data[max(0, offset - piece.offset) : end - piece.offset])
        return b"".join(parts)

    def _span(self, start: int, end: int) -> tuple[int, int]:
        first = max(0, bisect.bisect_right(self._starts, start) - 1)
        return first, bisect.bisect_left(self._starts, end)

    def _ahead(self, place: int) -> Iterable[Row]:
        return ((Digest(piece.id), piece.length) for piece in self._pieces[place:])

    def prepare(self, ranges: Sequence[tuple[int, int]]) -> None:
        wanted: dict[Digest, int] = {}
        for start, end in ranges:
            if start < end:
                for piece in self._pieces[slice(*self._span(start, end))]:
                    wanted[Digest(piece.id)] = piece.length
        self._chunks.bring(wanted.items())

    def stream(self, pieces: Sequence[Piece]) -> Iterator[bytes]:
        return self._chunks.stream([(Digest(piece.id), piece.length) for piece in pieces])

    def recall(self, name: str) -> bytes | None:
        return derived.read(self._store.root, self._oid, name)

    def keep(self, name: str, data: bytes) -> None:
        derived.write(self._store.root, self._oid, name, data)
