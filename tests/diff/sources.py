"""Versions in memory, cut where their content says, in tiny pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise

from mlver.formats.base import Piece
from mlver.model.digest import digest_of


class Memory:
    """Bytes as a source; a piece ends where a checksum of four bytes says, on average every
    `often` bytes, so that equal stretches are cut alike wherever they stand."""

    is_near = True

    def __init__(self, data: bytes, often: int = 12) -> None:
        self._data, self._often = data, often
        self.size = len(data)
        self.asked = 0

    def read(self, offset: int, length: int) -> bytes:
        self.asked += length
        return self._data[offset : offset + length]

    def pieces(self) -> Sequence[Piece]:
        pieces, start = [], 0
        for end in range(4, self.size + 1):
            if zlib.crc32(self._data[end - 4 : end]) % self._often == 0 or end == self.size:
                pieces.append(self._piece(start, end))
                start = end
        if start < self.size:
            pieces.append(self._piece(start, self.size))
        return pieces

    def _piece(self, start: int, end: int) -> Piece:
        return Piece(digest_of(self._data[start:end]), start, end - start)


class Cut(Memory):
    """The same as a blob of the store: its pieces are known, and what was derived is kept."""

    is_cut = True

    def __init__(self, data: bytes, often: int = 12) -> None:
        super().__init__(data, often)
        self.kept: dict[str, bytes] = {}
        self.prepared = 0

    @cached_property
    def _cut(self) -> Sequence[Piece]:
        return super().pieces()

    def pieces(self) -> Sequence[Piece]:
        return self._cut

    def prepare(self, ranges: Sequence[tuple[int, int]]) -> None:
        self.prepared += sum(end - start for start, end in ranges)

    def stream(self, pieces: Sequence[Piece]) -> Iterator[bytes]:
        return (self.read(piece.offset, piece.length) for piece in pieces)

    def recall(self, name: str) -> bytes | None:
        return self.kept.get(name)

    def keep(self, name: str, data: bytes) -> None:
        self.kept[name] = data


class CutAt(Cut):
    """Cut at these places."""

    def __init__(self, data: bytes, places: Sequence[int]) -> None:
        super().__init__(data)
        borders = [0, *sorted({p for p in places if 0 < p < len(data)}), len(data)]
        self._at = list(pairwise(borders))

    def pieces(self) -> Sequence[Piece]:
        return [self._piece(start, end) for start, end in self._at]
